"""Local time: one start and one end a day, in every zone, whatever the clocks do."""

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from zoneinfo import TZPATH, ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.finance_calendar.sentences import SentenceError
from shared.finance_calendar.windows import Window, instant, local_day, parse_weekly, window
from tests.finance_calendar.reference import DAY, MINUTE, first_instant_showing, unhurried

NAMED = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kolkata")
FIRST, LAST = date(2015, 1, 1), date(2034, 12, 31)
# (start, end) in minutes of the day; an end beyond 1440 is on the next day.
DAILY = [
    (7 * 60, 20 * 60),
    (20 * 60, 32 * 60),
    (0, 1440),
    (2 * 60 + 30, 26 * 60 + 30),
    (30, 4 * 60),
    (2 * 60, 23 * 60 + 45),
    (23 * 60 + 30, 25 * 60 + 30),
]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@cache
def distinct_zones() -> list[str]:
    """Every zone of zoneinfo, the aliases (same rules, same file) once."""
    by_content: dict[bytes, str] = {}
    for name in sorted(available_timezones()):
        paths = [Path(folder) / name for folder in TZPATH]
        content = next((path.read_bytes() for path in paths if path.is_file()), None)
        if content is None:
            content = files("tzdata").joinpath("zoneinfo", name).read_bytes()
        by_content.setdefault(content, name)
    return list(by_content.values())


@cache
def days_of_change(zone: ZoneInfo) -> list[date]:
    """The days within which the zone's offset changes, in the twenty years."""
    found: list[date] = []
    at, end = datetime(FIRST.year, 1, 1, tzinfo=UTC), datetime(LAST.year + 1, 1, 1, tzinfo=UTC)
    before = at.astimezone(zone).utcoffset()
    while at < end:
        at += DAY
        offset = at.astimezone(zone).utcoffset()
        if offset != before:
            found.append(at.date())
        before = offset
    return found


def daily(day: date, times: tuple[int, int], zone: ZoneInfo) -> Window | None:
    return window(day, (day, times[0]), (day, times[1]), zone)


def assert_one_on_and_one_off_a_day(first: date, last: date, times: tuple[int, int], zone: ZoneInfo) -> None:
    """Each day has one window; they do not overlap, and time passes in each and (unless they touch) between them."""
    before: Window | None = None
    for offset in range((last - first).days + 1):
        found = daily(first + offset * DAY, times, zone)
        assert found is not None, f"{zone.key} {first + offset * DAY}: no window"
        assert found.start < found.end
        if before is not None:
            assert before.end <= found.start, f"{zone.key} {found.day}: overlaps the day before"
            assert (before.end == found.start) == (times[1] - times[0] == 1440)
        before = found


def test_every_zone_has_one_on_and_one_off_a_day_for_twenty_years() -> None:
    """All days around a change of clocks; of the others one a quarter, by a fixed seed.

    A day's windows depend only on the offsets around it, so days far from a change differ from one another by
    nothing but their number; the named zones below are tested on every single day.
    """
    chance = random.Random(20260101)
    checked = 0
    for name in distinct_zones():
        zone = ZoneInfo(name)
        samples = [
            date(year, month, chance.randint(1, 28)) for year in range(FIRST.year, LAST.year) for month in (1, 4, 7, 10)
        ]
        for day in samples:
            assert_one_on_and_one_off_a_day(day, day + DAY, chance.choice(DAILY), zone)
        for day in days_of_change(zone):
            for times in DAILY:
                assert_one_on_and_one_off_a_day(day - 2 * DAY, day + 2 * DAY, times, zone)
                checked += 1
    assert len(distinct_zones()) > 300
    assert checked > 30_000, "the changes of clocks were not found"


@pytest.mark.parametrize("name", NAMED)
def test_a_named_zone_has_one_on_and_one_off_on_every_single_day(name: str) -> None:
    for times in DAILY:
        assert_one_on_and_one_off_a_day(FIRST, LAST, times, ZoneInfo(name))


@pytest.mark.parametrize("name", [*NAMED, "America/St_Johns", "Africa/Cairo", "Europe/Dublin", "Pacific/Chatham"])
def test_a_local_time_is_the_first_instant_at_which_the_clock_shows_it_or_a_later_one(name: str) -> None:
    """Minute by minute around every change of five years; negative DST (Dublin, Casablanca) and half hours included."""
    zone = ZoneInfo(name)
    for day in [day for day in days_of_change(zone) if 2022 <= day.year <= 2026]:
        for local in (day - DAY, day, day + DAY):
            for minutes in (0, 1, 30, 59, 60, 90, 119, 120, 121, 135, 150, 179, 180, 181, 210, 240, 1439):
                assert instant(local, minutes, zone) == first_instant_showing(local, minutes, zone)


