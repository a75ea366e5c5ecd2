"""What people and machines ask of the governance of changes: approvals, exceptions, overrides, the stop switch.

Plain functions for the HTTP API: each takes who asks, changes the state by compare-and-swap, and records it, the
refusals too. Everything may come twice: the same request again answers the same, and records nothing new. They raise
NotPermittedError (403), NotKnownError (404), ConflictError (409) and InvalidRequestError (422).
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from shared.changes import approvals, claims, exceptions, executor, overrides
from shared.changes.approvals import Approval
from shared.changes.change import Change
from shared.changes.errors import ConflictError, InvalidRequestError, NotKnownError, NotPermittedError
from shared.changes.exceptions import FreezeException, Scope
from shared.changes.execution import Execution
from shared.changes.overrides import Override, StopSwitch
from shared.changes.plan import Plan
from shared.changes.policy import OverrideKind, Policy
from shared.changes.ports import Entry, Services
from shared.changes.state import to_data
from shared.identity import Caller, Machine

_AUTOMATION = "changes"
_KEPT = timedelta(days=90)
_WRITTEN_WHILE_IT_WAITS = timedelta(days=1)
_LATER = frozenset({"uses", "answer", "granted", "refused", "revoked", "revoked_by", "revoked_at"})


@dataclass(frozen=True)
class ShownApproval:
    """A request for approval with exactly what will be done: the plan's changes, those that it covers first."""

    approval: Approval
    covered: tuple[Change, ...]
    others: tuple[Change, ...]


def list_approvals(services: Services) -> list[Approval]:
    """All requests of the last 90 days, the newest first."""
    known = services.store.get(claims.APPROVALS, dict[str, Approval]) or {}
    return sorted(known.values(), key=lambda a: a.requested_at, reverse=True)


def show_approval(services: Services, approval_id: str) -> ShownApproval:
    """A request with what it is about."""
    approval = _known(services, claims.APPROVALS, Approval, approval_id, "approval")
    plan = services.store.get(executor.plan_name(approval.plan_hash), Plan)
    if plan is None or plan.hash != approval.plan_hash:
        raise ConflictError(f"the plan of approval {approval_id} is not what was to be approved: it cannot be shown")
    covered = tuple(change for change in plan.changes if change.id in approval.change_ids)
    return ShownApproval(approval, covered, tuple(change for change in plan.changes if change not in covered))


def answer_approval(
    services: Services, by: Caller, approval_id: str, *, plan_hash: str, granted: bool, note: str, now: datetime
) -> tuple[Approval, tuple[str, ...]]:
    """Grant or refuse; `plan_hash` is of the plan that the person saw. Also returns the instances to wake."""
    with _refusals_recorded(services, by, f"approval:{approval_id}", now):
        before = _known(services, claims.APPROVALS, Approval, approval_id, "approval")
        if plan_hash != before.plan_hash:
            raise ConflictError("plan_hash is of another plan than this request's: look at the request again")

        def answer(known: Approval) -> Approval:
            return approvals.answered(known, by, granted=granted, note=note, now=now)

        after = claims.change_item(services.store, claims.APPROVALS, Approval, approval_id, answer)
    if after.answer is not None:
        kind = "approval_granted" if after.answer.granted else "approval_denied"
        _record(
            services,
            kind,
            f"approval:{approval_id}",
            after.answer.at,
            after.answer.by,
            after,
            after.answer,
            after.environment,
        )
    return after, _instances(services, after.change_ids)


def list_exceptions(services: Services) -> list[FreezeException]:
    """All exceptions of the last 90 days, the newest first."""
    known = services.store.get(claims.EXCEPTIONS, dict[str, FreezeException]) or {}
    return sorted(known.values(), key=lambda e: e.requested_at, reverse=True)


def request_exception(
    services: Services,
    by: Caller,
    scope: Scope,
    *,
    ticket: str,
    reason: str,
    start: datetime,
    end: datetime,
    most_uses: int,
    now: datetime,
    key: str | None = None,
) -> FreezeException:
    """Ask for an exception from a freeze. The same caller with the same idempotency `key` asks once."""
    exception_id = _new_id(by, now, key, "exception", scope.environment, ticket)
    with _refusals_recorded(services, by, f"exception:{exception_id}", now, scope.environment):
        policy = services.rules.policy(scope.environment)
        new = exceptions.requested(
            exception_id,
            by,
            scope,
            ticket=ticket,
            reason=reason,
            start=start,
            end=end,
            most_uses=most_uses,
            policy=policy,
            now=now,
        )
    made = _add(services, claims.EXCEPTIONS, FreezeException, new.id, new, lambda e: now < e.end + _KEPT)
    subject = f"exception:{made.id}"
    _record(
        services, "exception_requested", subject, made.requested_at, made.requested_by, made, None, scope.environment
    )
    return made


