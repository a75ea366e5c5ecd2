"""What an environment looks like now, as far as its schedules care, and what runs in it that should end first."""

import logging
from collections.abc import Callable, Iterator, Mapping

from functions.adapters.observation import ClusterObservation, observe_cluster
from shared.estate.inventory.environments import Environment
from shared.estate.policies.shutdown_schedules import Busy
from shared.platforms import managed_clusters, postgres_maintenance, postgres_servers, sql
from shared.platforms.managed_clusters import ClusterFacts
from shared.shutdown_schedules.considering import Sleep
from shared.shutdown_schedules.habits import BusyWith
from shared.shutdown_schedules.memory import Condition, Memory, Seen
from shared.shutdown_schedules.resources import key_of

_LOG = logging.getLogger("closekeeper.shutdown_schedules")
_STATEMENT_SECONDS = 10
_DUMPS = "SELECT count(*) FROM pg_stat_activity WHERE application_name IN ('pg_dump', 'pg_dumpall', 'pg_basebackup')"
_QUEUED = "SELECT count(*) FROM queue_job WHERE state = 'started'"


class Observed:
    """One look at an environment: a call for each cluster, a list for each kind in it, a call for each server.

    What cannot be seen is left out of `seen`: it is not known, which is not the same as asleep.
    """

    def __init__(self, environment: Environment, sleep: Sleep, memory: Memory) -> None:
        self._environment = environment
        self._sleep = sleep
        self._workloads: dict[str, ClusterObservation] = {}
        self._hosts: dict[str, str] = {}
        self._maintained: list[str] = []
        self.seen: Mapping[str, Seen] = {**dict(self._clusters()), **dict(self._servers(memory))}

    def _clusters(self) -> Iterator[tuple[str, Seen]]:
        ids = {each.cluster for each in self._sleep.resources if each.cluster}
        for name, cluster in self._environment.clusters.items():
            cluster_id = str(cluster.id)
            if cluster_id not in ids:
                continue
            facts = _or_none(lambda at=cluster_id: managed_clusters.get(at), name)
            if facts is None:
                continue
            yield key_of(cluster_id), _cluster(facts)
            for pool in facts.pools:
                settled = pool.provisioning == "Succeeded"
                state = {
                    "power": pool.power,
                    "count": pool.count,
                    "autoscaler": pool.autoscaler,
                    "min": pool.min,
                    "max": pool.max,
                }
                billed = {pool.size: pool.count} if pool.size and pool.count else {}
                yield key_of(f"{cluster_id}/agentPools/{pool.name}"), Seen(state=state, ready=settled, costs_by=billed)
            if facts.power != "Running":
                continue
            namespaces = {*cluster.namespaces, *(each.object.namespace for each in cluster.workloads.values())}
            observation = observe_cluster(cluster_id, namespaces)
            self._workloads[name] = observation
            if not observation.answers:
                _LOG.warning("the workloads of %s cannot be seen: %s", name, observation.why)
            for each in observation.workloads:
                wanted = each.state.get("replicas")
                ready = not isinstance(wanted, int) or each.ready >= wanted
                seen = Seen(state=each.state, ready=ready, created=each.created, edited=each.edited)
                yield key_of(each.target), seen

    def _servers(self, memory: Memory) -> Iterator[tuple[str, Seen]]:
        for resource in self._sleep.resources:
            if resource.kind != "postgres-server":
                continue
            facts = _or_none(lambda at=resource.target: postgres_servers.get(at), resource.name)
            if facts is None:
                continue
            self._hosts[resource.name] = facts.host
            known = memory.sleepers.get(resource.key)
            # Only who is awake out of turn is asked whether Azure maintains it: that is one more call each.
            odd = known is not None and known.condition is Condition.ASLEEP and facts.state != "Stopped"
            maintained = odd and bool(_or_none(lambda at=resource.target: postgres_maintenance.in_progress(at), ""))
            yield (
                resource.key,
                Seen(
                    state={"power": facts.state},
                    ready=facts.state == "Ready",
                    maintenance=maintained,
                    costs_by={facts.sku: 1} if facts.sku else {},
                ),
            )

    def busy(self) -> tuple[BusyWith, ...]:
        """What runs now. Asked when a sleep is about to begin, so it may look closely."""
        return (*self._in_clusters(), *self._in_databases(), *self._maintenance())

    def _in_clusters(self) -> Iterator[BusyWith]:
        covered = {each.key for each in self._sleep.resources}
        for observation in self._workloads.values():
            for each in observation.workloads:
                if key_of(each.target) not in covered:
                    continue
                name = each.target.rpartition("//")[2]
                if each.kind == "kubernetes-cronjob" and each.ready:
                    yield BusyWith(Busy.JOBS, f"{name} runs {each.ready} jobs")
                elif each.rolling:
                    yield BusyWith(Busy.DEPLOYMENTS, f"{name} is being rolled out")

    def _in_databases(self) -> Iterator[BusyWith]:
        for name, server in self._environment.postgres.items():
            host = self._hosts.get(name)
            for number, database in enumerate(server.databases if host else ()):
                try:
                    with sql.read_only(host or "", database, statement_timeout_seconds=_STATEMENT_SECONDS) as looked_at:
                        if number == 0 and (dumps := int(looked_at.rows(_DUMPS)[0][0])):
                            yield BusyWith(Busy.DUMPS, f"{dumps} dumps are read from {name}")
                        queued = looked_at.attempt(_QUEUED)  # a complaint where Odoo has no queue
                        if not isinstance(queued, str) and (jobs := int(queued[0][0])):
                            yield BusyWith(Busy.JOBS, f"{jobs} queue jobs run in {database}")
                except sql.DatabaseUnavailableError as error:
                    _LOG.warning("cannot see whether %s is busy: %s", name, error)

    def _maintenance(self) -> Iterator[BusyWith]:
        for resource in self._sleep.resources:
            known = resource.kind == "postgres-server" and resource.name in self._hosts
            if known and _or_none(lambda at=resource.target: postgres_maintenance.in_progress(at), resource.name):
                yield BusyWith(Busy.MAINTENANCE, f"Azure maintains {resource.name}")


def _cluster(facts: ClusterFacts) -> Seen:
    billed = {"control-plane": 1}
    for pool in facts.pools:
        if pool.size and pool.count:
            billed[pool.size] = billed.get(pool.size, 0) + pool.count
    ready = facts.power == "Running" and facts.provisioning == "Succeeded"
    return Seen(state={"power": facts.power}, ready=ready, costs_by=billed)


def _or_none[T](look: Callable[[], T], name: str) -> T | None:
    """What was seen, None when Azure does not tell now; the next tick looks again."""
    from azure.core.exceptions import AzureError

    try:
        return look()
    except AzureError as error:
        _LOG.warning("%s cannot be seen: %s", name, error)
        return None
