from datetime import UTC, datetime
from typing import Any

import pytest

from shared.job_remediation.intake.values import Fields, as_epoch_time, as_number, as_text, as_time


@pytest.mark.parametrize(
    ("written", "number"),
    [
        (7, 7.0),
        (7.727, 7.727),
        ("25", 25.0),
        (" 47658.25 ", 47658.25),
        ("12.7m", 0.0127),
        ("1.5k", 1500.0),
        ("2Gi", 2.0 * 2**30),
        ("3e-2", 0.03),
        ("97%", 97.0),
        ("1e999", None),
        (float("inf"), None),
        (float("nan"), None),
        (10**4000, None),
        ("NaN", None),
        ("$50.00", None),
        ("", None),
        (True, None),
        (None, None),
        ([], None),
    ],
)
def test_number(written: Any, number: float | None) -> None:
    assert as_number(written) == (pytest.approx(number) if number is not None else None)


@pytest.mark.parametrize(
    ("written", "time"),
    [
        ("2025-04-15T17:55:39.04Z", datetime(2025, 4, 15, 17, 55, 39, 40000, tzinfo=UTC)),
        ("2019-03-22T13:58:24.3713213Z", datetime(2019, 3, 22, 13, 58, 24, 371321, tzinfo=UTC)),
        ("2024-04-16T22:17:12.103268606Z", datetime(2024, 4, 16, 22, 17, 12, 103268, tzinfo=UTC)),
        ("2024-04-16T22:17:12.1032748", datetime(2024, 4, 16, 22, 17, 12, 103274, tzinfo=UTC)),
        ("2019-06-24T11:31:19.0312699+02:00", datetime(2019, 6, 24, 9, 31, 19, 31269, tzinfo=UTC)),
        ("3/22/2019 1:36:31 PM", datetime(2019, 3, 22, 13, 36, 31, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", None),
        ("9999-12-31T23:59:59-12:00", None),
        ("13/45/2019 1:36:31 PM", None),
        ("soon", None),
        ("", None),
        (1553261904, None),
        (None, None),
    ],
)
def test_time(written: Any, time: datetime | None) -> None:
    assert as_time(written) == time


@pytest.mark.parametrize("seconds", [None, 0.0, 1e20, -1e20, float("inf"), float("nan")])
def test_no_epoch_time(seconds: float | None) -> None:
    assert as_epoch_time(seconds) is None


def test_text_is_one_line_that_can_be_written_anywhere() -> None:
    assert as_text(" a\r\n\x00b\ud800c\u0085 ") == "a b c"
    assert as_text("x" * 9_000) == "x" * 2_000
    assert [as_text(value) for value in (7, 1.5, True, None, [], {}, " ")] == ["7", "1.5", *[None] * 5]


def test_nested_json_that_breaks_off_is_text() -> None:
    fields = Fields({"list": "[1,", "object": '{"a":', "deep": "[" * 60_000, "good": '["a", 7]'})
    assert fields.items("list") == ["[1,"]
    assert not fields.fields("object")
    assert len(fields.items("deep")) == 1
    assert fields.texts("good") == ["a", "7"]
