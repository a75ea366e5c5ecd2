"""The remembered execution and the order of a plan, as tables."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.changes.advance import advance, step
from shared.changes.execution import (
    FINAL,
    GOOD,
    Delivery,
    Execution,
    Permission,
    Result,
    Verdict,
    acted,
    acting,
    admit,
    finish,
    is_current,
    kept_alive,
    may_act,
)
from shared.changes.gate import Decision, Outcome
from shared.changes.policy import RetryRule
from shared.changes.ports import Act, Acted, Entry, Verified
from shared.changes.progress import ActAnswer, Admitted, Checked, Fault, Gated, Nothing, Pace, Phase, Progress, Sleep
from shared.changes.scheduling import Ended, Item, conclude, next_moves
from tests.changes.world import a_change

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
GRACE = 10 * MINUTE
DONE = Acted(Act.DONE)


def admitted(known: Execution | None, owner: str, *, joined: int = 0, now: datetime = NOW) -> tuple[Execution, Verdict]:
    return admit(
        known,
        a_change(),
        plan_hash="p",
        owner=owner,
        instance=f"i-{owner}",
        requested_by="x",
        joined=joined,
        now=now,
    )


def test_the_first_runs_the_second_joins_and_each_hears_the_same_again() -> None:
    first, verdict = admitted(None, "a")
    assert (first.run, verdict) == (1, Verdict.RUN)
    assert admitted(first, "a") == (first, Verdict.RUN)
    assert admitted(first, "b") == (first, Verdict.JOIN)


@pytest.mark.parametrize("result", list(Result))
def test_after_the_end_the_intent_is_fulfilled_or_may_be_run_again(result: Result) -> None:
    ended = finish(admitted(None, "a")[0], 1, result, "", NOW)
    assert admitted(ended, "a")[1] is Verdict.DONE
    assert admitted(ended, "b", joined=1)[1] is Verdict.DONE, "who waited for this run takes its result"
    again, verdict = admitted(ended, "b")
    assert (again.run, verdict) == ((1, Verdict.DONE) if result in FINAL else (2, Verdict.RUN))


def test_a_silent_run_is_overtaken_and_can_do_nothing_more() -> None:
    silent = admitted(None, "a")[0]
    alive = kept_alive(silent, NOW + 40 * MINUTE)
    assert admitted(alive, "b", now=NOW + 90 * MINUTE)[1] is Verdict.JOIN
    taken, verdict = admitted(silent, "b", now=NOW + 60 * MINUTE)
    assert (taken.run, taken.owner, verdict) == (2, "b", Verdict.RUN)
    assert not is_current(taken, 1)
    assert finish(taken, 1, Result.FAILED, "", NOW) == taken


def test_a_wait_until_later_counts_as_life_until_then() -> None:
    waiting = kept_alive(admitted(None, "a")[0], NOW, NOW + 300 * MINUTE)
    assert admitted(waiting, "b", now=NOW + 350 * MINUTE)[1] is Verdict.JOIN
    assert admitted(waiting, "b", now=NOW + 360 * MINUTE)[1] is Verdict.RUN


@pytest.mark.parametrize(
    ("delivery", "attempt", "minutes", "permission"),
    [
        (None, 1, 0, Permission.GO),
        (Delivery(1, NOW), 1, 9, Permission.WAIT),
        (Delivery(1, NOW), 1, 10, Permission.GO),
        (Delivery(1, NOW), 2, 9, Permission.WAIT),
        (Delivery(1, NOW), 2, 10, Permission.GO),
        (Delivery(1, NOW, ended=True), 1, 99, Permission.OVER),
        (Delivery(1, NOW, ended=True), 2, 0, Permission.GO),
        (Delivery(1, NOW, ended=True, acted=DONE), 1, 0, Permission.KNOWN),
        (Delivery(2, NOW), 1, 99, Permission.OVER),
        (Delivery(2, NOW, ended=True, acted=DONE), 1, 99, Permission.OVER),
    ],
    ids=str,
)
def test_which_delivery_may_act(delivery: Delivery | None, attempt: int, minutes: int, permission: Permission) -> None:
    known = replace(admitted(None, "a")[0], delivery=delivery)
    assert may_act(known, attempt, NOW + minutes * MINUTE, GRACE) is permission


def test_what_is_known_first_stands_and_a_refusal_for_now_leaves_nothing() -> None:
    begun = acting(admitted(None, "a")[0], 1, {"n": 0}, NOW)
    ended = acted(begun, 1, DONE)
    assert acted(ended, 1, Acted(Act.FAILED)) == ended
    assert acted(begun, 2, DONE) == begun
    assert acted(begun, 1, Acted(Act.BUSY)).delivery is None
    assert acted(begun, 1, None).delivery == Delivery(1, NOW, ended=True)


# --- what comes next

PACE = Pace(
    retry=RetryRule(timedelta(seconds=1), MINUTE, 3),
    recheck=5 * MINUTE,
    verify_every=MINUTE,
    apply_within=60 * MINUTE,
    undo_on_failure=False,
)
ALLOWED = Gated(current=True, decision=Decision(Outcome.ALLOW, ()), pace=PACE)
BEGIN = Progress(change_id="c", automation="x", environment="staging", tenant=None)

Answers = st.sampled_from(
    [
        Admitted(Verdict.RUN, 1),
        Admitted(Verdict.JOIN, 1),
        Admitted(Verdict.DONE, 1, Result.SUCCEEDED),
        ALLOWED,
        Gated(current=True, decision=Decision(Outcome.WAIT_UNTIL, (), NOW + MINUTE), pace=PACE),
        Gated(current=True, decision=Decision(Outcome.NEEDS_APPROVAL, ()), pace=PACE, requested="a"),
        Gated(current=True, decision=Decision(Outcome.REFUSE, ()), pace=PACE),
        Gated(current=False),
        Gated(current=False, error="no adapter"),
        ActAnswer(acted=DONE),
        ActAnswer(acted=DONE, unchanged=True),
        ActAnswer(acted=Acted(Act.RUNNING, "op")),
        ActAnswer(acted=Acted(Act.BUSY, again_after=MINUTE)),
        ActAnswer(acted=Acted(Act.FAILED)),
        ActAnswer(held=True),
        ActAnswer(left_alone=True),
        ActAnswer(current=False),
        Checked(True, Verified(True)),
        Checked(True, Verified(False)),
        Checked(False, Verified(False)),
        Fault("reset"),
    ]
)
FITTING = {
    Phase.ADMIT: (Admitted, Fault),
    Phase.GATE: (Gated, Fault),
    Phase.ACT: (ActAnswer, Fault),
    Phase.POLL: (ActAnswer, Fault),
    Phase.VERIFY: (Checked, Fault),
}


@given(st.lists(Answers, max_size=80))
def test_no_act_without_an_allowing_gate_and_no_more_attempts_than_the_rule(answers: list[object]) -> None:
    progress, now, allowed = BEGIN, NOW, 0
    for answer in answers:
        while isinstance(step(progress), Entry | Sleep):
            now += timedelta(seconds=1)
            waits = step(progress)
            now = max(now, waits.until) if isinstance(waits, Sleep) else now
            progress = advance(progress, Nothing(), now)
        phase = step(progress)
        if phase in (Phase.FINISH, Phase.DONE):
            assert progress.result is not None
            return
        assert isinstance(phase, Phase)
        if not isinstance(answer, FITTING[phase]):
            continue
        if answer is ALLOWED:
            allowed += 1
        before = progress
        progress = advance(progress, answer, now)  # type: ignore[arg-type]
        if progress.phase is Phase.ACT and before.phase is not Phase.ACT:
            assert answer is ALLOWED
        if progress.attempt > before.attempt:
            assert progress.phase is Phase.GATE
        assert progress.attempt <= PACE.retry.attempts
        if progress.result is Result.SUCCEEDED and phase is not Phase.ADMIT:
            assert allowed
            assert isinstance(answer, Checked)
            assert answer.verified.reached


def test_the_same_decision_is_recorded_once_however_often_it_is_looked_at() -> None:
    waits = Gated(current=True, decision=Decision(Outcome.WAIT_UNTIL, (), NOW + 60 * MINUTE), pace=PACE)
    progress = advance(BEGIN, Admitted(Verdict.RUN, 1), NOW)
    kinds: list[str] = []
    for answer in (waits, waits, waits, ALLOWED):
        progress = advance(progress, answer, NOW)
        while not isinstance(step(progress), Phase):
            now = step(progress)
            kinds += [now.kind] if isinstance(now, Entry) else []
            progress = advance(progress, Nothing(), NOW)
    assert kinds == ["gate_decision", "gate_decision"]
    assert step(progress) is Phase.ACT


def test_a_record_that_cannot_be_written_is_tried_again_before_anything_else() -> None:
    progress = advance(advance(BEGIN, Admitted(Verdict.RUN, 1), NOW), ALLOWED, NOW)
    entry = step(progress)
    assert isinstance(entry, Entry)
    progress = advance(progress, Fault("storage is away"), NOW)
    assert isinstance(step(progress), Sleep)
    progress = advance(progress, Nothing(), NOW)
    assert step(progress) == entry
    assert step(advance(progress, Nothing(), NOW)) is Phase.ACT


# --- plans

ITEMS = (
    Item("a", "A", ()),
    Item("b", "B", ("a",)),
    Item("c", "C", ("b",)),
    Item("d", "D", ()),
    Item("e", "E", ("d",)),
)


def ended(change_id: str, result: Result) -> Ended:
    return Ended(change_id, change_id.upper(), result, "because")


def test_changes_begin_as_soon_as_what_they_need_is_there() -> None:
    assert [item.id for item in next_moves(ITEMS, set(), {}, 10).begin] == ["a", "d"]
    assert [item.id for item in next_moves(ITEMS, set(), {}, 1).begin] == ["a"]
    done = {"d": ended("d", Result.SUCCEEDED)}
    assert [item.id for item in next_moves(ITEMS, {"a"}, done, 10).begin] == ["e"]


@pytest.mark.parametrize("result", sorted(set(Result) - GOOD))
def test_all_that_needs_a_failure_is_skipped_with_the_reason(result: Result) -> None:
    moves = next_moves(ITEMS, {"d"}, {"a": ended("a", result)}, 10)
    assert [(one.change_id, one.detail) for one in moves.skip] == [
        ("b", f"depends on A: {result}"),
        ("c", "depends on B: skipped"),
    ]
    assert moves.begin == ()


@given(st.lists(st.sampled_from(list(Result)), min_size=5, max_size=5), st.integers(1, 5), st.randoms())
def test_a_plan_always_ends_with_every_change_accounted_for(
    results: list[Result], at_once: int, random: object
) -> None:
    over: dict[str, Ended] = {}
    running: set[str] = set()
    for _ in range(50):
        moves = next_moves(ITEMS, running, over, at_once)
        over |= {one.change_id: one for one in moves.skip}
        for item in moves.begin:
            assert all(over[wanted].result in GOOD for wanted in item.depends_on)
            running.add(item.id)
        assert len(running) <= at_once
        if not running:
            break
        first = random.choice(sorted(running))
        running.remove(first)
        over[first] = ended(first, results["abcde".index(first)])
    plan = conclude("hash", ITEMS, over)
    assert [one.change_id for one in plan.changes] == list("abcde")
    assert plan.succeeded == all(one.result in GOOD for one in plan.changes)
    for one in plan.changes:
        assert (one.description in plan.sentence) is (one.result not in GOOD)
