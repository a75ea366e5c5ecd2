from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any

import pytest

from shared.changes.approvals import Answer, Approval
from shared.changes.breakers import Breaker
from shared.changes.budgets import Attempt, Attempts
from shared.changes.change import Change
from shared.changes.exceptions import FreezeException, Ruling, Scope
from shared.changes.freeze import Effect, Window
from shared.changes.gate import BudgetUse, Decision, GateInputs, Outcome, decide
from shared.changes.limits import Limits, Place, Places
from shared.changes.overrides import Override, StopSwitch
from shared.changes.policy import BreakerRule, Budget, OverrideKind, Policy
from shared.changes.reasons import ReasonCode
from shared.identity import Role
from shared.risk import Risk
from tests.changes.world import a_change

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
CLOSE = Window(
    name="month-end-close",
    effect=Effect.FREEZE,
    start=NOW - HOUR,
    end=datetime(2026, 12, 3, 19, tzinfo=UTC),
    time_zone="Europe/Berlin",
)
SOON_OVER = Window(name="batch", effect=Effect.FREEZE, start=NOW - HOUR, end=NOW + HOUR)


def decided(change: Change | None = None, **inputs: Any) -> Decision:
    given: dict[str, Any] = {
        "now": NOW,
        "plan_hash": "plan",
        "run": 1,
        "attempt_id": "attempt",
        "since": NOW - HOUR,
        "policy": Policy(),
        "targets": 100,
    }
    return decide(change or a_change(), GateInputs(**{**given, **inputs}))


def codes(decision: Decision) -> list[ReasonCode]:
    return [reason.code for reason in decision.reasons]


def an_exception(**more: Any) -> FreezeException:
    given: dict[str, Any] = {
        "id": "e1",
        "scope": Scope(environment="staging"),
        "ticket": "CHG-1",
        "reason": "bank deadline",
        "start": NOW - HOUR,
        "end": NOW + HOUR,
        "most_uses": 1,
        "role": Role.APPROVER,
        "requested_by": "olga@example.org",
        "requested_at": NOW - HOUR,
        "granted": Ruling("anna@example.org", NOW - HOUR, ""),
    }
    return FreezeException(**{**given, **more})


def an_approval(**more: Any) -> Approval:
    given: dict[str, Any] = {
        "id": "p1",
        "plan_hash": "plan",
        "change_ids": (a_change().id,),
        "environment": "staging",
        "requested_by": "peak_scaling",
        "requested_at": NOW - HOUR / 2,
        "expires_at": NOW + HOUR,
        "role": Role.APPROVER,
        "why": (),
        "answer": Answer(True, "anna@example.org", NOW, ""),
    }
    return Approval(**{**given, **more})


def an_override(kind: OverrideKind, **more: Any) -> Override:
    given: dict[str, Any] = {
        "id": "o1",
        "kind": kind,
        "environment": "staging",
        "automation": "test_changes",
        "target": None,
        "set_by": "olga@example.org",
        "set_at": NOW,
        "reason": "demo",
        "start": NOW,
        "end": NOW + HOUR,
    }
    return Override(**{**given, **more})


def test_nothing_in_the_way_allows() -> None:
    assert decided() == Decision(Outcome.ALLOW, ())
    assert decided().sentence == "allowed"


def test_a_freeze_refuses_in_words_that_say_until_when_and_what_helps() -> None:
    decision = decided(windows=(CLOSE,))
    assert decision.outcome is Outcome.REFUSE
    assert decision.reasons[0].sentence == (
        "month-end-close freeze until 2026-12-03 20:00 Europe/Berlin; exception needs approval by role approver"
    )
    assert decision.sentence.startswith("refused: month-end-close freeze until 2026-12-03 20:00 Europe/Berlin; ")
    assert decision.reasons[0].data["until"] == "2026-12-03T19:00:00Z"


def test_a_freeze_that_is_soon_over_is_waited_for() -> None:
    decision = decided(windows=(SOON_OVER,))
    assert (decision.outcome, decision.until) == (Outcome.WAIT_UNTIL, SOON_OVER.end)


