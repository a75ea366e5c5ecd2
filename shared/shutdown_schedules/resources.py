"""What the schedules of an environment cover, in which step each thing goes to sleep, and what stands on what. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared.changes.change import State

if TYPE_CHECKING:  # whoever has an estate has loaded its models
    from shared.estate.estate import Estate
    from shared.estate.inventory.clusters import Cluster, Workload
    from shared.estate.inventory.environments import Environment
    from shared.estate.policies.shutdown_schedules import Schedule, Step

POWER = {"postgres-server": "Ready", "aks-cluster": "Running", "aks-node-pool": "Running"}
"""What the power of a kind that can be started by name is called when it is on."""


def key_of(target: str) -> str:
    """The same for the same target, in whatever case Azure returns its id."""
    return target.casefold()


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One thing that sleeps.

    schedule: whose rules it follows. needed_by: the schedules whose hours keep it awake, its own and those of what
    stands on it. rank: its place in the order of going to sleep. asleep: the facts that make it so.
    stands_on: keys of what must be awake for it. name: how the estate calls it. cluster: the id, for parts of one.
    """

    environment: str
    tenant: str | None
    kind: str
    target: str
    name: str
    step: "Step"
    schedule: str
    needed_by: frozenset[str]
    rank: tuple[int, int]
    asleep: State
    stands_on: frozenset[str] = frozenset()
    cluster: str = ""

    @property
    def key(self) -> str:
        """Its target, whatever its case."""
        return key_of(self.target)

    def is_asleep(self, state: State) -> bool:
        """Whether a state that was read is asleep."""
        return all(state.get(fact) == value for fact, value in self.asleep.items())


@dataclass(frozen=True)
class _Found:
    resource: Resource
    nearness: int


def resources_of(estate: "Estate", environment: str) -> tuple[Resource, ...]:
    """What sleeps in the environment, in the order of going to sleep.

    The nearest schedule decides: one for this very thing, then one for its tenant, then the environment's. Of two that
    are equally near the first by name rules, and both keep it awake.
    """
    found: dict[str, list[_Found]] = {}
    for name, schedule in sorted(estate.shutdown_schedules.items()):
        if schedule.covers.environment == environment:
            for each in _Coverage(estate, environment, name, schedule).found():
                found.setdefault(each.resource.key, []).append(each)
    chosen: dict[str, Resource] = {}
    for key, all_of_it in found.items():
        nearest = max(each.nearness for each in all_of_it)
        near = [each.resource for each in all_of_it if each.nearness == nearest]
        chosen[key] = replace(near[0], needed_by=frozenset(each.schedule for each in near))
    return tuple(sorted(_with_needs(chosen), key=lambda each: (each.rank, each.target)))


def _with_needs(chosen: Mapping[str, Resource]) -> Iterator[Resource]:
    needed = {key: set(each.needed_by) for key, each in chosen.items()}
    for each in chosen.values():
        for below in each.stands_on & chosen.keys():
            needed[below] |= each.needed_by
    for key, each in chosen.items():
        on = frozenset(each.stands_on & chosen.keys())
        yield replace(each, needed_by=frozenset(needed[key]), stands_on=on)


