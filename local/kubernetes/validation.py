"""Defaults that the server fills in, and values that it refuses, for what Closekeeper reads and writes."""

import re
from typing import Any

from local.kubernetes.errors import invalid
from local.kubernetes.resources import (
    AUTOSCALERS,
    CRON_JOBS,
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    NAMESPACES,
    PODS,
    REPLICA_SETS,
    SCALED_OBJECTS,
    STATEFUL_SETS,
    Resource,
)
from local.kubernetes.schedules import Schedule, ScheduleError

type _Problems = list[tuple[str, str]]

_LABEL_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_WITH_TEMPLATE = (DEPLOYMENTS, STATEFUL_SETS, REPLICA_SETS, DAEMON_SETS)
_IMMUTABLE = {
    DEPLOYMENTS: ("selector",),
    REPLICA_SETS: ("selector",),
    DAEMON_SETS: ("selector",),
    STATEFUL_SETS: ("selector", "serviceName", "podManagementPolicy", "volumeClaimTemplates"),
    JOBS: ("selector", "template", "completions", "completionMode"),
}


def defaulted(resource: Resource, obj: dict[str, Any]) -> dict[str, Any]:
    """The object with the defaults of its kind."""
    spec: dict[str, Any] = dict(obj.get("spec") or {})
    if resource in _WITH_TEMPLATE:
        spec = {**({} if resource is DAEMON_SETS else {"replicas": 1}), "revisionHistoryLimit": 10, **spec}
        if resource is REPLICA_SETS:
            spec.pop("revisionHistoryLimit", None)
        if resource is DEPLOYMENTS:
            rolling = {"maxSurge": "25%", "maxUnavailable": "25%"}
            spec.setdefault("strategy", {"type": "RollingUpdate", "rollingUpdate": rolling})
            spec.setdefault("progressDeadlineSeconds", 600)
        if resource is STATEFUL_SETS:
            spec.setdefault("podManagementPolicy", "OrderedReady")
            spec.setdefault("updateStrategy", {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}})
        spec["template"] = _template(spec.get("template") or {})
    elif resource is JOBS:
        spec = _job(spec)
    elif resource is CRON_JOBS:
        history = {"successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1}
        spec = {"concurrencyPolicy": "Allow", "suspend": False, **history, **spec}
        template = spec.get("jobTemplate") or {}
        spec["jobTemplate"] = {**template, "spec": {**template.get("spec", {})}}
        if pod := spec["jobTemplate"]["spec"].get("template"):
            spec["jobTemplate"]["spec"]["template"] = _template(pod)
    elif resource is PODS:
        spec = _pod(spec)
    elif resource is AUTOSCALERS:
        spec = {"minReplicas": 1, **spec}
    elif resource is NAMESPACES:
        spec = {"finalizers": ["kubernetes"], **spec}
    return {**obj, "spec": spec} if spec or "spec" in obj else obj


def _template(template: dict[str, Any]) -> dict[str, Any]:
    return {**template, "metadata": template.get("metadata") or {}, "spec": _pod(template.get("spec") or {})}


def _pod(spec: dict[str, Any]) -> dict[str, Any]:
    containers = [
        {
            "imagePullPolicy": "Always" if _latest(container.get("image", "")) else "IfNotPresent",
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
            "resources": {},
            **container,
        }
        for container in spec.get("containers") or []
    ]
    general = {"restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler"}
    return {
        **general,
        "terminationGracePeriodSeconds": 30,
        "securityContext": {},
        **spec,
        "containers": containers,
    }


def _latest(image: str) -> bool:
    name = image.rpartition("/")[2]
    return "@" not in name and (":" not in name or name.endswith(":latest"))


def _job(spec: dict[str, Any]) -> dict[str, Any]:
    spec = {"backoffLimit": 6, "completionMode": "NonIndexed", "suspend": False, **spec}
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    spec["template"] = _template(spec.get("template") or {})
    return spec


def check(resource: Resource, new: dict[str, Any], old: dict[str, Any] | None = None) -> None:
    """Raises ApiError 422 with every problem."""
    problems: _Problems = []
    metadata, spec = new["metadata"], new.get("spec") or {}
    if old is None:
        _check_name(resource, metadata["name"], problems)
    for name in ("replicas", "backoffLimit", "parallelism", "completions", "minReadySeconds"):
        value = spec.get(name)
        if resource is not SCALED_OBJECTS and isinstance(value, int) and value < 0:
            problems.append((f"spec.{name}", f"Invalid value: {value}: must be greater than or equal to 0"))
    if resource in _WITH_TEMPLATE or resource is JOBS:
        _check_template(resource, spec, problems)
    if resource is AUTOSCALERS:
        least, most = spec.get("minReplicas", 1), spec.get("maxReplicas", 0)
        if most < 1:
            problems.append(("spec.maxReplicas", f"Invalid value: {most}: must be greater than 0"))
        elif most < least:
            why = "must be greater than or equal to `minReplicas`"
            problems.append(("spec.maxReplicas", f"Invalid value: {most}: {why}"))
        if least < 1:
            problems.append(("spec.minReplicas", f"Invalid value: {least}: must be greater than or equal to 1"))
    if resource is CRON_JOBS:
        _check_schedule(spec, problems)
    if resource is PODS and not spec.get("containers"):
        problems.append(("spec.containers", "Required value"))
    if old is not None:
        before = old.get("spec") or {}
        suspended = resource is JOBS and before.get("suspend") and not (old.get("status") or {}).get("startTime")
        for name in _IMMUTABLE.get(resource, ()):
            if spec.get(name) != before.get(name) and not (suspended and name == "template"):
                problems.append((f"spec.{name}", "Invalid value: field is immutable"))
    if problems:
        raise invalid(resource, metadata["name"], problems)


def _check_name(resource: Resource, name: str, problems: _Problems) -> None:
    rule, longest = (_LABEL_NAME, 63) if resource is NAMESPACES else (_SUBDOMAIN, 253)
    if resource is CRON_JOBS:
        longest = 52
    if len(name) > longest:
        problems.append(("metadata.name", f'Invalid value: "{name}": must be no more than {longest} characters'))
    elif not rule.fullmatch(name):
        kind = "label" if rule is _LABEL_NAME else "subdomain"
        why = f"a lowercase RFC 1123 {kind} must consist of lower case alphanumeric characters, '-'"
        problems.append(("metadata.name", f'Invalid value: "{name}": {why}'))


def _check_template(resource: Resource, spec: dict[str, Any], problems: _Problems) -> None:
    template = spec.get("template") or {}
    if not (template.get("spec") or {}).get("containers"):
        problems.append(("spec.template.spec.containers", "Required value"))
    restart = (template.get("spec") or {}).get("restartPolicy")
    if resource is JOBS:
        if restart not in ("OnFailure", "Never"):
            value = f'Unsupported value: "{restart}": supported values: "OnFailure", "Never"'
            problems.append(("spec.template.spec.restartPolicy", value))
        return
    selector = (spec.get("selector") or {}).get("matchLabels")
    if not spec.get("selector"):
        problems.append(("spec.selector", "Required value"))
    elif selector and not selector.items() <= ((template.get("metadata") or {}).get("labels") or {}).items():
        why = "`selector` does not match template `labels`"
        problems.append(("spec.template.metadata.labels", f"Invalid value: {why}"))


def _check_schedule(spec: dict[str, Any], problems: _Problems) -> None:
    try:
        Schedule.parse(spec.get("schedule", ""), spec.get("timeZone"))
    except ScheduleError as error:
        problems.append((f"spec.{error.field}", f'Invalid value: "{spec.get(error.field, "")}": {error}'))
    policy = spec.get("concurrencyPolicy")
    if policy not in ("Allow", "Forbid", "Replace"):
        value = f'Unsupported value: "{policy}": supported values: "Allow", "Forbid", "Replace"'
        problems.append(("spec.concurrencyPolicy", value))
