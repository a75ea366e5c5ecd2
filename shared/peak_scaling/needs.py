"""What peaks of the calendar need, and from when to when each target is held for them. Pure.

Everything is computed from the calendar at each look: nothing depends on the last one having come.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil, floor
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from shared.changes.change import State
from shared.changes.declared_rules import DeclaredRules
from shared.finance_calendar.declaration import Kind as EventKind
from shared.peak_scaling.lead_times import LeadTimes
from shared.peak_scaling.targets import ADAPTERS, Kind, Target, levels_of, merged, targets_of

if TYPE_CHECKING:  # whoever has an estate has loaded its models
    from shared.estate.estate import Estate
    from shared.estate.policies.peak_scaling import Peak
    from shared.finance_calendar.calendar import FinanceCalendar
    from shared.finance_calendar.occurrences import Occurrence

EARLIEST = timedelta(days=14)
"""How long before a peak its PostgreSQL servers may be scaled already."""

LOOK_BACK = timedelta(days=45)
LOOK_AHEAD = timedelta(days=45)
_LATEST_DOWN = timedelta(days=30)

type Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Need:
    """One peak at one time, in one environment. ready_by: everything is to be proven ready; over_at: may go back."""

    environment: str
    event: str
    key: str
    title: str
    region: str
    period: str
    zone: ZoneInfo
    start: datetime
    end: datetime
    ready_by: datetime
    over_at: datetime
    levels: Mapping[str, State]


@dataclass(frozen=True, slots=True)
class Hold:
    """A target at a need's level in [begin, until). latest: it does not begin any more from then on.

    impossible: why it cannot be scaled for this need at all.
    """

    need: Need
    target: Target
    level: State
    begin: datetime
    ready_by: datetime
    latest: datetime
    until: datetime
    impossible: str = ""

    def active(self, at: datetime, begun: bool = False) -> bool:
        """Whether the target is wanted at that level now. What has begun goes on, though a shorter lead time has been
        measured since."""
        return not self.impossible and (begun or self.begin <= at) and at < self.until


@dataclass
class Scaling:
    """The peaks of one environment, of one version of the estate and its calendar.

    leads: how long scaling takes; without them as each kind usually does. recommended: levels that replace declared
    ones, by event and name of the target, as the forecast has them and a person agreed.
    """

    estate: "Estate"
    environment: str
    calendar: "FinanceCalendar"
    leads: LeadTimes | None = None
    recommended: Mapping[str, Mapping[str, State]] = field(default_factory=dict[str, Mapping[str, State]])

    def __post_init__(self) -> None:
        place = self.estate.environments[self.environment]
        self.policy = self.estate.peak_scaling[self.environment]
        self.zone = ZoneInfo(self.estate.time_zone_of(self.environment))
        self.targets = targets_of(place, self.policy)
        self.baseline = levels_of(self.targets, self.policy.baseline)
        self._rules = DeclaredRules(self.estate, self.calendar)
        self._kept: dict[tuple[datetime, datetime], list[Hold]] = {}
        self._waits: dict[tuple[str, str], int] = {}
        self._takes: dict[tuple[str, str], timedelta] = {}
        self._known = self.leads or LeadTimes(self.policy.margin.of_one)
        self._allowed: dict[tuple[str, datetime, datetime], list[Span]] = {}
        self._levels = {event: self._level(event, peak) for event, peak in self.policy.peaks.items()}
        self._view = self.calendar.for_region(place.region) if place.region else self.calendar
        regions = {tenant.region for tenant in place.tenants.values() if tenant.region} - {place.region}
        self._views = [self._view, *(self.calendar.for_region(each) for each in sorted(regions) if place.region)]

    def _level(self, event: str, peak: "Peak") -> dict[str, State]:
        levels = levels_of(self.targets, peak)
        said = self.recommended.get(event, {})
        return {name: {**level, **said.get(name, {})} for name, level in levels.items()}

    def needs(self, start: datetime, end: datetime) -> list[Need]:
        """The peaks whose capacity is held at some time of [start, end), by start."""
        found: list[Need] = []
        for occurrence in self._view.events_between(start - LOOK_BACK, end + LOOK_AHEAD):
            peak = self.policy.peaks.get(occurrence.event)
            if peak is not None and EventKind.PEAK in occurrence.kinds:
                found.append(self._need(occurrence, peak))
        return found

    def _need(self, occurrence: "Occurrence", peak: "Peak") -> Need:
        return Need(
            environment=self.environment,
            event=occurrence.event,
            key=occurrence.key,
            title=occurrence.title,
            region=occurrence.region,
            period=occurrence.period,
            zone=occurrence.zone,
            start=occurrence.start,
            end=occurrence.end,
            ready_by=occurrence.start - peak.ready_before,
            over_at=occurrence.end + peak.give_back.after,
            levels=self._levels[occurrence.event],
        )

    def holds(self, start: datetime, end: datetime) -> list[Hold]:
        """What is held at some time of [start, end], or could not be, by begin."""
        if (start, end) not in self._kept:
            found = [hold for need in self.needs(start, end) for hold in self._holds(need)]
            kept = [hold for hold in found if hold.begin <= end and hold.until > start]
            self._kept[start, end] = sorted(kept, key=lambda hold: (hold.begin, hold.need.key, hold.target.name))
        return self._kept[start, end]

    def _holds(self, need: Need) -> Iterator[Hold]:
        for name, level in need.levels.items():
            target = self.targets[name]
            if target.kind in (Kind.POSTGRES, Kind.REPLICA) and "sku" in level:
                yield self._compute(need, target, level)
            else:
                begin = need.ready_by - self._lead(target, need)
                yield Hold(need, target, level, begin, need.ready_by, need.end, need.over_at)

    def takes(self, target: Target, event: str | None = None) -> timedelta:
        """How long scaling it takes for that peak, with the margin; without one, alone."""
        rounds = 1 if event is None else self._rounds(target, event)
        return self._known.of(target, self.targets.values(), rounds)

    def _rounds(self, target: Target, event: str) -> int:
        """In how many rounds the gate lets those of its kind through that the peak needs."""
        kind = ADAPTERS[target.kind]
        if (event, kind) in self._waits:
            return self._waits[event, kind]
        number = sum(ADAPTERS[self.targets[name].kind] == kind for name in self._levels[event])
        limits = self._rules.policy(self.environment).limits
        at_once = min(limits.per_environment, max(1, floor(limits.share * self._rules.targets(self.environment, kind))))
        self._waits[event, kind] = ceil(number / at_once)
        return self._waits[event, kind]

    def _lead(self, target: Target, need: Need) -> timedelta:
        """Its own time, and that of what waits for it."""
        asked = need.event, target.name
        if asked not in self._takes:
            above = [self.targets[name] for name in need.levels if target.name in self.targets[name].below]
            longest = max((self.takes(each, need.event) for each in above), default=timedelta())
            self._takes[asked] = self.takes(target, need.event) + longest
        return self._takes[asked]

    def _compute(self, need: Need, target: Target, level: State) -> Hold:
        """PostgreSQL compute: only in the declared windows, only outside of freezes, both ways."""
        peak = self.policy.peaks[need.event]
        takes = self._lead(target, need)
        servers = [each for each in self.targets.values() if each.part == target.part and each.interrupts]
        # All servers and replicas are one kind to the gate: one sum of their rounds, however they are named.
        together = max((self.takes(each, need.event) for each in servers), default=takes)
        first = need.ready_by - EARLIEST
        fitting = [
            (begins, ends)
            for begins, ends in self.allowed(need.event, first, need.start)
            if min(ends, need.ready_by) - begins >= together
        ]
        down = next(
            (
                begins
                for begins, ends in self.allowed(need.event, need.over_at, need.over_at + _LATEST_DOWN)
                if ends - begins >= together
            ),
            need.over_at,
        )
        if not fitting:
            where = f"no window of {peak.postgres_within.text}" if peak.postgres_within else "no time"
            why = (
                f"{where} outside of freezes has the {int(together.total_seconds() // 60)} min that it takes,"
                f" in the {EARLIEST.days} days before {need.ready_by.astimezone(self.zone):%Y-%m-%d %H:%M}"
            )
            return Hold(need, target, level, first, need.ready_by, first, down, why)
        begins, ends = fitting[-1]
        begin = begins if peak.postgres_within else max(begins, min(ends, need.ready_by) - takes)
        return Hold(need, target, level, begin, need.ready_by, ends, down)

    def allowed(self, event: str, start: datetime, end: datetime) -> list[Span]:
        """When PostgreSQL compute may change for a peak, in [start, end)."""
        known = self._allowed.get((event, start, end))
        if known is None:  # the servers of a need ask the same
            known = self._allowed[event, start, end] = self._find_allowed(self.policy.peaks[event], start, end)
        return known

    def _find_allowed(self, peak: "Peak", start: datetime, end: datetime) -> list[Span]:
        spans: Iterable[Span] = [(start, end)]
        if peak.postgres_within is not None:
            windows = peak.postgres_within.windows(start, end, self.zone)
            spans = [(max(start, each.start), min(end, each.end)) for each in windows]
        frozen = sorted(
            (each.start, each.end)
            for view in self._views
            for each in view.events_between(start, end)
            if EventKind.FREEZE in each.kinds
        )
        return list(_without(spans, frozen))


def _without(spans: Iterable[Span], gone: Sequence[Span]) -> Iterator[Span]:
    for start, end in spans:
        for begins, ends in gone:
            if begins < end and ends > start:
                if begins > start:
                    yield start, begins
                start = max(start, ends)
        if start < end:
            yield start, end


def wanted_at(
    holds: Iterable[Hold], at: datetime, begun: Mapping[str, Collection[str]] | None = None
) -> dict[str, State]:
    """The larger need of all that are held at the instant, by name of the target.

    begun: keys of the peaks that each target is held for already.
    """
    wanted: dict[str, State] = {}
    for hold in holds:
        name = hold.target.name
        if hold.active(at, begun is not None and hold.need.key in begun.get(name, ())):
            wanted[name] = merged(wanted[name], hold.level) if name in wanted else hold.level
    return wanted
