"""The steps of an execution, one by one, on a clock of the test's own."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.changes import executor
from shared.changes.change import Change, Originals
from shared.changes.claims import STOP_SWITCH
from shared.changes.execution import Delivery, Execution, Result
from shared.changes.gate import Decision, Outcome
from shared.changes.limits import Places
from shared.changes.originals import Originals as Saved
from shared.changes.overrides import StopSwitch
from shared.changes.policy import Limits, Policy
from shared.changes.ports import Act, Services
from shared.changes.progress import Gated
from shared.changes.reasons import ReasonCode
from tests.changes.world import World, a_change

START = datetime(2026, 12, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
POLICY = Policy(limits=Limits(per_environment=2))


class Desk:
    """A world with a clock, and the steps of a change on it."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder)
        self.world.set_rules(POLICY)
        self.now = START
        self.services: Services = self.world.services(clock=lambda: self.now)

    def admit(self, change: Change, owner: str = "o") -> int:
        return executor.admit(
            self.services, change, plan_hash="p", owner=owner, instance="i", requested_by="x", joined=0
        ).run

    def gate(self, change: Change, run: int = 1, attempt: int = 1) -> Gated:
        return executor.gate(self.services, change.id, run, attempt)

    def decision(self, change: Change, run: int = 1, attempt: int = 1) -> Decision:
        decision = self.gate(change, run, attempt).decision
        assert decision is not None
        return decision

    def known(self, change: Change) -> Execution:
        known = self.services.store.get(executor.execution_name(change.id), Execution)
        assert known is not None
        return known

    def remember(self, change: Change, delivery: Delivery) -> None:
        self.services.store.update(
            executor.execution_name(change.id),
            Execution,
            lambda known: replace(known or self.known(change), delivery=delivery),
        )


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def ready(desk: Desk, change: Change) -> Change:
    desk.admit(change)
    assert desk.decision(change).outcome is Outcome.ALLOW
    return change


def test_a_place_that_was_taken_is_free_after_the_end_of_its_run(desk: Desk) -> None:
    first, second, third = (a_change(name) for name in "abc")
    ready(desk, first)
    ready(desk, second)
    desk.admit(third)
    waits = desk.decision(third)
    assert waits.outcome is Outcome.WAIT_UNTIL
    assert [reason.code for reason in waits.reasons] == [ReasonCode.ENVIRONMENT_BUSY, ReasonCode.BLAST_RADIUS]
    executor.finish(desk.services, first.id, 1, Result.FAILED, "")
    assert desk.decision(third).outcome is Outcome.ALLOW
    executor.finish(desk.services, first.id, 1, Result.FAILED, "")
    places = desk.services.store.get("places/staging", Places)
    assert places is not None
    assert set(places.taken) == {second.id, third.id}


def test_a_retry_after_holds_back_all_calls_to_the_same_system(desk: Desk) -> None:
    busy, other = ready(desk, a_change("busy")), a_change("other")
    with desk.world.changed("busy") as target:
        target["faults"] = ["busy"]
    answer = executor.act(desk.services, busy.id, 1, 1)
    assert answer.acted is not None
    assert answer.acted.act is Act.BUSY
    desk.admit(other)
    assert desk.gate(other).ready_at == START + timedelta(seconds=0.05)
    assert executor.act(desk.services, busy.id, 1, 1).acted == executor.Acted(Act.DONE), "the same attempt again"


def test_while_one_delivery_may_still_act_another_waits_and_after_the_grace_it_takes_over(desk: Desk) -> None:
    change = ready(desk, a_change())
    desk.remember(change, Delivery(1, START))
    desk.now += POLICY.redelivery_grace - timedelta(seconds=1)
    waits = executor.act(desk.services, change.id, 1, 1).acted
    assert waits is not None
    assert (waits.act, waits.detail) == (Act.BUSY, "another delivery is acting")
    assert desk.world.effects("a") == []
    desk.now += timedelta(seconds=1)
    assert executor.act(desk.services, change.id, 1, 1).acted == executor.Acted(Act.DONE)
    assert len(desk.world.effects("a")) == 1


def test_a_late_delivery_of_an_attempt_that_is_over_does_nothing(desk: Desk) -> None:
    change = ready(desk, a_change())
    desk.remember(change, Delivery(1, START, ended=True))
    with pytest.raises(executor.AttemptOverError):
        executor.act(desk.services, change.id, 1, 1)
    assert desk.world.effects("a") == []


def test_an_act_whose_effect_is_there_is_not_repeated_even_within_the_grace(desk: Desk) -> None:
    change = ready(desk, a_change())
    desk.remember(change, Delivery(1, START))
    with desk.world.changed("a") as target:
        target["facts"]["n"] = 0
    answer = executor.act(desk.services, change.id, 1, 1)
    assert answer.acted is not None
    assert (answer.acted.act, answer.unchanged) == (Act.DONE, False)
    assert desk.world.effects("a") == []


def test_the_gate_is_asked_again_when_it_comes_to_acting(desk: Desk) -> None:
    change = ready(desk, a_change(latest=START + MINUTE))
    desk.now += 2 * MINUTE
    assert executor.act(desk.services, change.id, 1, 1).held
    assert desk.world.effects("a") == []


