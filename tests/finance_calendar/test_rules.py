"""Every rule of the language, as a sentence and its days in 2026 (Germany, fiscal year from April)."""

from datetime import date

import pytest

from shared.finance_calendar.anchors import anchors
from shared.finance_calendar.business_days import BusinessDayCalendar
from shared.finance_calendar.days import parse_days, parse_exception
from shared.finance_calendar.offsets import Offset, parse_offset
from shared.finance_calendar.periods import FiscalCalendar
from shared.finance_calendar.rules import Every, Nth, Period, Rolled, parse_rule
from shared.finance_calendar.sentences import SentenceError

GERMANY = BusinessDayCalendar(["DE"])
APRIL = FiscalCalendar((4, 1))
# Holidays of 2026: 1 January (Thursday), 3 and 6 April, 1, 14 and 25 May, 3 October (Saturday), 25 and 26 December.
DAYS_OF_2026 = [
    ("last business day of month", "01-30 02-27 03-31 04-30 05-29 06-30 07-31 08-31 09-30 10-30 11-30 12-31"),
    ("first business day of month", "01-02 02-02 03-02 04-01 05-04 06-01 07-01 08-03 09-01 10-01 11-02 12-01"),
    ("12th business day of month", "01-19 02-17 03-17 04-20 05-20 06-16 07-16 08-18 09-16 10-16 11-17 12-16"),
    ("second last business day of month", "01-29 02-26 03-30 04-29 05-28 06-29 07-30 08-28 09-29 10-29 11-27 12-30"),
    ("23rd business day of month", "07-31"),
    ("25th, or the business day before", "01-23 02-25 03-25 04-24 05-22 06-25 07-24 08-25 09-25 10-23 11-25 12-24"),
    (
        "25th of month, or the business day after",
        "01-26 02-25 03-25 04-27 05-26 06-25 07-27 08-25 09-25 10-26 11-25 12-28",
    ),
    ("10th of month, modified following", "01-12 02-10 03-10 04-10 05-11 06-10 07-10 08-10 09-10 10-12 11-10 12-10"),
    ("1st of month, modified preceding", "01-02 02-02 03-02 04-01 05-04 06-01 07-01 08-03 09-01 10-01 11-02 12-01"),
    ("31st of month", "01-31 02-28 03-31 04-30 05-31 06-30 07-31 08-31 09-30 10-31 11-30 12-31"),
    ("31st of month, only where it exists", "01-31 03-31 05-31 07-31 08-31 10-31 12-31"),
    ("30th of month, modified following", "01-30 02-27 03-30 04-30 05-29 06-30 07-30 08-31 09-30 10-30 11-30 12-30"),
    ("last day of month", "01-31 02-28 03-31 04-30 05-31 06-30 07-31 08-31 09-30 10-31 11-30 12-31"),
    ("15th of each month, nearest", "01-15 02-16 03-16 04-15 05-15 06-15 07-15 08-14 09-15 10-15 11-16 12-15"),
    ("third Friday of month", "01-16 02-20 03-20 04-17 05-15 06-19 07-17 08-21 09-18 10-16 11-20 12-18"),
    ("last Friday of month", "01-30 02-27 03-27 04-24 05-29 06-26 07-31 08-28 09-25 10-30 11-27 12-25"),
    ("fifth Monday of month", "03-30 06-29 08-31 11-30"),
    ("last business day of quarter", "03-31 06-30 09-30 12-31"),
    ("last day of quarter", "03-31 06-30 09-30 12-31"),
    ("10th of second month of quarter", "02-10 05-10 08-10 11-10"),
    ("last day of first month of quarter, preceding", "01-30 04-30 07-31 10-30"),
    ("first Monday of quarter", "01-05 04-06 07-06 10-05"),
    ("last business day of year", "12-31"),
    ("100th day of year", "04-10"),
    ("15 March", "03-15"),
    ("March 15, following", "03-16"),
    ("29 February", "02-28"),
    ("29 February, only where it exists", ""),
    ("15th of April, June, September and January, following", "01-15 04-15 06-15 09-15"),
    ("last business day of March", "03-31"),
    ("third Wednesday of March, June, September and December", "03-18 06-17 09-16 12-16"),
    ("last business day of fiscal quarter", "03-31 06-30 09-30 12-31"),
    ("last business day of fiscal year", "03-31"),
    ("first day of fiscal year", "04-01"),
    (
        "second business day of fiscal month",
        "01-05 02-03 03-03 04-02 05-05 06-02 07-02 08-04 09-02 10-02 11-03 12-02",
    ),
    ("10th day of fiscal quarter", "01-10 04-10 07-10 10-10"),
    (
        "every second Friday from 2026-01-09",
        "01-09 01-23 02-06 02-20 03-06 03-20 04-03 04-17 05-01 05-15 05-29 06-12 06-26 "
        "07-10 07-24 08-07 08-21 09-04 09-18 10-02 10-16 10-30 11-13 11-27 12-11 12-25",
    ),
    (
        "every 4 weeks from 2026-01-07",
        "01-07 02-04 03-04 04-01 04-29 05-27 06-24 07-22 08-19 09-16 10-14 11-11 12-09",
    ),
    (
        "2 business days before the last day of month",
        "01-29 02-26 03-27 04-28 05-28 06-26 07-29 08-27 09-28 10-29 11-26 12-29",
    ),
    ("1 week after third Friday of month", "01-23 02-27 03-27 04-24 05-22 06-26 07-24 08-28 09-25 10-23 11-27 12-25"),
    ("3 days before 25th", "01-22 02-22 03-22 04-22 05-22 06-22 07-22 08-22 09-22 10-22 11-22 12-22"),
    ("2026-02-01", "02-01"),
]


