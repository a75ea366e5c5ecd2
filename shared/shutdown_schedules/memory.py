"""What is remembered of an environment's sleep from tick to tick. Pure; kept in one blob, changed by compare-and-swap.

It is memory, not truth: what a target is, is read each time. It names occasions, tells who woke what, and counts hours.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from shared.changes.change import State
from shared.evidence.canonical import Json
from shared.shutdown_schedules.wishes import Want, Why

STARTS_BY_ITSELF_AFTER = timedelta(days=7)
"""Azure starts a stopped flexible server after seven days (concepts-limits, 2025-11-13)."""

_TOLERANCE = timedelta(hours=2)
_WAKES_KEPT = 10
_MONTHS_KEPT = 14


class Condition(StrEnum):
    """How a target was found."""

    AWAKE = "awake"
    ASLEEP = "asleep"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was read of a target. `state` None: it could not be read, such as a workload whose cluster is stopped.

    original: what we found before we put it to sleep, while that is not given back. edited: when somebody else last
    changed it. maintenance: Azure maintains it now. costs_by: how many of which SKU it is billed for while it is
    awake (`control-plane` for an AKS cluster's own).
    """

    state: State | None
    ready: bool = True
    original: State | None = None
    created: datetime | None = None
    edited: datetime | None = None
    maintenance: bool = False
    costs_by: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, kw_only=True)
class Sleeper:
    """One target. `since`: the tick that first saw it so. `want`: what was wanted at the last tick.

    left_until: it is left alone so long, since a person woke it. held: what it was is saved with the changes, or may
    be. months: seconds asleep, by month (YYYY-MM) of the environment's time zone, of what is over; what goes on counts
    from `since`.
    """

    condition: Condition
    since: datetime
    want: Want = Want.LEAVE
    why: Why = Why.NEEDED
    sentence: str = ""
    until: datetime | None = None
    held: bool = False
    left_until: datetime | None = None
    costs_by: Mapping[str, int] = field(default_factory=dict[str, int])
    months: Mapping[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True, kw_only=True)
class Night:
    """One sleep of what a schedule has. `begun`: when it was first let go; `given_up`: it is left awake this time."""

    begun: datetime | None = None
    deferred: datetime | None = None
    given_up: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Habit:
    """What is remembered of a schedule. wakes: seconds that waking took, the newest last."""

    since: datetime
    nights: Mapping[str, Night] = field(default_factory=dict[str, Night])
    warned: datetime | None = None
    waking: datetime | None = None
    wakes: tuple[float, ...] = ()
    woken: datetime | None = None
    proposed: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Notice:
    """What has to be recorded, and told unless `quiet`. Its time is fixed, so that twice is once."""

    kind: str
    subject: str
    time: datetime
    quiet: bool = False
    tenant: str | None = None
    body: Mapping[str, Json] = field(default_factory=dict[str, Json])


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """The last plan: its intents (`WANT TARGET`, by change id), how often it was tried in vain, where it runs."""

    intents: Mapping[str, str]
    times: int
    at: datetime
    instance: str | None = None


@dataclass(frozen=True, kw_only=True)
class Memory:
    """All that is remembered of an environment. `notices` wait to be recorded; `looked_at` is when the newest look
    began."""

    sleepers: Mapping[str, Sleeper] = field(default_factory=dict[str, Sleeper])
    habits: Mapping[str, Habit] = field(default_factory=dict[str, Habit])
    notices: tuple[Notice, ...] = ()
    attempt: Attempt | None = None
    looked_at: datetime | None = None


def found(known: Sleeper | None, condition: Condition, seen: Seen, now: datetime, zone: ZoneInfo) -> Sleeper:
    """The sleeper as it was found now; a change of condition is dated now, and a sleep that is over is counted."""
    if known is None:
        return Sleeper(condition=condition, since=now, costs_by=seen.costs_by)
    if condition is Condition.AWAKE and seen.costs_by:
        known = replace(known, costs_by=seen.costs_by)
    if known.condition is condition:
        return known
    if known.condition is Condition.ASLEEP:
        months = dict(known.months)
        for month, seconds in by_month(known.since, now, zone).items():
            months[month] = months.get(month, 0) + seconds
        known = replace(known, months=dict(sorted(months.items())[-_MONTHS_KEPT:]))
    return replace(known, condition=condition, since=now, left_until=None)


def woke_unasked(known: Sleeper | None, condition: Condition) -> bool:
    """Whether it is awake though it was asleep, and was to stay so, at the last tick."""
    return (
        known is not None
        and known.condition is Condition.ASLEEP
        and condition is Condition.AWAKE
        and known.want is Want.ASLEEP
    )


def woken_by_azure(known: Sleeper, kind: str, seen: Seen, now: datetime) -> bool:
    """Whether Azure woke it, by the rule of seven days or for maintenance; otherwise it was a person."""
    long_enough = now - known.since >= STARTS_BY_ITSELF_AFTER - _TOLERANCE
    return kind == "postgres-server" and (long_enough or seen.maintenance)


def by_month(start: datetime, end: datetime, zone: ZoneInfo) -> dict[str, float]:
    """The seconds of [start, end) by month of that zone."""
    parts: dict[str, float] = {}
    while start < end:
        local = start.astimezone(zone)
        first = local.replace(day=1, hour=0, minute=0, second=0, microsecond=0, fold=0)
        following = (first + timedelta(days=32)).replace(day=1).astimezone(start.tzinfo)
        until = min(end, following)
        parts[f"{local:%Y-%m}"] = parts.get(f"{local:%Y-%m}", 0) + (until - start).total_seconds()
        start = until
    return parts


def waking_measured(habit: Habit, *, asleep: bool, ready: bool, wanted: bool, now: datetime) -> Habit:
    """The habit with how long waking takes: from the first tick that wants it until all of it is ready."""
    if not wanted:
        return replace(habit, waking=None) if habit.waking else habit
    if habit.waking is None:
        return replace(habit, waking=now) if asleep else habit
    if asleep or not ready:
        return habit
    took = (now - habit.waking).total_seconds()
    return replace(habit, waking=None, wakes=(*habit.wakes, took)[-_WAKES_KEPT:])


def wake_ahead(habit: Habit | None, declared: timedelta) -> timedelta:
    """How long before people come waking begins: the longest of the last wakes and a quarter, else as declared."""
    if habit is None or not habit.wakes:
        return declared
    return min(timedelta(hours=6), timedelta(minutes=10) + timedelta(seconds=max(habit.wakes) * 1.25))
