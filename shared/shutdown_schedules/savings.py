"""What sleep saves: hours by target and month, and money by the declared rates; what was, and what is to come. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from shared.changes.overrides import Override
from shared.shutdown_schedules.memory import Condition, Memory, Sleeper, by_month
from shared.shutdown_schedules.resources import Resource

if TYPE_CHECKING:
    from shared.estate.policies.rates import Rates
    from shared.shutdown_schedules.considering import Sleep


@dataclass(frozen=True)
class Saved:
    """Hours asleep and the money that was, or will be, not spent for them; None where no rate is declared."""

    hours: float
    money: float | None


@dataclass(frozen=True, kw_only=True)
class Month:
    """The savings of one month of the environment's time zone. actual: what has been; expected: with what is to come of
    it by the schedules, as people now keep things awake."""

    month: str
    actual: Saved
    expected: Saved
    by_target: Mapping[str, Saved]


def hour_of(rates: "Rates | None", resource: Resource, sleeper: Sleeper) -> float | None:
    """What an hour of the target costs while it is awake; None when that is not declared. Workloads cost by nodes."""
    if resource.kind.startswith("kubernetes-"):
        return 0.0
    if rates is None or not sleeper.costs_by:
        return None
    table = rates.postgres_hour if resource.kind == "postgres-server" else rates.node_hour
    total = 0.0
    for sku, count in sleeper.costs_by.items():
        price = rates.cluster_hour if sku == "control-plane" else table.get(sku)
        if price is None:
            return None
        total += price * count
    return total


def seconds_asleep(sleeper: Sleeper, now: datetime, zone: ZoneInfo) -> dict[str, float]:
    """Seconds asleep by month, with what goes on now."""
    months = dict(sleeper.months)
    if sleeper.condition is Condition.ASLEEP:
        for month, seconds in by_month(sleeper.since, now, zone).items():
            months[month] = months.get(month, 0) + seconds
    return months


def months(
    sleep: "Sleep", memory: Memory, overrides: Sequence[Override], rates: "Rates | None", now: datetime
) -> list[Month]:
    """The months that are remembered and the present one, the oldest first."""
    known = [(each, memory.sleepers[each.key]) for each in sleep.resources if each.key in memory.sleepers]
    present = f"{now.astimezone(sleep.zone):%Y-%m}"
    slept = {resource.key: seconds_asleep(sleeper, now, sleep.zone) for resource, sleeper in known}
    names = sorted({present, *(month for each in slept.values() for month in each)})
    coming = {resource.key: _coming(sleep, resource, memory, overrides, now) for resource, _ in known}
    result: list[Month] = []
    for month in names:
        actual = {r.key: _saved(slept[r.key].get(month, 0), hour_of(rates, r, s)) for r, s in known}
        expected = {
            r.key: _saved(slept[r.key].get(month, 0) + (coming[r.key] if month == present else 0), hour_of(rates, r, s))
            for r, s in known
        }
        by_target = {resource.target: actual[resource.key] for resource, _ in known}
        result.append(
            Month(
                month=month,
                actual=_total(known, actual),
                expected=_total(known, expected),
                by_target=by_target,
            )
        )
    return result


def _coming(sleep: "Sleep", resource: Resource, memory: Memory, overrides: Sequence[Override], now: datetime) -> float:
    """Seconds that it is to sleep in the rest of the month."""
    first = now.astimezone(sleep.zone).replace(day=1, hour=0, minute=0, second=0, microsecond=0, fold=0)
    end = (first + timedelta(days=32)).replace(day=1).astimezone(now.tzinfo)
    return sleep.timeline(resource, overrides, memory, now, end).seconds_asleep(now, end)


def _saved(seconds: float, hour: float | None) -> Saved:
    hours = seconds / 3600
    return Saved(round(hours, 2), None if hour is None else round(hours * hour, 2))


def _total(known: Sequence[tuple[Resource, Sleeper]], saved: Mapping[str, Saved]) -> Saved:
    """Hours of what costs by itself; the money that is known."""
    billed = [saved[resource.key] for resource, _ in known if not resource.kind.startswith("kubernetes-")]
    priced = [each.money for each in billed if each.money is not None]
    return Saved(round(sum(each.hours for each in billed), 2), round(sum(priced), 2) if priced else None)
