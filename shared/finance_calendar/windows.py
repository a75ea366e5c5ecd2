"""Windows of local time as half-open intervals [start, end) of UTC, owned by the day on which they start.

Local time becomes an instant by one rule that keeps the order of local times: a time that a clock change skips is
the instant of the change, a time that happens twice is the first one. So a daily window has exactly one start and one
end, never overlaps itself, and windows that touch on the clock touch in time. A window that lies wholly in skipped
time does not happen.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from shared.finance_calendar.offsets import END_OF_DAY, minutes_of
from shared.finance_calendar.sentences import WEEKDAYS, SentenceError, Words

DAY = timedelta(days=1)
EXAMPLES = ("Mon-Fri 07:00-20:00", "20:00-08:00", "Fri 18:00-Mon 06:00")
_DAYS = [name[:3] for name in WEEKDAYS]
_WEEK = 7 * END_OF_DAY


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """[start, end) in UTC; `day` is the local day that owns it."""

    start: datetime
    end: datetime
    day: date

    def __contains__(self, at: datetime) -> bool:
        return self.start <= at < self.end


@lru_cache(maxsize=65536)
def instant(day: date, minutes: int, zone: ZoneInfo) -> datetime:
    """The instant, in UTC, of so many minutes of the clock after the day's midnight (1440: the next midnight)."""
    extra, minutes = divmod(minutes, END_OF_DAY)
    local = datetime.combine(day + extra * DAY, time(minutes // 60, minutes % 60), zone)
    utc = local.astimezone(UTC)
    back = utc.astimezone(zone)
    return utc if back.replace(tzinfo=None) == local.replace(tzinfo=None) else _clock_change(local, zone)


def local_day(at: datetime, zone: ZoneInfo) -> date:
    """The day that the zone's calendar shows at an instant."""
    return at.astimezone(zone).date()


def window(day: date, starts: tuple[date, int], ends: tuple[date, int], zone: ZoneInfo) -> Window | None:
    """The window between two local times (day and minutes), owned by `day`; None when no time passes between them."""
    start, end = instant(*starts, zone), instant(*ends, zone)
    return Window(start, end, day) if start < end else None


def _clock_change(skipped: datetime, zone: ZoneInfo) -> datetime:
    """The instant at which the clock jumped over a local time, to the second."""
    # PEP 495: in a gap, fold 0 reckons with the offset before the change and fold 1 with the one after.
    after, before = skipped.astimezone(UTC), skipped.replace(fold=1).astimezone(UTC)
    old = before.astimezone(zone).utcoffset()
    low, high = 0, int((after - before).total_seconds())
    while high - low > 1:
        middle = (low + high) // 2
        if (before + timedelta(seconds=middle)).astimezone(zone).utcoffset() == old:
            low = middle
        else:
            high = middle
    return before + timedelta(seconds=high)


@dataclass(frozen=True, slots=True)
class _Weekly:
    """From `start` to `end`, in minutes since Monday's midnight; `end` may lie beyond the week."""

    start: int
    end: int


@dataclass(frozen=True)
class WeeklyWindows:
    """Working hours and the like: "Mon-Fri 07:00-20:00, Sat 09:00-12:00", "20:00-08:00", "Fri 18:00-Mon 06:00".

    An end that is not after its start is on the next day (overnight). "Mon-Fri" alone is those whole days.
    """

    text: str
    _entries: tuple[_Weekly, ...]

    def windows(
        self, start: datetime, end: datetime, zone: ZoneInfo, on: Callable[[date], bool] | None = None
    ) -> Iterator[Window]:
        """The windows that overlap [start, end), in order. `on` can leave out windows by the day that owns them."""
        day = local_day(start, zone) - 8 * DAY
        last = local_day(end, zone)
        while day <= last:
            if on is None or on(day):
                for entry in self._entries:
                    if entry.start // END_OF_DAY == day.weekday():
                        found = window(
                            day,
                            (day, entry.start % END_OF_DAY),
                            (day, entry.start % END_OF_DAY + entry.end - entry.start),
                            zone,
                        )
                        if found and found.start < end and found.end > start:
                            yield found
            day += DAY

    def at(self, at: datetime, zone: ZoneInfo, on: Callable[[date], bool] | None = None) -> Window | None:
        """The window that contains the instant, or None."""
        return next((each for each in self.windows(at, at + timedelta(microseconds=1), zone, on)), None)


@lru_cache(maxsize=4096)
def parse_weekly(text: str) -> WeeklyWindows:
    """Understand weekly windows. Raises SentenceError, also when two of them overlap."""
    words = Words(text, EXAMPLES)
    entries: list[_Weekly] = []
    while True:
        entries.extend(_entry(words))
        if not words.accept(","):
            break
    words.end(",")
    entries.sort(key=lambda entry: entry.start)
    for one, other in zip(entries, [*entries[1:], _Weekly(entries[0].start + _WEEK, 0)], strict=True):
        if one.end > other.start:
            day = WEEKDAYS[other.start // END_OF_DAY % 7].title()
            raise SentenceError(f'"{words.text}": two windows overlap on {day}; make them one, or let them touch')
    return WeeklyWindows(words.text, tuple(entries))


def _entry(words: Words) -> Iterator[_Weekly]:
    first = _weekday(words)
    if first is not None and ":" in words.peek():
        start = _time(words)
        words.expect("-")
        last = _weekday(words)
        end = _time(words)
        days = 0 if last is None else (last - first) % 7
        yield _from_to(first, start, days * END_OF_DAY + end, 1 if last is None else 7)
        return
    days = range(7)
    if first is not None:
        last = first
        if words.accept("-"):
            last = _weekday(words)
            if last is None:
                words.fail(_DAYS)
        days = range(first, first + (last - first) % 7 + 1)
        if words.peek() in ("", ","):
            yield from (_from_to(day % 7, 0, END_OF_DAY, 1) for day in days)
            return
    start = _time(words)
    words.expect("-")
    end = _time(words)
    yield from (_from_to(day % 7, start, end, 1) for day in days)


def _from_to(weekday: int, start: int, end: int, wraps_after_days: int) -> _Weekly:
    begins = weekday * END_OF_DAY
    return _Weekly(begins + start, begins + (end if end > start else end + wraps_after_days * END_OF_DAY))


def _weekday(words: Words) -> int | None:
    found = words.accept(*WEEKDAYS, *_DAYS)
    return None if found is None else _DAYS.index(found[:3])


def _time(words: Words) -> int:
    found = words.match(r"\d{1,2}:\d{2}") or words.fail(["a time such as 07:00"], near=_DAYS)
    return minutes_of(found.group())
