"""Faults that are really there, and alerts about them as different senders write them: copied, repeated, in any order.

Each fault is a failed run of a CronJob of its own, or something that only an alert tells. Its kind says what is to
become of it.
"""

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from local.kubernetes.controllers.pods import PodPlan
from local.kubernetes.resources import CRON_JOBS, JOBS
from local.kubernetes.simulator import KubernetesSimulator

NAMESPACE = "odoo"
_MEMORY = {"resources": {"limits": {"memory": "256Mi"}}}


class Kind(StrEnum):
    """What is to become of a fault."""

    PASSING = "passing"
    """A Job that failed by an error that passes: it is run again, once, and completes."""

    DOOMED = "doomed"
    """A Job that was killed for memory, and will be again: given more once, until the breaker opens."""

    RESOLVED = "resolved"
    """A Job whose alert is resolved while the storm lasts: nothing is done."""

    SPREAD = "spread"
    """As `PASSING`, of a CronJob that is declared: many of them have one cause."""

    UNANSWERED = "unanswered"
    """What no playbook answers: a human is asked."""


@dataclass(frozen=True)
class Fault:
    """One fault. `sender` is the format in which it is told; `since` when it began."""

    number: int
    kind: Kind
    sender: str
    since: datetime

    @property
    def cron(self) -> str:
        return f"{self.kind}-{self.number}"

    @property
    def job(self) -> str:
        return f"{self.cron}-29381760"


SENDERS = ("azure", "alertmanager", "plain")


def faults(**counts: int) -> list[Fault]:
    """So many of each kind, told by all kinds of senders, since a minute ago."""
    kinds = [kind for kind in Kind for _ in range(counts.get(kind, 0))]
    since = datetime.now(UTC) - timedelta(minutes=1)
    return [
        Fault(number, kind, SENDERS[number % len(SENDERS)], since + timedelta(milliseconds=number))
        for number, kind in enumerate(kinds)
    ]


def bring_about(cluster: KubernetesSimulator, told: Sequence[Fault]) -> None:
    """Let the Jobs fail for real, each owned by a CronJob of its own."""
    jobs = [fault for fault in told if fault.kind is not Kind.UNANSWERED]
    for fault in jobs:
        killed = fault.kind is Kind.DOOMED
        end: dict[str, Any] = {"exit_code": 1, "log": "psycopg2.errors.DeadlockDetected: deadlock detected"}
        if killed:
            end = {"exit_code": 137, "reason": "OOMKilled", "log": "reading"}
        plan = PodPlan(name=f"{fault.cron}-*", times=None if killed else 1, start_seconds=0.05, run_seconds=0.05, **end)
        cluster.kubelets.plans.insert(0, plan)
        _make_job(cluster, fault)
    deadline = time.monotonic() + 120
    while any(state(cluster, fault.job) != "failed" for fault in jobs):
        assert time.monotonic() < deadline, "the Jobs do not fail"
        time.sleep(0.1)


def _make_job(cluster: KubernetesSimulator, fault: Fault) -> None:
    container = {"name": "run", "image": "run:1", **_MEMORY}
    pod = {"metadata": {"labels": {"app": fault.cron}}, "spec": {"restartPolicy": "Never", "containers": [container]}}
    spec = {"backoffLimit": 0, "template": pod}
    cron = cluster.create(
        {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": {"name": fault.cron, "namespace": NAMESPACE},
            "spec": {"schedule": "0 1 * * *", "jobTemplate": {"spec": spec}},
        }
    )
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "controller": True, "name": fault.cron}
    uid = (cron or cluster.get(CRON_JOBS, NAMESPACE, fault.cron))["metadata"]["uid"]
    metadata = {"name": fault.job, "namespace": NAMESPACE, "ownerReferences": [{**owner, "uid": uid}]}
    cluster.create({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec})


def state(cluster: KubernetesSimulator, name: str) -> str:
    """Whether a Job is `complete`, `failed` or `active`."""
    conditions = cluster.get(JOBS, NAMESPACE, name)["status"].get("conditions") or []
    held = {one["type"] for one in conditions if one["status"] == "True"}
    return "complete" if "Complete" in held else "failed" if "Failed" in held else "active"


def repetitions(cluster: KubernetesSimulator) -> dict[str, list[str]]:
    """The names of the Jobs that the app made, by the CronJob whose run they repeat."""
    found: dict[str, list[str]] = {}
    for job in cluster.store.all(JOBS):
        if "closekeeper.io/rerun-of" in (job["metadata"].get("annotations") or {}):
            owner = job["metadata"]["ownerReferences"][0]["name"]
            found.setdefault(owner, []).append(job["metadata"]["name"])
    return found


# --- alerts ----------------------------------------------------------------------------------------------------------


