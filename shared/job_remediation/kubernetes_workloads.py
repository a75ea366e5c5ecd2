"""What the pods of a workload show when they do not become ready. Pure: objects are the API's plain dictionaries.

Source: Kubernetes v1.36, pod lifecycle (waiting reasons, terminated states, conditions).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from shared.job_remediation.causes import Cause, cause_of_container, cause_of_text
from shared.job_remediation.evidence import Evidence, Item, Value, cluster_access

type Object = dict[str, Any]

RESTARTED = "closekeeper.io/restarted"
"""Annotation of the pod template: which remediation restarted it last."""

_CRASHES = 3
_MOST_LOG_LINES = 3
_BROKEN = frozenset(
    {
        "CrashLoopBackOff",
        "ImagePullBackOff",
        "ErrImagePull",
        "InvalidImageName",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
    }
)


@dataclass(frozen=True, slots=True)
class Trouble:
    """A container that waits or has ended. `exit_code` None: it never ran."""

    reason: str
    exit_code: int | None
    restarts: int


def troubled_pods(pods: Sequence[Object]) -> list[Object]:
    """The pods that crash again and again, or cannot start; the most restarted first."""
    bad = [pod for pod in pods if any(_is_broken(one) for one in _statuses(pod)) or _unschedulable(pod)]
    return sorted(bad, key=lambda pod: (-sum(_restarts(one) for one in _statuses(pod)), pod["metadata"]["name"]))


def evidence_of(
    cluster: str,
    path: str,
    workload: Object,
    pods: Sequence[Object],
    rolled_out: datetime | None,
    log: Sequence[str],
    now: datetime,
) -> Evidence:
    """The facts of `kubernetes-workload`, and the workload as the item that could be restarted.

    path: KIND/NAMESPACE/NAME. rolled_out: when its newest template was. log: the last lines of a troubled pod.
    """
    wanted = int(workload["spec"].get("replicas", 1))
    ready = int(_part(workload, "status").get("readyReplicas") or 0)
    bad = troubled_pods(pods)
    troubles = [_trouble(one) for pod in bad for one in _statuses(pod) if _is_broken(one)]
    worst = max(troubles, key=lambda one: one.restarts, default=Trouble("", None, 0))
    if not troubles and any(_unschedulable(pod) for pod in bad):
        worst = Trouble("Unschedulable", None, 0)
    ends = {(one.reason, one.exit_code) for one in troubles}
    cause = cause_of_container(worst.reason, worst.exit_code)
    if cause is Cause.UNKNOWN:
        cause = cause_of_text("\n".join(log))
    facts: dict[str, Value] = {
        "workload.name": workload["metadata"]["name"],
        "workload.path": f"{path.partition('/')[0]}/{workload['metadata']['name']}",
        "workload.namespace": workload["metadata"]["namespace"],
        "workload.access": cluster_access(cluster),
        "workload.pod": bad[0]["metadata"]["name"] if bad else "",
        "workload.wanted": wanted,
        "workload.ready": ready,
        "workload.restarts": sum(_restarts(one) for pod in pods for one in _statuses(pod)),
        "workload.reason": worst.reason,
        "workload.same_end": len(ends) == 1 and worst.restarts >= _CRASHES and worst.exit_code is not None,
        "workload.crashing": len(bad),
        "workload.cause": cause,
        "workload.message": " | ".join(log[-_MOST_LOG_LINES:]),
    }
    if worst.exit_code is not None:
        facts["workload.exit_code"] = worst.exit_code
    if rolled_out is not None:
        facts["workload.rolled_out"] = round((now - rolled_out).total_seconds())
    item: Item = {"kind": "workload", "id": path, "cluster": cluster, "single": wanted == 1 and ready == 1}
    return Evidence(facts, (item,))


def _is_broken(container: Object) -> bool:
    waiting = str(_part(_part(container, "state"), "waiting").get("reason") or "")
    return waiting in _BROKEN or (_restarts(container) >= _CRASHES and not container.get("ready"))


def _trouble(container: Object) -> Trouble:
    """Why it waits, or when that only says that it crashed, how it ended last."""
    waiting = str(_part(_part(container, "state"), "waiting").get("reason") or "")
    ended = _part(_part(container, "lastState"), "terminated") or _part(_part(container, "state"), "terminated")
    if waiting in _BROKEN and waiting != "CrashLoopBackOff":
        return Trouble(waiting, None, _restarts(container))
    code = ended.get("exitCode")
    return Trouble(str(ended.get("reason") or waiting), None if code is None else int(code), _restarts(container))


def _unschedulable(pod: Object) -> bool:
    conditions: Sequence[Object] = _part(pod, "status").get("conditions") or ()
    return any(one["type"] == "PodScheduled" and one.get("reason") == "Unschedulable" for one in conditions)


def _statuses(pod: Object) -> Sequence[Object]:
    return _part(pod, "status").get("containerStatuses") or ()


def _restarts(container: Object) -> int:
    return int(container.get("restartCount") or 0)


def _part(of: Object, name: str) -> Object:
    return cast(Object, of.get(name) or {})
