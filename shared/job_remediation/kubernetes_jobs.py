"""What a failed Kubernetes Job shows, and the Job that repeats it. Pure: objects are the API's plain dictionaries.

Sources: Kubernetes v1.36, Jobs (conditions, immutable fields, labels of the system), CronJobs; kubectl's
`create job --from`, whose annotation and owner reference are the same here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from shared.job_remediation.causes import Cause, cause_of_container, cause_of_text
from shared.job_remediation.evidence import Evidence, Item, Value, cluster_access

type Object = dict[str, Any]

RERUN_OF = "closekeeper.io/rerun-of"
"""Annotation with the uid of the Job that this one repeats."""

REMEDIATION = "closekeeper.io/remediation"
"""Annotation with the remediation that made it."""

RAISED = "closekeeper.io/memory-raised"
"""Annotation: it got more memory than the Job that it repeats."""

_SYSTEM_LABELS = frozenset(
    {
        "controller-uid",
        "job-name",
        "batch.kubernetes.io/controller-uid",
        "batch.kubernetes.io/job-name",
    }
)
_SYSTEM_FIELDS = ("selector", "manualSelector")
_MOST_LOG_LINES = 3
_UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


@dataclass(frozen=True, slots=True)
class End:
    """How a container of a Job's pod ended, the last one that did."""

    container: str = ""
    reason: str = ""
    exit_code: int | None = None
    log: tuple[str, ...] = ()


def state_of(job: Object) -> str:
    """`complete`, `failed`, or `active` while Kubernetes has not given it up."""
    conditions: Sequence[Object] = _status(job).get("conditions") or ()
    said = {one["type"] for one in conditions if one.get("status") == "True"}
    return "complete" if "Complete" in said else "failed" if "Failed" in said else "active"


def owner_of(job: Object) -> str:
    """The CronJob that owns it; empty when none does."""
    owners: Sequence[Object] = job["metadata"].get("ownerReferences") or ()
    return next((str(owner["name"]) for owner in owners if owner.get("kind") == "CronJob"), "")


def declared_name(job: Object) -> str:
    """What the estate calls it."""
    namespace, cron = job["metadata"]["namespace"], owner_of(job)
    return f"cronjob/{namespace}/{cron}" if cron else f"job/{namespace}/{job['metadata']['name']}"


def newest_failed(jobs: Sequence[Object]) -> Object | None:
    """The Job that failed last, None when none did; repetitions by us are not meant."""
    failed = [job for job in jobs if state_of(job) == "failed" and not _annotation(job, RERUN_OF)]
    return max(failed, key=lambda job: (ended(job), job["metadata"]["name"]), default=None)


def evidence_of(
    cluster: str, job: Object, siblings: Sequence[Object], cron: Object | None, end: End, applied: str
) -> Evidence:
    """The facts of `kubernetes-job`, and the Job as the item that could be run again.

    siblings: all Jobs of the namespace. applied: what the probe says of the failed attempt, as `Applied`.
    """
    metadata, owner = job["metadata"], owner_of(job)
    repeated = [one for one in siblings if _annotation(one, RERUN_OF) == metadata["uid"]]
    states = {state_of(one) for one in (job, *repeated)}
    since = [
        one
        for one in siblings
        if owner and owner_of(one) == owner and state_of(one) == "complete" and ended(one) > ended(job)
    ]
    text = "\n".join(end.log)
    cause = _cause(job, end, text)
    memory = memory_limit(job, end.container)
    facts: dict[str, Value] = {
        "job.name": metadata["name"],
        "job.namespace": metadata["namespace"],
        "job.access": cluster_access(cluster),
        "job.cron": owner,
        "job.declared": declared_name(job),
        "job.state": next(state for state in ("complete", "active", "failed") if state in states),
        "job.reason": _reason(job),
        "job.container_reason": end.reason,
        "job.message": " | ".join(end.log[-_MOST_LOG_LINES:]),
        "job.cause": cause,
        "job.memory": memory,
        "job.rerun": bool(_annotation(job, RERUN_OF)),
        "job.reruns": len(repeated),
        "job.raised": any(_annotation(one, RAISED) for one in repeated),
        "job.succeeded_since": bool(since),
        "job.cron_suspended": bool(cron and cron["spec"].get("suspend", False)),
        "job.cron_active": sum(1 for one in siblings if owner and owner_of(one) == owner and state_of(one) == "active"),
    }
    if end.exit_code is not None:
        facts["job.exit_code"] = end.exit_code
    item: Item = {
        "kind": "job",
        "id": metadata["name"],
        "uid": metadata["uid"],
        "name": metadata["name"],
        "base": owner or metadata["name"],
        "namespace": metadata["namespace"],
        "cluster": cluster,
        "job": declared_name(job),
        "memory": float(memory),
        "applied": applied,
    }
    return Evidence(facts, (item,))


