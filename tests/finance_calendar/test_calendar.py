"""What happens when, what is in force and why, what comes next."""

import random
import time
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise, product
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.finance_calendar.business_days import BusinessDayCalendar
from shared.finance_calendar.calendar import FinanceCalendar
from shared.finance_calendar.declaration import Kind
from shared.finance_calendar.occurrences import DeclaredEvent, Occurrence, Region
from shared.finance_calendar.offsets import parse_offset, problem_of_pair
from shared.finance_calendar.periods import FiscalCalendar
from shared.finance_calendar.rules import parse_rule
from tests.finance_calendar.declared import COMPANY, GROUP, compiled, utc, with_events
from tests.finance_calendar.reference import unhurried

COMPANY_CALENDAR, GROUP_CALENDAR = compiled(COMPANY), compiled(GROUP)


def one(found: list[Occurrence], event: str) -> Occurrence:
    return next(each for each in found if each.event == event)


def windows(calendar: FinanceCalendar, start: str, end: str) -> list[str]:
    return [
        f"{each.period}: {each.start_local:%Y-%m-%d %H:%M} to {each.end_local:%Y-%m-%d %H:%M}"
        for each in calendar.events_between(utc(start), utc(end))
    ]


def test_the_month_end_of_november_2026() -> None:
    found = COMPANY_CALENDAR.events_between(utc("2026-11-20"), utc("2026-12-05"))
    close = one(found, "month-end-close")
    assert close.start == utc("2026-11-26 05:00")
    assert close.end == utc("2026-12-03 19:00")
    assert close.start_local.isoformat() == "2026-11-26T06:00:00+01:00"
    assert close.anchor == date(2026, 11, 30)
    assert close.period == "2026-11"
    assert close.key == "month-end-close/default/2026-11-30"
    assert close.why == (
        "last business day of month: 2026-11-30; from -2 business days 06:00 to +3 business days 20:00 Europe/Berlin"
    )


def test_a_rolled_anchor_says_why() -> None:
    payroll = one(COMPANY_CALENDAR.events_between(utc("2026-12-20"), utc("2026-12-28")), "payroll")
    assert payroll.anchor == date(2026, 12, 23)
    assert payroll.period == "2026-12"
    assert "2026-12-23 (2026-12-25: Erster Weihnachtstag)" in payroll.why


def test_ranges_are_half_open() -> None:
    close = one(COMPANY_CALENDAR.events_between(utc("2026-11-20"), utc("2026-12-05")), "month-end-close")
    moment = timedelta(microseconds=1)
    assert close not in COMPANY_CALENDAR.events_between(close.end, close.end + timedelta(days=1))
    assert close in COMPANY_CALENDAR.events_between(close.end - moment, close.end)
    assert close not in COMPANY_CALENDAR.events_between(close.start - timedelta(days=1), close.start)
    assert close in COMPANY_CALENDAR.events_between(close.start, close.start + moment)
    assert not COMPANY_CALENDAR.in_force(close.end).is_on(Kind.FREEZE)
    assert COMPANY_CALENDAR.in_force(close.end - moment).is_on(Kind.FREEZE)
    assert COMPANY_CALENDAR.in_force(close.start).is_on(Kind.FREEZE)
    assert not COMPANY_CALENDAR.in_force(close.start - moment).is_on(Kind.FREEZE)
    assert COMPANY_CALENDAR.events_between(close.start, close.start) == []


def test_overlapping_events_merge_and_the_answer_says_which_caused_what() -> None:
    """At the end of 2026: month end from 28 December, 06:00, year end from 21 December to 18 January."""
    now = COMPANY_CALENDAR.in_force(utc("2026-12-29 12:00"))
    assert {each.event for each in now.causes_of(Kind.FREEZE)} == {"month-end-close", "year-end"}
    freeze = now.stretches[Kind.FREEZE]
    assert freeze.start == utc("2026-12-20 23:00")
    assert freeze.end == utc("2027-01-18 23:00"), "the later of both ends"
    assert now.until == utc("2027-01-07 19:00"), "then the month end is over and the year end goes on"
    assert now.explain()[1] == (
        "freeze until 2027-01-19 00:00 Europe/Berlin, because of year-end FY2026, month-end-close 2026-12"
    )
    later = COMPANY_CALENDAR.in_force(utc("2027-01-07 19:00"))
    assert [each.event for each in later.causes] == ["year-end"]
    assert later.stretches[Kind.FREEZE] == freeze