@pytest.mark.parametrize(
    ("window", "held"),
    [
        ({}, True),
        ({"start": NOW}, True),
        ({"end": NOW}, False),
        ({"start": NOW + HOUR / 2}, False),
        ({"environment": "production"}, False),
        ({"environment": "staging"}, True),
        ({"tenant": "acme"}, True),
        ({"classes": frozenset({"set"})}, True),
        ({"classes": frozenset({"restart-worker"})}, False),
        ({"effect": Effect.MAINTENANCE}, False),
    ],
    ids=str,
)
def test_what_a_window_concerns(window: dict[str, Any], held: bool) -> None:
    one = Window(**{**vars(SOON_OVER), **window})
    assert (ReasonCode.FROZEN in codes(decided(windows=(one,)))) is held


def test_a_window_of_another_tenant_does_not_concern_a_change_of_one() -> None:
    window = Window(**{**vars(SOON_OVER), "tenant": "acme"})
    assert decided(a_change(tenant="globex"), windows=(window,)).outcome is Outcome.ALLOW
    assert decided(a_change(tenant="acme"), windows=(window,)).outcome is Outcome.WAIT_UNTIL


def test_a_freeze_holds_the_risks_that_the_policy_says() -> None:
    policy = Policy(freeze_holds=frozenset({Risk.DISRUPTIVE}))
    assert decided(windows=(CLOSE,), policy=policy).outcome is Outcome.ALLOW
    assert decided(a_change(risk=Risk.DISRUPTIVE), windows=(CLOSE,), policy=policy).outcome is Outcome.REFUSE


def test_an_unreadable_calendar_is_a_freeze() -> None:
    assert codes(decided(windows=None)) == [ReasonCode.CALENDAR_UNKNOWN]
    assert decided(windows=None).outcome is Outcome.REFUSE
    assert decided(windows=None, exceptions=(an_exception(),)).outcome is Outcome.ALLOW


def test_emergencies_pass_a_freeze_only_if_the_policy_says_so() -> None:
    emergency = a_change(emergency_class="A")
    assert decided(emergency, windows=(CLOSE,)).outcome is Outcome.REFUSE
    decision = decided(emergency, windows=(CLOSE,), policy=Policy(emergency_classes=frozenset({"A"})))
    assert (decision.outcome, codes(decision)) == (Outcome.ALLOW, [ReasonCode.EMERGENCY])


def test_a_window_may_ask_for_approval_instead_of_an_exception() -> None:
    window = Window(**{**vars(CLOSE), "approval_classes": frozenset({"set"})})
    assert decided(windows=(window,)).outcome is Outcome.NEEDS_APPROVAL
    assert decided(windows=(window,), approvals=(an_approval(),)).outcome is Outcome.ALLOW


@pytest.mark.parametrize(
    ("exception", "passes"),
    [
        ({}, True),
        ({"granted": None}, False),
        ({"revoked": Ruling("anna@example.org", NOW, "")}, False),
        ({"refused": Ruling("anna@example.org", NOW, "")}, False),
        ({"end": NOW}, False),
        ({"start": NOW + HOUR / 2}, False),
        ({"uses": {"another": (1,)}}, False),
        ({"uses": {"another": (1,)}, "most_uses": 2}, True),
        ({"uses": {a_change().id: (1,)}}, True),
        ({"uses": {a_change().id: (2,)}}, False),
        ({"scope": Scope(environment="production")}, False),
        ({"scope": Scope(environment="staging", tenant="acme")}, False),
        ({"scope": Scope(environment="staging", automation="test_changes", classes=("set",), targets=("a",))}, True),
        ({"scope": Scope(environment="staging", automation="peak_scaling")}, False),
        ({"scope": Scope(environment="staging", classes=("other",))}, False),
        ({"scope": Scope(environment="staging", targets=("b",))}, False),
    ],
    ids=str,
)
def test_when_an_exception_lets_a_change_pass(exception: dict[str, Any], passes: bool) -> None:
    decision = decided(windows=(CLOSE,), exceptions=(an_exception(**exception),))
    assert (decision.outcome is Outcome.ALLOW) is passes
    assert decision.exceptions == (("e1",) if passes else ())


