"""Calendars that somebody else keeps, as iCalendar (RFC 5545) text; recurring events included."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol, cast

from shared.finance_calendar.declaration import Kind
from shared.finance_calendar.occurrences import Occurrence, Region
from shared.finance_calendar.windows import instant, local_day

if TYPE_CHECKING:
    from icalendar import Event

# A calendar for people is far below these; a feed must not be able to exhaust us.
_LARGEST_FEED = 5 * 1024 * 1024
_MOST_PER_DAY = 24


class Feed(Protocol):
    """A feed that was read."""

    def between(self, start: date, stop: date, /) -> "Iterable[Event]":
        """The events, recurrences included, that overlap the range."""
        ...


class FeedError(Exception):
    """A feed that cannot be used. The message names the subscription and the remedy."""


def parse_feed(name: str, content: bytes) -> Feed:
    """Read the content of a subscription. Raises FeedError, so that a broken feed never means "nothing is on"."""
    import recurring_ical_events  # pyright: ignore[reportMissingTypeStubs]
    from icalendar import Calendar

    if len(content) > _LARGEST_FEED:
        raise FeedError(f"subscription {name}: the feed has {len(content)} bytes, more than {_LARGEST_FEED}")
    try:
        calendar = Calendar.from_ical(content)
        for event in cast("list[Event]", calendar.walk("VEVENT")):  # pyright: ignore[reportUnknownMemberType]
            _check(event)
        feed = cast(Feed, recurring_ical_events.of(calendar))
        # What is wrong with a recurrence only shows when it is asked for.
        feed.between(date(2026, 1, 1), date(2026, 1, 2))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise FeedError(
            f"subscription {name}: not a usable iCalendar file ({error}); export it again, or correct the event"
        ) from error
    return feed


def _check(event: "Event") -> None:
    if event.end < event.start:
        raise ValueError(f'event "{event.get("SUMMARY", "")}" ends before it begins')
    rules = cast(object, event.get("RRULE"))
    for rule in cast(list[object], rules) if isinstance(rules, list) else [rules]:
        if not isinstance(rule, Mapping):
            continue
        parts = cast(Mapping[str, list[Any]], rule)
        often = str(parts.get("FREQ", [""])[0]).upper() in ("SECONDLY", "MINUTELY", "HOURLY")
        times = 1
        for part in ("BYHOUR", "BYMINUTE", "BYSECOND"):
            times *= len(parts.get(part, [])) or 1
        if often or times > _MOST_PER_DAY:
            raise ValueError(f'event "{event.get("SUMMARY", "")}" recurs more than {_MOST_PER_DAY} times a day')


@dataclass(frozen=True)
class SubscribedFeed:
    """The events of a feed in one region. `kinds_by_category` has case-folded names."""

    name: str
    feed: Feed
    kinds_by_category: Mapping[str, frozenset[Kind]]
    at: Region

    @property
    def kinds(self) -> frozenset[Kind]:
        """All kinds that some category has."""
        return frozenset[Kind]().union(*self.kinds_by_category.values())

    @property
    def region(self) -> str:
        """The region whom the feed concerns."""
        return self.at.name

    def occurrences(self, start: datetime, end: datetime) -> Iterator[Occurrence]:
        """Those that overlap [start, end); cancelled ones and those of other categories are left out.

        Raises FeedError for what only shows when that range is expanded.
        """
        # Times without zone are compared by the library as if in UTC: ask for more, and compare here.
        around = timedelta(days=2)
        try:
            events = list(self.feed.between(start - around, end + around))
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise FeedError(f"subscription {self.name}: an event cannot be expanded ({error}); correct it") from error
        for event in events:
            categories = [str(category) for category in cast(list[object], event.categories)]
            kinds = frozenset[Kind]().union(*(self._kinds_of(category) for category in categories))
            begins, ends = self._instant(event.start), self._instant(event.end)
            if not kinds or str(event.get("STATUS", "")).upper() == "CANCELLED":
                continue
            if begins < ends and begins < end and start < ends:
                day = local_day(begins, self.at.zone)
                named = [category for category in categories if self._kinds_of(category)]
                yield Occurrence(
                    event=self.name,
                    title=str(event.get("SUMMARY", "")),
                    kinds=kinds,
                    region=self.at.name,
                    anchor=day,
                    period=day.isoformat(),
                    start=begins,
                    end=ends,
                    zone=self.at.zone,
                    why=f"subscription {self.name}, category {', '.join(named)}",
                    feed=True,
                )

    def _kinds_of(self, category: str) -> frozenset[Kind]:
        return self.kinds_by_category.get(category.casefold(), frozenset())

    def _instant(self, at: datetime | date) -> datetime:
        if not isinstance(at, datetime):
            return instant(at, 0, self.at.zone)
        if at.tzinfo is not None:
            return at.astimezone(UTC)
        whole = instant(at.date(), at.hour * 60 + at.minute, self.at.zone)
        return whole + timedelta(seconds=at.second)
