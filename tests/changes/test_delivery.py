"""Real runs under the host's fault switches: whatever is delivered again, each change has its effect exactly once."""

import pytest

from local.functions_host import Faults
from shared.changes.execution import Result
from tests.changes.conftest import Running
from tests.changes.world import a_change

FAULTS = {
    "nothing": Faults(),
    "every activity twice in turn": Faults(deliver_twice="in_turn"),
    "every activity twice at once": Faults(deliver_twice="together"),
    "every activity late once more": Faults(deliver_twice="late", late_seconds=0.3),
    "every completion lost once": Faults(drop=frozenset({0}), redeliver_seconds=0.02),
    "everything out of order and twice": Faults(deliver_twice="together", shuffle_seconds=0.1, seed=7),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_change_has_its_effect_once(app: Running, name: str) -> None:
    key = name.replace(" ", "-")
    first = a_change(f"{key}-1")
    second = a_change(f"{key}-2", action="slow-set", depends_on=(first.id,))
    app.host.set_faults(FAULTS[name])
    ended = app.run(key, first, second)
    assert {one.result for one in ended.values()} == {Result.SUCCEEDED}
    for change in (first, second):
        assert app.world.effects(change.target) == [[f"{change.id}:1:1", {"n": 0}]]
        assert app.kinds(change) == ["gate_decision", "applied", "verified"]


def test_a_worker_that_dies_after_the_effect_leaves_no_second_one(app: Running) -> None:
    change = a_change("dies")
    with app.world.changed("dies") as target:
        target["faults"] = ["die"]
    assert app.run("dies", change)["dies"].result is Result.SUCCEEDED
    assert len(app.world.effects("dies")) == 1


def test_two_plans_with_one_intent_act_once_and_both_hear_of_it(app: Running) -> None:
    change, other = a_change("shared", action="slow-set"), a_change("not-shared")
    app.start("one", change)
    app.start("two", change, other)
    assert app.ended("one")["shared"].result is Result.SUCCEEDED
    assert app.ended("two")["shared"].result is Result.SUCCEEDED
    assert len(app.world.effects("shared")) == 1


def test_a_fulfilled_intent_is_not_done_again_and_a_failed_one_is(app: Running) -> None:
    done, failed = a_change("done"), a_change("failed")
    with app.world.changed("failed") as target:
        target["faults"] = ["fail"]
    first = app.run("again-1", done, failed)
    assert (first["done"].result, first["failed"].result) == (Result.SUCCEEDED, Result.FAILED)
    with app.world.changed("done") as target:
        target["facts"]["n"] = 5
    second = app.run("again-2", done, failed)
    assert (second["done"].result, second["failed"].result) == (Result.SUCCEEDED, Result.SUCCEEDED)
    assert app.world.target("done")["facts"]["n"] == 5
    assert [len(app.world.effects(name)) for name in ("done", "failed")] == [1, 1]