# Zone, what happens, day, window in minutes, and its start and end in UTC; no window when all of it is skipped.
CHANGES = [
    ("Europe/Berlin", "gap", date(2026, 3, 29), (150, 210), "2026-03-29 01:00", "2026-03-29 01:30"),
    ("Europe/Berlin", "fold", date(2026, 10, 25), (150, 210), "2026-10-25 00:30", "2026-10-25 02:30"),
    ("America/New_York", "gap", date(2026, 3, 8), (0, 1440), "2026-03-08 05:00", "2026-03-09 04:00"),
    ("America/New_York", "fold", date(2026, 11, 1), (0, 1440), "2026-11-01 04:00", "2026-11-02 05:00"),
    ("Australia/Lord_Howe", "half hour gap", date(2026, 10, 4), (135, 180), "2026-10-03 15:30", "2026-10-03 16:00"),
    ("Australia/Lord_Howe", "half hour fold", date(2026, 4, 5), (105, 180), "2026-04-04 14:45", "2026-04-04 16:30"),
    ("Africa/Casablanca", "Ramadan begins", date(2026, 2, 15), (150, 240), "2026-02-15 01:30", "2026-02-15 04:00"),
    ("Africa/Casablanca", "Ramadan ends", date(2026, 3, 22), (150, 240), "2026-03-22 02:00", "2026-03-22 03:00"),
    ("Asia/Kolkata", "no change ever", date(2026, 3, 29), (150, 210), "2026-03-28 21:00", "2026-03-28 22:00"),
    ("Africa/Cairo", "all in the gap at midnight", date(2026, 4, 24), (0, 60), None, None),
    ("Africa/Cairo", "day without midnight", date(2026, 4, 24), (0, 1440), "2026-04-23 22:00", "2026-04-24 21:00"),
    ("Antarctica/Casey", "all in a gap of three hours", date(2016, 10, 22), (30, 180), None, None),
]


@pytest.mark.parametrize(
    ("zone", "day", "times", "start", "end"),
    [(case[0], *case[2:]) for case in CHANGES],
    ids=[" ".join(case[:2]) for case in CHANGES],
)
def test_changes_of_clocks(zone: str, day: date, times: tuple[int, int], start: str | None, end: str | None) -> None:
    found = daily(day, times, ZoneInfo(zone))
    assert found == (Window(utc(start), utc(end), day) if start and end else None)


def test_a_day_that_a_zone_skips_has_no_window_and_its_neighbours_touch() -> None:
    """Samoa went from 29 to 31 December 2011."""
    apia = ZoneInfo("Pacific/Apia")
    assert daily(date(2011, 12, 30), (480, 1200), apia) is None
    assert daily(date(2011, 12, 30), (0, 1440), apia) is None
    before, after = daily(date(2011, 12, 29), (0, 1440), apia), daily(date(2011, 12, 31), (0, 1440), apia)
    assert before is not None
    assert after is not None
    assert before.end == after.start == utc("2011-12-30 10:00")
    over = daily(date(2011, 12, 29), (20 * 60, 32 * 60), apia)
    assert over is not None
    assert over.end == after.start, "a night into the skipped day ends when that day would have begun"


@unhurried
@given(
    zone=st.sampled_from([*NAMED, "Pacific/Apia", "Africa/Monrovia", "Europe/Dublin", "Asia/Gaza", "America/Caracas"]),
    day=st.dates(date(1971, 1, 1), date(2060, 12, 31)),
    times=st.lists(st.integers(0, 4320), min_size=2, max_size=8),
)
def test_instants_keep_the_order_of_local_times(zone: str, day: date, times: list[int]) -> None:
    instants = [instant(day, minutes, ZoneInfo(zone)) for minutes in sorted(times)]
    assert instants == sorted(instants)


@unhurried
@given(
    zone=st.sampled_from(NAMED),
    day=st.dates(FIRST, LAST),
    minutes=st.integers(0, 1439),
)
def test_an_instant_shows_its_local_time_again_unless_the_clock_skipped_it(zone: str, day: date, minutes: int) -> None:
    at = instant(day, minutes, ZoneInfo(zone)).astimezone(ZoneInfo(zone))
    shown = (at.date() - day).days * 1440 + at.hour * 60 + at.minute
    assert shown == minutes or 0 < shown - minutes <= 60


