"""After a peak: what was scaled when, what it cost, how much of it was used, and what to do next time. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from math import ceil
from typing import TYPE_CHECKING

from shared.changes.change import State
from shared.peak_scaling.memory import Course, Held
from shared.peak_scaling.money import hourly
from shared.peak_scaling.targets import Target, shown

if TYPE_CHECKING:  # whoever has an estate has loaded its models
    from shared.estate.policies.rates import Rates

REDUCE_BELOW, RAISE_ABOVE, AIM = 0.4, 0.85, 0.65
"""Shares of what was there that were used at the busiest; what is recommended aims at the last one."""

_BUSY = 0.95


class Advice(StrEnum):
    """What to do with a target next time."""

    KEEP = "keep"
    REDUCE = "reduce"
    RAISE = "raise"
    UNKNOWN = "not-measured"


@dataclass(frozen=True, kw_only=True)
class TargetReport:
    """One target in one peak. used: the busiest share of what was there, by metric, as the 95th percentile."""

    name: str
    before: State
    level: State
    begun: datetime
    ready: datetime | None
    given_back: datetime
    edited: bool
    cost: float | None
    used: Mapping[str, float] = field(default_factory=dict[str, float])
    advice: Advice = Advice.UNKNOWN
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class AfterAction:
    """The report of one peak. service: the 95th percentile of what users felt, by metric; missed: those beyond their
    target, unmeasured: those of which nothing is known. previous: the service of the last peak of its kind."""

    environment: str
    peak: str
    event: str
    period: str
    start: datetime
    end: datetime
    go: datetime | None
    at: datetime
    targets: tuple[TargetReport, ...]
    service: Mapping[str, float] = field(default_factory=dict[str, float])
    missed: tuple[str, ...] = ()
    unmeasured: tuple[str, ...] = ()
    previous: Mapping[str, float] = field(default_factory=dict[str, float])
    needs: Mapping[str, tuple[float, ...]] = field(default_factory=dict[str, tuple[float, ...]])

    @property
    def cost(self) -> float:
        """What the known part of it cost above what was found."""
        return sum(target.cost or 0.0 for target in self.targets)

    @property
    def sentence(self) -> str:
        """For people."""
        kept = "kept its targets" + (f" but for {', '.join(self.unmeasured)}, not measured" if self.unmeasured else "")
        missed = f"missed {', '.join(map(self._compared, self.missed))}" if self.missed else kept
        counted: dict[str, list[str]] = {}
        for target in self.targets:
            counted.setdefault(target.advice, []).append(target.name)
        said = "; ".join(f"{advice} {', '.join(names)}" for advice, names in counted.items())
        return (
            f"{self.event} {self.period} {missed if self.service else 'was not measured'}: {said or 'nothing scaled'}"
        )

    def _compared(self, metric: str) -> str:
        last = f", {self.previous[metric]:.1f} s last time" if metric in self.previous else ""
        return f"{metric} ({self.service[metric]:.1f} s{last})"


def report(
    *,
    environment: str,
    key: str,
    event: str,
    period: str,
    window: tuple[datetime, datetime],
    course: Course,
    targets: Mapping[str, Target],
    rates: "Rates | None",
    used: Mapping[str, Mapping[str, Sequence[float]]],
    limits: Mapping[str, float],
    previous: "AfterAction | None",
    now: datetime,
) -> AfterAction:
    """What came of a peak. used: shares of what was there (0 to 1) by key of the target and metric; under the empty
    key what users felt, in the units of `limits`."""
    felt = {metric: percentile(values, _BUSY) for metric, values in used.get("", {}).items() if values}
    missed = tuple(sorted(metric for metric, limit in limits.items() if felt.get(metric, 0.0) > limit))
    made: list[TargetReport] = []
    for name, held in sorted(course.stays.items()):
        target = targets.get(name)
        if target is None:
            continue
        busy = {metric: percentile(values, _BUSY) for metric, values in used.get(target.key, {}).items() if values}
        advice, why = _advise(busy, missed, _top(held))
        made.append(
            TargetReport(
                name=name,
                before=held.before,
                level=_top(held),
                begun=held.since,
                ready=next((each.ready for each in held.stretches if each.ready), None),
                given_back=held.stepped or now,
                edited=held.edited is not None,
                cost=_cost(target, held, rates, held.stepped or now, key),
                used=busy,
                advice=advice,
                why=why,
            )
        )
    return AfterAction(
        environment=environment,
        peak=key,
        event=event,
        period=period,
        start=window[0],
        end=window[1],
        go=course.go,
        at=now,
        targets=tuple(made),
        service=felt,
        missed=missed,
        unmeasured=tuple(sorted(limits.keys() - felt.keys())),
        previous=previous.service if previous else {},
    )


def _top(held: Held) -> State:
    return held.stretches[-1 - held.step].level if held.step < len(held.stretches) else held.level


def _advise(busy: Mapping[str, float], missed: Sequence[str], level: State) -> tuple[Advice, str]:
    if not busy:
        return Advice.UNKNOWN, "no metrics of it"
    metric, most = max(busy.items(), key=lambda each: each[1])
    said = f"{metric} was at {most:.0%} of {shown(level)}"
    if most > RAISE_ABOVE:
        return Advice.RAISE, f"{said}; {most / AIM:.1f} times as much would be at {AIM:.0%}"
    if missed:
        return Advice.KEEP, f"{said}, though {', '.join(missed)} was missed: the bottleneck is elsewhere"
    if most < REDUCE_BELOW:
        return Advice.REDUCE, f"{said}; {max(most / AIM, 0.1):.1f} of it would be at {AIM:.0%}"
    return Advice.KEEP, said


def _cost(target: Target, held: Held, rates: "Rates | None", ended: datetime, key: str) -> float | None:
    """What it cost above what was found. A target that several peaks held is the cost of the first of them."""
    if held.needs and held.needs[0] != key:
        return 0.0
    low, total = hourly(target, held.before, rates), 0.0
    ends = [each.since for each in held.stretches[1:]] + [ended]
    for stretch, until in zip(held.stretches, ends, strict=True):
        high = hourly(target, stretch.level, rates)
        if high is None or low is None:
            return None
        total += max(0.0, high - low) * (until - stretch.since).total_seconds() / 3600
    return total


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that so large a share of them does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, ceil(share * len(ordered)) - 1)]
