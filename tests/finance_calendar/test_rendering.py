"""The calendar for people, programs and subscribers."""

import json
import re
from datetime import datetime

from icalendar import Calendar

from shared.finance_calendar.rendering import as_ics, as_json, as_text
from tests.finance_calendar.declared import COMPANY, compiled, utc

NOVEMBER = compiled(COMPANY).events_between(utc("2026-11-01"), utc("2026-12-01"))

OCTOBER_28 = "Wed 2026-10-28 06:00 to Wed 2026-11-04 20:00"
NOVEMBER_10 = "Tue 2026-11-10 00:00 to Tue 2026-11-10 23:59"
NOVEMBER_24 = "Tue 2026-11-24 18:00 to Wed 2026-11-25 12:00"
NOVEMBER_26 = "Thu 2026-11-26 06:00 to Thu 2026-12-03 20:00"


def test_a_table_for_people() -> None:
    lines = as_text(NOVEMBER).splitlines()
    assert [re.split("  +", line)[:-1] for line in lines] == [
        ["begins", "ends", "time zone", "event", "period", "region", "kinds"],
        [*OCTOBER_28.split(" to "), "Europe/Berlin", "month-end-close", "2026-10", "default", "peak+freeze+tighten"],
        [*NOVEMBER_10.split(" to "), "Europe/Berlin", "vat-return", "2026-11", "default", "tighten"],
        [*NOVEMBER_24.split(" to "), "Europe/Berlin", "payroll", "2026-11", "default", "peak+tighten"],
        [*NOVEMBER_26.split(" to "), "Europe/Berlin", "month-end-close", "2026-11", "default", "peak+freeze+tighten"],
    ]
    assert lines[0].index("why") == lines[1].index("last business day"), "columns stand below each other"
    assert lines[1].endswith("to +3 business days 20:00 Europe/Berlin")
    assert as_text([]).startswith("begins")


def test_json_for_programs() -> None:
    found = json.loads(json.dumps(as_json(NOVEMBER)))
    assert found[-1] == {
        "key": "month-end-close/default/2026-11-30",
        "event": "month-end-close",
        "title": "Monthly close",
        "kinds": ["peak", "freeze", "tighten"],
        "region": "default",
        "anchor": "2026-11-30",
        "period": "2026-11",
        "start": "2026-11-26T05:00:00Z",
        "end": "2026-12-03T19:00:00Z",
        "start_local": "2026-11-26T06:00:00+01:00",
        "end_local": "2026-12-03T20:00:00+01:00",
        "time_zone": "Europe/Berlin",
        "why": NOVEMBER[-1].why,
        "keeps_documents_of": [],
    }


def test_ics_for_subscribers() -> None:
    calendar = Calendar.from_ical(as_ics(NOVEMBER, "Finance", utc("2026-11-22 08:00")))
    assert calendar["X-WR-CALNAME"] == "Finance"
    events = calendar.walk("VEVENT")
    close = events[-1]
    assert close["SUMMARY"] == "Monthly close 2026-11"
    assert close["UID"] == "month-end-close/default/2026-11-30@closekeeper"
    assert [str(category) for category in close.categories] == ["peak", "freeze", "tighten"]
    assert close.start == NOVEMBER[-1].start
    assert close.end == NOVEMBER[-1].end
    stamp = close["DTSTAMP"].dt
    assert isinstance(stamp, datetime)
    assert stamp == utc("2026-11-22 08:00")


def test_the_same_question_gives_the_same_bytes() -> None:
    assert as_ics(NOVEMBER, "Finance", utc("2026-11-22")) == as_ics(NOVEMBER, "Finance", utc("2026-11-22"))
    uids = [event["UID"] for event in Calendar.from_ical(as_ics(NOVEMBER, "x", utc("2026-11-22"))).walk("VEVENT")]
    assert len(set(uids)) == len(NOVEMBER)
