"""How many more vCPUs wanted sizes take, by the quotas that count them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from functions.adapters.targets import split_pool, subscription
from shared.changes.change import State
from shared.peak_scaling.readiness import Look

type Region = tuple[str, str, str]
"""machines or databases, the subscription, the location."""


@dataclass
class _Sums:
    by_region: dict[Region, Counter[str]] = field(default_factory=dict[Region, Counter[str]])

    def add(self, region: Region, family: str, cores: int) -> None:
        from shared.platforms.quotas import TOTAL

        counted = self.by_region.setdefault(region, Counter())
        counted.update({TOTAL: cores, family: cores})


def more_cores(wanted: Mapping[str, State]) -> tuple[Mapping[Region, Mapping[str, int]], list[Look]]:
    """By region the quotas of which more is needed, and what could not be reckoned."""
    sums, unseen = _Sums(), list[Look]()
    for target, state in wanted.items():
        try:
            if "/agentpools/" in target.lower():
                _add_pool(sums, target, state)
            elif "/flexibleservers/" in target.lower() and "sku" in state:
                _add_server(sums, target, str(state["sku"]))
        except (LookupError, ValueError) as error:
            unseen.append(Look("quota", target.rpartition("/")[2], None, str(error)))
    return {
        region: {name: more for name, more in one.items() if more > 0} for region, one in sums.by_region.items()
    }, unseen


def _add_pool(sums: _Sums, target: str, state: State) -> None:
    from shared.platforms import managed_clusters, quotas

    cluster_id, name = split_pool(target)
    cluster = managed_clusters.get(cluster_id)
    pool = next((one for one in cluster.pools if one.name == name), None) if cluster else None
    if cluster is None or pool is None:
        raise LookupError(f"there is no node pool {target}")
    nodes = state.get("max", state.get("count"))
    if not isinstance(nodes, int):
        nodes = pool.count
    size = quotas.size(pool.size)
    sums.add(("machines", subscription(target), cluster.location), size.family, (nodes - pool.count) * size.cores)


def _add_server(sums: _Sums, target: str, sku: str) -> None:
    from shared.platforms import postgres_scaling, quotas

    server = postgres_scaling.read(target)
    if server is None:
        raise LookupError(f"there is no server {target}")
    region, new, old = ("databases", subscription(target), server.location), quotas.size(sku), quotas.size(server.sku)
    if new.family == old.family:
        sums.add(region, new.family, new.cores - old.cores)
    else:
        sums.add(region, new.family, new.cores)
        sums.add(region, old.family, -old.cores)
