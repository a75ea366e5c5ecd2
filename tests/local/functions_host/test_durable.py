"""Durable triggers over the worker: what an orchestration may do, and the HTTP API that manages it."""

from datetime import UTC, datetime, timedelta

import pytest

from local.functions_host import ManualClock

from .conftest import Running, Start, until


def test_activities_in_turn(app: Running) -> None:
    status = app.run("chain", "chain-1", ["oats", "rye"])
    assert status["runtimeStatus"] == "Completed"
    assert status["output"] == ["OATS", "RYE"]
    assert status["customStatus"] == "at rye"
    assert status["input"] == ["oats", "rye"]


def test_activities_at_once_up_to_the_limit(app: Running) -> None:
    assert app.run("fan_out", "fan-1", 12)["output"] == sum(range(12))
    running = highest = 0
    for effect in app.effects():
        running += {"overlap in": 1, "overlap out": -1}.get(effect, 0)
        highest = max(highest, running)
    assert highest == 3  # maxConcurrentActivityFunctions


def test_sub_orchestrations(app: Running) -> None:
    status = app.run("parent", "parent-1", "barley")
    assert status["output"] == [
        ["BARLEY", "parent-1"],
        "parent-1:bad: Activity task #1 failed: boom in the child",
    ]
    assert app.status("parent-1:bad")["runtimeStatus"] == "Failed"


def test_a_failed_activity_carries_type_message_and_stack(app: Running) -> None:
    assert app.run("catches", "catches-1")["output"] == ["ValueError", "boom once", True]


def test_an_unhandled_failure_fails_the_orchestration(app: Running) -> None:
    status = app.run("child", "failing-1", "bad")
    assert status["runtimeStatus"] == "Failed"
    assert "boom in the child" in status["output"]


def test_an_unknown_activity_fails(app: Running) -> None:
    status = app.run("unknown_activity", "unknown-1")
    assert status["runtimeStatus"] == "Failed"
    assert "'nobody' doesn't exist" in status["output"]


def test_an_unknown_orchestrator_fails(app: Running) -> None:
    status = app.run("nobody", "unknown-2")
    assert status["runtimeStatus"] == "Failed"
    assert "'nobody' doesn't exist" in status["output"]


def test_retries(app: Running) -> None:
    assert app.run("retries", "retries-1", "attempt of retries-1")["output"] == 3


def test_continue_as_new(app: Running) -> None:
    assert app.run("counts_down", "down-1", 3)["output"] == "lift off"
    assert [e for e in app.effects() if e.startswith("once n")] == ["once n3", "once n2", "once n1", "once n0"]


def test_entities(app: Running) -> None:
    assert app.run("uses_entity", "entity-1", "shelf")["output"] == 5
    assert app.run("uses_entity", "entity-2", "shelf")["output"] == 10


def test_external_event(app: Running) -> None:
    app.start("waits", "event-1")
    assert app.durable.post("instances/event-1/raiseEvent/approve", json={"by": "ann"}).status_code == 202
    assert app.finished("event-1")["output"] == {"approved": {"by": "ann"}}
    assert app.durable.post("instances/event-1/raiseEvent/approve", json=1).status_code == 410


def test_suspend_holds_events_until_resume(app: Running) -> None:
    app.start("waits", "suspend-1")
    assert app.durable.post("instances/suspend-1/suspend", params={"reason": "lunch"}).status_code == 202
    until(lambda: app.status("suspend-1"), lambda status: status["runtimeStatus"] == "Suspended")
    app.durable.post("instances/suspend-1/raiseEvent/approve", json=1)
    assert app.status("suspend-1")["runtimeStatus"] == "Suspended"
    assert app.durable.post("instances/suspend-1/resume").status_code == 202
    assert app.finished("suspend-1")["output"] == {"approved": 1}


@pytest.mark.parametrize("suspended", [False, True])
def test_terminate(app: Running, suspended: bool) -> None:
    instance = f"terminate-{suspended}"
    app.start("waits", instance)
    if suspended:
        app.durable.post(f"instances/{instance}/suspend")
        until(lambda: app.status(instance), lambda status: status["runtimeStatus"] == "Suspended")
    assert app.durable.post(f"instances/{instance}/terminate", params={"reason": "enough"}).status_code == 202
    status = app.finished(instance)
    assert (status["runtimeStatus"], status["output"]) == ("Terminated", "enough")


