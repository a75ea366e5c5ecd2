"""Azure Monitor metrics of a resource (Microsoft.Insights/metrics, API 2024-02-01), point by point.

Source: Azure Monitor REST reference, "Metrics - List". A grain in which nothing was measured has no value, and metrics
are kept for 93 days.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.platforms import resource_manager

API = "2024-02-01"
INTERVALS = {
    "PT1M": timedelta(minutes=1),
    "PT5M": timedelta(minutes=5),
    "PT15M": timedelta(minutes=15),
    "PT30M": timedelta(minutes=30),
    "PT1H": timedelta(hours=1),
    "PT6H": timedelta(hours=6),
    "PT12H": timedelta(hours=12),
    "P1D": timedelta(days=1),
}
"""The grains that Azure Monitor has, by their names."""


@dataclass(frozen=True, slots=True)
class Point:
    """A grain by its beginning (UTC); None when nothing was measured in it."""

    at: datetime
    value: float | None


@dataclass(frozen=True, slots=True)
class Series:
    """One metric; `of` is the value of the dimension that it was split by, empty when it was not."""

    metric: str
    of: str
    points: tuple[Point, ...]


def read(
    resource_id: str,
    names: Collection[str],
    aggregation: str,
    start: datetime,
    end: datetime,
    interval: str,
    *,
    split_by: str = "",
) -> list[Series]:
    """The metrics between two aware instants, each grain as `Average`, `Minimum`, `Maximum`, `Total` or `Count`.

    A metric that Azure has no values of at all is left out. Raises azure.core's HttpResponseError for a metric that the
    resource does not have, and AzureError; ValueError for an interval that there is none of.
    """
    if interval not in INTERVALS:
        raise ValueError(f"interval {interval}: Azure Monitor has {', '.join(INTERVALS)}")
    query: dict[str, Any] = {
        "timespan": f"{_text(start)}/{_text(end)}",
        "interval": interval,
        "metricnames": ",".join(names),
        "aggregation": aggregation,
    }
    if split_by:
        query["$filter"] = f"{split_by} eq '*'"
    answer = resource_manager.get(f"{resource_id}/providers/Microsoft.Insights/metrics", API, query) or {}
    return [
        Series(str(metric["name"]["value"]), _dimension(series), _points(series, aggregation))
        for metric in answer.get("value") or ()
        for series in metric.get("timeseries") or ()
    ]


def _points(series: Mapping[str, Any], aggregation: str) -> tuple[Point, ...]:
    key = aggregation.lower()
    return tuple(
        Point(datetime.fromisoformat(str(point["timeStamp"])).astimezone(UTC), point.get(key))
        for point in series.get("data") or ()
    )


def _dimension(series: Mapping[str, Any]) -> str:
    values: list[Mapping[str, Any]] = series.get("metadatavalues") or []
    return str(values[0].get("value", "")) if values else ""


def _text(instant: datetime) -> str:
    if instant.tzinfo is None:
        raise ValueError("a time without zone: give an aware one")
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