def days(sentence: str, first: date, last: date, business_days: BusinessDayCalendar = GERMANY) -> list[date]:
    return [anchor.day for anchor in anchors(parse_rule(sentence), first, last, business_days, APRIL)]


@pytest.mark.parametrize(("sentence", "expected"), DAYS_OF_2026, ids=[sentence for sentence, _ in DAYS_OF_2026])
def test_the_days_that_a_sentence_names(sentence: str, expected: str) -> None:
    found = days(sentence, date(2026, 1, 1), date(2026, 12, 31))
    assert " ".join(day.strftime("%m-%d") for day in found) == expected


@pytest.mark.parametrize(("sentence", "expected"), DAYS_OF_2026, ids=[sentence for sentence, _ in DAYS_OF_2026])
def test_asking_by_pieces_gives_the_same_days_as_asking_at_once(sentence: str, expected: str) -> None:
    whole = range(date(2026, 1, 1).toordinal(), date(2026, 12, 31).toordinal() + 1)
    pieces = [date.fromordinal(day) for day in whole]
    found = [day for one in pieces for day in days(sentence, one, one)]
    assert " ".join(day.strftime("%m-%d") for day in found) == expected


@pytest.mark.parametrize(
    ("sentence", "count_per_week"), [("every day", 7), ("every business day", 5), ("every Friday", 1)]
)
def test_days_that_recur_within_a_week(sentence: str, count_per_week: int) -> None:
    found = days(sentence, date(2026, 2, 2), date(2026, 3, 29))
    assert len(found) == 8 * count_per_week
    assert {day.weekday() for day in found} == set(range(7) if count_per_week == 7 else range(5)) & (
        {4} if count_per_week == 1 else set(range(7))
    )


def test_every_second_week_counts_from_its_first_day_in_later_years_too() -> None:
    found = days("every second Friday from 2026-01-09", date(2025, 12, 1), date(2027, 1, 31))
    assert found[0] == date(2026, 1, 9), "nothing before the first day"
    assert found[-2:] == [date(2027, 1, 8), date(2027, 1, 22)]


def test_a_leap_day_is_the_29th_only_in_leap_years() -> None:
    first, last = date(2027, 1, 1), date(2028, 12, 31)
    assert days("29 February", first, last) == [date(2027, 2, 28), date(2028, 2, 29)]
    assert days("29 February, only where it exists", first, last) == [date(2028, 2, 29)]


def test_rolling_may_leave_the_year() -> None:
    assert days("1 January, preceding", date(2026, 12, 1), date(2026, 12, 31)) == [date(2026, 12, 31)]
    assert days("31 December, following", date(2028, 1, 1), date(2028, 1, 31)) == []
    closed = BusinessDayCalendar(["DE"], closed=[parse_days("31 December")])
    assert days("31 December, following", date(2027, 1, 1), date(2027, 1, 31), closed) == [date(2027, 1, 4)]
    assert days("31 December, modified following", date(2026, 12, 1), date(2027, 1, 31), closed) == [date(2026, 12, 30)]


@pytest.mark.parametrize(
    ("sentence", "label"),
    [
        ("last business day of month", "2026-11"),
        ("last day of quarter", "2026 Q4"),
        ("second last day of year", "2026"),
        ("last business day of fiscal month", "FY2027 P8"),
        ("last business day of fiscal quarter", "FY2027 Q3"),
        ("first business day of fiscal year", "FY2027"),
        ("25th, or the business day before", "2026-11"),
        ("every Monday", "2026-W49"),
        ("every business day", "2026-11-30"),
        ("2026-11-30", "2026-11-30"),
    ],
)
def test_the_period_that_a_day_stands_for(sentence: str, label: str) -> None:
    found = anchors(parse_rule(sentence), date(2026, 1, 1), date(2026, 12, 31), GERMANY, APRIL)
    assert label in {anchor.label for anchor in found}


def test_a_rolled_day_stands_for_the_period_before_rolling() -> None:
    rolled = anchors(parse_rule("1 January, preceding"), date(2026, 12, 1), date(2026, 12, 31), GERMANY, APRIL)
    assert [(anchor.day, anchor.unrolled, anchor.label) for anchor in rolled] == [
        (date(2026, 12, 31), date(2027, 1, 1), "2027-01")
    ]