def test_a_late_result_does_not_wake_a_terminated_instance(app: Running) -> None:
    app.start("holds", "terminate-2", "late")
    until(app.effects, lambda effects: "held late" in effects)
    app.durable.post("instances/terminate-2/terminate")
    assert app.finished("terminate-2")["runtimeStatus"] == "Terminated"
    app.let_go("late")
    until(lambda: app.host.idle)
    assert app.status("terminate-2")["runtimeStatus"] == "Terminated"
    events = app.history("terminate-2")
    assert sum(event.HasField("executionCompleted") for event in events) == 1


def test_a_running_id_is_refused_and_a_finished_one_starts_anew(app: Running) -> None:
    app.start("waits", "same-1")
    assert app.durable.post("orchestrators/waits/same-1").status_code == 409
    assert app.client.post("/api/orchestrations/waits/same-1").status_code == 500  # the app lets the refusal through
    app.durable.post("instances/same-1/raiseEvent/approve", json="first")
    app.finished("same-1")
    app.start("waits", "same-1")
    assert app.status("same-1")["output"] is None
    app.durable.post("instances/same-1/raiseEvent/approve", json="second")
    assert app.finished("same-1")["output"] == {"approved": "second"}


def test_durable_timers_go_by_the_hosts_clock(start_host: Start) -> None:
    clock = ManualClock(datetime(2026, 3, 29, 0, 30, tzinfo=UTC))
    app = start_host(clock=clock)
    app.start("waits", "timer-1")
    until(lambda: app.status("timer-1"), lambda status: status["runtimeStatus"] == "Running")
    until(lambda: app.host.idle)
    clock.advance(timedelta(hours=5, minutes=59))
    assert app.status("timer-1")["runtimeStatus"] == "Running"
    clock.advance(timedelta(minutes=1))
    assert app.finished("timer-1")["output"] == {"expired": "2026-03-29 06:30:00"}


class TestHttpApi:
    def test_needs_the_system_key(self, app: Running) -> None:
        url = f"{app.host.url}/runtime/webhooks/durabletask/instances/x"
        assert app.client.get(url).status_code == 401
        assert app.client.get(url, headers={"x-functions-key": ""}).status_code == 401
        assert app.admin.get(url).status_code == 404

    def test_start_status_purge(self, app: Running) -> None:
        response = app.durable.post("orchestrators/chain/api-1", json=["spelt"])
        assert response.status_code == 202
        assert response.json()["id"] == "api-1"
        app.finished("api-1")
        assert app.durable.get(response.headers["location"]).json()["output"] == ["SPELT"]
        assert app.durable.delete("instances/api-1").json() == {"instancesDeleted": 1}
        assert app.durable.get("instances/api-1").status_code == 404
        assert app.durable.delete("instances/api-1").status_code == 404

    def test_list_by_status(self, app: Running) -> None:
        app.run("chain", "list-1", [])
        app.start("waits", "list-2")
        until(lambda: app.status("list-2"), lambda status: status["runtimeStatus"] == "Running")
        found = app.durable.get("instances", params={"runtimeStatus": "Running", "instanceIdPrefix": "list-"}).json()
        assert [instance["instanceId"] for instance in found] == ["list-2"]

    @pytest.mark.parametrize("operation", ["terminate", "suspend", "resume", "raiseEvent/x", "rewind", "restart"])
    def test_unknown_instance(self, app: Running, operation: str) -> None:
        assert app.durable.post(f"instances/nobody/{operation}").status_code == 404

    def test_the_check_status_response_of_the_app_leads_here(self, app: Running) -> None:
        response = app.client.post("/api/orchestrations/chain/check-1", json=[])
        assert response.status_code == 202
        app.finished("check-1")
        del app.client.headers["x-functions-key"]  # the location carries its own key
        try:
            assert app.client.get(response.headers["location"]).json()["runtimeStatus"] == "Completed"
        finally:
            app.client.headers["x-functions-key"] = app.host.function_key

    def test_body_that_is_no_json(self, app: Running) -> None:
        assert app.durable.post("orchestrators/chain/json-1", content=b"{").status_code == 400