def test_a_kind_lasts_as_long_as_any_event_asks_for_it() -> None:
    """The payroll of December (peak, tighten) lies within the year end (peak, freeze, tighten)."""
    now = COMPANY_CALENDAR.in_force(utc("2026-12-23 08:00"))
    assert {each.event for each in now.causes_of(Kind.PEAK)} == {"payroll", "year-end"}
    assert {each.event for each in now.causes_of(Kind.FREEZE)} == {"year-end"}
    assert now.stretches[Kind.PEAK].end == utc("2027-01-18 23:00")
    assert [each.event for each in now.stretches[Kind.PEAK].causes] == ["year-end", "payroll", "month-end-close"]


def test_nothing_in_force_says_until_when() -> None:
    now = COMPANY_CALENDAR.in_force(utc("2026-11-15"))
    assert now.causes == ()
    assert now.stretches == {}
    assert now.explain() == []
    assert now.until == utc("2026-11-24 17:00")
    assert not now.is_on(Kind.PEAK)


def test_the_next_freeze_is_not_the_one_that_is_on() -> None:
    coming = COMPANY_CALENDAR.next_freeze(utc("2026-11-15"))
    assert coming is not None
    assert coming.start == utc("2026-11-26 05:00")
    after = COMPANY_CALENDAR.next_freeze(utc("2026-11-28"))
    assert after is not None
    assert after.start == utc("2026-12-20 23:00")
    peak = COMPANY_CALENDAR.next_peak(utc("2026-11-15"))
    assert peak is not None
    assert peak.start == utc("2026-11-24 17:00")
    assert COMPANY_CALENDAR.next(Kind.TIGHTEN, utc("2026-11-09 23:00")) == COMPANY_CALENDAR.next(
        Kind.TIGHTEN, utc("2026-11-24 16:59")
    )


def test_there_is_no_next_when_nothing_of_the_kind_is_declared_or_left() -> None:
    assert with_events("close: { when: 15 March, kinds: peak }").next_freeze(utc("2026-01-01")) is None
    past = with_events("move: { from: 2026-03-01, to: 2026-03-05, kinds: freeze }")
    assert past.next_freeze(utc("2026-03-02")) is None
    assert past.in_force(utc("2026-04-01")).until is None


def test_an_audit_keeps_the_documents_of_its_fiscal_year() -> None:
    assert COMPANY_CALENDAR.in_force(utc("2027-02-15")).keeps_documents_of() == {2026}
    assert COMPANY_CALENDAR.in_force(utc("2027-03-15 22:59")).keeps_documents_of() == {2026}
    assert COMPANY_CALENDAR.in_force(utc("2027-03-15 23:00")).keeps_documents_of() == set()
    audit = with_events(
        "audit: { when: 1 September, to: +30 days, keeps_documents_of: [previous fiscal year, 2019] }",
        fiscal_year={"starts": "1 July"},
    )
    assert audit.in_force(utc("2026-09-10")).keeps_documents_of() == {2026, 2019}


@pytest.mark.parametrize(
    ("exception", "left"),
    [
        ("2026-11-30", "2026-10 2026-12"),
        ("2026-11", "2026-10 2026-12"),
        ("2026 Q4", "2026-10 2026-11 2026-12"),
        ("2026", ""),
        ("2026-11-25..2026-12-05", "2026-10 2026-12"),
        ("31 December", "2026-10 2026-11"),
        ("2026-10-31", "2026-11 2026-12"),
    ],
)
def test_excepted_occurrences_do_not_happen(exception: str, left: str) -> None:
    """By anchor day, by the day before rolling, by period, by range, by a day of each year."""
    calendar = with_events(f'close: {{ when: "last day of month, preceding", kinds: freeze, except: ["{exception}"] }}')
    found = calendar.events_between(utc("2026-10-01"), utc("2027-01-01"))
    assert " ".join(each.period for each in found) == left