def rule_on_exception(
    services: Services, by: Caller, exception_id: str, *, granted: bool, note: str, now: datetime
) -> FreezeException:
    """Grant or refuse an exception that another person asked for."""

    def ruled(known: FreezeException) -> FreezeException:
        return exceptions.ruled(known, by, granted=granted, note=note, now=now)

    after = _change_exception(services, by, exception_id, ruled, now)
    ruling = after.granted if granted else after.refused
    if ruling is not None:
        kind = "exception_granted" if granted else "exception_denied"
        _record(services, kind, f"exception:{after.id}", ruling.at, ruling.by, after, ruling, after.scope.environment)
    return after


def revoke_exception(services: Services, by: Caller, exception_id: str, *, note: str, now: datetime) -> FreezeException:
    """Take an exception back."""

    def revoked(known: FreezeException) -> FreezeException:
        return exceptions.revoked(known, by, note=note, now=now)

    after = _change_exception(services, by, exception_id, revoked, now)
    if after.revoked is not None:
        subject, ruling, environment = f"exception:{after.id}", after.revoked, after.scope.environment
        _record(services, "exception_revoked", subject, ruling.at, ruling.by, after, ruling, environment)
    return after


def list_overrides(services: Services) -> list[Override]:
    """All overrides of the last 90 days, the newest first."""
    known = services.store.get(claims.OVERRIDES, dict[str, Override]) or {}
    return sorted(known.values(), key=lambda o: o.set_at, reverse=True)


def set_override(
    services: Services,
    by: Caller,
    kind: OverrideKind,
    *,
    environment: str | None,
    automation: str | None = None,
    target: str | None = None,
    reason: str,
    start: datetime,
    end: datetime,
    now: datetime,
    key: str | None = None,
) -> Override:
    """Set something aside for a while. The same caller with the same idempotency `key` sets it once."""
    override_id = _new_id(by, now, key, kind, environment or "", automation or "", target or "")
    with _refusals_recorded(services, by, f"override:{override_id}", now, environment):
        new = overrides.new_override(
            override_id,
            by,
            kind,
            environment=environment,
            automation=automation,
            target=target,
            reason=reason,
            start=start,
            end=end,
            policy=services.rules.policy(environment) if environment else Policy(),
            now=now,
        )
    made = _add(services, claims.OVERRIDES, Override, new.id, new, lambda o: now < o.end + _KEPT)
    _record(services, "override_set", f"override:{made.id}", made.set_at, made.set_by, made, None, environment)
    return made


def revoke_override(services: Services, by: Caller, override_id: str, *, now: datetime) -> Override:
    """Take an override back."""
    with _refusals_recorded(services, by, f"override:{override_id}", now):
        _known(services, claims.OVERRIDES, Override, override_id, "override")
        after = claims.change_item(
            services.store, claims.OVERRIDES, Override, override_id, lambda known: overrides.revoked(known, by, now)
        )
    if after.revoked_at is not None:
        subject = f"override:{after.id}"
        _record(
            services, "override_revoked", subject, after.revoked_at, after.revoked_by, after, None, after.environment
        )
    return after


def stop_switch(services: Services) -> StopSwitch | None:
    """How the stop switch stands; None when it was never touched."""
    return services.store.get(claims.STOP_SWITCH, StopSwitch)


def pull_stop_switch(services: Services, by: Caller, *, reason: str, now: datetime) -> StopSwitch:
    """Stop everything from beginning to act. What was already asked of outside systems goes on there."""
    return _throw(services, by, overrides.pulled, reason, now)


def release_stop_switch(services: Services, by: Caller, *, reason: str, now: datetime) -> StopSwitch:
    """Let changes act again. Those that were refused meanwhile are planned anew."""
    return _throw(services, by, overrides.released, reason, now)


