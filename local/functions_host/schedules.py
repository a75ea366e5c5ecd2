"""Timer schedules: six-field NCRONTAB expressions and time spans. All instants are UTC."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

_MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_TIME_SPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,7}))?)?")


class ScheduleError(ValueError):
    """An expression that is neither NCRONTAB nor a time span."""


class Schedule(Protocol):
    """When a timer is due."""

    adjust_for_dst: bool

    def next_after(self, instant: datetime) -> datetime:
        """The first occurrence after the instant, not at it."""
        ...


def parse_schedule(expression: str) -> Schedule:
    """Read an expression as the timer extension does: NCRONTAB first, else a time span. Raises ScheduleError."""
    if len(expression.split()) > 1:
        return CronSchedule.parse(expression)
    try:
        return ConstantSchedule(parse_time_span(expression))
    except ValueError:
        raise _not_recognized(expression) from None


def parse_time_span(text: str) -> timedelta:
    """Read [days.]hours:minutes[:seconds[.fraction]]. Raises ValueError."""
    match = _TIME_SPAN.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a time span; write hh:mm:ss")
    days, hours, minutes, seconds, fraction = match.groups()
    if int(hours) > 23 or int(minutes) > 59 or int(seconds or 0) > 59:
        raise ValueError(f"{text!r} is not a time span; hours go to 23, write 1.00:00:00 for a day")
    return timedelta(
        days=int(days or 0),
        hours=int(hours),
        minutes=int(minutes),
        seconds=int(seconds or 0),
        microseconds=int((fraction or "").ljust(7, "0")[:6] or 0),
    )


@dataclass(frozen=True)
class ConstantSchedule:
    """Every `interval`, counted from the last run."""

    interval: timedelta
    adjust_for_dst = False

    def next_after(self, instant: datetime) -> datetime:
        return instant + self.interval


@dataclass(frozen=True)
class CronSchedule:
    """{second} {minute} {hour} {day} {month} {day-of-week}; day and day-of-week must both match, as in NCrontab."""

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    week_days: frozenset[int]
    adjust_for_dst = True

    @classmethod
    def parse(cls, expression: str) -> "CronSchedule":
        fields = expression.split()
        if len(fields) == 5:
            fields.insert(0, "0")  # the extension accepts the classic five, too
        if len(fields) != 6:
            raise _not_recognized(expression)
        try:
            seconds, minutes, hours, days, months, week_days = (
                _values(field, low, high, names)
                for field, (low, high, names) in zip(
                    fields,
                    ((0, 59, ()), (0, 59, ()), (0, 23, ()), (1, 31, ()), (1, 12, _MONTHS), (0, 6, _DAYS)),
                    strict=True,
                )
            )
        except ValueError:
            raise _not_recognized(expression) from None
        schedule = cls(tuple(sorted(seconds)), tuple(sorted(minutes)), tuple(sorted(hours)), days, months, week_days)
        if not any(schedule._is_day(datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=n)) for n in range(366 * 8)):
            raise ScheduleError(f"The schedule expression '{expression}' never occurs.")
        return schedule

    def next_after(self, instant: datetime) -> datetime:
        instant = instant.astimezone(UTC)
        start = instant.replace(microsecond=0) + timedelta(seconds=1)
        day = start.replace(hour=0, minute=0, second=0)
        while True:
            if self._is_day(day):
                for hour in self.hours:
                    if day.replace(hour=hour, minute=59, second=59) < start:
                        continue
                    for minute in self.minutes:
                        for second in self.seconds:
                            found = day.replace(hour=hour, minute=minute, second=second)
                            if found >= start:
                                return found
            day += timedelta(days=1)

    def _is_day(self, day: datetime) -> bool:
        return day.day in self.days and day.month in self.months and day.isoweekday() % 7 in self.week_days


def _not_recognized(expression: str) -> ScheduleError:
    return ScheduleError(
        f"The schedule expression '{expression}' was not recognized as a valid cron expression or timespan string."
    )


def _values(field: str, low: int, high: int, names: tuple[str, ...]) -> frozenset[int]:
    return frozenset(value for part in field.split(",") for value in _range(part, low, high, names))


def _range(part: str, low: int, high: int, names: tuple[str, ...]) -> range:
    span, slash, step = part.partition("/")
    if span == "*":
        first, last = low, high
    elif "-" in span:
        start, end = span.split("-")
        first, last = _number(start, low, high, names), _number(end, low, high, names)
        if first > last:  # NCrontab reads a range the other way round as the same range
            first, last = last, first
    else:
        first = _number(span, low, high, names)
        last = high if slash else first
    width = int(step) if slash else 1
    if width < 1:
        raise ValueError(part)
    return range(first, last + 1, width)


def _number(text: str, low: int, high: int, names: tuple[str, ...]) -> int:
    if names and not text.isdigit():
        return low + _index_of_name(text.lower(), names)
    if not text.isdigit() or not low <= int(text) <= high:
        raise ValueError(text)
    return int(text)


def _index_of_name(text: str, names: tuple[str, ...]) -> int:
    """Names count from their first three letters on: `jan` as well as `january`."""
    found = [index for index, name in enumerate(names) if len(text) >= 3 and name.startswith(text)]
    if len(found) != 1:
        raise ValueError(text)
    return found[0]
