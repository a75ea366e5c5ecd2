"""Recommended levels for the next peak of a kind, from what was used in the earlier ones. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from math import ceil
from statistics import median

from shared.changes.change import State
from shared.evidence.canonical import canonical, sha256
from shared.peak_scaling.aftermath import AfterAction
from shared.peak_scaling.forecast import Forecast, Need, forecast
from shared.peak_scaling.needs import Scaling
from shared.peak_scaling.targets import Kind, levels_of, rank, shown, sku_rank

_YEAR_DAYS = 365.25


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """What a target should be at for the next peaks of an event.

    within: whether every fact of it is inside the declared bounds. why: need, method and backtested error.
    """

    environment: str
    event: str
    target: str
    declared: State
    level: State
    within: bool
    why: str
    made: datetime

    @property
    def id(self) -> str:
        """The same for the same wish."""
        said = [self.environment, self.event, self.target, dict(self.level)]
        return sha256(canonical(said))[:12]  # pyright: ignore[reportArgumentType]  # names and facts are JSON


def recommend(scaling: Scaling, reports: Sequence[AfterAction], event: str, now: datetime) -> list[Recommendation]:
    """For each measured target of an event; nothing where what is declared is right, or too little is known."""
    peak = scaling.policy.peaks.get(event)
    mine = sorted((each for each in reports if each.event == event), key=lambda each: each.start)
    if peak is None or not mine:
        return []
    season = _season(mine)
    coming = next((need for need in scaling.needs(now, now) if need.event == event and need.start > now), None)
    place = _place(coming.start if coming else now, season)
    bounds = levels_of(scaling.targets, scaling.policy.forecast.bounds)
    found: list[Recommendation] = []
    for name, declared in levels_of(scaling.targets, peak).items():
        history = list(_history(mine, name, season))
        said = forecast(history, place, season)
        if said is None:
            continue
        level = _level(scaling, name, declared, said.value * (1 + scaling.policy.forecast.headroom.of_one))
        if level == declared:
            continue
        found.append(
            Recommendation(
                environment=scaling.environment,
                event=event,
                target=name,
                declared=declared,
                level=level,
                within=_within(level, bounds.get(name, {})),
                why=_why(scaling, said, declared, level),
                made=now,
            )
        )
    return found


def units(level: State) -> float | None:
    """How much capacity a level is: nodes, replicas or vcores."""
    for fact in ("min", "count", "replicas"):
        value = level.get(fact)
        if isinstance(value, int):
            return float(value)
    sku = level.get("sku")
    return sku_rank(sku)[0] if isinstance(sku, str) else None


def _history(reports: Iterable[AfterAction], name: str, season: int) -> Iterator[Need]:
    """What each earlier peak needed of it: the share that was used of what was there."""
    for report in reports:
        target = next((each for each in report.targets if each.name == name), None)
        there = units(target.level) if target else None
        value = max(target.used.values()) * there if target and target.used and there else None
        yield Need(_place(report.start, season), value)


def _season(reports: Sequence[AfterAction]) -> int:
    """How many of them a year has."""
    gaps = [(two.start - one.start).days for one, two in pairwise(reports)]
    return max(1, round(_YEAR_DAYS / median(gaps))) if gaps and median(gaps) else 1


def _place(at: datetime, season: int) -> int:
    return int((at.timetuple().tm_yday - 1) / (_YEAR_DAYS + 1) * season)


def _level(scaling: Scaling, name: str, declared: State, wanted: float) -> State:
    least = max(1, ceil(wanted - 1e-9))
    if "min" in declared:
        most = declared.get("max")
        return {**declared, "min": least, **({"max": max(most, least)} if isinstance(most, int) else {})}
    for fact in ("count", "replicas"):
        if fact in declared:
            return {**declared, fact: least}
    sku, rates = declared.get("sku"), scaling.estate.rates
    if not isinstance(sku, str) or rates is None:
        return declared
    prices = rates.redis_hour if scaling.targets[name].kind is Kind.REDIS else rates.postgres_hour
    alike = [each for each in prices if sku_rank(each)[1:] == sku_rank(sku)[1:] and sku_rank(each)[0] >= wanted]
    return {**declared, "sku": min(alike, key=sku_rank)} if alike else declared


def _within(level: State, bounds: State) -> bool:
    return bool(bounds) and all(fact in bounds and rank(value) <= rank(bounds[fact]) for fact, value in level.items())


def _why(scaling: Scaling, said: Forecast, declared: State, level: State) -> str:
    return (
        f"{shown(declared)} is declared; {said.value:.1f} is expected to be needed,"
        f" and {scaling.policy.forecast.headroom.of_one:.0%} of headroom make {shown(level)}."
        f" {said.backtest.sentence}; {said.baseline.sentence}"
    )
