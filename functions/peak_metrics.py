"""How much of everything was used, by Azure Monitor's metrics."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from functions import estate_in_force

if TYPE_CHECKING:
    from shared.platforms.metrics import Series

_LOG = logging.getLogger("closekeeper.peak_scaling")
_FINE = timedelta(days=2)
"""Up to this long, grains of five minutes; beyond, of a quarter of an hour."""


@dataclass(frozen=True, slots=True)
class _Metric:
    """A metric of Azure by our name for it; `scale` makes shares of 0 to 1 of per cent."""

    name: str
    ours: str
    aggregation: str
    scale: float = 1.0


_SERVER = (
    _Metric("cpu_percent", "cpu", "Average", 0.01),
    _Metric("memory_percent", "memory", "Average", 0.01),
    _Metric("active_connections", "connections", "Maximum"),
)
_POOL = (
    _Metric("node_cpu_usage_percentage", "cpu", "Average", 0.01),
    _Metric("node_memory_working_set_percentage", "memory", "Average", 0.01),
)
_REDIS = (
    _Metric("percentProcessorTime", "cpu", "Maximum", 0.01),
    _Metric("usedmemorypercentage", "memory", "Maximum", 0.01),
    _Metric("connectedclients", "connections", "Maximum"),
)
"""Sources: "Supported metrics" of Microsoft.DBforPostgreSQL/flexibleServers, Microsoft.ContainerService/managedClusters
and Microsoft.Cache/redisEnterprise."""

type Used = Mapping[str, tuple[float, ...]]


def used(environment: str, start: datetime, end: datetime) -> Mapping[str, Used]:
    """By resource id in lower case and by metric, what was measured between two aware instants, in their order.

    Metrics: `cpu` and `memory` as shares of 0 to 1, `connections` as a number. A grain without a value is left out, and
    so is what Azure does not tell of: whoever counts grains cannot tell a gap from idleness here.
    """
    declared = estate_in_force.get().environments[environment]
    found: dict[str, dict[str, tuple[float, ...]]] = {}
    for server in declared.postgres.values():
        for id in (server.id, *(replica.id for replica in server.replicas.values())):
            _add(found, str(id), _SERVER, start, end)
    for cluster in declared.clusters.values():
        _add(found, str(cluster.id), _POOL, start, end, pools=True)
    for cache in declared.redis.values():
        _add(found, str(cache.id), _REDIS, start, end)
    return found


def _add(
    found: dict[str, dict[str, tuple[float, ...]]],
    resource_id: str,
    wanted: Sequence[_Metric],
    start: datetime,
    end: datetime,
    *,
    pools: bool = False,
) -> None:
    for metric in wanted:
        for series in _read(resource_id, metric, start, end, "nodepool" if pools else ""):
            target = f"{resource_id}/agentPools/{series.of}" if pools else resource_id
            values = tuple(point.value * metric.scale for point in series.points if point.value is not None)
            if values:
                found.setdefault(target.casefold(), {})[metric.ours] = values


def _read(resource_id: str, metric: _Metric, start: datetime, end: datetime, split_by: str) -> "list[Series]":
    """None of a metric that this resource has not, or that Azure does not tell us."""
    from azure.core.exceptions import AzureError

    from shared.platforms import metrics

    interval = "PT5M" if end - start <= _FINE else "PT15M"
    try:
        return metrics.read(resource_id, [metric.name], metric.aggregation, start, end, interval, split_by=split_by)
    except AzureError as error:
        _LOG.warning("%s of %s could not be read: %s", metric.name, resource_id, str(error).partition("\n")[0])
        return []
