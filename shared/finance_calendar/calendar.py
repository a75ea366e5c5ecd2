"""The compiled finance calendar: what happens when, what is in force and why, what comes next."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from shared.finance_calendar.declaration import DEFAULT_REGION, Kind
from shared.finance_calendar.occurrences import EventSource, Occurrence, Region
from shared.finance_calendar.periods import FiscalPosition
from shared.finance_calendar.rules import Convention

# How far `next` looks ahead, and how far occurrences are joined to one stretch.
HORIZON = timedelta(days=800)
MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time, as long as it goes without gap, in which a kind is on; overlapping and touching windows are merged.

    [start, end) in UTC. `causes` are all its occurrences, by start. Nothing is joined beyond the horizon: an end that
    is farther away is the earliest possible one.
    """

    kind: Kind
    start: datetime
    end: datetime
    causes: tuple[Occurrence, ...]


@dataclass(frozen=True, slots=True)
class InForce:
    """What is on at an instant. Kinds merge: each is on while any event asks for it, so the stricter wins.

    `causes` are the occurrences at that instant, `until` is the next instant at which they change (None when that
    is beyond the horizon), `stretches` says for each kind that is on from when to when it is on without gap.
    """

    causes: tuple[Occurrence, ...]
    stretches: Mapping[Kind, Stretch]
    until: datetime | None

    def is_on(self, kind: Kind) -> bool:
        """Whether any event asks for the kind now."""
        return kind in self.stretches

    def causes_of(self, kind: Kind) -> tuple[Occurrence, ...]:
        """The occurrences that ask for the kind now."""
        return tuple(cause for cause in self.causes if kind in cause.kinds)

    def keeps_documents_of(self) -> frozenset[int]:
        """Fiscal years whose documents must stay at hand now."""
        return frozenset(year for cause in self.causes for year in cause.keeps_documents_of)

    def explain(self) -> list[str]:
        """One sentence for each kind that is on: until when, and because of which events."""
        return [_explain(kind, stretch, self.causes_of(kind)) for kind, stretch in self.stretches.items()]


@dataclass(frozen=True, slots=True)
class _Month:
    """The occurrences that overlap one month of UTC, by start, and the instants in it at which something changes."""

    start: datetime
    end: datetime
    occurrences: tuple[Occurrence, ...]
    changes: tuple[datetime, ...]
    answers: dict[int, InForce]


