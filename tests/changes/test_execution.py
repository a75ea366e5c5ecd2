"""Real runs of what the gate, people and targets can bring: waits, approvals, freezes, refusals, failures, dry runs."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.changes import governance
from shared.changes.approvals import Approval
from shared.changes.change import Originals
from shared.changes.exceptions import Scope
from shared.changes.execution import Result
from shared.changes.freeze import Effect, Window
from shared.changes.policy import BreakerRule, Budget, OverrideKind, RetryRule
from shared.identity import Person, Role
from shared.risk import Risk
from tests.changes.conftest import Running, until
from tests.changes.world import FAST, a_change

OLGA = Person("olga@example.org", frozenset({Role.OPERATOR}))
ANNA = Person("anna@example.org", frozenset({Role.APPROVER}))
HOUR = timedelta(hours=1)


def now() -> datetime:
    return datetime.now(UTC)


def freeze(seconds: float, **more: Any) -> Window:
    given: dict[str, Any] = {
        "name": "close",
        "effect": Effect.FREEZE,
        "start": now() - HOUR,
        "end": now() + timedelta(seconds=seconds),
    }
    return Window(**{**given, **more})


def waiting(app: Running, change_id: str, kind: str = "gate_decision") -> Callable[[], bool]:
    return lambda: any(r["body"].get("change_id") == change_id and r["kind"] == kind for r in app.world.records())


def asked_for(app: Running, change_id: str) -> Approval:
    services = app.world.services()
    return until(lambda: [a for a in governance.list_approvals(services) if change_id in a.change_ids])[0]


def test_a_change_waits_for_the_end_of_a_freeze_and_then_acts(app: Running) -> None:
    change, end = a_change("freeze"), freeze(1.5)
    app.world.set_rules(FAST, [end])
    assert app.run("freeze", change)["freeze"].result is Result.SUCCEEDED
    assert app.kinds(change) == ["frozen", "gate_decision", "applied", "verified"]
    applied = next(r for r in app.world.records() if r["body"].get("change_id") == change.id and r["kind"] == "applied")
    assert datetime.fromisoformat(applied["time"]) >= end.end


def test_a_long_freeze_refuses_until_an_exception_is_granted(app: Running) -> None:
    change = a_change("exception")
    app.world.set_rules(FAST, [freeze(24 * 3600)])
    refused = app.run("exception-1", change)["exception"]
    assert refused.result is Result.REFUSED
    assert "exception needs approval by role approver" in refused.detail
    assert app.kinds(change) == ["frozen"]
    assert app.world.effects("exception") == []

    services = app.world.services()
    asked = governance.request_exception(
        services,
        OLGA,
        Scope(environment="staging", targets=("exception",)),
        ticket="CHG-1",
        reason="bank deadline",
        start=now(),
        end=now() + HOUR,
        most_uses=1,
        now=now(),
    )
    assert app.run("exception-2", change)["exception"].result is Result.REFUSED, "asked for is not granted"
    governance.rule_on_exception(services, ANNA, asked.id, granted=True, note="", now=now())
    assert app.run("exception-3", change)["exception"].result is Result.SUCCEEDED
    assert "exception_used" in app.kinds(change)
    assert governance.list_exceptions(services)[0].uses == {change.id: (3,)}
    again = a_change("exception", occasion="2", after={"n": 1})
    assert app.run("exception-4", again)["exception"].result is Result.REFUSED, "its one use is used up"


def test_an_approval_binds_to_the_plan_that_was_shown_and_wakes_it(app: Running) -> None:
    change, free = a_change("approved", risk=Risk.FINANCIAL), a_change("free")
    app.world.set_rules(replace(FAST, recheck=timedelta(minutes=5)))
    services = app.world.services()
    app.start("approved", change, free)
    approval = asked_for(app, change.id)
    shown = governance.show_approval(services, approval.id)
    assert (shown.covered, shown.others) == ((change,), (free,))
    assert app.world.effects("approved") == []
    _, instances = governance.answer_approval(
        services, ANNA, approval.id, plan_hash=approval.plan_hash, granted=True, note="", now=now()
    )
    until(lambda: app.world.effects("free"))
    for instance in instances:
        app.wake(instance)
    assert app.ended("approved", seconds=90)["approved"].result is Result.SUCCEEDED
    kinds = app.kinds(change)
    assert sorted(kinds[:2]) == ["approval_requested", "gate_decision"]
    assert kinds[2:] == ["gate_decision", "applied", "verified"]

    changed = a_change("approved", risk=Risk.FINANCIAL, occasion="2", after={"n": 7})
    app.start("approved-2", changed)
    until(waiting(app, changed.id, "approval_requested"))
    assert len({a.plan_hash for a in governance.list_approvals(services)}) >= 2
    assert app.world.target("approved")["facts"]["n"] == 0


def test_a_lost_wake_up_costs_no_more_than_a_recheck_and_a_refusal_stands(app: Running) -> None:
    granted, refused = a_change("woken", requires_approval=True), a_change("refused", requires_approval=True)
    services = app.world.services()
    app.start("granted", granted)
    app.start("denied", refused)
    for change, answer in ((granted, True), (refused, False)):
        mine = until(
            lambda change=change: [a for a in governance.list_approvals(services) if change.id in a.change_ids]
        )
        governance.answer_approval(
            services, ANNA, mine[0].id, plan_hash=mine[0].plan_hash, granted=answer, note="", now=now()
        )
    assert app.ended("granted")["woken"].result is Result.SUCCEEDED
    end = app.ended("denied")["refused"]
    assert (end.result, "refused by anna@example.org" in end.detail) == (Result.REFUSED, True)
    assert app.world.effects("refused") == []


def test_an_approval_that_nobody_gives_is_refused_when_it_expires(app: Running) -> None:
    app.world.set_rules(replace(FAST, approval_lifetime=timedelta(seconds=1)))
    end = app.run("expires", a_change("expires", requires_approval=True))["expires"]
    assert (end.result, "expired at" in end.detail) == (Result.REFUSED, True)


def test_the_stop_switch_holds_what_is_already_waiting(app: Running) -> None:
    change = a_change("stopped")
    app.world.set_rules(FAST, [freeze(2)])
    services = app.world.services()
    app.start("stopped", change)
    until(waiting(app, change.id, "frozen"))
    governance.pull_stop_switch(services, OLGA, reason="fire", now=now())
    end = app.ended("stopped")["stopped"]
    governance.release_stop_switch(services, OLGA, reason="out", now=now())
    assert (end.result, "the stop switch was pulled by olga@example.org" in end.detail) == (Result.REFUSED, True)
    assert app.kinds(change) == ["frozen", "stopped"]
    assert app.world.effects("stopped") == []


def test_a_pause_is_waited_for_and_revoking_it_lets_the_change_go(app: Running) -> None:
    change = a_change("paused", automation="pausable")
    services = app.world.services()
    pause = governance.set_override(
        services,
        OLGA,
        OverrideKind.PAUSE,
        environment="staging",
        automation="pausable",
        reason="demo",
        start=now(),
        end=now() + HOUR,
        now=now(),
    )
    app.start("paused", change)
    until(waiting(app, change.id))
    governance.revoke_override(services, OLGA, pause.id, now=now())
    assert app.ended("paused")["paused"].result is Result.SUCCEEDED


def test_dependents_of_a_failure_are_skipped_with_the_reason_and_independents_go_on(app: Running) -> None:
    bad, good = a_change("bad"), a_change("good")
    after_bad = a_change("after-bad", depends_on=(bad.id, good.id))
    later = a_change("later", depends_on=(after_bad.id,))
    with app.world.changed("bad") as target:
        target["faults"] = ["fail"]
    app.start("partial", bad, good, after_bad, later, fails=True)
    status = app.finished("partial")
    assert status["runtimeStatus"] == "Failed"
    message = str(status["output"])
    for part in (
        "3 of 4 changes not done",
        "set staging bad: failed: 400 no such size",
        "set staging after-bad: skipped: depends on set staging bad: failed",
        "set staging later: skipped: depends on set staging after-bad: skipped",
    ):
        assert part in message
    assert app.world.effects("good")
    assert not app.world.effects("after-bad")
    assert app.kinds(later) == ["skipped"]


def test_what_can_never_be_executed_fails_at_once_and_holds_up_nothing(app: Running) -> None:
    unknown, undeclared = a_change("unknown", action="juggle"), a_change("undeclared", environment="nowhere")
    ended = app.run("impossible", unknown, undeclared, a_change("possible"))
    assert "nothing does juggle on thing" in ended["unknown"].detail
    assert "environment nowhere is not declared" in ended["undeclared"].detail
    assert [one.result for one in ended.values()].count(Result.SUCCEEDED) == 1


@pytest.mark.parametrize(
    ("name", "faults", "result", "effects"),
    [
        ("busy", ["busy", "busy"], Result.SUCCEEDED, ["1"]),
        ("reset-before", ["raise"], Result.SUCCEEDED, ["2"]),
        ("reset-after", ["raise-after"], Result.SUCCEEDED, ["1"]),
        ("reset-always", ["raise", "raise", "raise", "raise"], Result.FAILED, []),
        ("reset-after-the-last", ["raise", "raise", "raise-after"], Result.SUCCEEDED, ["3"]),
        ("refused-for-good", ["fail"], Result.FAILED, []),
    ],
)
def test_what_targets_do(app: Running, name: str, faults: list[str], result: Result, effects: list[str]) -> None:
    """`effects` are the numbers of the attempts that had one."""
    change = a_change(name)
    with app.world.changed(name) as target:
        target["faults"] = faults
    assert app.run(name, change)[name].result is result
    assert [key.split(":")[-1] for key, _ in app.world.effects(name)] == effects


def test_what_cannot_be_verified_is_taken_back_when_asked(app: Running) -> None:
    change = a_change("unready", undo_on_failure=True, apply_within=timedelta(seconds=1))
    with app.world.changed("unready") as target:
        target["never-ready"] = True
    end = app.run("unready", change)["unready"]
    assert end.result is Result.FAILED
    assert "not reached in time: 0 of 3 ready; taken back" in end.detail
    assert app.world.target("unready")["facts"] == {"n": 3}
    assert sorted(app.kinds(change)[-2:]) == ["failed", "undone"]


def test_as_wanted_already_is_no_act(app: Running) -> None:
    change = a_change("same", after={"n": 3})
    assert app.run("same", change)["same"].result is Result.UNCHANGED
    assert app.world.effects("same") == []


def test_originals_are_given_back_but_not_over_a_human_edit(app: Running) -> None:
    names = ("given-back", "edited", "never-slept")
    for name in names[:2]:
        app.run(f"sleep-{name}", a_change(name))
    with app.world.changed("edited") as target:
        target["facts"]["n"] = 5
    back = [a_change(n, action="set", occasion="wake", after={"n": 3}, originals=Originals.GIVE_BACK) for n in names]
    ended = app.run("wake", *back)
    assert ended["given-back"].result is Result.SUCCEEDED
    assert app.world.target("given-back")["facts"] == {"n": 3}
    assert (ended["edited"].result, ended["edited"].detail) == (Result.LEFT_ALONE, "left alone, edited since: n")
    assert app.world.target("edited")["facts"] == {"n": 5}
    assert ended["never-slept"].result is Result.LEFT_ALONE
    assert app.kinds(back[1])[-1] == "drift"
    assert app.kinds(back[2])[-1] == "skipped"


def test_three_failures_in_a_row_stop_the_class_and_a_probe_lets_it_go_on(app: Running) -> None:
    rule = BreakerRule(failures=3, open_for=timedelta(seconds=2), probe_for=timedelta(seconds=5))
    app.world.set_rules(replace(FAST, breaker=rule, longest_wait=timedelta(seconds=30)))
    names = [f"breaks-{n}" for n in range(3)]
    for name in names:
        with app.world.changed(name) as target:
            target["faults"] = ["fail"]
        app.run(name, a_change(name, action_class="breaks"))
    held = a_change("held", action_class="breaks")
    app.start("held", held)
    until(waiting(app, held.id))
    decision = next(r for r in app.world.records() if r["body"].get("change_id") == held.id)
    assert "stopped after 3 consecutive failures" in decision["body"]["sentence"]
    assert app.ended("held")["held"].result is Result.SUCCEEDED


def test_a_spent_budget_refuses(app: Running) -> None:
    budget = Budget(1, HOUR)
    app.world.set_rules(replace(FAST, attempts_per_target=budget, longest_wait=timedelta(minutes=1)))
    with app.world.changed("spent") as target:
        target["faults"] = ["fail"]
    change = a_change("spent", action_class="spends")
    app.run("spent-1", change)
    end = app.run("spent-2", change)["spent"]
    assert (end.result, "has had its 1 attempts in 1 h" in end.detail) == (Result.REFUSED, True)
    assert app.world.effects("spent") == []


def test_a_further_attempt_that_is_refused_tells_that_the_outcome_is_unknown(app: Running) -> None:
    rules = replace(FAST, attempts_per_target=Budget(1, HOUR), longest_wait=timedelta(minutes=1))
    app.world.set_rules(replace(rules, retry=RetryRule(timedelta(seconds=0.05), timedelta(seconds=0.1), 3)))
    with app.world.changed("unsure") as target:
        target["faults"] = ["raise"]
    end = app.run("unsure", a_change("unsure", action_class="unsure"))["unsure"]
    assert end.result is Result.FAILED
    assert "an attempt ended unknown, and a further one was refused" in end.detail


@pytest.mark.parametrize("switch", ["call", "environment"])
def test_a_dry_run_decides_and_predicts_and_writes_nothing_but_its_record(app: Running, switch: str) -> None:
    change, needy = a_change(f"dry-{switch}"), a_change(f"needy-{switch}", requires_approval=True)
    if switch == "environment":
        app.world.set_rules(replace(FAST, dry_run=True))
    before = {facts.name: facts.etag for facts in app.world.state.list()}
    ended = app.run(f"dry-{switch}", change, needy, **({"dry_run": "asked for"} if switch == "call" else {}))
    assert {one.result for one in ended.values()} == {Result.DRY_RUN}
    assert "would set {'n': 0} where {'n': 3} is" in ended[change.target].detail
    assert "needs approval" in ended[needy.target].detail
    assert {facts.name: facts.etag for facts in app.world.state.list()} == before
    assert app.world.effects(change.target) == []
    assert app.kinds(change) == ["dry_run"]
    record = next(r for r in app.world.records() if r["body"].get("change_id") == change.id)
    assert record["body"]["decision"]["outcome"] == "allow"
    assert record["body"]["wanted"] == {"n": 0}
