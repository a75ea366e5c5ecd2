"""Whatever is delivered twice, late, interleaved or crashed: at most one act per intent, and nothing uncounted."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.changes.execution import GOOD, Result
from shared.changes.plan import Plan
from shared.changes.policy import Budget, Limits
from tests.changes.simulation import POLICY, Simulation, approver
from tests.changes.world import a_change

A, B, C, D = (a_change(name) for name in "abcd")
SAME_TARGET = a_change("a", occasion="2", after={"n": 1})
NEEDY = a_change("e", requires_approval=True)


def check(simulation: Simulation) -> None:
    assert simulation.world.broken == []
    effects = Counter(change_id for change_id, _ in simulation.world.effects)
    assert all(count == 1 for count in effects.values()), f"acted more than once: {effects}"
    for run in simulation.runs:
        fulfilled = effects[run.change.id] == 1
        assert run.progress.result is not None
        if run.progress.result in GOOD:
            assert fulfilled, f"{run.change.target} ended {run.progress.result} without an effect"
    before = list(simulation.world.effects)
    simulation.aftermath()
    assert simulation.world.effects == before, "what was fulfilled is not done again over a human's edit"


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**9))
@example(112)
def test_two_plans_that_share_changes_deliver_everything_twice_and_late(seed: int) -> None:
    simulation = Simulation(seed, [Plan.of([A, SAME_TARGET, B, C, D]), Plan.of([B, C]), Plan.of([A])])
    simulation.play(40_000)
    results = list(simulation.runs)
    check(simulation)
    for run in results:  # who takes over from a run that was silent for too long may find its work done
        found_done = run.progress.result is Result.UNCHANGED and run.progress.run > 1
        assert run.progress.result is Result.SUCCEEDED or found_done, run.progress


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**9))
def test_processes_die_at_any_blob_operation(seed: int) -> None:
    simulation = Simulation(seed, [Plan.of([A, SAME_TARGET, B, C]), Plan.of([A])], crashes=0.02)
    simulation.play(40_000)
    check(simulation)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**9))
def test_targets_are_busy_or_lose_the_connection_before_or_after_the_effect(seed: int) -> None:
    simulation = Simulation(seed, [Plan.of([A, SAME_TARGET, B]), Plan.of([A])], crashes=0.005, faults=0.3)
    simulation.play(40_000)
    check(simulation)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**9))
def test_an_approval_is_used_once_by_each_change_whatever_comes_twice(seed: int) -> None:
    simulation = Simulation(seed, [Plan.of([A, NEEDY]), Plan.of([NEEDY])], crashes=0.005)
    simulation.play(40_000, human=approver)
    check(simulation)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**9))
def test_a_class_never_has_more_attempts_than_its_budget_however_many_want_the_last_one(seed: int) -> None:
    policy = replace(
        POLICY,
        attempts_per_class=Budget(2, timedelta(hours=2)),
        limits=Limits(per_environment=4, share=1.0),
        recheck=timedelta(minutes=30),
    )
    simulation = Simulation(seed, [Plan.of([A, B, C, D])], policy=policy)
    simulation.play(40_000)
    check(simulation)


@pytest.mark.parametrize("seed", range(3))
def test_a_seed_is_one_exact_interleaving(seed: int) -> None:
    def effects() -> list[tuple[str, str]]:
        simulation = Simulation(seed, [Plan.of([A, B, C])], crashes=0.01, faults=0.2)
        simulation.play(40_000)
        return simulation.world.effects

    assert effects() == effects()
