"""A workload with its pods, found by its own name or by that of one of its pods."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.platforms.kubernetes import (
    PODS,
    REPLICA_SETS,
    Cluster,
    ClusterError,
    NotFoundError,
    Object,
    selects,
)
from shared.platforms.kubernetes_workloads import KINDS

_LOG_LINES = 50


@dataclass(frozen=True, slots=True)
class Seen:
    """A workload and its pods. `rolled_out`: when its newest pod template was, None when that is not known (UTC)."""

    kind: str
    workload: Object
    pods: tuple[Object, ...]
    rolled_out: datetime | None

    def log_of(self, cluster: Cluster, pod: Object) -> tuple[str, ...]:
        """The last lines of the pod's former life, or of this one; none when there is nothing to read."""
        metadata = pod["metadata"]
        for previous in (True, False):
            try:
                lines = cluster.log_tail(
                    metadata["namespace"],
                    metadata["name"],
                    container=pod["spec"]["containers"][0]["name"],
                    lines=_LOG_LINES,
                    previous=previous,
                )
            except ClusterError:
                continue
            if lines:
                return lines
        return ()


def look(cluster: Cluster, namespace: str, kind: str, name: str) -> Seen:
    """The workload of that name, or the one that a pod of that name is of. Raises NotFoundError, ClusterError."""
    if kind == "pod":
        kind, name = _workload_of(cluster, namespace, name)
    if kind not in KINDS:
        raise NotFoundError(f"{kind}/{name}", 404, "NotFound", "neither a Deployment nor a StatefulSet")
    workload = cluster.get(KINDS[kind], namespace, name)
    pods = tuple(pod for pod in cluster.list(PODS, namespace) if selects(workload, _labels(pod)))
    return Seen(kind, workload, pods, _rolled_out(cluster, namespace, workload) if kind == "deployment" else None)


def rollouts(cluster: Cluster, namespace: str, since: datetime) -> list[tuple[str, datetime]]:
    """The Deployments of a namespace with a new pod template since that time, the newest first. Raises ClusterError."""
    found: dict[str, datetime] = {}
    for one in cluster.list(REPLICA_SETS, namespace):
        made, owner = (
            datetime.fromisoformat(one["metadata"]["creationTimestamp"]),
            str(_controller(one).get("name", "")),
        )
        if owner and made >= since and made > found.get(owner, since):
            found[owner] = made
    return sorted(found.items(), key=lambda each: each[1], reverse=True)


def _workload_of(cluster: Cluster, namespace: str, pod: str) -> tuple[str, str]:
    owner = _controller(cluster.get(PODS, namespace, pod))
    if owner.get("kind") == "ReplicaSet":
        owner = _controller(cluster.get(REPLICA_SETS, namespace, str(owner["name"])))
    return str(owner.get("kind", "")).lower(), str(owner.get("name", ""))


def _rolled_out(cluster: Cluster, namespace: str, workload: Object) -> datetime | None:
    sets = [
        one
        for one in cluster.list(REPLICA_SETS, namespace)
        if _controller(one).get("uid") == workload["metadata"]["uid"]
    ]
    times = [datetime.fromisoformat(one["metadata"]["creationTimestamp"]) for one in sets]
    return max(times, default=None)


def _controller(obj: Object) -> Object:
    owners: Sequence[Object] = obj["metadata"].get("ownerReferences") or ()
    nobody: Object = {}
    return next((owner for owner in owners if owner.get("controller")), nobody)


def _labels(obj: Object) -> dict[str, str]:
    labels: dict[str, str] = obj["metadata"].get("labels") or {}
    return labels