WEEKLY = [
    ("Mon-Fri 07:00-20:00", "2026-11-23 07:00", True),
    ("Mon-Fri 07:00-20:00", "2026-11-23 06:59", False),
    ("Mon-Fri 07:00-20:00", "2026-11-23 20:00", False),
    ("Mon-Fri 07:00-20:00", "2026-11-22 12:00", False),
    ("Monday-Friday 07:00-20:00, Sat 09:00-12:00", "2026-11-28 11:59", True),
    ("20:00-08:00", "2026-11-23 03:00", True),
    ("20:00-08:00", "2026-11-23 08:00", False),
    ("Mon-Fri 20:00-08:00", "2026-11-28 07:59", True),
    ("Mon-Fri 20:00-08:00", "2026-11-23 07:59", False),
    ("Fri 18:00-Mon 06:00", "2026-11-22 12:00", True),
    ("Fri 18:00-Mon 06:00", "2026-11-23 05:59", True),
    ("Fri 18:00-Mon 06:00", "2026-11-23 06:00", False),
    ("Fri 18:00-Mon 06:00", "2026-11-27 17:59", False),
    ("Fri 18:00-Mon 06:00", "2026-11-27 18:00", True),
    ("Sat-Sun", "2026-11-22 23:59", True),
    ("Sat-Sun", "2026-11-23 00:00", False),
    ("Fri-Mon 22:00-02:00", "2026-11-24 01:59", True),
    ("Fri-Mon 22:00-02:00", "2026-11-25 01:59", False),
    ("Sun 22:00-24:00", "2026-11-22 23:30", True),
    ("00:00-24:00", "2026-11-25 12:00", True),
    ("Mon 06:00-Mon 06:00", "2026-11-23 05:00", True),
]


@pytest.mark.parametrize(("text", "local", "expected"), WEEKLY, ids=[f"{text} at {local}" for text, local, _ in WEEKLY])
def test_weekly_windows(text: str, local: str, *, expected: bool) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    at = datetime.fromisoformat(local).replace(tzinfo=berlin)
    assert (parse_weekly(text).at(at, berlin) is not None) is expected


def test_an_overnight_window_belongs_to_the_day_on_which_it_starts() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    nights = parse_weekly("Mon-Fri 20:00-08:00")
    saturday_morning = utc("2026-11-28 05:00")
    found = nights.at(saturday_morning, berlin)
    assert found is not None
    assert found.day == date(2026, 11, 27)
    assert nights.at(saturday_morning, berlin, on=lambda day: day != date(2026, 11, 27)) is None
    assert nights.at(saturday_morning, berlin, on=lambda day: day != date(2026, 11, 28)) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Mon-Fri 07:00-20:00, Wed 19:00-21:00", "overlap on Wednesday"),
        ("Fri 18:00-Mon 06:00, Mon 05:00-07:00", "overlap on Monday"),
        ("Sun 22:00-Mon 23:00, Mon 22:00-23:30", "overlap on Monday"),
        ("Mon-Fr 07:00-20:00", 'did you mean "Mon-fri 07:00-20:00"?'),
        ("Mon-Fri 7-20", "a time such as 07:00"),
        ("Mon-Fri 07:00", "after"),
        ("Mon-Fri 07:00-25:00", "not a time of day"),
        ("", "a time such as 07:00"),
    ],
)
def test_malformed_weekly_windows_say_what_would_be_right(text: str, message: str) -> None:
    with pytest.raises(SentenceError) as found:
        parse_weekly(text)
    assert message in str(found.value)


def test_windows_that_touch_are_no_overlap() -> None:
    found = parse_weekly("Mon 08:00-12:00, Mon 12:00-18:00, Mon 18:00-Mon 08:00")
    berlin = ZoneInfo("Europe/Berlin")
    spans = list(found.windows(utc("2026-10-19 12:00"), utc("2026-11-02 12:00"), berlin))
    assert all(one.end == other.start for one, other in pairwise(spans))
    assert sum((span.end - span.start for span in spans), timedelta()) >= timedelta(days=14)


def week_texts() -> st.SearchStrategy[str]:
    time = st.integers(0, 95).map(lambda quarter: f"{quarter // 4:02}:{quarter % 4 * 15:02}")
    day = st.sampled_from(["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"])
    return st.one_of(
        st.builds("{}-{}".format, time, time),
        st.builds("{}-{} {}-{}".format, day, day, time, time),
        st.builds("{} {}-{} {}".format, day, time, day, time),
    )


@unhurried
@given(
    text=week_texts(),
    name=st.sampled_from(NAMED),
    near=st.integers(0, 10_000),
)
def test_weekly_windows_never_overlap_and_agree_with_any_range_asked_for(text: str, name: str, near: int) -> None:
    zone = ZoneInfo(name)
    changes = days_of_change(zone) or [date(2026, 3, 29)]
    around = changes[near % len(changes)]
    start = datetime.combine(around, datetime.min.time(), UTC) - 10 * DAY
    end = start + 20 * DAY
    weekly = parse_weekly(text)
    found = list(weekly.windows(start, end, zone))
    assert found == sorted(found)
    assert all(one.end <= other.start for one, other in pairwise(found))
    assert all(each.day == local_day(each.start, zone) or each.start == instant(each.day, 0, zone) for each in found)
    for at in _instants(start, end):
        expected = next((each for each in found if each.start <= at < each.end), None)
        assert weekly.at(at, zone) == expected


def _instants(start: datetime, end: datetime) -> Iterator[datetime]:
    at = start
    while at < end:
        yield at
        at += 331 * MINUTE