def alert(fault: Fault, cluster_id: str, *, resolved: bool = False, later: timedelta = timedelta()) -> dict[str, Any]:
    """The alert about a fault in its sender's format. `later`: a further firing of a rule that has no state."""
    fired = fault.since + later
    ended = fault.since + timedelta(seconds=50) if resolved else None
    if fault.kind is Kind.UNANSWERED:
        return _plain(fault, {"symptom": "anomaly", "environment": "production"}, fired, ended)
    match fault.sender:
        case "azure":
            return _azure(fault, cluster_id, fired, ended)
        case "alertmanager":
            return _alertmanager(fault, cluster_id, fired, ended)
        case _:
            object_ = {"resource": cluster_id, "namespace": NAMESPACE, "object": f"job/{fault.job}"}
            return _plain(fault, {"symptom": "job-failed", **object_}, fired, ended)


def _plain(fault: Fault, said: dict[str, Any], fired: datetime, ended: datetime | None) -> dict[str, Any]:
    condition = "resolved" if ended else "fired"
    times = {"fired_at": fired.isoformat(), **({"resolved_at": ended.isoformat()} if ended else {})}
    return {"condition": condition, "fault": fault.job, "title": f"{fault.job} failed", **said, **times}


def _labels(fault: Fault, cluster_id: str) -> dict[str, str]:
    names = {"alertname": "KubeJobFailed", "namespace": NAMESPACE, "job_name": fault.job, "job": "kube-state-metrics"}
    return {**names, "cluster": cluster_id.rpartition("/")[2], "microsoft.resourceid": cluster_id}


def _azure(fault: Fault, cluster_id: str, fired: datetime, ended: datetime | None) -> dict[str, Any]:
    subscription = "/subscriptions/00000000-0000-0000-0000-000000000000"
    essentials = {
        "alertId": f"{subscription}/providers/Microsoft.AlertsManagement/alerts/{fault.number:08}",
        "alertRule": "odoo/KubeJobFailed",
        "severity": "Sev2",
        "signalType": "Metric",
        "monitorCondition": "Resolved" if ended else "Fired",
        "monitoringService": "Prometheus",
        "alertTargetIDs": [f"{subscription}/resourcegroups/mon/providers/microsoft.monitor/accounts/prom"],
        "firedDateTime": fired.isoformat(),
        **({"resolvedDateTime": ended.isoformat()} if ended else {}),
    }
    context = {"expression": "kube_job_failed > 0", "expressionValue": "1", "labels": _labels(fault, cluster_id)}
    return {
        "schemaId": "azureMonitorCommonAlertSchema",
        "data": {"essentials": essentials, "alertContext": {**context, "annotations": {}, "ruleGroup": "odoo"}},
    }


def _alertmanager(fault: Fault, cluster_id: str, fired: datetime, ended: datetime | None) -> dict[str, Any]:
    one = {
        "status": "resolved" if ended else "firing",
        "labels": _labels(fault, cluster_id),
        "annotations": {"summary": f"{fault.job} failed"},
        "startsAt": fired.isoformat(),
        "endsAt": ended.isoformat() if ended else "0001-01-01T00:00:00Z",
        "fingerprint": f"{fault.number:016x}",
    }
    group = {"version": "4", "groupKey": "{}:{}", "status": one["status"], "receiver": "closekeeper"}
    return {**group, "groupLabels": {}, "commonLabels": {}, "alerts": [one]}


def beginnings(told: Sequence[Fault], cluster_id: str) -> list[dict[str, Any]]:
    """What has to be taken in before a storm, whose senders overtake each other: a resolution that comes before all
    that it resolves has nothing to end."""
    return [alert(fault, cluster_id) for fault in told if fault.kind is Kind.RESOLVED]


def storm(told: Sequence[Fault], cluster_id: str, alerts: int, dice: random.Random) -> Iterator[list[dict[str, Any]]]:
    """So many alerts in any order, as deliveries of one alert, sometimes of a few.

    Most are copies, the others further firings; half of those of a resolved fault say that it is resolved.
    """
    begun: set[int] = set()
    batch: list[dict[str, Any]] = []
    order = [told[number % len(told)] for number in range(alerts)]
    dice.shuffle(order)
    last = {fault.number: index for index, fault in enumerate(order)}
    for index, fault in enumerate(order):
        ends = fault.kind is Kind.RESOLVED and fault.number in begun
        resolved = ends and (dice.random() < 0.5 or last[fault.number] == index)
        later = timedelta(seconds=dice.choice((0, 0, 0, dice.randrange(40))))
        batch.append(alert(fault, cluster_id, resolved=resolved, later=timedelta() if resolved else later))
        begun.add(fault.number)
        if len(batch) >= dice.choice((1, 1, 1, 5)):
            yield batch
            batch = []
    if batch:
        yield batch
