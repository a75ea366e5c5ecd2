"""Calendars that somebody else keeps."""

from datetime import date, timedelta

import pytest

from shared.finance_calendar.calendar import FinanceCalendar
from shared.finance_calendar.declaration import Kind
from shared.finance_calendar.feeds import FeedError
from tests.finance_calendar.declared import compiled, utc

SUBSCRIBED = """
time_zone: Europe/Berlin
events: { close: { when: 15 March, kinds: peak } }
subscriptions:
  group:
    ics: blob://ops/finance.ics
    kinds: { Freeze: freeze, "Busy season": [peak, tighten] }
"""


def ics(*events: str) -> bytes:
    body = "".join(f"BEGIN:VEVENT\nUID:{number}\n{event.strip()}\nEND:VEVENT\n" for number, event in enumerate(events))
    text = f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:test\n{body}END:VCALENDAR\n"
    return text.replace("\n", "\r\n").encode()


def subscribed(*events: str) -> FinanceCalendar:
    return compiled(SUBSCRIBED, {"group": ics(*events)})


def windows(calendar: FinanceCalendar, start: str = "2026-01-01", end: str = "2027-01-01") -> list[str]:
    found = (each for each in calendar.events_between(utc(start), utc(end)) if each.event == "group")
    return [f"{each.start:%m-%d %H:%M} {each.end:%m-%d %H:%M}" for each in found]


def test_categories_become_kinds() -> None:
    calendar = subscribed(
        "DTSTART:20260601T080000Z\nDTEND:20260605T180000Z\nSUMMARY:Go-live\nCATEGORIES:FREEZE,Company",
        "DTSTART:20260701T080000Z\nDTEND:20260705T180000Z\nSUMMARY:Audit\nCATEGORIES:busy season\nCATEGORIES:freeze",
        "DTSTART:20260801T080000Z\nDTEND:20260805T180000Z\nSUMMARY:Party\nCATEGORIES:Fun",
        "DTSTART:20260901T080000Z\nDTEND:20260905T180000Z\nSUMMARY:No category",
    )
    found = calendar.events_between(utc("2026-05-01"), utc("2026-12-01"))
    assert [(each.title, set(each.kinds)) for each in found] == [
        ("Go-live", {Kind.FREEZE}),
        ("Audit", {Kind.PEAK, Kind.FREEZE, Kind.TIGHTEN}),
    ]
    assert found[0].event == "group"
    assert found[0].why == "subscription group, category FREEZE"
    assert calendar.in_force(utc("2026-06-02")).explain() == [
        "freeze until 2026-06-05 20:00 Europe/Berlin, because of group 2026-06-01"
    ]
    coming = calendar.next_freeze(utc("2026-06-02"))
    assert coming is not None
    assert coming.causes[0].title == "Audit"


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ("DTSTART;VALUE=DATE:20260601\nDTEND;VALUE=DATE:20260603", "05-31 22:00 06-02 22:00"),
        ("DTSTART;VALUE=DATE:20260601", "05-31 22:00 06-01 22:00"),
        ("DTSTART:20260601T080000\nDURATION:PT2H", "06-01 06:00 06-01 08:00"),
        ("DTSTART;TZID=America/New_York:20260601T080000\nDURATION:PT2H", "06-01 12:00 06-01 14:00"),
        ("DTSTART:20260329T023000\nDTEND:20260329T040000", "03-29 01:00 03-29 02:00"),
    ],
    ids=["whole days", "one whole day", "without zone", "another zone", "skipped by the clock"],
)  # fmt: skip
def test_whole_days_and_times_without_zone_are_local(event: str, expected: str) -> None:
    assert windows(subscribed(event + "\nCATEGORIES:Freeze")) == [expected]


def test_recurring_events_are_expanded_with_their_changes() -> None:
    calendar = subscribed(
        """DTSTART;TZID=Europe/Berlin:20260302T200000
DTEND;TZID=Europe/Berlin:20260302T220000
RRULE:FREQ=WEEKLY;BYDAY=MO;COUNT=6
EXDATE;TZID=Europe/Berlin:20260316T200000
CATEGORIES:Freeze""",
    )
    assert windows(calendar) == [
        "03-02 19:00 03-02 21:00",
        "03-09 19:00 03-09 21:00",
        "03-23 19:00 03-23 21:00",
        "03-30 18:00 03-30 20:00",
        "04-06 18:00 04-06 20:00",
    ]