def gone() -> Evidence:
    """The facts of a Job that is no longer there."""
    return Evidence({"job.state": "gone", "job.rerun": False, "job.succeeded_since": False})


def repetition(job: Object, cron: Object | None, *, name: str, remediation: str, memory: int | None) -> Object:
    """The Job that repeats another, as it is sent to the API: the CronJob's template where there is one, else its own.

    What the system sets is left out: uid, selector and their labels would make it the same Job, or refuse it.
    """
    template: Object = cron["spec"]["jobTemplate"] if cron else job
    given = _part(template, "metadata")
    spec = {key: value for key, value in _copied(template["spec"]).items() if key not in _SYSTEM_FIELDS}
    pod: Object = spec["template"].setdefault("metadata", {})
    if "labels" in pod:
        pod["labels"] = _own(pod["labels"])
    pod.pop("creationTimestamp", None)
    if memory is not None:
        _give(spec["template"]["spec"], memory)
    annotations = {
        **{key: value for key, value in _part(given, "annotations").items() if "kubernetes.io/" not in key},
        "cronjob.kubernetes.io/instantiate": "manual",
        RERUN_OF: job["metadata"]["uid"],
        REMEDIATION: remediation,
        **({RAISED: "true"} if memory is not None else {}),
    }
    metadata: Object = {
        "name": name,
        "namespace": job["metadata"]["namespace"],
        "labels": _own(_part(given, "labels")),
        "annotations": annotations,
    }
    if cron:
        owner = {"apiVersion": "batch/v1", "kind": "CronJob", "controller": True}
        metadata["ownerReferences"] = [{**owner, "name": cron["metadata"]["name"], "uid": cron["metadata"]["uid"]}]
    return {"metadata": metadata, "spec": spec}


def needless(job: Object, siblings: Sequence[Object], cron: Object | None) -> str:
    """Why it must not be run again any more, by what is there now; empty when it may."""
    seen = evidence_of("", job, siblings, cron, End(), "unknown").facts
    if seen["job.state"] != "failed":
        return f"it is {seen['job.state']} by now"
    if seen["job.succeeded_since"]:
        return "a later run succeeded by now"
    if cron and seen["job.cron_suspended"]:
        return f"the CronJob {seen['job.cron']} is suspended"
    forbids = bool(cron) and cron["spec"].get("concurrencyPolicy") == "Forbid" if cron else False
    if forbids and seen["job.cron_active"]:
        return f"a run of {seen['job.cron']} is active, and it forbids two at a time"
    return ""


def memory_limit(job: Object, container: str) -> int:
    """The memory limit of that container, or of the first, in bytes; 0 when it has none."""
    containers: Sequence[Object] = job["spec"]["template"]["spec"]["containers"]
    meant = next((one for one in containers if one["name"] == container), containers[0])
    limits = _part(_part(meant, "resources"), "limits")
    return quantity(str(limits.get("memory", "0")))


def quantity(text: str) -> int:
    """A size as Kubernetes writes it (512Mi, 1G, 1073741824) in bytes; 0 for what is none."""
    unit = next((unit for unit in _UNITS if text.endswith(unit)), "")
    try:
        return int(float(text.removesuffix(unit)) * _UNITS.get(unit, 1))
    except ValueError:
        return 0


def _give(pod: Object, memory: int) -> None:
    """More memory for the containers that have a limit below it."""
    for container in pod["containers"]:
        limits = _part(_part(container, "resources"), "limits")
        if "memory" in limits and quantity(str(limits["memory"])) < memory:
            limits["memory"] = str(memory)


def _cause(job: Object, end: End, text: str) -> Cause:
    if end.reason and (known := cause_of_container(end.reason, end.exit_code)) is not Cause.UNKNOWN:
        return known
    said = cause_of_text(text)
    if said is Cause.UNKNOWN and _reason(job) == "DeadlineExceeded":
        return Cause.AMBIGUOUS  # it was cut off, wherever it was
    return said


def _reason(job: Object) -> str:
    conditions: Sequence[Object] = _status(job).get("conditions") or ()
    return next((str(one.get("reason", "")) for one in conditions if one["type"] == "Failed"), "")


def ended(job: Object) -> datetime:
    """When it was over; for one that is not, when it was made."""
    conditions: Sequence[Object] = _status(job).get("conditions") or ()
    times = [one["lastTransitionTime"] for one in conditions if one["type"] in ("Complete", "Failed")]
    return datetime.fromisoformat(max(times, default=job["metadata"]["creationTimestamp"]))


def _status(job: Object) -> Object:
    return _part(job, "status")


def _part(of: Object, name: str) -> Object:
    return cast(Object, of.get(name) or {})


def _annotation(job: Object, name: str) -> str:
    return str(_part(job["metadata"], "annotations").get(name, ""))


def _own(labels: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in labels.items() if key not in _SYSTEM_LABELS}


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in cast(Object, value).items()}
    return [_copied(item) for item in cast("list[Any]", value)] if isinstance(value, list) else value
