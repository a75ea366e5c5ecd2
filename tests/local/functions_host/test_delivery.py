"""At least once: the worker dies, items come twice, late or out of order, and every orchestration still ends well."""

import os
import signal
import threading
import time
import uuid
from collections import Counter
from dataclasses import replace
from typing import Literal

import pytest

from local.functions_host import Faults
from local.functions_host.faults import KINDS

from .conftest import Running, Start, until

ITEMS = 5  # three runs of the orchestrator `chain` with two names, two activities


def chain(app: Running, faults: Faults, kinds: frozenset[str] = frozenset(KINDS)) -> list[int]:
    """Run an orchestration of two activities under faults; how often each activity ran."""
    until(lambda: app.host.idle)
    instance = uuid.uuid4().hex
    app.host.set_faults(replace(faults, kinds=kinds))
    names = [f"{instance} oats", f"{instance} rye"]
    assert app.run("chain", instance, names)["output"] == [name.upper() for name in names]
    until(lambda: app.host.idle)
    assert app.status(instance)["output"] == [name.upper() for name in names]
    assert sum(event.HasField("taskCompleted") for event in app.history(instance)) == len(names)
    counted = Counter(app.effects())
    return [counted[f"once {name}"] for name in names]


def test_a_clean_run_delivers_every_item_once(app: Running) -> None:
    before = app.host.work_items
    assert chain(app, Faults()) == [1, 1]
    assert app.host.work_items == before + ITEMS


@pytest.mark.parametrize("mode", ["in_turn", "together", "late"])
def test_every_activity_twice(app: Running, mode: Literal["in_turn", "together", "late"]) -> None:
    assert chain(app, Faults(deliver_twice=mode, late_seconds=0.05)) == [2, 2]


@pytest.mark.parametrize("when", ["kill_before", "kill_after"])
@pytest.mark.parametrize("number", range(1, ITEMS + 1))
def test_the_worker_dies_at_each_item(app: Running, when: str, number: int) -> None:
    until(lambda: app.host.idle)
    restarts = app.host.worker_restarts
    twice = 2 if when == "kill_after" else 1
    faults = Faults(**{when: frozenset({app.host.work_items + number})})
    assert chain(app, faults) == [twice if number == 2 else 1, twice if number == 4 else 1]
    assert app.host.worker_restarts == restarts + 1


def test_the_worker_dies_at_every_activity(app: Running) -> None:
    restarts, items = app.host.worker_restarts, app.host.work_items
    assert chain(app, Faults(kill_after=frozenset({0})), frozenset({"activity"})) == [2, 2]
    assert app.host.worker_restarts == restarts + 2
    assert app.host.work_items == items + 2


def test_a_killed_entity_operation_runs_again(app: Running) -> None:
    app.host.set_faults(Faults(kill_before=frozenset({0}), kinds=frozenset({"entity"})))
    assert app.run("uses_entity", "entity", "shelf")["output"] == 5


def test_dropped_completions_are_delivered_again(app: Running) -> None:
    assert chain(app, Faults(drop=frozenset({0}), redeliver_seconds=0.01)) == [2, 2]


def test_delayed_completions(app: Running) -> None:
    started = time.monotonic()
    assert chain(app, Faults(delay=frozenset({0}), delay_seconds=0.1)) == [1, 1]
    assert time.monotonic() - started >= ITEMS * 0.1


def test_shuffling_changes_the_order(app: Running) -> None:
    app.host.set_faults(Faults(shuffle_seconds=0.3, seed=3))
    names = [f"part {number}" for number in range(10)]
    app.run("all_at_once", "order", names)
    order = [effect.removeprefix("once ") for effect in app.effects() if effect.startswith("once part ")]
    assert sorted(order) == names
    assert order != names


def test_orchestrations_survive_a_crash_from_outside(app: Running) -> None:
    app.host.set_faults(Faults())
    app.start("waits", "outside")
    until(lambda: app.status("outside"), lambda status: status["runtimeStatus"] == "Running")
    before = int(app.client.get("/api/pid").text)
    os.kill(before, signal.SIGKILL)
    app.durable.post("instances/outside/raiseEvent/approve", json="yes")
    assert app.finished("outside")["output"] == {"approved": "yes"}
    assert int(app.client.get("/api/pid").text) != before


def test_a_crash_in_the_middle_of_activities(app: Running) -> None:
    app.host.set_faults(Faults())
    app.start("fan_out", "middle", 9)
    until(app.effects, lambda effects: "overlap in" in effects)
    app.host.kill_worker()
    assert app.finished("middle")["output"] == sum(range(9))


def test_the_worker_dies_while_it_starts(start_host: Start) -> None:
    app = start_host(wait=False)
    app.host.kill_worker()
    app.host.wait_ready()
    assert app.client.get("/api/nothing").status_code == 200


def test_a_request_in_flight_fails_and_the_next_one_waits_for_the_new_worker(app: Running) -> None:
    answers: list[int] = []
    caller = threading.Thread(target=lambda: answers.append(app.client.get("/api/slow/30").status_code))
    caller.start()
    until(app.effects, lambda effects: "slow began" in effects)
    app.host.kill_worker()
    assert app.client.get("/api/nothing").status_code == 200
    caller.join(10)
    assert answers == [500]


def test_a_function_that_runs_too_long_costs_the_worker(start_host: Start) -> None:
    app = start_host(settings={"AzureFunctionsJobHost__functionTimeout": "00:00:02"})
    before = app.client.get("/api/pid").text
    response = app.client.get("/api/slow/30")
    assert (response.status_code, response.content) == (500, b"")
    assert app.client.get("/api/pid").text != before
    assert any("Timeout value of 2 s exceeded by function 'Functions.slow'" in log["message"] for log in app.logs())
    assert app.run("hangs_once", "hang", "hung")["output"] == 2  # an activity is delivered again
    assert app.host.worker_restarts == 2


class TestFaultsJson:
    def test_round_trip(self) -> None:
        faults = Faults(deliver_twice="late", kill_after=frozenset({3}), kinds=frozenset({"activity"}), seed=4)
        assert Faults.from_json(faults.to_json()) == faults

    def test_true_is_in_turn(self) -> None:
        assert Faults.from_json('{"deliver_twice": true}').deliver_twice == "in_turn"

    @pytest.mark.parametrize(
        ("text", "named"),
        [
            ("[]", "JSON object"),
            ('{"kil": [1]}', "'kil'"),
            ('{"kill_before": 1}', "kill_before"),
            ('{"kill_before": ["a"]}', "kill_before"),
            ('{"kinds": ["timer"]}', "kinds"),
            ('{"deliver_twice": "often"}', "deliver_twice"),
            ('{"delay_seconds": "long"}', "delay_seconds"),
        ],
    )
    def test_errors_name_the_field(self, text: str, named: str) -> None:
        with pytest.raises(ValueError, match=named):
            Faults.from_json(text)


def test_faults_are_set_at_run_time(app: Running) -> None:
    assert app.client.post("/admin/faults", json={}).status_code == 401
    refused = app.admin.post("/admin/faults", json={"nonsense": 1})
    assert (refused.status_code, "'nonsense'" in refused.text) == (400, True)
    assert app.admin.post("/admin/faults", json={"deliver_twice": "in_turn"}).status_code == 204
    assert app.admin.get("/admin/faults").json()["deliver_twice"] == "in_turn"
