"""What capacity costs: the baseline goes on anyway, what is above it is the cost of peaks. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING

from shared.changes.change import State
from shared.peak_scaling.needs import Hold
from shared.peak_scaling.targets import Kind, Target, merged

if TYPE_CHECKING:  # whoever has an estate has loaded its models
    from shared.estate.policies.rates import Rates

_HOURS_A_MONTH = 730


@dataclass(frozen=True, slots=True)
class Stay:
    """A target at one level in [start, end), and the need that costs it."""

    target: Target
    level: State
    start: datetime
    end: datetime
    need: str

    @property
    def hours(self) -> float:
        """How long."""
        return (self.end - self.start).total_seconds() / 3600


def hourly(target: Target, level: State, rates: "Rates | None") -> float | None:
    """An hour of the target at that level; of a pool what it holds at least. None when that is not known."""
    if target.kind is Kind.WORKLOAD:
        return 0.0  # its nodes cost
    if rates is None:
        return None
    match target.kind:
        case Kind.POOL:
            nodes = level.get("count", level.get("min"))
            price = rates.node_hour.get(target.size or "")
            return None if price is None or not isinstance(nodes, int) else nodes * price
        case Kind.REDIS:
            return rates.redis_hour.get(str(level.get("sku")))
        case Kind.STORAGE:
            size = level.get("storage_gb")
            return target.copies * size * rates.postgres_gb_month / _HOURS_A_MONTH if isinstance(size, int) else None
        case _:
            return _server(target, level, rates)


def _server(target: Target, level: State, rates: "Rates") -> float | None:
    """Compute and provisioned speed, of the standby too. A level without speed has what comes with the disk."""
    total = 0.0
    if isinstance(sku := level.get("sku"), str):
        price = rates.postgres_hour_in.get(target.location or "", {}).get(sku, rates.postgres_hour.get(sku))
        if price is None:
            return None
        total += price
    speed = rates.postgres_speed
    for fact in ("iops", "throughput"):
        if isinstance(value := level.get(fact), int):
            if speed is None:
                return None
            included, price = getattr(speed, f"{fact}_included"), getattr(speed, f"{fact}_month")
            total += max(0, value - included) * price / _HOURS_A_MONTH
    return target.copies * total


def stays(holds: Sequence[Hold], start: datetime, end: datetime) -> list[Stay]:
    """Who is at which level when, with overlapping needs merged: no hour is counted twice.

    A stretch that several needs hold is the cost of the largest, of equal ones the first.
    """
    by_target: dict[str, list[Hold]] = {}
    for hold in holds:
        if not hold.impossible and hold.begin < end and hold.until > start:
            by_target.setdefault(hold.target.name, []).append(hold)
    return [stay for mine in by_target.values() for stay in _stays(mine, start, end)]


def _stays(holds: Sequence[Hold], start: datetime, end: datetime) -> Iterable[Stay]:
    if len(holds) == 1:
        (hold,) = holds
        yield Stay(hold.target, hold.level, max(start, hold.begin), min(end, hold.until), hold.need.key)
        return
    edges = sorted({min(end, max(start, edge)) for hold in holds for edge in (hold.begin, hold.until)})
    coming = sorted(holds, key=lambda hold: hold.begin, reverse=True)
    active: list[Hold] = []
    for begins, ends in pairwise(edges):
        while coming and coming[-1].begin <= begins:
            active.append(coming.pop())
        active = [hold for hold in active if hold.until > begins]
        if active:
            level = active[0].level
            for hold in active[1:]:
                level = merged(level, hold.level)
            largest = next((hold for hold in active if hold.level == level), active[0])
            yield Stay(largest.target, level, begins, ends, largest.need.key)


def burst(
    found: Iterable[Stay], baseline: Mapping[str, State], rates: "Rates | None"
) -> tuple[dict[tuple[str, str], float], set[str]]:
    """What the stays cost above the baseline, by need and target; and the targets whose price is not known."""
    costs: dict[tuple[str, str], float] = {}
    unpriced: set[str] = set()
    for stay in found:
        name = stay.target.name
        high = hourly(stay.target, stay.level, rates)
        low = hourly(stay.target, baseline[name], rates) if name in baseline else None
        if high is None or (low is None and stay.target.kind is not Kind.WORKLOAD):
            unpriced.add(name)
            continue
        above = max(0.0, high - (low or 0.0)) * stay.hours
        costs[stay.need, name] = costs.get((stay.need, name), 0.0) + above
    return costs, unpriced