def test_since_and_until_bound_the_anchors() -> None:
    calendar = with_events(
        "close: { when: last day of month, to: +2 days, kinds: freeze, since: 2026-10-31, until: 2026-11-30 }"
    )
    assert windows(calendar, "2020-01-01", "2030-01-01") == [
        "2026-10: 2026-10-31 00:00 to 2026-11-03 00:00",
        "2026-11: 2026-11-30 00:00 to 2026-12-03 00:00",
    ]


def test_several_rules_of_an_event_happen_once_a_day() -> None:
    calendar = with_events('tax: { when: ["15 March", "15th of month", "20 March"], kinds: tighten }')
    assert windows(calendar, "2026-03-01", "2026-04-01") == [
        "2026-03: 2026-03-15 00:00 to 2026-03-16 00:00",
        "2026-03: 2026-03-20 00:00 to 2026-03-21 00:00",
    ]


def test_an_event_may_span_years() -> None:
    calendar = with_events("migration: { from: 2025-11-15 18:00, to: 2028-02-29 06:00, kinds: freeze }")
    now = calendar.in_force(utc("2027-06-01"))
    assert now.stretches[Kind.FREEZE].end == utc("2028-02-29 06:00")
    assert len(calendar.events_between(utc("2025-01-01"), utc("2029-01-01"))) == 1


def test_windows_that_touch_are_one_stretch() -> None:
    calendar = with_events(
        "one: { when: last day of month, kinds: freeze }",
        "two: { when: first day of month, kinds: freeze }",
        "three: { when: 2nd of month, kinds: [peak] }",
    )
    freeze = calendar.in_force(utc("2026-12-31 12:00")).stretches[Kind.FREEZE]
    assert (freeze.start, freeze.end) == (utc("2026-12-31"), utc("2027-01-02"))
    assert calendar.in_force(utc("2027-01-01 12:00")).stretches[Kind.FREEZE] == freeze
    coming = calendar.next_freeze(utc("2026-12-31 12:00"))
    assert coming is not None
    assert coming.start == utc("2027-01-31")


def test_a_freeze_without_end_is_answered_without_looking_for_ever() -> None:
    calendar = with_events("always: { when: every day, kinds: freeze }")
    freeze = calendar.in_force(utc("2026-11-22 12:00")).stretches[Kind.FREEZE]
    assert freeze.end >= utc("2029-01-01")
    assert calendar.next_freeze(utc("2026-11-22 12:00")) is None


def test_a_daily_window_over_midnight_never_overlaps_itself_where_clocks_change() -> None:
    for zone in ("Europe/Berlin", "Australia/Lord_Howe", "Africa/Casablanca"):
        calendar = with_events(
            'night: { when: every day, from: "20:00", to: "+1 day 20:00", kinds: tighten }', time_zone=zone
        )
        found = calendar.events_between(utc("2026-01-01"), utc("2027-01-01"))
        assert all(before.end == after.start for before, after in pairwise(found))
        assert len({each.anchor for each in found}) == len(found) in (366, 367)


def test_a_zone_that_skips_a_day_skips_its_events() -> None:
    calendar = with_events("close: { when: every day, kinds: freeze }", time_zone="Pacific/Apia")
    found = calendar.events_between(utc("2011-12-28"), utc("2012-01-02"))
    assert date(2011, 12, 30) not in {each.anchor for each in found}
    assert all(before.end == after.start for before, after in pairwise(found))


