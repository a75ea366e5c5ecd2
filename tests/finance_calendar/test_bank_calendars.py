"""The last business day of month, 2024 to 2030, against published bank calendars (see `bank_calendars`)."""

from datetime import date

import pytest

from shared.finance_calendar.anchors import anchors
from shared.finance_calendar.business_days import BusinessDayCalendar
from shared.finance_calendar.days import parse_days
from shared.finance_calendar.periods import FiscalCalendar
from shared.finance_calendar.rules import parse_rule
from tests.finance_calendar.bank_calendars import ENGLAND_AND_WALES, FEDERAL_RESERVE, FRANKFURT, TARGET
from tests.finance_calendar.reference import days

FIRST, LAST = date(2024, 1, 1), date(2030, 12, 31)
BANKS_CLOSE = [parse_days("24 December"), parse_days("31 December")]
CALENDARS = {
    "UK: GB-ENG as GOV.UK": (BusinessDayCalendar(["GB-ENG"]), ENGLAND_AND_WALES),
    "German payments: ECB as TARGET": (BusinessDayCalendar(["ECB"]), TARGET),
    "German banks: DE-HE (Frankfurt) as the Bundesbank": (
        BusinessDayCalendar(["DE-HE"], closed=BANKS_CLOSE),
        FRANKFURT,
    ),
    "US: FED as the Federal Reserve": (BusinessDayCalendar(["FED"]), FEDERAL_RESERVE),
}
parametrized = pytest.mark.parametrize(("ours", "published"), CALENDARS.values(), ids=CALENDARS)


@parametrized
def test_every_business_day_is_one_of_the_published_calendar(
    ours: BusinessDayCalendar, published: frozenset[date]
) -> None:
    assert all(day.weekday() < 5 for day in published), "only weekdays were transcribed"
    differing = [
        day for day in days(FIRST, LAST) if ours.is_business_day(day) != (day.weekday() < 5 and day not in published)
    ]
    assert differing == []


@parametrized
def test_the_last_business_day_of_each_month(ours: BusinessDayCalendar, published: frozenset[date]) -> None:
    expected: dict[tuple[int, int], date] = {}
    for day in days(FIRST, LAST):
        if day.weekday() < 5 and day not in published:
            expected[day.year, day.month] = day
    found = [anchor.day for anchor in anchors(parse_rule("last business day of month"), FIRST, LAST, ours, NO_FISCAL)]
    assert len(found) == 84
    assert found == list(expected.values())


NO_FISCAL = FiscalCalendar()


@pytest.mark.parametrize(
    ("calendar", "day", "why"),
    [
        ("UK: GB-ENG as GOV.UK", "2026-08-28", "31 August is the summer bank holiday"),
        ("UK: GB-ENG as GOV.UK", "2027-05-28", "31 May is the spring bank holiday"),
        ("UK: GB-ENG as GOV.UK", "2024-03-28", "29 March is Good Friday"),
        ("German payments: ECB as TARGET", "2024-03-28", "29 March is Good Friday"),
        ("German payments: ECB as TARGET", "2027-12-31", "TARGET is open"),
        ("German banks: DE-HE (Frankfurt) as the Bundesbank", "2027-12-30", "banks close on 31 December"),
        ("German banks: DE-HE (Frankfurt) as the Bundesbank", "2029-05-30", "31 May is Corpus Christi"),
        ("US: FED as the Federal Reserve", "2027-05-28", "31 May is Memorial Day"),
        ("US: FED as the Federal Reserve", "2027-12-31", "New Year's Day is a Saturday, the Friday stays open"),
    ],
)
def test_the_hard_ones_by_hand(calendar: str, day: str, why: str) -> None:
    last = date.fromisoformat(day)
    month_end = date.fromisoformat(f"{day[:7]}-31")
    found = anchors(
        parse_rule("last business day of month"), last.replace(day=1), month_end, CALENDARS[calendar][0], NO_FISCAL
    )
    assert [anchor.day for anchor in found] == [last], why


def test_a_country_is_not_its_banks() -> None:
    """US federal offices close on the Friday before a Saturday holiday; the Federal Reserve does not."""
    assert not BusinessDayCalendar(["US"]).is_business_day(date(2027, 12, 31))
    assert BusinessDayCalendar(["FED"]).is_business_day(date(2027, 12, 31))
