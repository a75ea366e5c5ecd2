"""Azure Monitor's metrics of the resources that there are: declared series, served as Microsoft.Insights/metrics does.

A series says for each minute what was measured then, or None; the service makes grains of it. Documented (API
2024-02-01 and its example): the query's parameters, the answer's shape, grains without a value, 93 days of memory.
Inferred: the words of the refusals.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from local.azure.arm import Answer, Call, ResourceManager, Route
from local.azure.errors import ArmError

API_VERSIONS = ("2024-02-01",)
_KEPT = timedelta(days=93)
_GRAINS = {"PT1M": 1, "PT5M": 5, "PT15M": 15, "PT30M": 30, "PT1H": 60, "PT6H": 360, "PT12H": 720, "P1D": 1440}
_AGGREGATIONS = {"average", "minimum", "maximum", "total", "count"}
_MOST_SAMPLES = 30
_SPLIT = re.compile(r"(\w+) eq '\*'")
_TYPES = (
    "Microsoft.DBforPostgreSQL/flexibleServers",
    "Microsoft.ContainerService/managedClusters",
    "Microsoft.Cache/redisEnterprise",
    "Microsoft.Insights/components",
)

type Measured = Callable[[datetime], float | None]


@dataclass(frozen=True, slots=True)
class _Declared:
    dimension: str
    value: str
    unit: str
    measured: Measured


class Metrics:
    """What was measured, by resource and metric. `now` may be set: nothing is measured in the future."""

    def __init__(self, arm: ResourceManager, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.now = now
        self._declared: dict[tuple[str, str], list[_Declared]] = {}
        group = "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers"
        arm.register(
            API_VERSIONS,
            [
                Route("GET", f"{group}/{kind}/{{name}}/providers/Microsoft.Insights/metrics", self._list)
                for kind in _TYPES
            ],
        )

    def declare(
        self,
        resource_id: str,
        metric: str,
        measured: Measured,
        *,
        unit: str = "Percent",
        dimension: str = "",
        of: str = "",
    ) -> None:
        """What a metric of a resource is at each minute, in all or for one value of a dimension. The latest counts."""
        known = self._declared.setdefault((resource_id.lower(), metric.lower()), [])
        known[:] = [one for one in known if (one.dimension, one.value) != (dimension, of)]
        known.append(_Declared(dimension, of, unit, measured))

    def _list(self, call: Call) -> Answer:
        resource = call.path.lower().rpartition("/providers/microsoft.insights/")[0]
        start, end = _timespan(call.query.get("timespan", ""))
        interval = call.query.get("interval", "PT1M")
        if interval not in _GRAINS:
            raise _bad(f"Invalid time grain duration: {interval}. Supported: {', '.join(_GRAINS)}.")
        asked = [one.lower() for one in call.query.get("aggregation", "average").split(",")]
        if wrong := set(asked) - _AGGREGATIONS:
            raise _bad(f"Invalid aggregation: {', '.join(wrong)}.")
        split = _SPLIT.fullmatch(call.query.get("$filter", ""))
        value = [
            self._metric(
                call, resource, name.strip(), (start, end), _GRAINS[interval], asked, split[1] if split else ""
            )
            for name in call.query.get("metricnames", "").split(",")
        ]
        return Answer(
            200,
            {
                "cost": sum(len(series["data"]) for metric in value for series in metric["timeseries"]),
                "timespan": f"{_text(start)}/{_text(end)}",
                "interval": interval,
                "namespace": resource.split("/providers/")[1].rpartition("/")[0],
                "resourceregion": "westeurope",
                "value": value,
            },
        )

    def _metric(
        self,
        call: Call,
        resource: str,
        name: str,
        span: tuple[datetime, datetime],
        minutes: int,
        asked: Sequence[str],
        split: str,
    ) -> dict[str, Any]:
        declared = self._declared.get((resource, name.lower()))
        if declared is None:
            known = sorted(metric for owner, metric in self._declared if owner == resource)
            raise _bad(f"Failed to find metric configuration for metric: {name}, Valid metrics: {','.join(known)}")
        shown = [one for one in declared if not split or one.dimension.lower() == split.lower()]
        return {
            "id": f"{call.path}/{name}",
            "type": "Microsoft.Insights/metrics",
            "name": {"value": name, "localizedValue": name},
            "displayDescription": name,
            "unit": declared[0].unit,
            "timeseries": [
                {
                    "metadatavalues": [
                        {"name": {"value": split, "localizedValue": split}, "value": one.value},
                    ]
                    if split
                    else [],
                    "data": [self._grain(one, at, minutes, asked) for at in _grains(*span, minutes)],
                }
                for one in shown
            ],
            "errorCode": "Success",
        }

    def _grain(self, one: _Declared, at: datetime, minutes: int, asked: Iterable[str]) -> dict[str, Any]:
        now = self.now()
        step = timedelta(minutes=max(1, minutes // _MOST_SAMPLES))
        moments = (at + step * index for index in range(int(timedelta(minutes=minutes) / step)))
        seen = [one.measured(each) for each in moments if now - _KEPT <= each < now]
        values = [value for value in seen if value is not None]
        point: dict[str, Any] = {"timeStamp": _text(at)}
        if values:
            found = {
                "average": sum(values) / len(values),
                "minimum": min(values),
                "maximum": max(values),
                "total": sum(values),
                "count": len(values),
            }
            point |= {name: found[name] for name in asked}
        return point


def _grains(start: datetime, end: datetime, minutes: int) -> Iterable[datetime]:
    grain = timedelta(minutes=minutes)
    at = datetime.fromtimestamp(start.timestamp() // grain.total_seconds() * grain.total_seconds(), UTC)
    while at < end:
        yield at
        at += grain


def _timespan(text: str) -> tuple[datetime, datetime]:
    try:
        start, end = (datetime.fromisoformat(part).astimezone(UTC) for part in text.split("/"))
    except ValueError as error:
        raise _bad(f"Invalid time span: {text}. Give start/end as ISO 8601 times.") from error
    if end <= start:
        raise _bad(f"Invalid time span: {text}. The end is not after the start.")
    return start, end


def _bad(message: str) -> ArmError:
    return ArmError(400, "BadRequest", message)


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
