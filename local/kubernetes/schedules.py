"""Cron expressions as CronJobs have them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_LOOK_BACK = timedelta(days=31)
_NAMES = {
    3: ["", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    4: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
}


class ScheduleError(ValueError):
    """`field` is the field of the CronJob that cannot be read."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Schedule:
    """The minutes at which a CronJob is due."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool
    """Both day of month and day of week are restricted: one of them suffices."""
    zone: tzinfo

    @classmethod
    def parse(cls, expression: str, zone: str | None = None) -> "Schedule":
        """Raises ScheduleError."""
        try:
            place = ZoneInfo(zone) if zone else UTC
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ScheduleError("timeZone", f"unknown time zone {zone}") from error
        parts = _MACROS.get(expression, expression).split()
        if len(parts) != 5:
            raise ScheduleError("schedule", f"expected exactly 5 fields, found {len(parts)}: [{expression}]")
        try:
            sets = [_values(part, index) for index, part in enumerate(parts)]
        except ValueError as error:
            raise ScheduleError("schedule", f"failed to parse: {error}") from error
        weekdays = frozenset(day % 7 for day in sets[4])
        restricted = not parts[2].startswith(("*", "?")) and not parts[4].startswith(("*", "?"))
        return cls(sets[0], sets[1], sets[2], sets[3], weekdays, restricted, place)

    def due(self, instant: datetime) -> bool:
        local = instant.astimezone(self.zone)
        if local.minute not in self.minutes or local.hour not in self.hours or local.month not in self.months:
            return False
        day, weekday = local.day in self.days, local.isoweekday() % 7 in self.weekdays
        return day or weekday if self.either_day else day and weekday

    def between(self, after: datetime, until: datetime, most: int = 100) -> list[datetime]:
        """The due minutes in (after, until], the first `most` of them; those of the last month only."""
        found: list[datetime] = []
        start = max(after, until - _LOOK_BACK)
        instant = start.replace(second=0, microsecond=0) + timedelta(minutes=1)
        while instant <= until and len(found) < most:
            if self.due(instant):
                found.append(instant)
            instant += timedelta(minutes=1)
        return found

    def next_after(self, instant: datetime) -> datetime:
        """The next due minute, or the same time tomorrow when that is later."""
        found = self.between(instant, instant + timedelta(days=1), 1)
        return found[0] if found else instant + timedelta(days=1)


def _values(text: str, index: int) -> frozenset[int]:
    low, high = _RANGES[index]
    values: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        if span in ("*", "?"):
            start, end = low, 6 if index == 4 else high
        elif "-" in span:
            first, _, last = span.partition("-")
            start, end = _number(first, index), _number(last, index)
        else:
            start = _number(span, index)
            end = high if step else start
        if not low <= start <= end <= high or (step and int(step) < 1):
            raise ValueError(f"{part} is out of range")
        values.update(range(start, end + 1, int(step or 1)))
    return frozenset(values)


def _number(text: str, index: int) -> int:
    names = _NAMES.get(index, [])
    return names.index(text.lower()) if text.lower() in names and text else int(text)
