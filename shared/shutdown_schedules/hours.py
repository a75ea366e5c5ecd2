"""When a schedule wants what it covers awake, and why: half-open stretches of UTC. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from shared.finance_calendar.declaration import DEFAULT_REGION
from shared.finance_calendar.offsets import END_OF_DAY
from shared.finance_calendar.windows import DAY, WeeklyWindows, instant, local_day

if TYPE_CHECKING:  # whoever has an estate has loaded its models
    from shared.estate.estate import Estate
    from shared.finance_calendar.calendar import FinanceCalendar

_EVENTS_AHEAD = 12 * DAY
"""An event's stretch begins a business day before it, which holidays can move so far at most."""


class Because(StrEnum):
    """Why something is to be awake."""

    HOURS = "working-hours"
    TEAM = "team-hours"
    EXCEPTION = "exception"
    EVENT = "calendar-event"
    KEEP_AWAKE = "keep-awake"
    WAKE_AHEAD = "wake-ahead"


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason to be awake in [start, end), in words."""

    start: datetime
    end: datetime
    because: Because
    sentence: str


@dataclass(frozen=True, slots=True)
class Stretch:
    """[start, end) without a gap; `causes` by start."""

    start: datetime
    end: datetime
    causes: tuple[Cause, ...]

    def __contains__(self, at: datetime) -> bool:
        return self.start <= at < self.end

    def causes_at(self, at: datetime) -> tuple[Cause, ...]:
        """The causes that hold at the instant."""
        return tuple(cause for cause in self.causes if cause.start <= at < cause.end)


def joined(causes: Iterable[Cause]) -> list[Stretch]:
    """The stretches of these causes: overlapping and touching ones are one, so that nobody sleeps for no time."""
    stretches: list[Stretch] = []
    for cause in sorted(causes, key=lambda each: (each.start, each.end, each.sentence)):
        if cause.start >= cause.end:
            continue
        if stretches and cause.start <= stretches[-1].end:
            last = stretches[-1]
            stretches[-1] = replace(last, end=max(last.end, cause.end), causes=(*last.causes, cause))
        else:
            stretches.append(Stretch(cause.start, cause.end, (cause,)))
    return stretches


class Hours:
    """The hours of one declared schedule, with the holidays and events of the calendar."""

    def __init__(self, estate: "Estate", name: str, calendar: "FinanceCalendar") -> None:
        self.schedule = estate.shutdown_schedules[name]
        covers = self.schedule.covers
        environment = estate.environments[covers.environment]
        self.zone = ZoneInfo(estate.time_zone_of(covers.environment))
        self._region = environment.region or DEFAULT_REGION
        self._calendar = calendar
        self._view = calendar.for_region(environment.region) if environment.region else calendar
        self._of_days = lru_cache(maxsize=64)(self._of_days_uncached)

    def causes(self, start: datetime, end: datetime) -> Sequence[Cause]:
        """What wants it awake in [start, end), unsorted."""
        days = self._of_days(local_day(start, self.zone), local_day(end, self.zone))
        return [cause for cause in days if cause.start < end and start < cause.end]

    def rests_because(self, at: datetime) -> str:
        """Why nobody works at that instant: the exception, the holiday, the weekend, or the hour."""
        day = local_day(at, self.zone)
        if day in self.schedule.exceptions:
            return f"{day} is declared to be {self.schedule.exceptions[day]}"
        if not self.schedule.awake and not self.schedule.teams:
            return "it sleeps until it is woken on request"
        closed = self._calendar.closed_because(day, self._region)
        if closed and closed != "weekend" and self.schedule.holidays == "asleep":
            return f"{day} is closed: {closed}"
        return "weekend, outside the working hours" if closed == "weekend" else "outside the working hours"

    def _of_days_uncached(self, first: date, last: date) -> tuple[Cause, ...]:
        start, end = instant(first, 0, self.zone), instant(last, END_OF_DAY, self.zone)
        found = [*self._hours(start, end), *self._exceptions(first, last), *self._events(start, end)]
        return tuple(sorted(found, key=lambda cause: cause.start))

    def _hours(self, start: datetime, end: datetime) -> Iterator[Cause]:
        schedule = self.schedule
        if schedule.awake:
            yield from self._windows(
                schedule.awake,
                self.zone,
                self._region,
                start,
                end,
                Because.HOURS,
                f"working hours {schedule.awake.text}",
            )
        for name, team in schedule.teams.items():
            zone = ZoneInfo(team.time_zone) if team.time_zone else self.zone
            words = f"team {name} works {team.awake.text} {zone.key}"
            yield from self._windows(team.awake, zone, team.region or self._region, start, end, Because.TEAM, words)

    def _windows(
        self,
        windows: WeeklyWindows,
        zone: ZoneInfo,
        region: str,
        start: datetime,
        end: datetime,
        because: Because,
        words: str,
    ) -> Iterator[Cause]:
        from shared.estate.policies.shutdown_schedules import DayException

        def works(day: date) -> bool:
            if self.schedule.exceptions.get(day) is DayException.ASLEEP:
                return False
            closed = self._calendar.closed_because(day, region)
            return self.schedule.holidays != "asleep" or closed in (None, "weekend")

        for window in windows.windows(start, end, zone, works):
            yield Cause(window.start, window.end, because, words)

    def _exceptions(self, first: date, last: date) -> Iterator[Cause]:
        from shared.estate.policies.shutdown_schedules import DayException

        for day, said in self.schedule.exceptions.items():
            if said is DayException.AWAKE and first <= day <= last:
                start, end = instant(day, 0, self.zone), instant(day, END_OF_DAY, self.zone)
                yield Cause(start, end, Because.EXCEPTION, f"{day} is declared to be awake")

    def _events(self, start: datetime, end: datetime) -> Iterator[Cause]:
        if not self.schedule.needed_for:
            return
        for event in self._view.events_between(start, end + _EVENTS_AHEAD):
            if event.event in self.schedule.needed_for:
                begins = self._business_day_before(event.start)
                words = f"needed for {event.event} {event.period}, from a business day before"
                yield Cause(begins, event.end, Because.EVENT, words)

    def _business_day_before(self, at: datetime) -> datetime:
        local = at.astimezone(self.zone)
        day = self._calendar.add_business_days(local.date(), -1, self._region)
        return min(at - timedelta(microseconds=1), instant(day, local.hour * 60 + local.minute, self.zone))