class _Coverage:
    """What one schedule covers."""

    def __init__(self, estate: "Estate", environment: str, name: str, schedule: "Schedule") -> None:
        self._environment = environment
        self._place = estate.environments[environment]
        self._name = name
        self._schedule = schedule
        self._of_tenants = _dedicated(self._place, schedule.covers.tenants)

    def found(self) -> Iterator[_Found]:
        """Everything, with how near the schedule is to it."""
        from shared.estate.policies.shutdown_schedules import Step

        for name, cluster in self._place.clusters.items():
            yield from self._workloads(name, cluster)
            near = self._nearness(("cluster", name), name in self._schedule.covers.clusters)
            if near is not None:
                yield from self._nodes(name, cluster, near)
        if Step.POSTGRES in self._schedule.order:
            yield from self._servers()

    def _workloads(self, cluster_name: str, cluster: "Cluster") -> Iterator[_Found]:
        covers = self._schedule.covers
        for name, workload in cluster.workloads.items():
            own, step = f"{cluster_name}/{name}", _step_of(workload)
            direct = cluster_name in covers.clusters or own in map(str, covers.workloads)
            near = self._nearness(("workload", own), direct)
            if near is None or step not in self._schedule.order:
                continue
            cron_job = workload.object.kind == "cronjob"
            made = self._made(
                step,
                "kubernetes-cronjob" if cron_job else "kubernetes-workload",
                f"{cluster.id}//{workload.object}",
                own,
                {"suspend": True} if cron_job else {"replicas": 0, "autoscaling": "off"},
            )
            stands_on = _under(self._place, own, cluster, workload)
            tenant = self._of_tenants.get(("workload", own))
            yield _Found(replace(made, tenant=tenant, stands_on=stands_on, cluster=str(cluster.id)), near)

    def _nodes(self, name: str, cluster: "Cluster", near: int) -> Iterator[_Found]:
        from shared.estate.policies.shutdown_schedules import Step

        order, mode, cluster_id = self._schedule.order, self._schedule.clusters, str(cluster.id)
        can_stop = not cluster.node_auto_provisioning
        if Step.POOLS in order and (mode == "zero pools" or (mode == "stop pools" and can_stop)):
            # All that says how many nodes there are is named, so that all of it is given back.
            none: State = {"count": 0, "autoscaler": False, "min": None, "max": None}
            asleep: State = {"power": "Stopped"} if mode == "stop pools" else none
            for pool in _user_pools(cluster):
                target = f"{cluster_id}/agentPools/{pool}"
                made = self._made(Step.POOLS, "aks-node-pool", target, f"{name}/{pool}", asleep)
                yield _Found(replace(made, stands_on=frozenset({key_of(cluster_id)}), cluster=cluster_id), near)
        if Step.CLUSTER in order and mode == "stop" and can_stop:
            made = self._made(Step.CLUSTER, "aks-cluster", cluster_id, name, {"power": "Stopped"})
            yield _Found(replace(made, cluster=cluster_id), near)

    def _servers(self) -> Iterator[_Found]:
        from shared.estate.policies.shutdown_schedules import Step

        for name, server in self._place.postgres.items():
            near = self._nearness(("server", name), name in self._schedule.covers.postgres)
            if near is None:
                continue
            # Azure's rule: the primary stops first and starts last.
            replicas = frozenset(key_of(str(each.id)) for each in server.replicas.values())
            ids = [(name, server.id, 0), *((f"{name}/{key}", each.id, 1) for key, each in server.replicas.items())]
            for own, server_id, within in ids:
                made = self._made(Step.POSTGRES, "postgres-server", str(server_id), own, {"power": "Stopped"}, within)
                on = replicas if within == 0 else frozenset[str]()
                yield _Found(replace(made, tenant=self._of_tenants.get(("server", name)), stands_on=on), near)

    def _nearness(self, item: tuple[str, str], direct: bool) -> int | None:
        """2: it is named; 1: its tenant is; 0: the environment is; None: it is not covered."""
        covers = self._schedule.covers
        if direct:
            return 2
        if item in self._of_tenants:
            return 1
        return None if covers.tenants or covers.postgres or covers.clusters or covers.workloads else 0

    def _made(self, step: "Step", kind: str, target: str, own: str, asleep: State, within: int = 0) -> Resource:
        return Resource(
            environment=self._environment,
            tenant=None,
            kind=kind,
            target=target,
            name=own,
            step=step,
            schedule=self._name,
            needed_by=frozenset({self._name}),
            rank=(self._schedule.order.index(step), within),
            asleep=asleep,
        )


def _step_of(workload: "Workload") -> "Step":
    from shared.estate.inventory.clusters import Role
    from shared.estate.policies.shutdown_schedules import Step

    if workload.object.kind == "cronjob":
        return Step.CRON_JOBS
    return Step.WEB if workload.role is Role.WEB else Step.WORKERS


def _user_pools(cluster: "Cluster") -> list[str]:
    """System pools never sleep."""
    return [name for name, pool in cluster.pools.items() if pool.mode == "user"]


def _under(place: "Environment", own: str, cluster: "Cluster", workload: "Workload") -> frozenset[str]:
    """Keys of what a workload needs: its pool (any of the cluster's when none is said), the cluster, its databases."""
    pools = [workload.pool] if workload.pool else _user_pools(cluster)
    below = {f"{cluster.id}/agentPools/{pool}" for pool in pools} | {str(cluster.id)}
    naming = {name for name, tenant in place.tenants.items() if own in map(str, tenant.workloads)}
    serving = [tenant for name, tenant in place.tenants.items() if (name in naming if naming else not tenant.workloads)]
    servers = {tenant.database.server for tenant in serving} if serving else set(place.postgres)
    for server in servers:
        below |= {str(place.postgres[server].id), *(str(r.id) for r in place.postgres[server].replicas.values())}
    return frozenset(map(key_of, below))


def _dedicated(place: "Environment", tenants: tuple[str, ...]) -> dict[tuple[str, str], str]:
    """What these tenants have for themselves: servers and workloads that no other tenant names, with the tenant."""
    found: dict[tuple[str, str], str] = {}
    for name in tenants:
        others = [other for key, other in place.tenants.items() if key not in tenants]
        mine = place.tenants[name]
        if all(other.database.server != mine.database.server for other in others):
            found["server", mine.database.server] = name
        for workload in mine.workloads:
            if all(workload not in other.workloads for other in others):
                found["workload", str(workload)] = name
    return found
