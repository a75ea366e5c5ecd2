"""What can be reckoned beforehand: upgrades that come into a peak, interruptions, the age of a proof."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.peak_looks import backup_look
from shared.platforms.cluster_upgrades import spans
from shared.platforms.postgres_scaling import PREMIUM, PREMIUM_V2, ScaleFacts, interruption

START, END = datetime(2026, 11, 26, 6, tzinfo=UTC), datetime(2026, 12, 3, 20, tzinfo=UTC)
"""From a Thursday to the next one, over the end of a month."""


@pytest.mark.parametrize(
    ("schedule", "days"),
    [
        ({"weekly": {"intervalWeeks": 1, "dayOfWeek": "Monday"}}, [30]),
        ({"weekly": {"intervalWeeks": 2, "dayOfWeek": "Thursday"}}, [26, 3]),
        ({"daily": {"intervalDays": 1}}, [26, 27, 28, 29, 30, 1, 2, 3]),
        ({"absoluteMonthly": {"intervalMonths": 1, "dayOfMonth": 1}}, [1]),
        ({"relativeMonthly": {"intervalMonths": 1, "weekIndex": "Last", "dayOfWeek": "Monday"}}, [30]),
        ({"relativeMonthly": {"intervalMonths": 1, "weekIndex": "First", "dayOfWeek": "Tuesday"}}, [1]),
        ({"relativeMonthly": {"intervalMonths": 1, "weekIndex": "Second", "dayOfWeek": "Tuesday"}}, []),
        ({"relativeMonthly": {"intervalMonths": 1, "weekIndex": "Fourth", "dayOfWeek": "Saturday"}}, [28]),
    ],
)
def test_windows_of_upgrades_in_a_peak(schedule: dict[str, Any], days: list[int]) -> None:
    window = {"schedule": schedule, "durationHours": 4, "startTime": "10:00"}
    assert [opens.day for opens, _ in spans(window, START, END)] == days


def test_a_window_counts_in_its_own_time_and_as_long_as_it_is_open() -> None:
    window: dict[str, Any] = {
        "schedule": {"weekly": {"intervalWeeks": 1, "dayOfWeek": "Thursday"}},
        "durationHours": 8,
        "startTime": "00:00",
        "utcOffset": "+01:00",
    }
    first = (datetime(2026, 11, 25, 23, tzinfo=UTC), datetime(2026, 11, 26, 7, tzinfo=UTC))
    assert spans(window, START, END)[0] == first, "it opened before the peak, and is still open"
    assert spans(window | {"durationHours": 7}, START, END)[0] != first
    assert spans(window | {"startDate": "2026-12-01"}, START, END)[0][0].month == 12


def test_barred_dates_hold_upgrades_off() -> None:
    window: dict[str, Any] = {
        "schedule": {"daily": {"intervalDays": 1}},
        "durationHours": 4,
        "startTime": "10:00",
        "notAllowedDates": [{"start": "2026-11-25", "end": "2026-12-02"}],
    }
    assert [opens.day for opens, _ in spans(window, START, END)] == [3]


def facts(sku: str = "Standard_D4ds_v5", **more: Any) -> ScaleFacts:
    given: dict[str, Any] = {
        "id": "pg",
        "location": "westeurope",
        "state": "Ready",
        "host": "pg",
        "source": "",
        "subnet": "",
        "sku": sku,
        "storage_gb": 1024,
        "storage_type": PREMIUM,
        "performance_tier": "P30",
        "iops": 5000,
        "throughput": 0,
        "auto_grow": False,
    }
    return ScaleFacts(**{**given, **more})


@pytest.mark.parametrize(
    ("now", "wanted", "replicas", "most"),
    [
        (facts(), {"sku": "Standard_D16ds_v5"}, 0, timedelta(seconds=60)),
        (facts(), {"sku": "Standard_D16ds_v5"}, 2, timedelta(minutes=10)),
        (facts("Standard_B2s"), {"sku": "Standard_D4ds_v5"}, 0, timedelta(minutes=10)),
        (facts("Standard_B8ms"), {"sku": "Standard_D4ds_v5"}, 0, timedelta(seconds=60)),
        (facts(), {"performance_tier": "P40"}, 1, timedelta()),
        (facts(), {"storage_gb": 8192}, 0, timedelta(minutes=10)),
        (facts(storage_type=PREMIUM_V2), {"storage_gb": 8192}, 0, timedelta()),
        (facts(), {"sku": "Standard_D4ds_v5"}, 2, timedelta()),
    ],
)
def test_what_a_change_of_size_costs(now: ScaleFacts, wanted: dict[str, Any], replicas: int, most: timedelta) -> None:
    assert interruption(now, wanted, replicas).most == most


@pytest.mark.parametrize(("days", "good"), [(34, True), (35, True), (36, False)])
def test_a_proof_must_still_be_recent_when_the_peak_starts(days: int, good: bool) -> None:
    seen = backup_look("erp", START - timedelta(days=days), START, timedelta(days=35))
    assert seen.ok is good
    assert backup_look("erp", None, START, timedelta(days=35)).ok is False