def test_an_exception_is_named_with_ticket_and_granter_and_not_used_without_a_freeze() -> None:
    decision = decided(windows=(CLOSE,), exceptions=(an_exception(),))
    assert "exception e1 (CHG-1), granted by anna@example.org, passes the month-end-close freeze" in decision.sentence
    assert decided(exceptions=(an_exception(),)).exceptions == ()


def test_an_exception_is_used_only_by_what_may_act() -> None:
    busy = Places({"x": Place("thing", "a", 1, NOW + HOUR)})
    decision = decided(windows=(CLOSE,), exceptions=(an_exception(),), places=busy)
    assert (decision.outcome, decision.exceptions) == (Outcome.WAIT_UNTIL, ())


def test_times_of_the_change() -> None:
    early = decided(a_change(earliest=NOW + HOUR))
    assert (early.outcome, early.until, codes(early)) == (Outcome.WAIT_UNTIL, NOW + HOUR, [ReasonCode.TOO_EARLY])
    assert codes(decided(a_change(latest=NOW - HOUR))) == [ReasonCode.TOO_LATE]
    assert decided(a_change(latest=NOW)).outcome is Outcome.ALLOW


def test_a_wait_beyond_the_latest_time_is_a_refusal_that_says_both() -> None:
    decision = decided(a_change(latest=NOW + HOUR / 2), windows=(SOON_OVER,))
    assert (decision.outcome, decision.until) == (Outcome.REFUSE, None)
    assert codes(decision) == [ReasonCode.FROZEN, ReasonCode.WAIT_TOO_LONG]


def test_a_declared_beginning_far_away_is_waited_for() -> None:
    decision = decided(a_change(earliest=NOW + timedelta(days=30)))
    assert decision.outcome is Outcome.WAIT_UNTIL


def test_maintenance_windows() -> None:
    policy = Policy(maintenance_only=frozenset({Risk.DISRUPTIVE}))
    change = a_change(risk=Risk.DISRUPTIVE)
    coming = Window(name="sunday", effect=Effect.MAINTENANCE, start=NOW + HOUR, end=NOW + 2 * HOUR)
    assert decided(change, policy=policy).outcome is Outcome.REFUSE
    assert decided(change, policy=policy, windows=(coming,)).until == coming.start
    now = Window(**{**vars(coming), "start": NOW})
    assert decided(change, policy=policy, windows=(now,)).outcome is Outcome.ALLOW
    assert decided(policy=policy).outcome is Outcome.ALLOW


@pytest.mark.parametrize(
    ("change", "policy"),
    [
        ({"requires_approval": True}, {}),
        ({"risk": Risk.FINANCIAL}, {}),
        ({"risk": Risk.IRREVERSIBLE}, {}),
        ({}, {"approval_for_classes": frozenset({"set"})}),
        ({}, {"approval_for_risks": frozenset({Risk.REVERSIBLE})}),
    ],
    ids=str,
)
def test_what_needs_approval_and_that_it_gets_it(change: dict[str, Any], policy: dict[str, Any]) -> None:
    needy, rules = a_change(**change), Policy(**policy)
    assert decided(needy, policy=rules).outcome is Outcome.NEEDS_APPROVAL
    decision = decided(needy, policy=rules, approvals=(an_approval(),))
    assert (decision.outcome, decision.approval) == (Outcome.ALLOW, "p1")


