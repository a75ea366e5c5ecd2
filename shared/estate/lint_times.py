"""Advice that needs the finance calendar: what is planned when something else is on."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from shared.estate.estate import Estate
from shared.estate.policies.shutdown_schedules import DayException, Schedule
from shared.estate.problems import Path
from shared.finance_calendar.calendar import FinanceCalendar
from shared.finance_calendar.declaration import DEFAULT_REGION, Kind
from shared.finance_calendar.occurrences import Occurrence
from shared.finance_calendar.windows import WeeklyWindows, instant

AHEAD = timedelta(days=400)
# How long before a peak its PostgreSQL servers may be scaled already.
EARLIEST = timedelta(days=14)

type Span = tuple[datetime, datetime]
type Advised = tuple[Path, str, str]


def sleep_in_peaks(estate: Estate, calendar: FinanceCalendar, now: datetime) -> Iterator[Advised]:
    """Schedules that put to sleep, during a peak, what the peak needs capacity in."""
    for name, schedule in estate.shutdown_schedules.items():
        environment = schedule.covers.environment
        scaling = estate.peak_scaling.get(environment)
        for event in scaling.peaks if scaling else ():
            if event in schedule.needed_for:
                continue
            for occurrence in _occurrences(estate, calendar, environment, event, now):
                if asleep := _asleep(estate, calendar, schedule, occurrence.start, occurrence.end):
                    zone = ZoneInfo(estate.time_zone_of(environment))
                    yield (
                        ("shutdown_schedules", name),
                        f"sleeps from {asleep.astimezone(zone):%Y-%m-%d %H:%M}, in the peak `{event}`",
                        f"add `{event}` to `needed_for`",
                    )
                    break


def unready_postgres(estate: Estate, calendar: FinanceCalendar, now: datetime) -> Iterator[Advised]:
    """Peaks whose PostgreSQL servers can only be scaled inside a freeze."""
    for environment, scaling in estate.peak_scaling.items():
        view = _view(estate, calendar, environment)
        zone = ZoneInfo(estate.time_zone_of(environment))
        for event, peak in scaling.peaks.items():
            if not any(target.sku for target in peak.postgres.values()):
                continue
            for occurrence in _occurrences(estate, calendar, environment, event, now):
                ready = occurrence.start - peak.ready_before
                first = ready - EARLIEST
                spans = _spans(peak.postgres_within, first, ready, zone) if peak.postgres_within else [(first, ready)]
                frozen = [
                    (each.start, each.end) for each in view.events_between(first, ready) if Kind.FREEZE in each.kinds
                ]
                if not any(end <= ready and not _overlaps(start, end, frozen) for start, end in spans) and not (
                    peak.postgres_within is None and _gap(first, ready, frozen)
                ):
                    path: Path = ("peak_scaling", environment, "peaks", event)
                    yield (
                        (*path, "postgres_within") if peak.postgres_within else path,
                        f"PostgreSQL could be scaled for {occurrence.anchor} only inside a freeze",
                        "choose a window that comes before the freeze, or have it ready earlier by `ready_before`",
                    )
                    break


def _view(estate: Estate, calendar: FinanceCalendar, environment: str) -> FinanceCalendar:
    region = estate.environments[environment].region
    return calendar.for_region(region) if region else calendar


def _occurrences(
    estate: Estate, calendar: FinanceCalendar, environment: str, event: str, now: datetime
) -> Iterator[Occurrence]:
    for occurrence in _view(estate, calendar, environment).events_between(now, now + AHEAD):
        if occurrence.event == event and occurrence.start > now:
            yield occurrence


def _asleep(
    estate: Estate, calendar: FinanceCalendar, schedule: Schedule, start: datetime, end: datetime
) -> datetime | None:
    """The first instant of [start, end) at which the schedule has nothing awake."""
    environment = estate.environments[schedule.covers.environment]
    zone = ZoneInfo(estate.time_zone_of(schedule.covers.environment))
    hours = [(schedule.awake, zone, environment.region or DEFAULT_REGION)] if schedule.awake else []
    for team in schedule.teams.values():
        own_zone = ZoneInfo(team.time_zone) if team.time_zone else zone
        hours.append((team.awake, own_zone, team.region or environment.region or DEFAULT_REGION))
    awake: list[Span] = []
    for windows, own_zone, region in hours:

        def works(day: date, region: str = region) -> bool:
            said = schedule.exceptions.get(day)
            rests = schedule.holidays == "asleep" and calendar.closed_because(day, region) not in (None, "weekend")
            return said is not DayException.ASLEEP and not rests

        awake += [(window.start, window.end) for window in windows.windows(start, end, own_zone, works)]
    for day, said in schedule.exceptions.items():
        if said is DayException.AWAKE:
            awake.append((instant(day, 0, zone), instant(day, 24 * 60, zone)))
    return _gap(start, end, awake)


def _spans(windows: WeeklyWindows, start: datetime, end: datetime, zone: ZoneInfo) -> list[Span]:
    return [(each.start, each.end) for each in windows.windows(start, end, zone) if each.start >= start]


def _overlaps(start: datetime, end: datetime, spans: list[Span]) -> bool:
    return any(start < other_end and other_start < end for other_start, other_end in spans)


def _gap(start: datetime, end: datetime, spans: list[Span]) -> datetime | None:
    """The first instant of [start, end) that no span covers."""
    for begins, ends in sorted(spans):
        if begins > start:
            break
        start = max(start, ends)
    return start if start < end else None
