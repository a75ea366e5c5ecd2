"""Evidence for a diagnosis, from where the playbook wants it: read-only, bounded, and plain about what is missing."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from functions import estate_in_force, remediation_probes
from functions.remediation_surroundings import Place, circumstances, surroundings
from shared.job_remediation.evidence import Collector, Evidence, shown
from shared.job_remediation.signal import Signal

if TYPE_CHECKING:
    from shared.estate.inventory.clusters import Cluster
    from shared.estate.inventory.environments import Environment
    from shared.job_remediation.sessions import Thresholds


def collect(collectors: Iterable[Collector], signal: Signal) -> Evidence:
    """All that they find out about what the signal tells of, without the secrets that logs and errors may hold."""
    collected = Evidence()
    for collector in collectors:
        collected = collected.merged(_COLLECTORS[collector](signal))
    return shown(collected)


def _missing(collector: Collector, why: str) -> Evidence:
    return Evidence(missing={collector: why})


def _environment(signal: Signal) -> "Environment | None":
    return estate_in_force.get().environments.get(signal.environment or "")


# --- PostgreSQL ------------------------------------------------------------------------------------------------------


def _postgres_sessions(signal: Signal) -> Evidence:
    from shared.job_remediation.sessions import evidence_of
    from shared.platforms import postgres_servers, postgres_sessions, sql

    server_id = _server_of(signal)
    server = postgres_servers.get(server_id) if server_id else None
    if server_id is None or server is None:
        return _missing(Collector.POSTGRES_SESSIONS, "the signal names no declared PostgreSQL server that is there")
    try:
        seen = postgres_sessions.look(server.host)
    except sql.DatabaseUnavailableError as error:
        return _missing(Collector.POSTGRES_SESSIONS, str(error))
    return evidence_of(server_id, seen, session_thresholds(signal.environment))


def session_thresholds(environment: str | None) -> "Thresholds":
    """When a session of that environment is ended, as of now."""
    from shared.estate.policies.job_remediation import Sessions
    from shared.finance_calendar.declaration import DEFAULT_REGION, Kind
    from shared.job_remediation.sessions import thresholds
    from shared.platforms import settings

    estate, now = estate_in_force.get(), datetime.now(UTC)
    declared = estate.environments.get(environment or "")
    region = (declared.region if declared else None) or DEFAULT_REGION
    tight = Kind.TIGHTEN in estate_in_force.calendar(now).for_region(region).in_force(now).stretches
    policy = estate.job_remediation.sessions if estate.job_remediation else Sessions()
    return thresholds(policy, settings.optional("PGUSER", ""), tight=tight)


def _server_of(signal: Signal) -> str | None:
    """The declared server that the signal is about: its target, or that of its tenant's database."""
    environment = _environment(signal)
    if environment is None:
        return None
    target = (signal.target.resource or "").casefold()
    for server in environment.postgres.values():
        for one in (server.id, *(replica.id for replica in server.replicas.values())):
            if target == str(one).casefold() or target.startswith(f"{one}/".casefold()):
                return str(one)
    tenant = environment.tenants.get(signal.tenant or "")
    return str(environment.postgres[tenant.database.server].id) if tenant else None


# --- Kubernetes ------------------------------------------------------------------------------------------------------


def _kubernetes_job(signal: Signal) -> Evidence:
    from shared.platforms.kubernetes import ClusterError

    cluster_id, kind, name = _object_of(signal)
    namespace = signal.target.namespace
    if not namespace or kind not in ("job", "cronjob", "pod", ""):
        return Evidence()  # it is not about a Job, which playbooks can tell
    if not cluster_id:
        return _missing(Collector.KUBERNETES_JOB, "the signal names no declared cluster")
    if not _is_declared(signal, namespace):
        return _missing(Collector.KUBERNETES_JOB, f"the estate declares no workload in the namespace {namespace}")
    try:
        return _job_evidence(cluster_id, namespace, kind, name)
    except ClusterError as error:
        return _missing(Collector.KUBERNETES_JOB, str(error))


