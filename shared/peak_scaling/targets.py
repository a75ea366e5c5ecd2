"""What of an environment is scaled for peaks, and what a declared capacity wants of it. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

from shared.changes.change import State
from shared.evidence.canonical import Json

if TYPE_CHECKING:  # whoever has an estate has loaded its models
    from shared.estate.inventory.environments import Environment
    from shared.estate.policies.peak_scaling import Capacity, PeakScaling

_GB = 1024**3
_FAMILIES = ("B", "D", "E", "M")


class Kind(StrEnum):
    """The kinds of targets, as the adapters know them; a replica and storage are told apart for their order."""

    REDIS = "redis"
    REPLICA = "replica"
    POSTGRES = "postgres"
    STORAGE = "storage"
    POOL = "pool"
    WORKLOAD = "workload"


ADAPTERS = {
    Kind.REDIS: "redis",
    Kind.REPLICA: "postgres-server",
    Kind.POSTGRES: "postgres-server",
    Kind.STORAGE: "postgres-server",
    Kind.POOL: "aks-node-pool",
    Kind.WORKLOAD: "kubernetes-workload",
}
"""The kind of the change that scales it."""


@dataclass(frozen=True, slots=True)
class Target:
    """One thing that is scaled. name: how people call it, unique in the environment. target: its id for adapters.

    below: names of what must be ready before it: the pool of a workload, the replicas of a server.
    part: how the estate calls it, within its kind. size: the VM size of a pool's nodes. location: a server's Azure
    region. copies: how many are paid for, 2 with a standby.
    """

    name: str
    kind: Kind
    target: str
    part: str
    below: tuple[str, ...] = ()
    size: str | None = None
    connections: int = 0
    location: str | None = None
    copies: int = 1

    @property
    def key(self) -> str:
        """Its id, whatever its case."""
        return self.target.casefold()

    @property
    def interrupts(self) -> bool:
        """Whether scaling it costs connections."""
        return self.kind in (Kind.POSTGRES, Kind.REPLICA)

    @property
    def steps(self) -> bool:
        """Whether it can be given back in steps: numbers can, SKUs cannot."""
        return self.kind in (Kind.POOL, Kind.WORKLOAD)


def targets_of(environment: "Environment", scaling: "PeakScaling") -> dict[str, Target]:
    """Everything that any peak of the environment names, by name, in the order of the way up."""
    found: dict[str, Target] = {}
    for capacity in scaling.peaks.values():
        for target in _named(environment, capacity):
            found.setdefault(target.name, target)
    order = list(Kind)
    return dict(sorted(found.items(), key=lambda each: (order.index(each[1].kind), each[0])))


def _named(environment: "Environment", capacity: "Capacity") -> Iterator[Target]:
    here = environment.location
    for name, wanted in capacity.postgres.items():
        server = environment.postgres[name]
        copies = 2 if server.high_availability else 1
        replicas = {f"replica {name}/{key}": each for key, each in server.replicas.items()}
        if wanted.sku:
            for label, replica in replicas.items():
                yield Target(label, Kind.REPLICA, str(replica.id), name, location=replica.location or here)
        if wanted.sku or wanted.iops or wanted.throughput:
            below = tuple(replicas) if wanted.sku else ()
            yield Target(f"server {name}", Kind.POSTGRES, str(server.id), name, below, location=here, copies=copies)
        if wanted.storage:
            yield Target(f"storage {name}", Kind.STORAGE, str(server.id), name, copies=copies)
    for name in capacity.redis:
        yield Target(f"cache {name}", Kind.REDIS, str(environment.redis[name].id), name)
    for place in capacity.pools:
        cluster = environment.clusters[place.cluster]
        target = f"{cluster.id}/agentPools/{place.name}"
        yield Target(f"pool {place}", Kind.POOL, target, str(place), size=cluster.pools[place.name].size)
    for place in capacity.workloads:
        cluster = environment.clusters[place.cluster]
        workload = cluster.workloads[place.name]
        yield Target(
            f"workload {place}",
            Kind.WORKLOAD,
            f"{cluster.id}//{workload.object}",
            str(place),
            (f"pool {place.cluster}/{workload.pool}",) if workload.pool else (),
            connections=workload.connections,
        )


def levels_of(targets: Mapping[str, Target], capacity: "Capacity") -> dict[str, State]:
    """What the capacity wants, as the facts that adapters set, by name of the target."""
    return {name: level for name, target in targets.items() if (level := _level(target, capacity))}


def _level(target: Target, capacity: "Capacity") -> State:
    match target.kind:
        case Kind.POOL:
            pool = next((each for place, each in capacity.pools.items() if str(place) == target.part), None)
            return {} if pool is None else _said(count=pool.count, min=pool.min, max=pool.max)
        case Kind.WORKLOAD:
            workload = next((each for place, each in capacity.workloads.items() if str(place) == target.part), None)
            return {} if workload is None else _said(replicas=workload.count, min=workload.min, max=workload.max)
        case Kind.REDIS:
            cache = capacity.redis.get(target.part)
            return {} if cache is None else _said(sku=cache.sku)
        case _:
            server = capacity.postgres.get(target.part)
            if server is None:
                return {}
            if target.kind is Kind.STORAGE:
                return _said(storage_gb=server.storage and -(-server.storage.bytes // _GB))
            if target.kind is Kind.REPLICA:
                return _said(sku=server.sku)
            return _said(sku=server.sku, iops=server.iops, throughput=server.throughput)


def _said(**facts: Json) -> State:
    return {fact: value for fact, value in facts.items() if value is not None}


# --- comparing -------------------------------------------------------------------------------------------------------


def merged(one: State, other: State) -> State:
    """The larger need of two, fact by fact."""
    return {fact: larger(one.get(fact), other.get(fact)) for fact in {**one, **other}}


def larger(one: Json, other: Json) -> Json:
    """The larger of two values of a fact; what is not said is the smaller one."""
    if one is None or other is None:
        return other if one is None else one
    return one if rank(one) >= rank(other) else other


def rank(value: Json) -> tuple[float, ...]:
    """What a value of a fact is compared by."""
    if isinstance(value, str):
        return sku_rank(value)
    return (float(value),) if isinstance(value, (int, float)) else (0.0,)


@lru_cache(maxsize=1024)
def sku_rank(sku: str) -> tuple[float, ...]:
    """Vcores first, then the memory of the family, then the generation: D8 < E8 < D16 (v5 above v4)."""
    name = re.sub(r"^(Standard|GP|MO|B|Balanced|MemoryOptimized|ComputeOptimized|FlashOptimized)_", "", sku)
    match = re.match(r"([A-Za-z]+)(\d+)", name)
    version = re.search(r"_v(\d+)$", name)
    if match is None:
        return (0.0, 0.0, 0.0)
    family = match[1][0].upper()
    memory = _FAMILIES.index(family) if family in _FAMILIES else 1
    return (float(match[2]), float(memory), float(version[1]) if version else 0.0)


def at_least(now: State, wanted: State) -> State:
    """What has to be set so that each fact is at least as wanted; what is larger stays."""
    return {fact: larger(now.get(fact), value) for fact, value in wanted.items()}


def shown(level: State) -> str:
    """A level for people: `10-30`, `12`, `Standard_D16ds_v5, 20000 iops`."""
    parts: list[str] = []
    if "min" in level or "max" in level:
        parts.append(f"{level.get('min', '?')}-{level.get('max', '?')}")
    units = {"iops": " iops", "throughput": " MB/s", "storage_gb": " GB"}
    for fact in ("count", "replicas", "sku", "iops", "throughput", "storage_gb"):
        if fact in level:
            parts.append(f"{level[fact]}{units.get(fact, '')}")
    return ", ".join(parts)