def test_the_year_end_of_a_53_week_year() -> None:
    """The group's fiscal years end on 26 December 2026 and (52 weeks on) 25 December 2027, 30 December 2028 (53)."""
    assert GROUP_CALENDAR.fiscal_year_end(2027) == date(2027, 12, 25)
    assert GROUP_CALENDAR.fiscal_year_end(2028) == date(2028, 12, 30)
    assert GROUP_CALENDAR.period_of(date(2028, 12, 30)).week == 53
    found = GROUP_CALENDAR.events_between(utc("2028-12-01"), utc("2029-01-31"))
    close = next(each for each in found if each.period == "FY2028 P12")
    assert close.anchor == date(2028, 12, 29)
    assert close.start == utc("2028-12-28")
    assert close.end == utc("2029-01-06"), "1 January is a bank holiday"


def test_regions_have_their_own_business_days_zone_and_fiscal_year() -> None:
    found = GROUP_CALENDAR.events_between(utc("2027-05-25"), utc("2027-06-05"))
    local = {each.region: each for each in found if each.event == "local-close"}
    assert local["germany"].anchor == date(2027, 5, 31)
    assert local["america"].anchor == date(2027, 5, 28), "31 May is Memorial Day"
    assert local["germany"].start == utc("2027-05-30 22:00")
    assert local["america"].zone == ZoneInfo("America/New_York")
    assert GROUP_CALENDAR.fiscal_year_end(2027, "india") == date(2027, 3, 31)
    assert GROUP_CALENDAR.is_business_day(date(2027, 5, 31), "germany")
    assert not GROUP_CALENDAR.is_business_day(date(2027, 5, 31), "america")
    assert GROUP_CALENDAR.closed_because(date(2027, 5, 31), "america") == "Memorial Day"
    assert GROUP_CALENDAR.add_business_days(date(2027, 5, 28), 1, "america") == date(2027, 6, 1)
    assert GROUP_CALENDAR.roll(date(2027, 5, 31), "modified following", "america") == date(2027, 5, 28)
    assert GROUP_CALENDAR.business_days_between(date(2027, 5, 28), date(2027, 6, 2), "america") == 2


def test_a_region_sees_its_events_and_those_of_everybody() -> None:
    start, end = utc("2027-03-20"), utc("2027-04-10")
    india, america = GROUP_CALENDAR.for_region("india"), GROUP_CALENDAR.for_region("america")
    assert {each.event for each in india.events_between(start, end)} == {"group-close", "india-year-end"}
    assert {each.event for each in america.events_between(start, end)} == {"group-close", "local-close"}
    assert {each.region for each in america.events_between(start, end)} == {"default", "america"}
    assert india.fiscal_year_end(2027) == date(2027, 3, 31), "without a name its own region is asked"
    assert GROUP_CALENDAR.for_region("india") is india
    with pytest.raises(KeyError):
        GROUP_CALENDAR.for_region("mars")


def test_an_event_may_have_a_time_zone_of_its_own() -> None:
    calendar = with_events("close: { when: 15 March, time_zone: Asia/Kolkata, kinds: peak }")
    assert calendar.events_between(utc("2026-03-01"), utc("2026-04-01"))[0].start == utc("2026-03-14 18:30")


def test_instants_need_a_time_zone() -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001
    for ask in (COMPANY_CALENDAR.in_force, COMPANY_CALENDAR.next_peak):
        with pytest.raises(ValueError, match="no time zone"):
            ask(naive)


def test_an_instant_of_any_zone_is_the_same_question() -> None:
    at = datetime(2026, 11, 26, 6, 0, tzinfo=ZoneInfo("Europe/Berlin"))
    assert COMPANY_CALENDAR.in_force(at) is COMPANY_CALENDAR.in_force(at.astimezone(UTC))