@pytest.mark.parametrize(
    ("approval", "outcome", "code"),
    [
        ({"answer": None}, Outcome.NEEDS_APPROVAL, ReasonCode.APPROVAL_PENDING),
        ({"answer": None, "expires_at": NOW}, Outcome.REFUSE, ReasonCode.APPROVAL_EXPIRED),
        ({"expires_at": NOW}, Outcome.REFUSE, ReasonCode.APPROVAL_EXPIRED),
        ({"expires_at": NOW, "requested_at": NOW - 2 * HOUR}, Outcome.NEEDS_APPROVAL, ReasonCode.NEEDS_APPROVAL),
        ({"answer": Answer(False, "anna@example.org", NOW, "")}, Outcome.REFUSE, ReasonCode.APPROVAL_REFUSED),
        ({"plan_hash": "other"}, Outcome.NEEDS_APPROVAL, ReasonCode.PLAN_CHANGED),
        ({"change_ids": ("other",)}, Outcome.NEEDS_APPROVAL, ReasonCode.NEEDS_APPROVAL),
        ({"uses": {a_change().id: 2}}, Outcome.NEEDS_APPROVAL, ReasonCode.NEEDS_APPROVAL),
        ({"uses": {a_change().id: 1}}, Outcome.ALLOW, ReasonCode.APPROVED),
    ],
    ids=str,
)
def test_where_an_approval_stands(approval: dict[str, Any], outcome: Outcome, code: ReasonCode) -> None:
    decision = decided(a_change(requires_approval=True), approvals=(an_approval(**approval),))
    assert decision.outcome is outcome
    assert code in codes(decision)


def test_overrides_hold_back_what_they_are_about() -> None:
    sleep = a_change(action_class="sleep")
    awake = an_override(OverrideKind.KEEP_AWAKE)
    decision = decided(sleep, overrides=(awake,))
    assert (decision.outcome, decision.until, codes(decision)) == (
        Outcome.WAIT_UNTIL,
        awake.end,
        [ReasonCode.KEPT_AWAKE],
    )
    assert "kept awake by olga@example.org until 2026-12-01 13:00 UTC: demo" in decision.sentence
    assert decided(overrides=(awake,)).outcome is Outcome.ALLOW
    assert decided(sleep, overrides=(an_override(OverrideKind.KEEP_AWAKE, target="b"),)).outcome is Outcome.ALLOW
    assert decided(sleep, overrides=(an_override(OverrideKind.KEEP_AWAKE, revoked_at=NOW),)).outcome is Outcome.ALLOW
    assert codes(decided(overrides=(an_override(OverrideKind.PAUSE, environment=None),))) == [ReasonCode.PAUSED]
    assert decided(overrides=(an_override(OverrideKind.PAUSE, automation="x"),)).outcome is Outcome.ALLOW
    assert decided(overrides=(an_override(OverrideKind.MUTE),)).outcome is Outcome.ALLOW


def test_limits() -> None:
    def place(target: str, kind: str = "thing") -> Place:
        return Place(kind, target, 1, NOW + HOUR)

    def with_places(
        *places: Place, limits: Limits | None = None, targets: int = 100, change: Change | None = None
    ) -> list[ReasonCode]:
        taken = Places({str(number): one for number, one in enumerate(places)})
        return codes(decided(change, places=taken, policy=Policy(limits=limits or Limits()), targets=targets))

    assert with_places(place("b")) == []
    assert with_places(place("a")) == [ReasonCode.TARGET_BUSY]
    assert with_places(place("a"), limits=Limits(per_target=2)) == []
    assert with_places(place("a"), change=a_change("A")) == [ReasonCode.TARGET_BUSY]
    assert with_places(place("b"), place("c"), limits=Limits(per_environment=2)) == [ReasonCode.ENVIRONMENT_BUSY]
    assert with_places(place("b"), place("c"), targets=8) == [ReasonCode.BLAST_RADIUS]
    assert with_places(place("b"), targets=8) == []
    assert with_places(place("b", "other"), place("c", "other"), targets=8) == []
    assert with_places(Place("thing", "a", 1, NOW)) == []


