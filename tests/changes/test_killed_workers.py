"""The worker is killed at each activity and at orchestrator runs; each change has its effect exactly once."""

import pytest

from local.functions_host import Faults
from shared.changes.execution import Result
from shared.changes.plan import Plan
from tests.changes.conftest import Running
from tests.changes.world import a_change

EVERY = frozenset({0})
FAULTS = {
    "before-every-activity": (Faults(kill_before=EVERY, kinds=frozenset({"activity"})), 11),
    "after-every-activity": (Faults(kill_after=EVERY, kinds=frozenset({"activity"})), 11),
    "at-orchestrator-runs": (
        Faults(
            kill_before=frozenset(range(0, 90, 5)) - EVERY,
            kill_after=frozenset(range(2, 90, 5)),
            kinds=frozenset({"orchestrator"}),
        ),
        4,
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_killed_worker_loses_and_doubles_nothing(app: Running, name: str) -> None:
    faults, kills = FAULTS[name]
    restarts = app.host.worker_restarts
    change = a_change(name)
    app.host.set_faults(faults)
    assert app.run(name, change)[name].result is Result.SUCCEEDED
    assert app.host.worker_restarts >= restarts + kills
    assert app.world.effects(name) == [[f"{change.id}:1:1", {"n": 0}]]
    assert app.kinds(change) == ["gate_decision", "applied", "verified"]
    plan = f"plan:{Plan.of([change]).hash}"
    assert sorted(r["kind"] for r in app.world.records() if r["subject"] == plan) == ["plan_succeeded", "planned"]