def show_change(services: Services, change_id: str) -> Execution:
    """What is remembered of a change: who runs it, what was tried, how it ended."""
    known = services.store.get(executor.execution_name(change_id), Execution)
    if known is None:
        raise NotKnownError(f"there is no change {change_id}")
    return known


def waiting_instances(services: Services, environment: str, now: datetime) -> tuple[str, ...]:
    """The orchestrations of changes in the environment that are under way, to wake after a ruling or a release.

    Changes are remembered for good. Whatever waits gives a sign of life every hour or so: what was not written for a
    day is not read, and would look again by itself.
    """
    running = services.store.all("executions/", Execution, since=now - _WRITTEN_WHILE_IT_WAITS)
    return tuple(e.instance for e in running if e.result is None and e.change.environment == environment)


def _throw(
    services: Services,
    by: Caller,
    thrown: Callable[[Caller, str, datetime], StopSwitch],
    reason: str,
    now: datetime,
) -> StopSwitch:
    with _refusals_recorded(services, by, "stop-switch", now):
        new = thrown(by, reason, now)

    def throw(known: StopSwitch | None) -> StopSwitch:
        already = known is not None and known.pulled == new.pulled
        return known if known is not None and already else new

    after = services.store.update(claims.STOP_SWITCH, StopSwitch, throw)
    kind = "stop_switch_pulled" if after.pulled else "stop_switch_released"
    _record(services, kind, "stop-switch", after.at, after.by, after, None, None)
    return after


def _change_exception(
    services: Services,
    by: Caller,
    exception_id: str,
    change: Callable[[FreezeException], FreezeException],
    now: datetime,
) -> FreezeException:
    with _refusals_recorded(services, by, f"exception:{exception_id}", now):
        _known(services, claims.EXCEPTIONS, FreezeException, exception_id, "exception")
        return claims.change_item(services.store, claims.EXCEPTIONS, FreezeException, exception_id, change)


def _known[T](services: Services, name: str, kind: type[T], item_id: str, what: str) -> T:
    items = services.store.get(name, dict[str, kind]) or {}
    if item_id not in items:
        raise NotKnownError(f"there is no {what} {item_id}")
    return items[item_id]


def _add[T](services: Services, name: str, kind: type[T], item_id: str, item: T, keep: Callable[[T], bool]) -> T:
    """Add an item once, and forget those that are long over; the evidence keeps them."""

    def added(known: dict[str, T] | None) -> dict[str, T]:
        return {item_id: item} | {key: one for key, one in (known or {}).items() if keep(one)}

    return services.store.update(name, dict[str, kind], added)[item_id]


def _instances(services: Services, change_ids: tuple[str, ...]) -> tuple[str, ...]:
    known = (services.store.get(executor.execution_name(change_id), Execution) for change_id in change_ids)
    return tuple(execution.instance for execution in known if execution is not None and execution.result is None)


def _new_id(by: Caller, now: datetime, key: str | None, *about: str) -> str:
    parts = [by.name, key] if key else [by.name, now.isoformat(), *about]
    return sha256("\0".join(parts).encode()).hexdigest()[:20]


@contextmanager
def _refusals_recorded(
    services: Services, by: Caller, subject: str, now: datetime, environment: str | None = None
) -> Generator[None]:
    """Who was turned down, and why, is evidence."""
    try:
        yield
    except (NotPermittedError, ConflictError, InvalidRequestError) as error:
        body = {
            "asked_by": by.name,
            "machine": isinstance(by, Machine),
            "why": str(error),
            "error": type(error).__name__,
        }
        entry = Entry(
            automation=_AUTOMATION,
            kind="access_refused",
            subject=subject,
            time=now,
            environment=environment,
            actor=by.name,
            body=body,
        )
        executor.record(services, entry)
        raise


def _record(
    services: Services,
    kind: str,
    subject: str,
    time: datetime,
    actor: str | None,
    item: object,
    ruling: object,
    environment: str | None,
) -> None:
    """Record an item with the ruling that it got.

    The time is the ruling's own, and what may change later (uses, other rulings) is left out, so that a repeated
    request records nothing new.
    """
    facts = {name: value for name, value in to_data(item).items() if name not in _LATER}
    entry = Entry(
        automation=_AUTOMATION,
        kind=kind,
        subject=subject,
        time=time,
        environment=environment,
        actor=actor,
        body={"item": facts, "ruling": None if ruling is None else to_data(ruling)},
    )
    executor.record(services, entry)
