"""What runs in a cluster, seen in one list per kind whatever the number of namespaces, and without listing pods."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from functions.adapters.answers import patiently, unreachable
from functions.adapters.targets import KubernetesTarget
from shared.changes.change import State
from shared.platforms import kubernetes_workloads, managed_clusters
from shared.platforms.kubernetes import (
    AUTOSCALERS,
    CRON_JOBS,
    FIELD_MANAGER,
    SCALED_OBJECTS,
    Cluster,
    ClusterError,
    ExpiredError,
    Kind,
    NotFoundError,
    Object,
    status,
)
from shared.platforms.kubernetes_workloads import KINDS, Autoscaler, Note, Workload

_CONTROLLERS = {FIELD_MANAGER, "kube-controller-manager", "keda", "keda-operator"}
_LISTS = 3


@dataclass(frozen=True, slots=True)
class ObservedWorkload:
    """A Deployment, StatefulSet or CronJob now, as a change would name it and its state.

    ready: Ready pods; of a CronJob, jobs that run. rolling: its controller is still bringing about what was last asked
    for. created, edited: aware UTC; edited is when somebody other than us and the controllers last set how many run,
    None when nobody did. original: what its own note says that we found, as long as what we set is still there.
    """

    target: str
    kind: str
    state: State
    ready: int
    rolling: bool
    created: datetime
    edited: datetime | None
    original: State | None


@dataclass(frozen=True, slots=True)
class ClusterObservation:
    """What was seen; `why` says what kept us from seeing anything (the cluster is stopped, say)."""

    answers: bool
    why: str
    workloads: tuple[ObservedWorkload, ...] = ()


def observe_cluster(
    cluster_id: str,
    namespaces: Collection[str],
    connect: Callable[[str], Cluster] = managed_clusters.connect,
) -> ClusterObservation:
    """All workloads in those namespaces, or why they cannot be seen.

    Five lists, in pages. A single namespace is listed alone, since more is nobody's business.
    """
    only = next(iter(namespaces)) if len(namespaces) == 1 else ""
    try:
        found = tuple(_observed(connect(cluster_id), cluster_id, only, set(namespaces)))
    except ClusterError as error:
        managed_clusters.forget(cluster_id)
        return ClusterObservation(False, unreachable(error))
    return ClusterObservation(True, "", found)


def _observed(cluster: Cluster, cluster_id: str, only: str, namespaces: set[str]) -> Iterator[ObservedWorkload]:
    scalers = kubernetes_workloads.autoscalers(_list(cluster, SCALED_OBJECTS, only), _list(cluster, AUTOSCALERS, only))
    for word, kind in KINDS.items():
        yield from _list(
            cluster,
            kind,
            only,
            lambda obj, word=word, kind=kind: _workload(cluster_id, word, kind, obj, scalers),
            namespaces,
        )
    yield from _list(cluster, CRON_JOBS, only, lambda obj: _cron_job(cluster_id, obj), namespaces)


def _list[T](
    cluster: Cluster,
    kind: Kind,
    only: str,
    reduced: Callable[[Object], T] = lambda obj: obj,
    namespaces: set[str] | None = None,
) -> list[T]:
    """All of a kind, each reduced as it comes, so that no whole list is held; again from the start when it expired."""

    def look() -> list[T]:
        return [
            reduced(obj)
            for obj in cluster.list(kind, only)
            if namespaces is None or obj["metadata"]["namespace"] in namespaces
        ]

    for _ in range(_LISTS):
        try:
            return patiently(look)
        except NotFoundError:  # a kind that this cluster does not have
            return []
        except ExpiredError:
            continue
    return patiently(look)


def _workload(
    cluster_id: str, word: str, kind: Kind, obj: Object, scalers: dict[tuple[str, str, str], Autoscaler]
) -> ObservedWorkload:
    metadata = obj["metadata"]
    now = kubernetes_workloads.workload(kind, obj, scalers.get((metadata["namespace"], word, metadata["name"])))
    state: State = {"replicas": now.replicas, "autoscaling": "on" if now.autoscaled else "off"}
    return ObservedWorkload(
        target=str(KubernetesTarget(cluster_id, word, metadata["namespace"], metadata["name"])),
        kind="kubernetes-workload",
        state=state,
        ready=now.ready,
        rolling=not now.settled or status(obj).get("updatedReplicas", 0) < now.replicas or now.ready < now.replicas,
        created=_instant(metadata["creationTimestamp"]),
        edited=_edited(metadata, "f:replicas"),
        original=_original(now.note, now),
    )


def _cron_job(cluster_id: str, obj: Object) -> ObservedWorkload:
    metadata = obj["metadata"]
    suspend = bool(obj["spec"].get("suspend", False))
    note = kubernetes_workloads.note_of(metadata)
    ours = note is not None and note.set.get("suspend") == suspend
    return ObservedWorkload(
        target=str(KubernetesTarget(cluster_id, "cronjob", metadata["namespace"], metadata["name"])),
        kind="kubernetes-cronjob",
        state={"suspend": suspend},
        ready=len(status(obj).get("active") or ()),
        rolling=False,
        created=_instant(metadata["creationTimestamp"]),
        edited=_edited(metadata, "f:suspend"),
        original=dict(note.found) if note is not None and ours else None,
    )


def _original(note: Note | None, now: Workload) -> State | None:
    if note is None or note.set.get("replicas") != now.replicas:
        return None
    return dict(note.found)


def _edited(metadata: Object, field: str) -> datetime | None:
    """When somebody last set that field of the specification, by what the server keeps of every writer."""
    entries: list[Object] = metadata.get("managedFields") or []
    times = [
        _instant(entry["time"])
        for entry in entries
        if entry.get("manager") not in _CONTROLLERS and entry.get("time") and field in _specified(entry)
    ]
    return max(times, default=None)


def _specified(entry: Object) -> Object:
    fields: Object = entry.get("fieldsV1") or {}
    return fields.get("f:spec") or {}


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