ALL = {
    calendar: calendar.events_between(utc("2023-01-01"), utc("2031-01-01"))
    for calendar in (COMPANY_CALENDAR, GROUP_CALENDAR)
}
instants = st.datetimes(datetime(2025, 1, 1), datetime(2028, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


@unhurried
@given(calendar=st.sampled_from([COMPANY_CALENDAR, GROUP_CALENDAR]), at=instants)
def test_what_is_in_force_agrees_with_looking_at_everything(calendar: FinanceCalendar, at: datetime) -> None:
    everything = ALL[calendar]
    now = calendar.in_force(at)
    causes = [each for each in everything if each.start <= at < each.end]
    assert list(now.causes) == causes
    assert set(now.stretches) == {kind for each in causes for kind in each.kinds}
    assert now.until == min(edge for each in everything for edge in (each.start, each.end) if edge > at)
    for kind in Kind:
        of_kind = [each for each in everything if kind in each.kinds]
        coming = calendar.next(kind, at)
        # The slow way: jump to the end of whatever is on, until nothing is on or touches; then the next start.
        end = at
        while True:
            on = [each.end for each in of_kind if each.start <= end < each.end and (end > at or each.start <= at)]
            if not on:
                break
            end = max(on)
        if kind in now.stretches:
            assert now.stretches[kind].end == end
        starts = [each.start for each in of_kind if each.start > end]
        assert (coming.start if coming else None) == (min(starts) if starts else None)


@unhurried
@given(calendar=st.sampled_from([COMPANY_CALENDAR, GROUP_CALENDAR]), at=instants, hours=st.integers(0, 5000))
def test_a_range_gives_what_overlaps_it(calendar: FinanceCalendar, at: datetime, hours: int) -> None:
    end = at + timedelta(hours=hours)
    expected = [each for each in ALL[calendar] if hours and each.start < end and at < each.end]
    assert calendar.events_between(at, end) == expected


OFFSETS = (
    *("-7 business days", "-1 business day", "-2 business days 06:00", "-1 day 18:00", "+0 days 05:00"),
    *("+1 business day 12:00", "+2 days 03:00", "+5 business days", "+10 days"),
)


@pytest.mark.parametrize("holidays", ["CN", "IL", "DE-BY"])
@pytest.mark.parametrize("rule", ["every day", "25th", "last day of month", "10th of month, nearest"])
def test_any_offsets_from_any_day_are_found_in_any_range(rule: str, holidays: str) -> None:
    """From closed days too, where shifting there and back does not end on the same day."""
    chance = random.Random(rule + holidays)
    region = Region("default", BusinessDayCalendar([holidays]), FiscalCalendar(), ZoneInfo("America/New_York"))
    for begins, ends in product(OFFSETS, OFFSETS):
        offsets = parse_offset(begins), parse_offset(ends)
        if problem_of_pair(*offsets):
            continue
        event = DeclaredEvent("event", "", frozenset(Kind), ((rule, parse_rule(rule)),), *offsets, "", region)
        everything = list(event.occurrences(utc("2025-06-01"), utc("2027-06-01")))
        for _ in range(30):
            at = utc("2025-10-01") + timedelta(hours=chance.randint(0, 24 * 450))
            until = at + timedelta(hours=chance.choice([1, 30, 200]))
            expected = [each for each in everything if each.start < until and at < each.end]
            assert list(event.occurrences(at, until)) == expected


@unhurried
@given(at=instants)
def test_a_fresh_calendar_gives_the_same_answer(at: datetime) -> None:
    """What was asked before does not matter."""
    assert compiled(COMPANY).in_force(at) == COMPANY_CALENDAR.in_force(at)


def test_what_is_in_force_is_answered_in_well_under_a_millisecond() -> None:
    """The bound is generous for a busy machine; `bench/finance_calendar.py` measures."""
    at = utc("2026-11-28 12:00")
    GROUP_CALENDAR.in_force(at)
    best = min(_seconds_for(lambda: GROUP_CALENDAR.in_force(at)) for _ in range(50))
    assert best < 0.001


def _seconds_for(ask: object) -> float:
    assert callable(ask)
    start = time.perf_counter()
    ask()
    return time.perf_counter() - start