def test_a_moved_and_a_cancelled_occurrence() -> None:
    series = "DTSTART:20260601T080000Z\nDTEND:20260601T090000Z\nRRULE:FREQ=DAILY;COUNT=3\nCATEGORIES:Freeze"
    moved = "RECURRENCE-ID:20260602T080000Z\nDTSTART:20260610T080000Z\nDTEND:20260610T090000Z\nCATEGORIES:Freeze"
    cancelled = moved.replace("0602", "0603").replace("0610", "0603") + "\nSTATUS:CANCELLED"
    text = ics(series, moved, cancelled).replace(b"UID:1", b"UID:0").replace(b"UID:2", b"UID:0")
    assert windows(compiled(SUBSCRIBED, {"group": text})) == ["06-01 08:00 06-01 09:00", "06-10 08:00 06-10 09:00"]


def test_an_endless_series_costs_only_the_range_that_is_asked_for() -> None:
    calendar = subscribed("DTSTART;VALUE=DATE:20200101\nRRULE:FREQ=MONTHLY;BYMONTHDAY=-1\nCATEGORIES:Freeze")
    found = calendar.events_between(utc("2040-01-01"), utc("2041-01-01"))
    ends = [each.anchor for each in found if each.event == "group"]
    assert ends[:2] == [date(2040, 1, 31), date(2040, 2, 29)]
    assert len(ends) == 12


def test_events_without_duration_do_not_count() -> None:
    assert windows(subscribed("DTSTART:20260601T080000Z\nDTEND:20260601T080000Z\nCATEGORIES:Freeze")) == []


def test_a_feed_of_a_region_happens_in_its_time_zone() -> None:
    text = SUBSCRIBED + "    region: [india]\nregions: { india: { time_zone: Asia/Kolkata } }\n"
    calendar = compiled(text, {"group": ics("DTSTART;VALUE=DATE:20260601\nCATEGORIES:Freeze")})
    found = calendar.for_region("india").events_between(utc("2026-05-01"), utc("2026-07-01"))
    assert [(each.region, each.start) for each in found] == [("india", utc("2026-05-31 18:30"))]


def test_a_missing_feed_is_named_and_the_rest_works() -> None:
    calendar = compiled(SUBSCRIBED)
    assert calendar.missing_feeds == ("group",)
    assert calendar.in_force(utc("2026-03-15 12:00")).is_on(Kind.PEAK)
    assert subscribed().missing_feeds == ()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>sign in</html>",
        b"\xff\xfe\x00\x01",
        ics("DTSTART:tomorrow\nCATEGORIES:Freeze"),
        ics("DTSTART:20260601T080000Z\nRRULE:FREQ=WEAKLY\nCATEGORIES:Freeze"),
        ics("DTSTART:20260601T080000Z\nDTEND:20260501T080000Z\nCATEGORIES:Freeze"),
        ics("DTSTART:20260601T080000Z\nCATEGORIES:Freeze")[:-20],
        ics("SUMMARY:no start\nCATEGORIES:Freeze"),
    ],
    ids=[
        "empty",
        "a sign-in page",
        "binary",
        "no date",
        "no frequency",
        "ends before it begins",
        "cut off",
        "no start",
    ],
)
def test_a_broken_feed_is_refused_and_never_read_as_empty(content: bytes) -> None:
    with pytest.raises(FeedError, match="subscription group"):
        compiled(SUBSCRIBED, {"group": content})


@pytest.mark.parametrize(
    "rule", ["FREQ=SECONDLY", "FREQ=MINUTELY;INTERVAL=5", "FREQ=DAILY;BYHOUR=1,2,3,4,5;BYMINUTE=1,2,3,4,5"]
)
def test_a_feed_cannot_exhaust_us(rule: str) -> None:
    with pytest.raises(FeedError, match="more than 24 times a day"):
        subscribed(f"DTSTART:20260601T080000Z\nDURATION:PT1M\nRRULE:{rule}\nCATEGORIES:Freeze")
    with pytest.raises(FeedError, match="bytes"):
        compiled(SUBSCRIBED, {"group": b" " * (5 * 1024 * 1024 + 1)})


def test_what_we_write_can_be_subscribed_to() -> None:
    from shared.finance_calendar.rendering import as_ics

    calendar = compiled(SUBSCRIBED, {"group": ics("DTSTART;VALUE=DATE:20260601\nSUMMARY:Go-live\nCATEGORIES:Freeze")})
    written = calendar.events_between(utc("2026-01-01"), utc("2027-01-01"))
    text = SUBSCRIBED.replace("Freeze: freeze", "freeze: freeze, peak: peak").replace("close:", "other:")
    read = compiled(text, {"group": as_ics(written, "ours", utc("2026-01-01"))})
    again = [each for each in read.events_between(utc("2026-01-01"), utc("2027-01-01")) if each.event == "group"]
    assert [(each.start, each.end, each.kinds) for each in again] == [
        (each.start, each.end, each.kinds) for each in written
    ]
    assert again[0].end - again[0].start == timedelta(days=1)