def test_writing_does_not_matter() -> None:
    assert parse_rule("  Last  BUSINESS day of the Month ") == parse_rule("last business day of month")
    assert parse_rule("25th") == parse_rule("25th of each month") == Nth(25, "day", Period("month"))
    assert parse_rule("15th of April, June, and September") == parse_rule("15th of April, June and September")
    assert parse_rule("10th, or the next business day"[:5] + "following") == Rolled(
        Nth(10, "day", Period("month")), "following"
    )
    assert parse_rule("every friday") == Every("friday")


MALFORMED = [
    ("last working day of month", 'did you mean "last business day of month"?'),
    ("last workday of month", 'did you mean "last business day of month"?'),
    ("last banking day of month", 'did you mean "last business day of month"?'),
    ("last business day of mnth", 'did you mean "last business day of month"?'),
    ("last busines day of month", 'did you mean "last business day of month"?'),
    ("thrid Friday of month", 'did you mean "third Friday of month"?'),
    ("25th, modified folowing", 'did you mean "25th, modified following"?'),
    ("25th, or the busines day before", 'did you mean "25th, or the business day before"?'),
    ("25th, previous", 'did you mean "25th, preceding"?'),
    ("last business day", 'after "last business day" comes nothing, but it should be of;'),
    ("22th of month", "it should be 22nd"),
    ("32nd of month", "no month has 32 of them"),
    ("32nd, preceding", "no month has 32 days"),
    ("sixth Friday of month", "no month has 6 of them"),
    ("100th business day of quarter", "no quarter has 100 of them"),
    ("1 day before " * 20 + "25th", "longer than 200 characters"),
    ("31 April", "April has 30 days"),
    ("2027-02-29", '"2027-02-29", but it should be a date that exists'),
    ("every second Friday", 'after "every second Friday" comes nothing, but it should be from'),
    ("every second Friday from 2026-01-08", "2026-01-08 is a Thursday"),
    ("every second day", "it should be"),
    ("10th of fifth month of quarter", "it has only 3 months"),
    ("last business day of month, following, nearest", "the end of the sentence"),
    ("15 March, following, only where it exists", "the end of the sentence"),
    ("500 days before 25th", "at most 400 days"),
    ("0th of month", "it should be 1st"),
    ("", "at the beginning comes nothing"),
    ("when the books are closed", "at the beginning comes"),
    ("last business day of month 18:00", "the end of the sentence"),
]


@pytest.mark.parametrize(("sentence", "message"), MALFORMED, ids=[sentence or "(nothing)" for sentence, _ in MALFORMED])
def test_a_malformed_sentence_says_what_would_be_right(sentence: str, message: str) -> None:
    with pytest.raises(SentenceError) as found:
        parse_rule(sentence)
    assert message in str(found.value)


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("-2 business days 06:00", Offset(-2, business=True, minutes=360)),
        ("+3 business days", Offset(3, business=True)),
        ("+1 day 00:00", Offset(1, minutes=0)),
        ("-2 weeks 9:30", Offset(-14, minutes=570)),
        ("18:00", Offset(minutes=1080)),
        ("24:00", Offset(minutes=1440)),
        ("+0 business days 12:00", Offset(minutes=720)),
        ("2027-02-01 08:00", Offset(day=date(2027, 2, 1), minutes=480)),
    ],
)
def test_offsets(sentence: str, expected: Offset) -> None:
    assert parse_offset(sentence) == expected


@pytest.mark.parametrize(
    ("sentence", "message"),
    [
        ("2 business days", '"+2 business days" is after the anchor day, "-2 business days" before it'),
        ("-2 busines days", 'did you mean "-2 business days"?'),
        ("+1 day 25:00", "not a time of day"),
        ("+1 day 18:60", "not a time of day"),
        ("+1 day 18:00 Europe/Berlin", "the end of the sentence"),
        ("noon", "a time such as 18:00"),
        ("+900 days", "at most 400 days"),
    ],
)
def test_a_malformed_offset_says_what_would_be_right(sentence: str, message: str) -> None:
    with pytest.raises(SentenceError) as found:
        parse_offset(sentence)
    assert message in str(found.value)


def test_sets_of_days() -> None:
    assert date(2030, 12, 24) in parse_days("24 December")
    assert date(2030, 12, 24) in parse_days("December 24th")
    assert date(2026, 12, 25) in parse_days("2026-12-24..2027-01-01")
    assert date(2027, 1, 2) not in parse_days("2026-12-24..2027-01-01")
    assert parse_exception("FY2026  P12") == "FY2026 P12"
    for wrong in ("2026-13", "FY26", "2027-01-01..2026-01-01", "30 February", "Q4"):
        with pytest.raises(SentenceError):
            parse_exception(wrong)