class FinanceCalendar:
    """Pure and immutable; what was computed is kept, month by month. Instants must have a time zone."""

    def __init__(
        self, sources: Iterable[EventSource], regions: Mapping[str, Region], missing_feeds: Sequence[str] = ()
    ) -> None:
        self._sources = tuple(sources)
        self._regions = dict(regions)
        self.missing_feeds = tuple(missing_feeds)
        self._month = lru_cache(maxsize=600)(self._build_month)
        self._views: dict[str, FinanceCalendar] = {}

    # Events

    def events_between(self, start: datetime, end: datetime) -> list[Occurrence]:
        """The occurrences that overlap [start, end), by start, then event and region."""
        start, end = _utc(start), _utc(end)
        if end <= start:
            return []
        found = (
            occurrence
            for index in range(_month_index(start), _month_index(end) + 1)
            for occurrence in self._month(index).occurrences
            # Once, though it may be in several months: in the one where it starts, or in the first.
            if _month_index(max(occurrence.start, start)) == index
        )
        return [each for each in found if each.start < end and start < each.end]

    def in_force(self, at: datetime) -> InForce:
        """What is on at the instant, until when, and why."""
        at = _utc(at)
        month = self._month(_month_index(at))
        index = bisect_right(month.changes, at)
        answer = month.answers.get(index)
        if answer is None:
            answer = month.answers[index] = self._answer(month, index)
        return answer

    def next(self, kind: Kind, at: datetime) -> Stretch | None:
        """The first stretch of that kind that starts after the instant; None when there is none within the horizon."""
        at = _utc(at)
        if not any(kind in source.kinds for source in self._sources):
            return None
        now = self.in_force(at).stretches.get(kind)
        after = now.end if now else at
        for index in range(_month_index(after), _month_index(at + HORIZON) + 1):
            for occurrence in self._month(index).occurrences:
                if kind in occurrence.kinds and occurrence.start > after:
                    return self._stretch(kind, occurrence)
        return None

    def next_peak(self, at: datetime) -> Stretch | None:
        """The first peak that starts after the instant."""
        return self.next(Kind.PEAK, at)

    def next_freeze(self, at: datetime) -> Stretch | None:
        """The first freeze that starts after the instant."""
        return self.next(Kind.FREEZE, at)

    def for_region(self, name: str) -> "FinanceCalendar":
        """The calendar as a region's tenants see it: events of that region, and those that concern everybody.

        Raises KeyError for a region that is not declared.
        """
        if name not in self._views:
            region = self._regions[name]
            concerns = (source for source in self._sources if source.region in (name, DEFAULT_REGION))
            self._views[name] = FinanceCalendar(concerns, {**self._regions, DEFAULT_REGION: region}, self.missing_feeds)
        return self._views[name]

    # Days

    def is_business_day(self, day: date, region: str = DEFAULT_REGION) -> bool:
        """Whether business is done that day in the region."""
        return self._regions[region].business_days.is_business_day(day)

    def closed_because(self, day: date, region: str = DEFAULT_REGION) -> str | None:
        """The holiday's name, "own closing day" or "weekend"; None for a business day."""
        return self._regions[region].business_days.closed_because(day)

    def add_business_days(self, day: date, count: int, region: str = DEFAULT_REGION) -> date:
        """The `count`th business day after (before) the day; the day itself for 0. Raises NoBusinessDayError."""
        return self._regions[region].business_days.add(day, count)

    def business_days_between(self, start: date, end: date, region: str = DEFAULT_REGION) -> int:
        """Business days in [start, end), negative when `end` is before `start`."""
        return self._regions[region].business_days.between(start, end)

    def roll(self, day: date, convention: Convention, region: str = DEFAULT_REGION) -> date:
        """The day, rolled to a business day by an ISDA convention. Raises NoBusinessDayError."""
        return self._regions[region].business_days.roll(day, convention)

    def period_of(self, day: date, region: str = DEFAULT_REGION) -> FiscalPosition:
        """Fiscal year, quarter, period and week of a day."""
        return self._regions[region].fiscal.position(day)

    def fiscal_year_end(self, year: int, region: str = DEFAULT_REGION) -> date:
        """The last day of the fiscal year of that name."""
        return self._regions[region].fiscal.year(year).last

    @property
    def regions(self) -> Mapping[str, Region]:
        """The declared regions, and "default"."""
        return dict(self._regions)

    # Months of UTC, computed once

    def _build_month(self, index: int) -> _Month:
        start, end = _month_start(index), _month_start(index + 1)
        found = [each for source in self._sources for each in source.occurrences(start, end)]
        found.sort(key=lambda each: (each.start, each.end, each.event, each.region))
        edges = {edge for each in found for edge in (each.start, each.end) if start <= edge < end}
        return _Month(start, end, tuple(found), tuple(sorted(edges)), {})

    def _answer(self, month: _Month, index: int) -> InForce:
        at = month.changes[index - 1] if index else month.start
        causes = tuple(each for each in month.occurrences if each.start <= at < each.end)
        until = month.changes[index] if index < len(month.changes) else self._change_from(month.end)
        stretches = {
            kind: self._stretch(kind, next(each for each in causes if kind in each.kinds))
            for kind in Kind
            if any(kind in each.kinds for each in causes)
        }
        return InForce(causes, stretches, until)

    def _change_from(self, at: datetime) -> datetime | None:
        for index in range(_month_index(at), _month_index(at + HORIZON) + 1):
            if changes := self._month(index).changes:
                return changes[0]
        return None

    def _stretch(self, kind: Kind, seed: Occurrence) -> Stretch:
        earliest, latest = seed.start - HORIZON, seed.start + HORIZON
        start, end = self._stretch_start(kind, seed.start, earliest), self._stretch_end(kind, seed.end, latest)
        causes = self.events_between(max(start, earliest), min(end, latest))
        return Stretch(kind, start, end, tuple(each for each in causes if kind in each.kinds))

    def _stretch_end(self, kind: Kind, end: datetime, latest: datetime) -> datetime:
        # Months are sorted by start, so one pass joins all that hang together.
        while end < latest:
            month = self._month(_month_index(end))
            for each in month.occurrences:
                if kind in each.kinds and each.start <= end:
                    end = max(end, each.end)
            if end < month.end:
                break
        return end

    def _stretch_start(self, kind: Kind, start: datetime, earliest: datetime) -> datetime:
        while start > earliest:
            month = self._month(_month_index(start - MOMENT))
            for each in sorted(month.occurrences, key=lambda each: each.end, reverse=True):
                if kind in each.kinds and each.end >= start:
                    start = min(start, each.start)
            if start > month.start:
                break
        return start


def _explain(kind: Kind, stretch: Stretch, causes: Sequence[Occurrence]) -> str:
    zone = causes[0].zone
    end = f"until {stretch.end.astimezone(zone):%Y-%m-%d %H:%M} {zone.key}"
    names = ", ".join(f"{cause.event} {cause.period}" for cause in causes)
    return f"{kind.value} {end}, because of {names}"


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError(f"{at} has no time zone; pass an aware datetime, best in UTC")
    return at.astimezone(UTC)


def _month_index(at: datetime) -> int:
    return at.year * 12 + at.month - 1


def _month_start(index: int) -> datetime:
    return datetime(index // 12, index % 12 + 1, 1, tzinfo=UTC)
