"""How much of everything was used, by Azure Monitor's metrics, and how long users waited, by Odoo's own queue."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, LiteralString

from functions import estate_in_force

if TYPE_CHECKING:
    from shared.platforms.metrics import Series

_LOG = logging.getLogger("closekeeper.peak_scaling")
_FINE = timedelta(days=2)
"""Up to this long, grains of five minutes; beyond, of a quarter of an hour."""


@dataclass(frozen=True, slots=True)
class _Metric:
    """A metric of Azure by our name for it."""

    name: str
    ours: str
    aggregation: str


_CONNECTIONS = _Metric("active_connections", "connections", "Maximum")
_SERVER = (_Metric("cpu_percent", "cpu", "Average"), _Metric("memory_percent", "memory", "Average"))
_POOL = (
    _Metric("node_cpu_usage_percentage", "cpu", "Average"),
    _Metric("node_memory_working_set_percentage", "memory", "Average"),
)
_REQUESTS = _Metric("requests/duration", "latency", "Average")
_REDIS = (_Metric("percentProcessorTime", "cpu", "Maximum"), _Metric("usedmemorypercentage", "memory", "Maximum"))
"""Sources: "Supported metrics" of Microsoft.DBforPostgreSQL/flexibleServers, Microsoft.ContainerService/
managedClusters, Microsoft.Cache/redisEnterprise and microsoft.insights/components (milliseconds)."""

_PER_CENT = 100.0
_MILLISECONDS = 1000.0
_MOST_JOBS = 20_000
_STATEMENT_TIMEOUT_SECONDS = 60

type Used = Mapping[str, tuple[float, ...]]


def used(environment: str, start: datetime, end: datetime) -> Mapping[str, Used]:
    """By resource id in lower case and by metric, what was measured between two aware instants, in their order.

    Metrics: `cpu`, `memory` and, of servers, `connections`, each as a share (0 to 1) of what was there. Under the empty
    id, what users felt, in seconds: `queue_delay` and `job_duration` of every job that ended then, `latency` as the
    averages of the grains where Application Insights is declared to measure it. A grain without a value is left out,
    and so is what nobody tells of: whoever counts grains cannot tell a gap from idleness here.
    """
    from functions import peak_looks

    estate = estate_in_force.get()
    declared, limits = estate.environments[environment], peak_looks.max_connections(environment)
    found: dict[str, dict[str, tuple[float, ...]]] = {}
    for name, server in declared.postgres.items():
        for id in (server.id, *(replica.id for replica in server.replicas.values())):
            _add(found, str(id), _SERVER, start, end)
            if limit := limits.get(name):  # which a replica has of its primary
                _add(found, str(id), [_CONNECTIONS], start, end, whole=limit)
    for cluster in declared.clusters.values():
        _add(found, str(cluster.id), _POOL, start, end, pools=True)
    for cache in declared.redis.values():
        _add(found, str(cache.id), _REDIS, start, end)
    felt = _felt(environment, start, end)
    scaling = estate.peak_scaling.get(environment)
    if scaling and (component := scaling.keeps.latency_of):
        for series in _read(str(component), _REQUESTS, start, end, ""):
            felt["latency"] = tuple(point.value / _MILLISECONDS for point in series.points if point.value is not None)
    if felt := {metric: values for metric, values in felt.items() if values}:
        found[""] = felt
    return found


def _felt(environment: str, start: datetime, end: datetime) -> dict[str, tuple[float, ...]]:
    """How long jobs waited and ran; of very many, an even sample."""
    from functions import peak_looks
    from shared.platforms import odoo_tables, sql

    delays, durations = list[float](), list[float]()
    span = [each.astimezone(UTC).replace(tzinfo=None) for each in (start, end)]
    for _, host, server in peak_looks.servers(environment):
        for name in server.databases:
            try:
                with sql.read_only(host, name, statement_timeout_seconds=_STATEMENT_TIMEOUT_SECONDS) as database:
                    if odoo_tables.has_table(database, "queue_job"):
                        rows = database.rows(_JOBS, (*span, _MOST_JOBS))
                        delays += [float(delay) for delay, _ in rows]
                        durations += [float(duration) for _, duration in rows]
            except sql.DatabaseUnavailableError as error:
                _LOG.warning("the jobs of %s could not be read: %s", name, error)
    return {"queue_delay": tuple(delays), "job_duration": tuple(durations)} if delays else {}


_JOBS: LiteralString = """
    select greatest(0, extract(epoch from date_started - greatest(date_created, eta))),
        greatest(0, extract(epoch from date_done - date_started))
    from queue_job
    where state = 'done' and date_started is not null and date_created is not null
        and date_done >= %s and date_done < %s
    order by md5(uuid) limit %s
"""
"""Odoo keeps times without zone, in UTC (OCA queue_job 16.0 to 18.0)."""


def _add(
    found: dict[str, dict[str, tuple[float, ...]]],
    resource_id: str,
    wanted: Sequence[_Metric],
    start: datetime,
    end: datetime,
    *,
    whole: float = _PER_CENT,
    pools: bool = False,
) -> None:
    for metric in wanted:
        for series in _read(resource_id, metric, start, end, "nodepool" if pools else ""):
            target = f"{resource_id}/agentPools/{series.of}" if pools else resource_id
            values = tuple(point.value / whole for point in series.points if point.value is not None)
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
