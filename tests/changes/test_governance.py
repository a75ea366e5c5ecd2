"""Who may ask, grant, answer, revoke and stop; what comes twice; and that refusals are on record."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.changes import claims, exceptions, executor, governance
from shared.changes.approvals import Approval, ApprovalState
from shared.changes.errors import ConflictError, InvalidRequestError, NotKnownError, NotPermittedError
from shared.changes.exceptions import ExceptionState, FreezeException, Scope
from shared.changes.overrides import Override
from shared.changes.plan import Plan
from shared.changes.policy import OverrideKind
from shared.changes.ports import Entry, Services
from shared.events import Event
from shared.identity import Caller, Machine, Person, Role
from tests.changes.world import World, a_change

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
EVERYTHING = frozenset(Role)
OLGA = Person("olga@example.org", EVERYTHING)
ANNA = Person("anna@example.org", EVERYTHING)
BERT = Person("bert@example.org", frozenset({Role.READER, Role.APPROVER}))
OPERATOR_ONLY = Person("otto@example.org", frozenset({Role.OPERATOR}))
READER_ONLY = Person("rita@example.org", frozenset({Role.READER}))
KEY = Machine("function-key", EVERYTHING)
PLAN = Plan.of([a_change("a", requires_approval=True), a_change("b")])


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def services(world: World) -> Services:
    services = world.services(clock=lambda: NOW)
    services.store.create(executor.plan_name(PLAN.hash), Plan, PLAN)
    return services


def open_approval(services: Services, requested_by: str = OLGA.name) -> Approval:
    change = PLAN.changes[0]
    executor.admit(services, change, plan_hash=PLAN.hash, owner="o", instance="i", requested_by=requested_by, joined=0)
    asked = executor.gate(services, change.id, 1, 1).requested
    assert asked is not None
    return governance.show_approval(services, asked).approval


def answer(services: Services, by: Caller, approval: Approval, **more: Any) -> Approval:
    given = {"plan_hash": approval.plan_hash, "granted": True, "note": "looks right", "now": NOW}
    return governance.answer_approval(services, by, approval.id, **{**given, **more})[0]


def ask(services: Services, by: Caller = OLGA, **more: Any) -> FreezeException:
    given: dict[str, Any] = {
        "ticket": "CHG-1",
        "reason": "bank deadline",
        "start": NOW,
        "end": NOW + HOUR,
        "most_uses": 2,
        "now": NOW,
    }
    scope = more.pop("scope", Scope(environment="staging"))
    return governance.request_exception(services, by, scope, **{**given, **more})


def override(services: Services, by: Caller = OLGA, **more: Any) -> Override:
    given: dict[str, Any] = {
        "environment": "staging",
        "reason": "demo tonight",
        "start": NOW,
        "end": NOW + HOUR,
        "now": NOW,
    }
    kind = more.pop("kind", OverrideKind.KEEP_AWAKE)
    return governance.set_override(services, by, kind, **{**given, **more})


# --- approvals


def test_a_request_shows_exactly_what_will_be_done_and_a_second_look_asks_no_second_time(services: Services) -> None:
    approval = open_approval(services)
    assert executor.gate(services, PLAN.changes[0].id, 1, 1).requested == approval.id
    shown = governance.show_approval(services, approval.id)
    assert (shown.covered, shown.others) == (PLAN.changes[:1], PLAN.changes[1:])
    assert shown.approval.plan_hash == PLAN.hash
    assert shown.approval.why == ("test_changes asks for approval of this change",)


def test_another_person_with_the_role_answers_once_and_for_good(services: Services, world: World) -> None:
    approval = open_approval(services)
    granted = answer(services, ANNA, approval)
    assert granted.state(NOW) is ApprovalState.GRANTED
    assert answer(services, ANNA, approval, now=NOW + HOUR) == granted, "said twice is said once"
    assert world.kinds().count("approval_granted") == 1
    with pytest.raises(ConflictError, match="already granted by anna"):
        answer(services, BERT, approval)
    with pytest.raises(ConflictError, match="an answer is final"):
        answer(services, ANNA, approval, granted=False)


@pytest.mark.parametrize(
    ("by", "requested_by", "more", "error"),
    [
        (OLGA, OLGA.name, {}, NotPermittedError),
        (Person("OLGA@Example.org", EVERYTHING), OLGA.name, {}, NotPermittedError),
        (OPERATOR_ONLY, OLGA.name, {}, NotPermittedError),
        (KEY, OLGA.name, {}, NotPermittedError),
        (ANNA, OLGA.name, {"now": NOW + 5 * HOUR}, ConflictError),
        (ANNA, OLGA.name, {"plan_hash": "another"}, ConflictError),
    ],
    ids=["self", "self in capitals", "no role", "key", "expired", "another plan"],
)
def test_an_answer_that_must_not_count_is_refused_and_recorded(
    services: Services, world: World, by: Caller, requested_by: str, more: dict[str, Any], error: type[Exception]
) -> None:
    approval = open_approval(services, requested_by)
    with pytest.raises(error):
        answer(services, by, approval, **more)
    assert governance.show_approval(services, approval.id).approval.answer is None
    refused = [record for record in world.records() if record["kind"] == "access_refused"]
    assert [(r["actor"], r["body"]["asked_by"], r["body"]["error"]) for r in refused] == [
        (by.name, by.name, error.__name__)
    ]


def test_a_grant_is_used_once_by_its_change(services: Services) -> None:
    approval = open_approval(services)
    answer(services, ANNA, approval)
    change = PLAN.changes[0]
    assert executor.gate(services, change.id, 1, 1).decision.outcome == "allow"  # type: ignore[union-attr]
    assert executor.gate(services, change.id, 1, 1).decision.outcome == "allow", "delivered twice"  # type: ignore[union-attr]
    executor.finish(services, change.id, 1, executor.Result.FAILED, "")
    executor.admit(services, change, plan_hash=PLAN.hash, owner="p", instance="i", requested_by="x", joined=0)
    second = executor.gate(services, change.id, 2, 1)
    assert second.decision is not None
    assert second.decision.outcome == "needs-approval"
    assert second.requested not in (None, approval.id)


def test_nothing_to_answer(services: Services) -> None:
    with pytest.raises(NotKnownError, match="there is no approval nothing"):
        governance.answer_approval(services, ANNA, "nothing", plan_hash="", granted=True, note="", now=NOW)


# --- exceptions


def test_an_exception_is_asked_for_by_one_and_granted_by_another(services: Services, world: World) -> None:
    asked = ask(services)
    assert asked.state(NOW) is ExceptionState.REQUESTED
    granted = governance.rule_on_exception(services, ANNA, asked.id, granted=True, note="ok", now=NOW)
    assert granted.state(NOW) is ExceptionState.GRANTED
    assert (
        governance.rule_on_exception(services, ANNA, asked.id, granted=True, note="ok", now=NOW + HOUR / 2) == granted
    )
    assert granted.state(NOW + HOUR) is ExceptionState.EXPIRED
    assert sorted(world.kinds()) == ["exception_granted", "exception_requested"]
    revoked = governance.revoke_exception(services, BERT, asked.id, note="no longer", now=NOW)
    assert revoked.state(NOW) is ExceptionState.REVOKED
    assert governance.revoke_exception(services, OLGA, asked.id, note="", now=NOW + HOUR) == revoked
    assert world.kinds().count("exception_revoked") == 1


@pytest.mark.parametrize(
    ("by", "error"),
    [(OLGA, NotPermittedError), (OPERATOR_ONLY, NotPermittedError), (KEY, NotPermittedError)],
    ids=["self", "no role", "key"],
)
def test_who_cannot_grant_an_exception(services: Services, world: World, by: Caller, error: type[Exception]) -> None:
    asked = ask(services)
    with pytest.raises(error):
        governance.rule_on_exception(services, by, asked.id, granted=True, note="", now=NOW)
    assert governance.list_exceptions(services)[0].state(NOW) is ExceptionState.REQUESTED
    assert "access_refused" in world.kinds()


def test_an_exception_that_is_over_cannot_be_granted_and_strangers_cannot_revoke(services: Services) -> None:
    asked = ask(services)
    with pytest.raises(NotPermittedError):
        governance.revoke_exception(services, OPERATOR_ONLY, asked.id, note="", now=NOW)
    governance.rule_on_exception(services, ANNA, asked.id, granted=False, note="no", now=NOW)
    with pytest.raises(ConflictError, match="is refused"):
        governance.rule_on_exception(services, BERT, asked.id, granted=True, note="", now=NOW)
    late = ask(services, ticket="CHG-2")
    with pytest.raises(ConflictError, match="is expired"):
        governance.rule_on_exception(services, BERT, late.id, granted=True, note="", now=NOW + HOUR)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({"ticket": " "}, "ticket"),
        ({"reason": ""}, "reason"),
        ({"end": NOW}, "end"),
        ({"end": NOW + timedelta(days=2)}, "end"),
        ({"most_uses": 0}, "most_uses"),
        ({"most_uses": 4}, "most_uses"),
    ],
    ids=str,
)
def test_exceptions_are_limited_by_the_policy(services: Services, request_: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequestError) as error:
        ask(services, **request_)
    assert error.value.field == field
    assert governance.list_exceptions(services) == []


def test_machines_and_readers_cannot_ask_and_unknown_environments_are_unknown(services: Services) -> None:
    for by in (KEY, READER_ONLY):
        with pytest.raises(NotPermittedError):
            ask(services, by)
    with pytest.raises(NotKnownError):
        ask(services, scope=Scope(environment="nowhere"))


def test_asking_again_with_the_same_key_asks_once(services: Services) -> None:
    first = ask(services, key="k")
    assert ask(services, key="k", now=NOW + HOUR / 2) == first
    assert ask(services, BERT, key="k").id != first.id
    assert len(governance.list_exceptions(services)) == 2


def test_a_use_is_counted_before_the_act_and_never_beyond_the_limit(services: Services) -> None:
    asked = ask(services, most_uses=1)
    governance.rule_on_exception(services, ANNA, asked.id, granted=True, note="", now=NOW)
    one, other = PLAN.changes
    known = governance.list_exceptions(services)[0]
    used = exceptions.used(known, one, 1, NOW)
    assert exceptions.used(used, one, 1, NOW) == used, "delivered twice is one use"
    assert used.state(NOW) is ExceptionState.EXHAUSTED
    for change, run in ((one, 2), (other, 1)):
        with pytest.raises(ConflictError):
            exceptions.used(used, change, run, NOW)


# --- overrides and the stop switch


def test_an_override_says_who_why_and_until_and_is_visible_and_revocable(services: Services, world: World) -> None:
    one = override(services)
    assert (one.set_by, one.reason, one.end) == (OLGA.name, "demo tonight", NOW + HOUR)
    assert governance.list_overrides(services) == [one]
    assert (one.in_force(NOW), one.in_force(NOW + HOUR)) == (True, False)
    revoked = governance.revoke_override(services, BERT_OPERATES, one.id, now=NOW)
    assert not revoked.in_force(NOW)
    assert governance.revoke_override(services, OLGA, one.id, now=NOW + HOUR) == revoked
    assert sorted(world.kinds()) == ["override_revoked", "override_set"]


BERT_OPERATES = Person("bert@example.org", frozenset({Role.OPERATOR}))


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"by": READER_ONLY}, NotPermittedError),
        ({"reason": " "}, InvalidRequestError),
        ({"end": NOW + timedelta(days=4)}, InvalidRequestError),
        ({"end": NOW - HOUR}, InvalidRequestError),
        ({"kind": OverrideKind.MUTE, "end": NOW + timedelta(hours=25)}, InvalidRequestError),
        ({"kind": OverrideKind.PAUSE}, InvalidRequestError),
        ({"environment": None}, InvalidRequestError),
        ({"environment": "nowhere"}, NotKnownError),
    ],
    ids=str,
)
def test_overrides_that_are_not_set(services: Services, more: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        override(services, **more)
    assert governance.list_overrides(services) == []


def test_a_pipeline_may_keep_awake_by_its_key(services: Services) -> None:
    assert override(services, KEY).set_by == "function-key"


@pytest.mark.parametrize(
    ("by", "act", "allowed"),
    [
        (OLGA, governance.pull_stop_switch, True),
        (KEY, governance.pull_stop_switch, True),
        (READER_ONLY, governance.pull_stop_switch, False),
        (OLGA, governance.release_stop_switch, True),
        (KEY, governance.release_stop_switch, False),
        (READER_ONLY, governance.release_stop_switch, False),
    ],
)
def test_who_may_throw_the_stop_switch(
    services: Services, world: World, by: Caller, act: Callable[..., Any], allowed: bool
) -> None:
    if allowed:
        act(services, by, reason="fire", now=NOW)
        assert governance.stop_switch(services) is not None
    else:
        with pytest.raises(NotPermittedError):
            act(services, by, reason="fire", now=NOW)
        assert governance.stop_switch(services) is None
        assert world.kinds() == ["access_refused"]


def test_pulled_twice_stays_as_it_was_pulled_first(services: Services, world: World) -> None:
    first = governance.pull_stop_switch(services, OLGA, reason="fire", now=NOW)
    assert governance.pull_stop_switch(services, ANNA, reason="also fire", now=NOW + HOUR) == first
    assert world.kinds() == ["stop_switch_pulled"]
    assert not governance.release_stop_switch(services, ANNA, reason="out", now=NOW + 2 * HOUR).pulled


def test_what_is_long_over_leaves_the_working_state(services: Services) -> None:
    old = override(services)
    assert old in governance.list_overrides(services)
    new = override(services, start=NOW + 100 * 24 * HOUR, end=NOW + 101 * 24 * HOUR, now=NOW + 100 * 24 * HOUR)
    assert governance.list_overrides(services) == [new]


# --- telling


class Topic:
    def __init__(self) -> None:
        self.told: list[Event] = []

    def publish(self, events: Any) -> None:
        self.told += events


def test_what_is_recorded_is_told_once_with_its_place_unless_muted(world: World) -> None:
    topic = Topic()
    services = world.services(clock=lambda: NOW, publisher=topic)
    entry = Entry(
        automation="x",
        kind="failed",
        subject="change:1:1",
        time=NOW,
        environment="staging",
        tenant="acme",
        body={"a": NOW},
    )
    executor.record(services, entry)
    executor.record(services, entry)
    assert {(e.id, e.type, e.subject) for e in topic.told} == {
        (
            "change:1:1:failed:2026-12-01T12:00:00Z",
            "closekeeper.change.failed",
            "environments/staging/tenants/acme/change:1:1",
        )
    }
    assert world.kinds() == ["failed"]
    override(services, kind=OverrideKind.MUTE)
    told = len(topic.told)
    executor.record(services, entry)
    assert len(topic.told) == told
    assert claims.OVERRIDES in {facts.name.removesuffix(".json") for facts in world.state.list()}
