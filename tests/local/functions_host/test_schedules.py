"""NCRONTAB expressions and time spans, without a host."""

from datetime import UTC, datetime, timedelta

import pytest

from local.functions_host.schedules import ScheduleError, parse_schedule, parse_time_span


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "after", "following"),
    [
        ("0 */5 * * * *", "2026-11-21T10:02:30", ["2026-11-21T10:05:00", "2026-11-21T10:10:00"]),
        ("0 */5 * * * *", "2026-11-21T10:05:00", ["2026-11-21T10:10:00"]),
        ("*/5 * * * *", "2026-11-21T10:02:30", ["2026-11-21T10:05:00"]),
        ("30 0 9-17 * * 1-5", "2026-11-20T17:00:30", ["2026-11-23T09:00:30", "2026-11-23T10:00:30"]),
        ("0 0 8,20 * * *", "2026-11-21T08:00:00", ["2026-11-21T20:00:00", "2026-11-22T08:00:00"]),
        ("0 30 9 * Jan Mon", "2026-11-21T00:00:00", ["2027-01-04T09:30:00", "2027-01-11T09:30:00"]),
        ("0 0 0 * january-march sunday", "2026-03-20T00:00:00", ["2026-03-22T00:00:00", "2026-03-29T00:00:00"]),
        ("0 0 0 31 * *", "2026-11-01T00:00:00", ["2026-12-31T00:00:00", "2027-01-31T00:00:00"]),
        ("0 0 0 29 2 *", "2026-01-01T00:00:00", ["2028-02-29T00:00:00"]),
        ("0 0 0 13 * 5", "2026-01-01T00:00:00", ["2026-02-13T00:00:00", "2026-03-13T00:00:00"]),
        ("0 0 0 * * 0", "2026-11-21T00:00:00", ["2026-11-22T00:00:00"]),
        (
            "0 5/20 * * * *",
            "2026-11-21T10:05:01",
            ["2026-11-21T10:25:00", "2026-11-21T10:45:00", "2026-11-21T11:05:00"],
        ),
        ("0 10-30/10 * * * *", "2026-11-21T10:25:00", ["2026-11-21T10:30:00", "2026-11-21T11:10:00"]),
        ("59 59 23 31 12 *", "2026-12-31T23:59:58.5", ["2026-12-31T23:59:59", "2027-12-31T23:59:59"]),
        ("00:05:00", "2026-11-21T10:02:30", ["2026-11-21T10:07:30", "2026-11-21T10:12:30"]),
        ("1.00:00:00", "2026-11-21T10:02:30", ["2026-11-22T10:02:30"]),
    ],
)
def test_occurrences(expression: str, after: str, following: list[str]) -> None:
    schedule, instant = parse_schedule(expression), at(after)
    for expected in following:
        instant = schedule.next_after(instant)
        assert instant == at(expected)


def test_only_constant_schedules_do_not_adjust() -> None:
    assert parse_schedule("0 0 * * * *").adjust_for_dst
    assert not parse_schedule("01:00:00").adjust_for_dst


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "nonsense",
        "* * *",
        "60 * * * * *",
        "0 0 24 * * *",
        "0 0 0 0 * *",
        "0 0 0 * 13 *",
        "0 0 0 * * 7",
        "0 */0 * * * *",
        "0 0 0 * * mo",
        "0 0 0 * * *-",
        "0 a * * * *",
        "25:00:00",
        "0 0 0 * jux *",
        "1 2 3 4 5 6 7",
    ],
)
def test_not_recognized(expression: str) -> None:
    with pytest.raises(ScheduleError, match="was not recognized as a valid cron expression or timespan string"):
        parse_schedule(expression)


def test_never() -> None:
    with pytest.raises(ScheduleError, match="never occurs"):
        parse_schedule("0 0 0 31 2 *")


def test_time_span_fractions() -> None:
    assert parse_time_span("00:00:01.5") == timedelta(seconds=1.5)
