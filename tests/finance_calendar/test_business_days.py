"""Business days and their arithmetic."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.finance_calendar.business_days import BusinessDayCalendar, NoBusinessDayError
from shared.finance_calendar.days import parse_days
from shared.finance_calendar.rules import Convention
from tests.finance_calendar import reference

DAY = timedelta(days=1)
BAVARIA = BusinessDayCalendar(["DE-BY"])
GROUP = BusinessDayCalendar(["DE-BY", "GB-ENG", "FED"], closed=[parse_days("24 December")])
EMIRATES = BusinessDayCalendar(["AE"])
ISRAEL = BusinessDayCalendar(["IL"])
CHINA = BusinessDayCalendar(["CN"])
OWN = BusinessDayCalendar(
    ["DE-BY"],
    closed=[parse_days("2026-12-28..2027-01-08"), parse_days("2026-03-02")],
    open_days=[parse_days("2026-12-27"), parse_days("2026-03-07")],
    weekend=frozenset({6}),
)
CALENDARS = [BAVARIA, GROUP, EMIRATES, ISRAEL, CHINA, OWN, BusinessDayCalendar()]
calendars = st.sampled_from(CALENDARS)
some_day = st.dates(date(1990, 1, 1), date(2060, 12, 31))
CONVENTIONS: list[Convention] = ["following", "preceding", "modified following", "modified preceding", "nearest"]


@pytest.mark.parametrize(
    ("convention", "day", "expected"),
    [
        ("following", "2026-05-30", "2026-06-01"),
        ("preceding", "2026-05-30", "2026-05-29"),
        ("modified following", "2026-05-30", "2026-05-29"),
        ("modified following", "2026-05-16", "2026-05-18"),
        ("modified preceding", "2026-05-16", "2026-05-15"),
        ("modified preceding", "2026-11-01", "2026-11-02"),
        ("nearest", "2026-05-16", "2026-05-15"),
        ("nearest", "2026-05-17", "2026-05-18"),
        ("nearest", "2026-05-25", "2026-05-26"),
        ("nearest", "2026-05-14", "2026-05-13"),
        ("nearest", "2026-04-03", "2026-04-02"),
        *((convention, "2026-05-15", "2026-05-15") for convention in CONVENTIONS),
    ],
)
def test_isda_conventions(convention: Convention, day: str, expected: str) -> None:
    """Bavaria 2026: 14 May is Ascension Day, 25 May (a Monday) Whit Monday, 3 April Good Friday."""
    assert BAVARIA.roll(date.fromisoformat(day), convention) == date.fromisoformat(expected)


@reference.unhurried
@given(calendar=calendars, day=some_day, convention=st.sampled_from(CONVENTIONS))
def test_rolling_agrees_with_looking_day_by_day(
    calendar: BusinessDayCalendar, day: date, convention: Convention
) -> None:
    rolled = calendar.roll(day, convention)
    assert rolled == reference.roll(day, convention, calendar.is_business_day)
    assert calendar.is_business_day(rolled)


@reference.unhurried
@given(calendar=calendars, day=some_day, count=st.integers(-600, 600))
def test_adding_business_days_inverts_itself(calendar: BusinessDayCalendar, day: date, count: int) -> None:
    start = calendar.roll(day, "following")
    there = calendar.add(start, count)
    assert calendar.add(there, -count) == start
    assert calendar.between(start, there) == count
    assert calendar.between(there, start) == -count


@reference.unhurried
@given(calendar=calendars, day=some_day, count=st.integers(-40, 40))
def test_adding_agrees_with_counting_day_by_day(calendar: BusinessDayCalendar, day: date, count: int) -> None:
    assert calendar.add(day, count) == reference.moved(day, count, calendar.is_business_day)


@reference.unhurried
@given(calendar=calendars, days=st.tuples(some_day, some_day, some_day))
def test_counting_adds_up(calendar: BusinessDayCalendar, days: tuple[date, date, date]) -> None:
    one, two, three = days
    assert calendar.between(one, two) + calendar.between(two, three) == calendar.between(one, three)


@reference.unhurried
@given(calendar=calendars, day=some_day, step=st.integers(1, 20), count=st.integers(-20, 20))
def test_adding_keeps_the_order_of_days_and_rolling_stays_near(
    calendar: BusinessDayCalendar, day: date, step: int, count: int
) -> None:
    """What finding occurrences in a range relies on."""
    later = day + step * DAY
    assert calendar.add(day, count) <= calendar.add(later, count)
    for convention in CONVENTIONS:
        rolled = calendar.roll(day, convention)
        assert calendar.add(day, -1) <= rolled <= calendar.add(day, 1)


@pytest.mark.parametrize(
    ("calendar", "day", "why"),
    [
        (BAVARIA, "2026-01-06", "Heilige Drei Könige"),
        (BAVARIA, "2026-01-10", "weekend"),
        (BAVARIA, "2026-01-07", None),
        (EMIRATES, "2026-11-27", None),
        (EMIRATES, "2026-11-28", "weekend"),
        (ISRAEL, "2026-11-27", "weekend"),
        (ISRAEL, "2026-11-29", None),
        (GROUP, "2026-11-26", "Thanksgiving Day"),
        (GROUP, "2026-08-31", "Late Summer Bank Holiday"),
        (GROUP, "2026-12-24", "own closing day"),
        (OWN, "2026-12-29", "own closing day"),
        (OWN, "2026-12-27", None),
        (OWN, "2026-11-28", None),
        (OWN, "2026-11-29", "weekend"),
        (OWN, "2026-03-07", None),
    ],
)
def test_why_a_day_is_closed(calendar: BusinessDayCalendar, day: str, why: str | None) -> None:
    assert calendar.closed_because(date.fromisoformat(day)) == why
    assert calendar.is_business_day(date.fromisoformat(day)) is (why is None)


@reference.unhurried
@given(calendar=calendars, day=some_day)
def test_a_day_is_closed_for_a_reason_or_open(calendar: BusinessDayCalendar, day: date) -> None:
    assert calendar.is_business_day(day) == (calendar.closed_because(day) is None)


def test_a_weekend_day_that_a_country_works_is_a_business_day() -> None:
    """China works some Saturdays and Sundays around its long holidays (State Council notice for 2025)."""
    assert CHINA.is_business_day(date(2025, 1, 26))
    assert not CHINA.is_business_day(date(2025, 1, 28))
    assert not CHINA.is_business_day(date(2025, 3, 2))


def test_a_calendar_that_is_never_open_says_so() -> None:
    shut = BusinessDayCalendar(closed=[parse_days("2026-01-01..2029-12-31")])
    with pytest.raises(NoBusinessDayError, match="no business day within a year of 2026-06-01"):
        shut.add(date(2026, 6, 1), 1)
    assert shut.add(date(2029, 6, 1), 1) == date(2030, 1, 1)
