"""Timer triggers by a clock that the test moves."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from local.functions_host import ManualClock
from local.functions_host.schedules import parse_schedule
from local.functions_host.timers import ScheduleStatus, missed

from .conftest import QUIET, Running, Start, until

NOON = datetime(2026, 11, 21, 12, 10, tzinfo=UTC)
ALL_ON = dict.fromkeys(QUIET, "0")


def runs(app: Running, name: str, number: int) -> list[dict[str, Any]]:
    """The runs of a timer, once there are that many."""

    def found() -> list[dict[str, Any]]:
        parsed = [json.loads(effect) for effect in app.effects() if effect.startswith("{")]
        return [effect for effect in parsed if effect.get("timer") == name]

    return until(found, lambda timers: len(timers) >= number)


def settle(app: Running) -> None:
    """Wait until what the clock's last step began is done: the worker answers after it."""
    executing = "Executing 'Functions."

    def open_runs() -> int:
        messages = [log["message"] for log in app.logs() if log["category"].startswith("Function.")]
        return sum(m.startswith(executing) for m in messages) - sum(m.startswith("Executed") for m in messages)

    assert app.client.get("/api/nothing").status_code == 200
    until(open_runs, lambda number: number == 0)


def test_fires_at_each_occurrence_with_its_status(start_host: Start) -> None:
    clock = ManualClock(NOON)
    app = start_host(clock=clock)
    clock.set(datetime(2026, 11, 21, 12, 59, 59, tzinfo=UTC))
    settle(app)
    assert not app.effects()
    clock.set(datetime(2026, 11, 21, 13, 0, tzinfo=UTC))
    first = runs(app, "hourly", 1)[0]
    assert first["past_due"] is False
    assert first["status"] == {
        "Last": "0001-01-01T00:00:00+00:00",
        "Next": "2026-11-21T13:00:00+00:00",
        "LastUpdated": "2026-11-21T12:10:00+00:00",
    }
    settle(app)
    clock.set(datetime(2026, 11, 21, 14, 0, 3, tzinfo=UTC))
    second = runs(app, "hourly", 2)[1]
    assert (second["past_due"], second["status"]["Last"]) == (False, "2026-11-21T13:00:00+00:00")
    settle(app)
    assert len(runs(app, "hourly", 2)) == 2


def test_a_setting_names_the_schedule(start_host: Start) -> None:
    clock = ManualClock(NOON)
    app = start_host(clock=clock, settings={"nightly": "0 0 18 * * *"})
    clock.set(datetime(2026, 11, 21, 18, 0, tzinfo=UTC))
    assert runs(app, "nightly", 1)[0]["status"]["Next"] == "2026-11-21T18:00:00+00:00"


def test_run_on_startup_and_a_constant_interval(start_host: Start) -> None:
    clock = ManualClock(NOON)
    app = start_host(clock=clock, settings={**ALL_ON, "AzureWebJobs.slow_timer.Disabled": "true"})
    assert runs(app, "every_90_minutes", 1)[0]["past_due"] is False
    settle(app)
    clock.advance(timedelta(minutes=90))
    assert runs(app, "every_90_minutes", 2)[1]["status"]["Next"] == "2026-11-21T13:40:00+00:00"


def test_a_slow_timer_does_not_overlap_itself(start_host: Start) -> None:
    clock = ManualClock(NOON)
    app = start_host(clock=clock, settings=ALL_ON)
    clock.advance(timedelta(seconds=1))
    until(app.effects, lambda effects: "slow_timer in" in effects)
    clock.advance(timedelta(seconds=5))  # five more fall due while it runs: they become one
    until(app.effects, lambda effects: effects.count("slow_timer out") == 2)
    settle(app)
    steps = [effect for effect in app.effects() if effect.startswith("slow_timer")]
    assert steps == ["slow_timer in", "slow_timer out"] * 2


def test_a_sleeping_machine_fires_once_and_past_due(start_host: Start) -> None:
    clock = ManualClock(NOON)
    app = start_host(clock=clock)
    clock.advance(timedelta(hours=5))
    assert [run["past_due"] for run in runs(app, "hourly", 1)] == [True]
    settle(app)
    assert len(runs(app, "hourly", 1)) == 1


def test_a_restart_makes_up_for_what_was_missed(start_host: Start, tmp_path: Path) -> None:
    clock = ManualClock(NOON)
    data = tmp_path / "kept"
    first = start_host(clock=clock, data=data)
    clock.set(datetime(2026, 11, 21, 13, 0, tzinfo=UTC))
    runs(first, "hourly", 1)
    settle(first)
    first.host.stop()
    stored = json.loads((data / "timers" / "hourly.json").read_text())
    assert stored["Next"] == "2026-11-21T14:00:00+00:00"
    clock.set(datetime(2026, 11, 21, 14, 30, tzinfo=UTC))
    second = start_host(clock=clock, data=data)
    made_up = runs(second, "hourly", 2)[1]
    assert (made_up["past_due"], made_up["status"]["Next"]) == (True, "2026-11-21T14:00:00+00:00")
    settle(second)
    assert not [effect for effect in second.effects() if "nightly" in effect]  # nothing of it was missed


def test_a_pause(start_host: Start) -> None:
    clock = ManualClock(NOON)
    app = start_host(clock=clock)
    app.host.pause_timers()
    clock.set(datetime(2026, 11, 21, 13, 30, tzinfo=UTC))
    settle(app)
    assert not app.effects()
    app.host.resume_timers()
    assert [run["past_due"] for run in runs(app, "hourly", 1)] == [True]
    settle(app)
    clock.set(datetime(2026, 11, 21, 14, 0, tzinfo=UTC))
    assert [run["past_due"] for run in runs(app, "hourly", 2)] == [True, False]


def test_by_hand(start_host: Start) -> None:
    app = start_host(clock=ManualClock(NOON))
    assert app.client.post("/admin/functions/yearly", json={"input": ""}).status_code == 401
    for body in ({"input": ""}, {}):
        assert app.admin.post("/admin/functions/yearly", json=body).status_code == 202
    for run in runs(app, "yearly", 2):
        assert (run["past_due"], run["status"]["Next"]) == (False, "2027-01-01T00:00:00+00:00")


class TestMissed:
    HOURLY = parse_schedule("0 0 * * * *")
    ELEVEN, TWELVE, THIRTEEN = (datetime(2026, 11, 21, hour, tzinfo=UTC) for hour in (11, 12, 13))
    NEVER = datetime(1, 1, 1, tzinfo=UTC)

    def test_new(self) -> None:
        assert missed(None, self.HOURLY, NOON) == (ScheduleStatus(self.NEVER, self.THIRTEEN, NOON), False)

    def test_on_time(self) -> None:
        stored = ScheduleStatus(self.TWELVE, self.THIRTEEN, self.TWELVE)
        assert missed(stored, self.HOURLY, NOON) == (stored, False)

    def test_missed(self) -> None:
        stored = ScheduleStatus(self.ELEVEN, self.TWELVE, self.ELEVEN)
        assert missed(stored, self.HOURLY, NOON) == (stored, True)

    def test_missed_before_the_first_run(self) -> None:
        stored = ScheduleStatus(self.NEVER, self.TWELVE, self.ELEVEN)
        assert missed(stored, self.HOURLY, NOON) == (stored, True)

    def test_a_changed_schedule_is_not_made_up_for(self) -> None:
        stored = ScheduleStatus(self.ELEVEN, self.ELEVEN + timedelta(minutes=5), self.ELEVEN)
        assert missed(stored, self.HOURLY, NOON) == (ScheduleStatus(self.NEVER, self.THIRTEEN, NOON), False)
