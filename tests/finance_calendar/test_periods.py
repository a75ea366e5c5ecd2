"""Fiscal years: by month, and by week, against years that companies and associations published."""

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.finance_calendar.days import month_and_day_of, parse_year_end
from shared.finance_calendar.periods import FiscalCalendar, spans
from shared.finance_calendar.rules import Unit
from shared.finance_calendar.sentences import SentenceError
from tests.finance_calendar.reference import unhurried

DAY = timedelta(days=1)
CALENDAR_YEAR = FiscalCalendar()
INDIA = FiscalCalendar((4, 1))
UK_TAX = FiscalCalendar((4, 6))
US_FEDERAL = FiscalCalendar((10, 1))
# National Retail Federation, "4-5-4 calendar": to the Saturday nearest the end of January, named after the start.
RETAIL = FiscalCalendar(
    (1, 1), (4, 5, 4), parse_year_end("Saturday nearest the end of January"), named_after_start=True
)
# Annual reports of Apple Inc. (form 10-K): the last Saturday of September.
APPLE = FiscalCalendar((1, 1), (5, 4, 4), parse_year_end("last Saturday of September"))
NEW_YEAR = FiscalCalendar((1, 1), (4, 4, 5), parse_year_end("Sunday nearest the end of December"))
ALL = [
    CALENDAR_YEAR,
    INDIA,
    UK_TAX,
    US_FEDERAL,
    RETAIL,
    APPLE,
    NEW_YEAR,
    FiscalCalendar((2, 28), named_after_start=True),
]
calendars = st.sampled_from(ALL)


@pytest.mark.parametrize(
    ("fiscal", "name", "first", "last"),
    [
        (CALENDAR_YEAR, 2026, "2026-01-01", "2026-12-31"),
        (INDIA, 2027, "2026-04-01", "2027-03-31"),
        (UK_TAX, 2027, "2026-04-06", "2027-04-05"),
        (US_FEDERAL, 2027, "2026-10-01", "2027-09-30"),
        (RETAIL, 2022, "2022-01-30", "2023-01-28"),
        (RETAIL, 2023, "2023-01-29", "2024-02-03"),
        (RETAIL, 2024, "2024-02-04", "2025-02-01"),
        (RETAIL, 2025, "2025-02-02", "2026-01-31"),
        (APPLE, 2022, "2021-09-26", "2022-09-24"),
        (APPLE, 2023, "2022-09-25", "2023-09-30"),
        (APPLE, 2024, "2023-10-01", "2024-09-28"),
        (APPLE, 2025, "2024-09-29", "2025-09-27"),
        (NEW_YEAR, 2026, "2025-12-29", "2027-01-03"),
        (NEW_YEAR, 2027, "2027-01-04", "2028-01-02"),
    ],
)
def test_first_and_last_day_of_fiscal_years(fiscal: FiscalCalendar, name: int, first: str, last: str) -> None:
    year = fiscal.year(name)
    assert (year.first, year.last) == (date.fromisoformat(first), date.fromisoformat(last))


def test_the_53rd_week_belongs_to_the_last_period() -> None:
    weeks = [((span.last - span.first).days + 1) / 7 for span in RETAIL.months(2023)]
    assert weeks == [4, 5, 4, 4, 5, 4, 4, 5, 4, 4, 5, 5]
    weeks = [((span.last - span.first).days + 1) / 7 for span in RETAIL.months(2024)]
    assert weeks == [4, 5, 4, 4, 5, 4, 4, 5, 4, 4, 5, 4]
    assert [year for year in range(2000, 2030) if RETAIL.position(RETAIL.year(year).last).week == 53] == [
        2000, 2006, 2012, 2017, 2023, 2028,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fiscal", "day", "labels"),
    [
        (CALENDAR_YEAR, "2026-11-30", ("FY2026", "FY2026 Q4", "FY2026 P11")),
        (INDIA, "2027-03-31", ("FY2027", "FY2027 Q4", "FY2027 P12")),
        (INDIA, "2027-04-01", ("FY2028", "FY2028 Q1", "FY2028 P1")),
        (UK_TAX, "2026-05-05", ("FY2027", "FY2027 Q1", "FY2027 P1")),
        (UK_TAX, "2026-05-06", ("FY2027", "FY2027 Q1", "FY2027 P2")),
        (RETAIL, "2024-02-03", ("FY2023", "FY2023 Q4", "FY2023 P12")),
        (RETAIL, "2024-02-04", ("FY2024", "FY2024 Q1", "FY2024 P1")),
        (NEW_YEAR, "2027-01-03", ("FY2026", "FY2026 Q4", "FY2026 P12")),
        (NEW_YEAR, "2025-12-29", ("FY2026", "FY2026 Q1", "FY2026 P1")),
    ],
)
def test_where_a_day_lies(fiscal: FiscalCalendar, day: str, labels: tuple[str, str, str]) -> None:
    position = fiscal.position(date.fromisoformat(day))
    assert (position.year.label, position.quarter.label, position.period.label) == labels


@unhurried
@given(fiscal=calendars, name=st.integers(1950, 2080))
def test_periods_fill_the_year_without_gap_or_overlap(fiscal: FiscalCalendar, name: int) -> None:
    year, following = fiscal.year(name), fiscal.year(name + 1)
    assert year.last + DAY == following.first
    for parts in (fiscal.quarters(name), fiscal.months(name)):
        assert parts[0].first == year.first
        assert parts[-1].last == year.last
        assert all(one.last + DAY == other.first for one, other in pairwise(parts))


@unhurried
@given(fiscal=calendars, day=st.dates(date(1950, 1, 1), date(2080, 12, 31)))
def test_a_day_lies_in_the_periods_that_are_named(fiscal: FiscalCalendar, day: date) -> None:
    position = fiscal.position(day)
    for span in (position.year, position.quarter, position.period):
        assert span.first <= day <= span.last
    assert position.year.first + timedelta(weeks=position.week - 1) <= day
    assert abs(position.year.year - day.year) <= 1


@unhurried
@given(
    fiscal=calendars,
    unit=st.sampled_from(["month", "quarter", "year", "fiscal month", "fiscal quarter", "fiscal year"]),
    first=st.dates(date(1950, 1, 1), date(2080, 12, 31)),
    length=st.integers(0, 900),
)
def test_spans_cover_a_range_without_gap(fiscal: FiscalCalendar, unit: Unit, first: date, length: int) -> None:
    last = first + length * DAY
    found = list(spans(unit, first, last, fiscal))
    assert found[0].first <= first <= found[0].last
    assert found[-1].first <= last <= found[-1].last
    assert all(one.last + DAY == other.first for one, other in pairwise(found))


def test_a_fiscal_year_starts_on_a_day_that_every_month_has() -> None:
    assert month_and_day_of("04-06") == month_and_day_of("6 April") == month_and_day_of("April 6") == (4, 6)
    with pytest.raises(SentenceError, match="day 1 to 28"):
        month_and_day_of("31 March")


@pytest.mark.parametrize("text", ["last day of January", "Saturday of January", "Saturday nearest 31 January"])
def test_malformed_year_ends(text: str) -> None:
    with pytest.raises(SentenceError):
        parse_year_end(text)
