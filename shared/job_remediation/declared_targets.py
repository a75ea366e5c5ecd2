"""Which declared target a signal is about, so that the share of an environment's that is faulty can be told. Pure."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from shared.job_remediation.signal import Signal, Target
from shared.job_remediation.storm import Member
from shared.job_remediation.symptoms import Symptom

if TYPE_CHECKING:
    from shared.estate.inventory.clusters import Cluster, Workload
    from shared.estate.inventory.environments import Environment

_OF_A_DATABASE = frozenset(
    {Symptom.QUEUE_JOBS_FAILED, Symptom.QUEUE_JOBS_STUCK, Symptom.CRON_OVERDUE, Symptom.CRON_DEACTIVATED}
)
_MADE_BY = {"job": ("cronjob",), "pod": ("deployment", "statefulset", "cronjob"), "replicaset": ("deployment",)}
"""What Kubernetes makes for whom; what is made bears its maker's name, a hyphen and more."""


def member_of(environment: "Environment", signal: Signal) -> Member | None:
    """The declared target, None when it is none: what nobody declared is no share of anything."""
    if signal.symptom in _OF_A_DATABASE and (tenant := environment.tenants.get(signal.tenant or "")):
        server = environment.postgres[tenant.database.server]
        used = {str(one.database) for one in environment.tenants.values()}
        return Member("database", str(tenant.database), str(server.id).casefold(), len(used))
    cluster = _cluster_of(environment, signal.target)
    if cluster is not None and signal.target.object:
        name, declared = cluster
        workload = _workload_of(declared, signal.target)
        count = sum(len(each.workloads) for each in environment.clusters.values())
        return Member("workload", f"{name}/{workload}", str(declared.id).casefold(), count) if workload else None
    return _resource(environment, signal.target)


def _cluster_of(environment: "Environment", target: Target) -> "tuple[str, Cluster] | None":
    wanted = (target.resource or target.cluster or "").casefold()
    for name, cluster in environment.clusters.items():
        if wanted in (str(cluster.id).casefold(), cluster.id.name.casefold()):
            return name, cluster
    return None


def _workload_of(cluster: "Cluster", target: Target) -> str | None:
    """By its own name, or by that of a Job or pod that Kubernetes made for it; the longest name that fits."""
    kind, _, name = (target.object or "").casefold().partition("/")
    fitting = [
        (len(own.object.name), key)
        for key, own in cluster.workloads.items()
        if own.object.namespace == (target.namespace or "").casefold() and _is_about(own, kind, name)
    ]
    return max(fitting)[1] if fitting else None


def _is_about(workload: "Workload", kind: str, name: str) -> bool:
    own = workload.object
    if kind == own.kind:
        return name == own.name
    return own.kind in _MADE_BY.get(kind, ()) and name.startswith(f"{own.name}-")


def _resource(environment: "Environment", target: Target) -> Member | None:
    wanted = (target.resource or "").casefold()
    for kind, ids in _resources(environment):
        for id in ids:
            if wanted == id or wanted.startswith(f"{id}/"):
                return Member(kind, id, id, len(ids))
    return None


def _resources(environment: "Environment") -> Iterator[tuple[str, list[str]]]:
    servers = [
        str(id).casefold()
        for server in environment.postgres.values()
        for id in (server.id, *(replica.id for replica in server.replicas.values()))
    ]
    yield "server", servers
    yield "cluster", [str(one.id).casefold() for one in environment.clusters.values()]
    yield "storage account", [str(one.id).casefold() for one in environment.storage.values()]
    yield "cache", [str(one.id).casefold() for one in environment.redis.values()]