def test_budgets_and_breakers() -> None:
    spent = BudgetUse("set on a", Budget(2, HOUR), Attempts((Attempt("1", NOW - HOUR / 2), Attempt("2", NOW))))
    decision = decided(budgets=(spent,))
    assert (decision.outcome, decision.until) == (Outcome.WAIT_UNTIL, NOW + HOUR / 2)
    assert decided(budgets=(spent,), attempt_id="2").outcome is Outcome.ALLOW

    rule = BreakerRule(failures=3, open_for=HOUR)
    opened = Breaker(failures=3, opened_at=NOW - HOUR / 2)
    assert decided(breaker=opened, policy=Policy(breaker=rule)).until == NOW + HOUR / 2
    half_open = Breaker(failures=3, opened_at=NOW - HOUR)
    assert codes(decided(breaker=half_open, policy=Policy(breaker=rule))) == [ReasonCode.PROBE]
    probing = Breaker(failures=3, opened_at=NOW - HOUR, probe="another:1", probe_until=NOW + HOUR)
    assert codes(decided(breaker=probing, policy=Policy(breaker=rule))) == [ReasonCode.BREAKER_OPEN]


def test_a_dry_run_tells_the_decision_that_would_be() -> None:
    assert decided(dry_run="DRY_RUN is set").dry_run
    frozen = decided(windows=(CLOSE,), dry_run="DRY_RUN is set")
    assert frozen.outcome is Outcome.REFUSE
    assert frozen.dry_run
    assert codes(frozen)[-1] is ReasonCode.DRY_RUN


HINDRANCES: dict[str, tuple[dict[str, Any], Outcome]] = {
    "stop": ({"stop_switch": StopSwitch(True, "olga@example.org", NOW, "fire")}, Outcome.REFUSE),
    "calendar": ({"windows": None}, Outcome.REFUSE),
    "override": ({"overrides": (an_override(OverrideKind.PAUSE),)}, Outcome.WAIT_UNTIL),
    "budget": ({"budgets": (BudgetUse("x", Budget(0, HOUR), Attempts()),)}, Outcome.WAIT_UNTIL),
    "breaker": ({"breaker": Breaker(3, NOW)}, Outcome.WAIT_UNTIL),
    "places": ({"places": Places({"x": Place("thing", "a", 1, NOW + HOUR)})}, Outcome.WAIT_UNTIL),
    "refused approval": (
        {"approvals": (an_approval(answer=Answer(False, "anna@example.org", NOW, "")),)},
        Outcome.REFUSE,
    ),
}


@pytest.mark.parametrize(("one", "other"), list(combinations(HINDRANCES, 2)))
def test_of_two_hindrances_the_stricter_decides_and_both_are_told(one: str, other: str) -> None:
    needy = a_change(requires_approval=True)
    (inputs, outcome), (more, also) = HINDRANCES[one], HINDRANCES[other]
    alone = {code for each in (inputs, more) for code in codes(decided(needy, **each))}
    together = decided(needy, **{**inputs, **more})
    strictness = list(Outcome)
    strictest = max(outcome, also, Outcome.NEEDS_APPROVAL, key=strictness.index)
    assert together.outcome is strictest
    assert set(codes(together)) == alone
    assert together.exceptions == ()
    assert together.approval is None


def test_the_stop_switch_says_who_pulled_it_and_released_it_holds_nobody() -> None:
    pulled = StopSwitch(True, "olga@example.org", NOW, "fire")
    assert "pulled by olga@example.org at 2026-12-01 12:00 UTC: fire" in decided(stop_switch=pulled).sentence
    released = StopSwitch(False, "olga@example.org", NOW, "out")
    assert decided(stop_switch=released).outcome is Outcome.ALLOW


def test_policy_of_automations_and_classes() -> None:
    disabled = decided(policy=Policy(enabled_automations=frozenset({"other"})))
    assert codes(disabled) == [ReasonCode.AUTOMATION_NOT_ENABLED]
    assert codes(decided(policy=Policy(forbidden_classes=frozenset({"set"})))) == [ReasonCode.CLASS_FORBIDDEN]
