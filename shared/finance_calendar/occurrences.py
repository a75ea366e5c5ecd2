"""One event at one time, and the declared events that make them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from shared.finance_calendar.anchors import Anchor, anchors
from shared.finance_calendar.business_days import BusinessDayCalendar
from shared.finance_calendar.days import Days
from shared.finance_calendar.declaration import Kind
from shared.finance_calendar.offsets import END_OF_DAY, MIDNIGHT, Offset
from shared.finance_calendar.periods import FiscalCalendar
from shared.finance_calendar.rules import Rule
from shared.finance_calendar.windows import local_day, window

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Region:
    """A region as events use it. `name` is "default" for the calendar's own business days."""

    name: str
    business_days: BusinessDayCalendar
    fiscal: FiscalCalendar
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One event at one time: [start, end) in UTC, owned by its anchor day.

    `period` is the label of what it stands for: "2026-11", "2026 Q4", "FY2026 P11", "2026-W48" or a day.
    `keeps_documents_of`: names of fiscal years. `why` explains the window in a sentence.
    """

    event: str
    title: str
    kinds: frozenset[Kind]
    region: str
    anchor: date
    period: str
    start: datetime
    end: datetime
    zone: ZoneInfo
    why: str
    keeps_documents_of: tuple[int, ...] = ()
    feed: bool = False

    @property
    def key(self) -> str:
        """The same for the same event, region and anchor day, whatever its window is; of a feed, its title too."""
        return "/".join([self.event, self.region, self.anchor.isoformat(), *([self.title] if self.feed else [])])

    @property
    def start_local(self) -> datetime:
        """The start in the event's time zone."""
        return self.start.astimezone(self.zone)

    @property
    def end_local(self) -> datetime:
        """The end in the event's time zone."""
        return self.end.astimezone(self.zone)


class EventSource(Protocol):
    """A declared event or a subscribed feed."""

    @property
    def kinds(self) -> frozenset[Kind]:
        """The kinds that its occurrences may have."""
        ...

    @property
    def region(self) -> str:
        """The region whom it concerns; "default" concerns everybody."""
        ...

    def occurrences(self, start: datetime, end: datetime) -> Iterator[Occurrence]:
        """Those that overlap [start, end), in no order."""
        ...


@dataclass(frozen=True)
class DeclaredEvent:
    """An event in one of its regions. `rules` is empty for a single range of dates (both offsets have a day)."""

    name: str
    title: str
    kinds: frozenset[Kind]
    rules: tuple[tuple[str, Rule], ...]
    begins: Offset
    ends: Offset
    how: str
    at: Region
    exceptions: tuple[Days | str, ...] = ()
    since: date = date.min
    until: date = date.max
    keeps_documents_of: tuple[str, ...] = ()

    @property
    def region(self) -> str:
        """The region whom it concerns."""
        return self.at.name

    def occurrences(self, start: datetime, end: datetime) -> Iterator[Occurrence]:
        """Those that overlap [start, end). Raises NoBusinessDayError."""
        if not self.rules:
            days: Iterator[tuple[str, Anchor]] = iter(())
            if day := self.begins.day:
                days = iter([(self.how, Anchor(day, day, day.isoformat()))])
        else:
            days = self._anchors(local_day(start, self.at.zone), local_day(end, self.at.zone))
        for text, anchor in days:
            found = window(
                anchor.day,
                (self._shift(anchor.day, self.begins), self._minutes(self.begins, MIDNIGHT)),
                (self._shift(anchor.day, self.ends), self._minutes(self.ends, END_OF_DAY)),
                self.at.zone,
            )
            if found and found.start < end and start < found.end:
                yield Occurrence(
                    event=self.name,
                    title=self.title,
                    kinds=self.kinds,
                    region=self.at.name,
                    anchor=anchor.day,
                    period=anchor.label,
                    start=found.start,
                    end=found.end,
                    zone=self.at.zone,
                    why=self._why(text, anchor),
                    keeps_documents_of=tuple(self._kept(anchor.day)),
                )

    def _anchors(self, first: date, last: date) -> Iterator[tuple[str, Anchor]]:
        # Shifting keeps the order of days: what overlaps the range is anchored in the range shifted back. Wider by a
        # business day, because shifting closed days is not undone by shifting back, and by the night over midnight.
        first = max(self.since, self._unshifted(first, self.ends, -1) - 2 * DAY)
        last = min(self.until, self._unshifted(last, self.begins, 1) + 2 * DAY)
        seen: set[date] = set()
        if last < first:
            return
        for text, rule in self.rules:
            for anchor in anchors(rule, first, last, self.at.business_days, self.at.fiscal):
                if anchor.day not in seen and not self._excepted(anchor):
                    seen.add(anchor.day)
                    yield text, anchor

    def _excepted(self, anchor: Anchor) -> bool:
        return any(
            anchor.label == exception or anchor.label.startswith((f"{exception}-", f"{exception} "))
            if isinstance(exception, str)
            else anchor.day in exception or anchor.unrolled in exception
            for exception in self.exceptions
        )

    def _shift(self, anchor: date, offset: Offset) -> date:
        if offset.day:
            return offset.day
        if offset.business:
            return self.at.business_days.add(anchor, offset.amount)
        return anchor + timedelta(days=offset.amount)

    def _unshifted(self, day: date, offset: Offset, wider: int) -> date:
        if not offset.business:
            return day - timedelta(days=offset.amount)
        business_days = self.at.business_days
        return business_days.add(business_days.add(day, -offset.amount), wider)

    def _minutes(self, offset: Offset, default: int) -> int:
        return default if offset.minutes is None else offset.minutes

    def _why(self, text: str, anchor: Anchor) -> str:
        if not self.rules:
            return self.how
        rolled = ""
        if anchor.unrolled != anchor.day:
            rolled = f" ({anchor.unrolled}: {self.at.business_days.closed_because(anchor.unrolled)})"
        return f"{text}: {anchor.day}{rolled}; {self.how}"

    def _kept(self, anchor: date) -> Iterator[int]:
        for year in self.keeps_documents_of:
            if year.isdigit():
                yield int(year)
            else:
                yield self.at.fiscal.name_of(anchor) - (1 if year.startswith("previous") else 0)