def _job_evidence(cluster_id: str, namespace: str, kind: str, name: str) -> Evidence:
    from shared.job_remediation import kubernetes_jobs as judged
    from shared.platforms import kubernetes_jobs, managed_clusters

    cluster = managed_clusters.connect(cluster_id)
    siblings = kubernetes_jobs.jobs_in(cluster, namespace)
    match kind:
        case "cronjob":
            job = judged.newest_failed([one for one in siblings if judged.owner_of(one) == name])
        case "pod":
            fitting = [one for one in siblings if name.startswith(f"{one['metadata']['name']}-")]
            job = max(fitting, key=lambda one: len(one["metadata"]["name"]), default=None)
        case "job":
            job = next((one for one in siblings if one["metadata"]["name"] == name), None)
        case _:
            job = judged.newest_failed(siblings)
    if job is None:
        return judged.gone()
    found = kubernetes_jobs.found(cluster, job, siblings, judged.owner_of(job))
    end = judged.End(*kubernetes_jobs.last_end(cluster, job))
    return judged.evidence_of(cluster_id, job, siblings, found.cron, end, "unknown")


def _kubernetes_workload(signal: Signal) -> Evidence:
    from shared.platforms.kubernetes import ClusterError, NotFoundError

    cluster_id, kind, name = _object_of(signal)
    namespace = signal.target.namespace
    if not cluster_id or not namespace or not name:
        return _missing(Collector.KUBERNETES_WORKLOAD, "the signal names no workload of a declared cluster")
    if not _is_declared(signal, namespace):
        return _missing(Collector.KUBERNETES_WORKLOAD, f"the estate declares no workload in the namespace {namespace}")
    try:
        return _workload_evidence(cluster_id, namespace, kind, name)
    except NotFoundError as error:
        return _missing(Collector.KUBERNETES_WORKLOAD, f"it is not there: {error}")
    except ClusterError as error:
        return _missing(Collector.KUBERNETES_WORKLOAD, str(error))


def _workload_evidence(cluster_id: str, namespace: str, kind: str, name: str) -> Evidence:
    from shared.job_remediation import kubernetes_workloads as judged
    from shared.platforms import managed_clusters
    from shared.platforms.kubernetes_pods import look

    cluster = managed_clusters.connect(cluster_id)
    seen = look(cluster, namespace, kind, name)
    bad = judged.troubled_pods(seen.pods)
    log = seen.log_of(cluster, bad[0]) if bad else ()
    path = f"{seen.kind}/{namespace}/{seen.workload['metadata']['name']}"
    return judged.evidence_of(cluster_id, path, seen.workload, seen.pods, seen.rolled_out, log, datetime.now(UTC))


def _object_of(signal: Signal) -> tuple[str, str, str]:
    """The declared cluster's id (empty when it is none), and the object's kind and name."""
    cluster = _cluster_of(signal)
    kind, _, name = (signal.target.object or "").partition("/")
    return str(cluster.id) if cluster else "", kind, name


def _is_declared(signal: Signal, namespace: str) -> bool:
    """Whether the estate has something in the namespace: whoever may send signals may not point at any other."""
    cluster = _cluster_of(signal)
    return cluster is not None and any(one.object.namespace == namespace for one in cluster.workloads.values())


def _cluster_of(signal: Signal) -> "Cluster | None":
    environment, target = _environment(signal), signal.target
    wanted = (target.resource or target.cluster or "").casefold()
    for cluster in environment.clusters.values() if environment else ():
        if wanted in (str(cluster.id).casefold(), cluster.id.name.casefold()):
            return cluster
    return None


# --- around it -------------------------------------------------------------------------------------------------------


def _surroundings(signal: Signal) -> Evidence:
    environment = _environment(signal)
    return surroundings(signal, environment, _place_of(signal)) if environment else Evidence()


def _circumstances(signal: Signal) -> Evidence:
    environment = _environment(signal)
    return circumstances(signal, environment, _place_of(signal)) if environment else Evidence()


def _place_of(signal: Signal) -> Place:
    cluster, _, _ = _object_of(signal)
    return Place(server=None if cluster else _server_of(signal), cluster=cluster or None, sleeper=_sleeper(signal))


def _sleeper(signal: Signal) -> str | None:
    """What may sleep: the workload where the signal names one, else the resource."""
    cluster_id, kind, name = _object_of(signal)
    if cluster_id and signal.target.namespace and kind in ("deployment", "statefulset", "cronjob"):
        return f"{cluster_id}//{kind}/{signal.target.namespace}/{name}"
    return signal.target.resource


_COLLECTORS: Mapping[Collector, Callable[[Signal], Evidence]] = {
    Collector.POSTGRES_SESSIONS: _postgres_sessions,
    Collector.KUBERNETES_JOB: _kubernetes_job,
    Collector.KUBERNETES_WORKLOAD: _kubernetes_workload,
    Collector.SURROUNDINGS: _surroundings,
    Collector.CIRCUMSTANCES: _circumstances,
    Collector.QUEUE_JOBS: remediation_probes.queue_jobs,
    Collector.CRONS: remediation_probes.crons,
}
