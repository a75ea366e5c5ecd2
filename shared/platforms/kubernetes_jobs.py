"""Jobs of a cluster with what a diagnosis needs of them: their CronJob, their siblings, how they ended, their log."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.platforms.kubernetes import CRON_JOBS, JOBS, PODS, Cluster, ClusterError, NotFoundError, Object, status

_LOG_LINES = 50


@dataclass(frozen=True, slots=True)
class Found:
    """A Job, all Jobs of its namespace, and the CronJob that owns it if it is still there."""

    job: Object
    siblings: tuple[Object, ...]
    cron: Object | None


def jobs_in(cluster: Cluster, namespace: str) -> tuple[Object, ...]:
    """All Jobs of a namespace."""
    return tuple(cluster.list(JOBS, namespace))


def found(cluster: Cluster, job: Object, siblings: Sequence[Object], cron: str) -> Found:
    """The Job with its surroundings; `cron` is the owner's name, empty when none owns it."""
    return Found(job, tuple(siblings), cron_job(cluster, job["metadata"]["namespace"], cron) if cron else None)


def cron_job(cluster: Cluster, namespace: str, name: str) -> Object | None:
    """The CronJob, None when it is not there."""
    try:
        return cluster.get(CRON_JOBS, namespace, name)
    except NotFoundError:
        return None


def last_end(cluster: Cluster, job: Object) -> tuple[str, str, int | None, tuple[str, ...]]:
    """Container, reason, exit code and last log lines of the pod that ended last; nothing when no pod is left.

    A log that cannot be read is left out: the diagnosis then knows less.
    """
    namespace = job["metadata"]["namespace"]
    pods = list(cluster.list(PODS, namespace, labels=f"batch.kubernetes.io/controller-uid={job['metadata']['uid']}"))
    ends: list[tuple[str, Object, str, Object]] = []
    for pod in pods:
        containers: list[Object] = status(pod).get("containerStatuses") or []
        for container in containers:
            states: list[Object] = [container.get("state") or {}, container.get("lastState") or {}]
            for state in states:
                ended: Object | None = state.get("terminated")
                if ended:
                    ends.append((str(ended.get("finishedAt") or ""), pod, str(container["name"]), ended))
    if not ends:
        return "", "", None, ()
    _, pod, container, ended = max(ends, key=lambda end: (end[0], end[1]["metadata"]["name"]))
    try:
        log = cluster.log_tail(namespace, pod["metadata"]["name"], container=container, lines=_LOG_LINES)
    except ClusterError:
        log = ()
    return container, str(ended.get("reason") or ""), int(ended["exitCode"]), log
