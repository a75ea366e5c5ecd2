"""Every rule agrees with a slow, obvious reference over 50 years: each day is asked, by itself, whether it is named."""

from calendar import monthrange
from collections.abc import Callable
from datetime import date, timedelta
from functools import cache

import holidays
import pytest

from shared.finance_calendar.anchors import anchors
from shared.finance_calendar.business_days import BusinessDayCalendar
from shared.finance_calendar.days import parse_year_end
from shared.finance_calendar.periods import FiscalCalendar
from shared.finance_calendar.rules import parse_rule
from tests.finance_calendar import reference

FIRST, LAST = date(2000, 1, 1), date(2049, 12, 31)
AROUND = timedelta(days=60)
DAY = timedelta(days=1)
BAVARIA = BusinessDayCalendar(["DE-BY"])
RETAIL = FiscalCalendar((1, 1), (4, 4, 5), parse_year_end("Saturday nearest the end of January"))
HOLIDAYS = holidays.country_holidays("DE", subdiv="BY", years=range(1999, 2052))

Question = Callable[[date], bool]
ALL_DAYS = list(reference.days(FIRST - AROUND, LAST + AROUND))


@cache
def works(day: date) -> bool:
    return day.weekday() < 5 and day not in HOLIDAYS


def month(day: date) -> object:
    return day.year, day.month


def quarter(day: date) -> object:
    return day.year, (day.month + 2) // 3


def year(day: date) -> object:
    return day.year


@cache
def retail_year_end(name: int) -> date:
    """The Saturday among the seven days around 31 January."""
    around = [date(name, 1, 31) + offset * DAY for offset in range(-3, 4)]
    return next(day for day in around if day.strftime("%A") == "Saturday")


def retail_year(day: date) -> object:
    return next(name for name in range(day.year, day.year + 2) if day <= retail_year_end(name))


def retail_period(day: date) -> object:
    name = day.year if day <= retail_year_end(day.year) else day.year + 1
    start = retail_year_end(name - 1) + DAY
    lengths = [4, 4, 5] * 4
    for number, weeks in enumerate(lengths):
        end = start + timedelta(weeks=weeks)
        if day < end or number == 11:
            return name, number
        start = end
    raise AssertionError


def retail_quarter(day: date) -> object:
    name, number = retail_period(day)  # type: ignore[misc]
    return name, number // 3


def is_nth(of: Callable[[date], object], counts: Question, number: int) -> Question:
    """The `number`th day for which `counts`, in each group of days for which `of` is the same."""
    groups: dict[object, list[date]] = {}
    for day in reference.days(date(1998, 1, 1), date(2052, 12, 31)):
        if counts(day):
            groups.setdefault(of(day), []).append(day)
    index = number - 1 if number > 0 else number
    named = {days[index] for days in groups.values() if -len(days) <= index < len(days)}
    return named.__contains__


def every_day(_: date) -> bool:
    return True


def weekday(name: str) -> Question:
    return lambda day: day.strftime("%A") == name


def day_or_last(number: int) -> Question:
    return lambda day: day.day == min(number, monthrange(day.year, day.month)[1])


def rolled(named: Question, convention: str) -> Question:
    days = {reference.roll(day, convention, works) for day in ALL_DAYS if named(day)}
    return days.__contains__


def moved(named: Question, count: int) -> Question:
    days = {reference.moved(day, count, works) for day in ALL_DAYS if named(day)}
    return days.__contains__


RULES: dict[str, Callable[[], Question]] = {
    "first business day of month": lambda: is_nth(month, works, 1),
    "last business day of month": lambda: is_nth(month, works, -1),
    "second last business day of month": lambda: is_nth(month, works, -2),
    "12th business day of month": lambda: is_nth(month, works, 12),
    "23rd business day of month": lambda: is_nth(month, works, 23),
    "last business day of quarter": lambda: is_nth(quarter, works, -1),
    "fifth business day of quarter": lambda: is_nth(quarter, works, 5),
    "last business day of year": lambda: is_nth(year, works, -1),
    "100th day of year": lambda: is_nth(year, every_day, 100),
    "third Friday of month": lambda: is_nth(month, weekday("Friday"), 3),
    "fifth Monday of month": lambda: is_nth(month, weekday("Monday"), 5),
    "last Wednesday of quarter": lambda: is_nth(quarter, weekday("Wednesday"), -1),
    "last day of month": lambda: is_nth(month, every_day, -1),
    "31st of month": lambda: day_or_last(31),
    "30th of month": lambda: day_or_last(30),
    "31st of month, only where it exists": lambda: lambda day: day.day == 31,
    "29 February": lambda: lambda day: day.month == 2 and day_or_last(29)(day),
    "29 February, only where it exists": lambda: lambda day: (day.month, day.day) == (2, 29),
    "25th, or the business day before": lambda: rolled(lambda day: day.day == 25, "preceding"),
    "25th, or the business day after": lambda: rolled(lambda day: day.day == 25, "following"),
    "10th of month, modified following": lambda: rolled(lambda day: day.day == 10, "modified following"),
    "31st of month, modified following": lambda: rolled(day_or_last(31), "modified following"),
    "1st of month, modified preceding": lambda: rolled(lambda day: day.day == 1, "modified preceding"),
    "24th, nearest": lambda: rolled(lambda day: day.day == 24, "nearest"),
    "10th of second month of quarter": lambda: lambda day: day.day == 10 and day.month in (2, 5, 8, 11),
    "15th of April, June, September and January, following": lambda: rolled(
        lambda day: day.day == 15 and day.month in (1, 4, 6, 9), "following"
    ),
    "last business day of March": lambda: lambda day: day.month == 3 and is_last_business_day_of_march(day),
    "15 March": lambda: lambda day: (day.month, day.day) == (3, 15),
    "last business day of fiscal month": lambda: is_nth(retail_period, works, -1),
    "last day of fiscal quarter": lambda: is_nth(retail_quarter, every_day, -1),
    "last business day of fiscal year": lambda: is_nth(retail_year, works, -1),
    "10th business day of fiscal quarter": lambda: is_nth(retail_quarter, works, 10),
    "2 business days before the last day of month": lambda: moved(is_nth(month, every_day, -1), -2),
    "3 business days after third Friday of month": lambda: moved(is_nth(month, weekday("Friday"), 3), 3),
    "1 week before 25th": lambda: lambda day: (day + timedelta(days=7)).day == 25,
    "every day": lambda: every_day,
    "every business day": lambda: works,
    "every Tuesday": lambda: weekday("Tuesday"),
    "every second Friday from 2026-01-09": lambda: (
        lambda day: day >= date(2026, 1, 9) and (day - date(2026, 1, 9)).days % 14 == 0
    ),
    "2026-11-30": lambda: lambda day: day == date(2026, 11, 30),
}


def is_last_business_day_of_march(day: date) -> bool:
    return works(day) and not any(works(later) for later in reference.days(day + DAY, date(day.year, 3, 31)))


@pytest.mark.parametrize("sentence", RULES)
def test_fifty_years_of_a_rule(sentence: str) -> None:
    named = RULES[sentence]()
    expected = [day for day in reference.days(FIRST, LAST) if named(day)]
    found = [anchor.day for anchor in anchors(parse_rule(sentence), FIRST, LAST, BAVARIA, RETAIL)]
    assert sorted(found) == expected
    assert expected, "the reference names no day"