def test_an_overtaken_run_can_do_nothing(desk: Desk) -> None:
    change = ready(desk, a_change())
    desk.now += 61 * MINUTE
    assert desk.admit(change, "another") == 2
    assert not desk.gate(change, run=1).current
    assert not executor.act(desk.services, change.id, 1, 1).current
    assert not executor.poll(desk.services, change.id, 1, "").current
    assert not executor.verify(desk.services, change.id, 1).current
    assert not executor.undo(desk.services, change.id, 1, 1).current
    executor.finish(desk.services, change.id, 1, Result.FAILED, "")
    assert desk.known(change).result is None
    assert desk.world.effects("a") == []


def test_polling_keeps_the_run_and_its_place_alive(desk: Desk) -> None:
    change, rival = ready(desk, a_change(action="slow-set")), a_change(occasion="2")
    executor.act(desk.services, change.id, 1, 1)
    for _ in range(6):
        desk.now += 40 * MINUTE
        executor.verify(desk.services, change.id, 1)
    assert desk.known(change).alive_until > desk.now
    desk.admit(rival)
    assert ReasonCode.TARGET_BUSY in [reason.code for reason in desk.decision(rival).reasons]
    desk.now += 60 * MINUTE
    assert desk.decision(rival).outcome is Outcome.ALLOW, "nothing was heard of it for longer than its lease"


def test_what_waits_for_capacity_holds_up_nobody_and_asks_again_only_as_the_gate_allows(desk: Desk) -> None:
    """One may act at once. `short` ends each operation for want of capacity."""
    desk.world.set_rules(replace(POLICY, limits=Limits(per_environment=1)))
    change, other = ready(desk, a_change(action="slow-set", apply_within=5 * 60 * MINUTE)), a_change("other")
    with desk.world.changed("a") as target:
        target["short"] = True
    asked = executor.act(desk.services, change.id, 1, 1).acted
    assert asked is not None

    def poll() -> executor.Acted:
        acted = executor.poll(desk.services, change.id, 1, asked.operation or "").acted
        assert acted is not None
        return acted

    assert poll() == executor.Acted(Act.RUNNING, asked.operation, detail="no capacity")
    ready(desk, other)
    assert "no capacity; waits until" in poll().detail, "the place is the other's"
    assert len(desk.world.effects("a")) == 1
    executor.finish(desk.services, other.id, 1, Result.SUCCEEDED, "")

    switch = StopSwitch(pulled=True, by="olga", at=desk.now, reason="wait")
    desk.services.store.update(STOP_SWITCH, StopSwitch, lambda _: switch)
    assert "stop switch" in poll().detail
    assert len(desk.world.effects("a")) == 1
    desk.services.store.update(STOP_SWITCH, StopSwitch, lambda _: replace(switch, pulled=False))

    assert poll().act is Act.RUNNING
    assert len(desk.world.effects("a")) == 2, "asked again"
    assert poll() == executor.Acted(Act.RUNNING, asked.operation, detail="no capacity"), "in vain: its place is free"
    with desk.world.changed("a") as target:
        target["short"] = False
    for _ in range(4):
        acted = poll()
    assert acted.act is Act.DONE
    assert executor.verify(desk.services, change.id, 1).verified.reached


def test_who_lost_its_place_to_another_does_not_act(desk: Desk) -> None:
    change, rival = ready(desk, a_change(apply_within=5 * 60 * MINUTE)), a_change(occasion="2", after={"n": 1})
    desk.now += 60 * MINUTE
    desk.services.store.update("places/staging", Places, lambda known: (known or Places()).give_back(change.id, 1))
    ready(desk, rival)
    assert executor.act(desk.services, change.id, 1, 1).held
    executor.finish(desk.services, rival.id, 1, Result.FAILED, "")
    assert executor.act(desk.services, change.id, 1, 1).acted == executor.Acted(Act.DONE), "it is free again"
    places = desk.services.store.get("places/staging", Places)
    assert places is not None
    assert set(places.taken) == {change.id}


def test_a_waiting_change_takes_no_place(desk: Desk) -> None:
    change = a_change(earliest=START + MINUTE)
    desk.admit(change)
    assert desk.decision(change).outcome is Outcome.WAIT_UNTIL
    assert not (desk.services.store.get("places/staging", Places) or Places()).taken


def test_what_is_about_to_be_set_is_saved_before_the_act(desk: Desk) -> None:
    change = ready(desk, a_change())
    with desk.world.changed("a") as target:
        target["faults"] = ["raise"]
    with pytest.raises(ConnectionResetError):
        executor.act(desk.services, change.id, 1, 1)
    saved = next(desk.services.store.all("originals/", Saved))
    assert [(layer.owner, layer.found, layer.set) for layer in saved.layers["n"]] == [("test_changes", 3, (0,))]


def test_an_original_is_released_only_when_it_was_given_back(desk: Desk) -> None:
    slept = ready(desk, a_change())
    executor.act(desk.services, slept.id, 1, 1)
    executor.finish(desk.services, slept.id, 1, Result.SUCCEEDED, "")
    wakes = ready(desk, a_change(occasion="wake", after={"n": 3}, originals=Originals.GIVE_BACK))
    executor.act(desk.services, wakes.id, 1, 1)
    executor.finish(desk.services, wakes.id, 1, Result.FAILED, "not verified")
    assert next(desk.services.store.all("originals/", Saved)).layers
    assert desk.admit(wakes, "again") == 2
    assert desk.decision(wakes, run=2).outcome is Outcome.ALLOW
    executor.act(desk.services, wakes.id, 2, 1)
    executor.finish(desk.services, wakes.id, 2, Result.LEFT_ALONE, "")
    assert not next(desk.services.store.all("originals/", Saved)).layers
    assert desk.world.target("a")["facts"] == {"n": 3}
