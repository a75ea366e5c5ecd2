"""How fast the finance calendar answers, against expanding everything for each question, measured in the same run.

Run: python -m bench.finance_calendar [--smoke]
"""

import argparse
import random
import statistics
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import holidays

from shared.finance_calendar.business_days import BusinessDayCalendar
from shared.finance_calendar.calendar import FinanceCalendar
from shared.finance_calendar.compilation import compile_calendar
from shared.finance_calendar.declaration import CalendarDeclaration
from shared.finance_calendar.occurrences import EventSource, Occurrence

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
NINETY_DAYS = timedelta(days=90)
TENANTS = {
    "austria": ("AT", "Europe/Vienna"),
    "bavaria": ("DE-BY", "Europe/Berlin"),
    "hesse": ("DE-HE", "Europe/Berlin"),
    "england": ("GB-ENG", "Europe/London"),
    "scotland": ("GB-SCT", "Europe/London"),
    "new-york": ("FED", "America/New_York"),
    "california": ("US-CA", "America/Los_Angeles"),
    "maharashtra": ("IN-MH", "Asia/Kolkata"),
    "emirates": ("AE", "Asia/Dubai"),
    "morocco": ("MA", "Africa/Casablanca"),
    "australia": ("AU-NSW", "Australia/Sydney"),
    "japan": ("JP", "Asia/Tokyo"),
}
LOCAL_EVENTS = {
    "month-end": ("last business day of month", "-2 business days 06:00", "+3 business days 20:00"),
    "payroll": ("25th, or the business day before", "-1 business day 18:00", "12:00"),
    "vat-return": ("10th of month, modified following", "00:00", "23:59"),
    "quarter-end": ("last business day of quarter", "-3 business days", "+5 business days"),
    "year-end": ("last business day of fiscal year", "-5 business days", "+10 business days"),
    "procurement": ("every second Friday from 2026-01-09", "12:00", "+1 day 12:00"),
    "intercompany": ("third Wednesday of month", "08:00", "18:00"),
    "batch": ("every business day", "22:00", "+1 day 04:00"),
}


def declaration() -> CalendarDeclaration:
    """A group of twelve tenants with eight events each, and four that concern everybody."""
    regions = {name: {"holidays": source, "time_zone": zone} for name, (source, zone) in TENANTS.items()}
    events: dict[str, object] = {
        name: {"when": when, "from": begins, "to": ends, "kinds": ["peak", "tighten"], "region": list(TENANTS)}
        for name, (when, begins, ends) in LOCAL_EVENTS.items()
    }
    for name in ("fiscal month", "fiscal quarter", "fiscal year"):
        events[f"group-{name.split()[1]}-end"] = {
            "when": f"last business day of {name}",
            "from": "-2 business days",
            "to": "+4 business days",
            "kinds": ["freeze"],
        }
    events["audit"] = {"from": "2027-02-01", "to": "2027-03-15", "keeps_documents_of": 2026}
    return CalendarDeclaration.model_validate(
        {
            "time_zone": "Europe/Berlin",
            "business_days": {"holidays": "DE-BY"},
            "fiscal_year": {"pattern": "4-4-5", "ends": "Saturday nearest the end of December"},
            "regions": regions,
            "events": events,
        }
    )


def seconds(ask: Callable[[], object], times: int) -> float:
    """The median of so many runs, in CPU time: nothing waits here, and other work on the machine does not count."""
    runs: list[float] = []
    for _ in range(times):
        start = time.process_time()
        ask()
        runs.append(time.process_time() - start)
    return statistics.median(runs)


def expanded(sources: tuple[EventSource, ...], start: datetime, end: datetime) -> list[Occurrence]:
    """The baseline: every event is expanded for the question, nothing is kept."""
    return sorted((each for source in sources for each in source.occurrences(start, end)), key=lambda each: each.start)


def stepped(day: date, count: int, rest: holidays.HolidayBase) -> date:
    """The baseline: one day at a time, each looked up in the `holidays` library."""
    while count:
        day += timedelta(days=1)
        count -= day.weekday() < 5 and day not in rest
    return day


def row(what: str, ours: float, baseline: float, name: str, bound: float | None = None) -> bool:
    kept = bound is None or ours < bound
    limit = f", bound {bound * 1000:g} ms {'kept' if kept else 'MISSED'}" if bound else ""
    print(f"{what}: {ours * 1000:.4f} ms; {name}: {baseline * 1000:.3f} ms; {baseline / ours:.0f} times faster{limit}")
    return kept


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="few repetitions, and bounds are only reported")
    smoke = parser.parse_args().smoke
    times = 3 if smoke else 40
    declared = declaration()
    start = time.process_time()
    compile_calendar(declared).in_force(NOW)
    print(f"first answer of a process, holidays computed: {(time.process_time() - start) * 1000:.1f} ms")

    calendar = compile_calendar(declared)
    sources: tuple[EventSource, ...] = calendar._sources
    print(f"{len(TENANTS)} tenants, {len(sources)} events")
    chance = random.Random(1)
    instants = [NOW + timedelta(minutes=chance.randint(0, 90 * 1440)) for _ in range(1000)]
    calendar.events_between(NOW, NOW + NINETY_DAYS)
    for at in instants:
        calendar.in_force(at)
    kept = [
        row(
            "in force now, warm",
            seconds(lambda: [calendar.in_force(at) for at in instants], times) / len(instants),
            seconds(lambda: expanded(sources, NOW, NOW + timedelta(microseconds=1)), times),
            "expanding every event",
            bound=0.001,
        ),
        row(
            "90 days of events, fresh calendar",
            seconds(lambda: compile_calendar(declared).events_between(NOW, NOW + NINETY_DAYS), times),
            seconds(lambda: [expanded(sources, NOW + day, NOW + day + DAY) for day in DAYS], max(2, times // 10)),
            "expanding every event for each day",
            bound=0.050,
        ),
        row(
            "90 days of events of each tenant, warm",
            seconds(lambda: [_of_tenant(calendar, name) for name in TENANTS], times),
            seconds(lambda: expanded(sources, NOW, NOW + NINETY_DAYS), times),
            "expanding every event",
            bound=0.050,
        ),
    ]
    bavaria, rest = BusinessDayCalendar(["DE-BY"]), holidays.country_holidays("DE", subdiv="BY")
    today = NOW.date()
    row(
        "250 business days on",
        seconds(lambda: [bavaria.add(today, 250) for _ in range(100)], times) / 100,
        seconds(lambda: stepped(today, 250, rest), times),
        "day by day with `holidays`",
    )
    return 0 if smoke or all(kept) else 1


DAY = timedelta(days=1)
DAYS = [day * DAY for day in range(90)]


def _of_tenant(calendar: FinanceCalendar, name: str) -> list[Occurrence]:
    return calendar.for_region(name).events_between(NOW, NOW + NINETY_DAYS)


if __name__ == "__main__":
    raise SystemExit(main())
