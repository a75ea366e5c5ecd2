"""What the gate looks at, read from where it is kept; and what a change takes before it acts, counted in time."""

from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256

from shared.changes import approvals, exceptions
from shared.changes.approvals import Approval, ApprovalState
from shared.changes.breakers import Breaker
from shared.changes.budgets import Attempts
from shared.changes.change import Change
from shared.changes.errors import ConflictError
from shared.changes.exceptions import FreezeException
from shared.changes.gate import BudgetUse, Decision, GateInputs
from shared.changes.limits import Places
from shared.changes.originals import Originals
from shared.changes.overrides import Override, StopSwitch
from shared.changes.plan import Plan
from shared.changes.policy import Budget, Policy
from shared.changes.ports import Services
from shared.changes.reasons import Reason, ReasonCode
from shared.changes.state import Store
from shared.changes.throttling import Queue, Toll

APPROVALS = "approvals"
EXCEPTIONS = "exceptions"
OVERRIDES = "overrides"
STOP_SWITCH = "stop-switch"
_KEPT = timedelta(days=90)
"""How long what is over stays in the working state. The evidence keeps it for good."""


def gate_inputs(
    services: Services,
    change: Change,
    *,
    plan_hash: str,
    run: int,
    attempt_id: str,
    since: datetime,
    dry_run: str | None,
) -> GateInputs:
    """All that decides whether this attempt may act now. Raises NotKnownError for an undeclared environment."""
    store, now = services.store, services.clock()
    policy = services.rules.policy(change.environment)
    if dry_run is None and services.dry_run:
        dry_run = "DRY_RUN is set"
    if dry_run is None and policy.dry_run:
        dry_run = f"{change.environment} is in dry run"
    return GateInputs(
        now=now,
        plan_hash=plan_hash,
        run=run,
        attempt_id=attempt_id,
        since=since,
        policy=policy,
        windows=services.rules.windows(change.environment, now),
        overrides=tuple((store.get(OVERRIDES, dict[str, Override]) or {}).values()),
        exceptions=tuple((store.get(EXCEPTIONS, dict[str, FreezeException]) or {}).values()),
        approvals=tuple((store.get(APPROVALS, dict[str, Approval]) or {}).values()),
        budgets=tuple(
            BudgetUse(of, budget, store.get(name, Attempts) or Attempts())
            for of, budget, name in _budgets(change, policy)
        ),
        breaker=store.get(_breaker(change), Breaker) or Breaker(),
        places=store.get(_places(change), Places) or Places(),
        targets=services.rules.targets(change.environment, change.kind),
        stop_switch=store.get(STOP_SWITCH, StopSwitch),
        dry_run=dry_run,
    )


def claim(store: Store, change: Change, decision: Decision, inputs: GateInputs) -> bool:
    """Take all that an allowed attempt needs, before it acts; each is taken once however often this runs.

    False when somebody else was faster with one of them: decide anew. The budget is drawn on last, since it is not
    given back.
    """
    now, run, policy = inputs.now, inputs.run, inputs.policy
    entry = f"{change.id}:{run}"

    def place(places: Places | None) -> Places:
        known = places or Places()
        if known.hindrances(change, policy.limits, inputs.targets, now):
            raise ConflictError("no place is free")
        return known.take(change, run, policy.limits, now)

    def enter(breaker: Breaker | None) -> Breaker:
        known = breaker or Breaker()
        if known.free_at(policy.breaker, entry, now) > now:
            raise ConflictError("the breaker is open")
        return known.entered(policy.breaker, entry, now)

    def use_exception(name: str) -> Callable[[FreezeException], FreezeException]:
        return lambda known: exceptions.used(known, change, run, now)

    try:
        store.update(_places(change), Places, place)
        for name in decision.exceptions:
            change_item(store, EXCEPTIONS, FreezeException, name, use_exception(name))
        if decision.approval is not None:
            change_item(store, APPROVALS, Approval, decision.approval, lambda a: approvals.used(a, change.id, run, now))
        store.update(_breaker(change), Breaker, enter)
        for _, budget, name in _budgets(change, policy):

            def count(attempts: Attempts | None, budget: Budget = budget) -> Attempts:
                known = attempts or Attempts()
                if known.free_at(budget, inputs.attempt_id, now) > now:
                    raise ConflictError("the budget is exhausted")
                return known.count(budget, inputs.attempt_id, now)

            store.update(name, Attempts, count)
    except ConflictError:
        give_back_place(store, change, run)
        return False
    return True


def reserve(store: Store, tolls: tuple[Toll, ...], attempt_id: str, now: datetime) -> datetime:
    """Reserve a call in every queue; returns when the last of them lets it go."""
    ready_at = now
    for toll in tolls:
        queue = store.update(
            _queue(toll), Queue, lambda known, toll=toll: (known or Queue()).reserve(toll.rate, attempt_id, now)
        )
        ready_at = max(ready_at, queue.reserved[attempt_id])
    return ready_at


def close_queues(store: Store, tolls: tuple[Toll, ...], until: datetime) -> None:
    """Hold back all later calls until then, as the outside system asked."""
    for toll in tolls:
        store.update(_queue(toll), Queue, lambda known: (known or Queue()).close(until))


def hold_place(
    store: Store, change: Change, run: int, policy: Policy, targets: int, now: datetime, *, again: bool
) -> bool:
    """Keep the run's place for longer; with `again` take it again if it was lost. False when it has none then."""
    has_place = True

    def held(places: Places | None) -> Places:
        nonlocal has_place
        known = places or Places()
        mine = known.taken.get(change.id)
        has_place = mine is not None and mine.run == run and now < mine.until
        if mine is not None and has_place and mine.until - now > policy.limits.lease / 2:
            return known
        if not has_place and (not again or known.hindrances(change, policy.limits, targets, now)):
            return known
        has_place = True
        return known.take(change, run, policy.limits, now)

    store.update(_places(change), Places, held)
    return has_place


def give_back_place(store: Store, change: Change, run: int) -> None:
    """Give the place back; twice is once."""
    store.update(_places(change), Places, lambda known: (known or Places()).give_back(change.id, run))


def report(store: Store, change: Change, run: int, policy: Policy, *, succeeded: bool | None, now: datetime) -> None:
    """Tell the breaker how the run ended; None: it proved nothing."""
    entry = f"{change.id}:{run}"

    def told(breaker: Breaker | None) -> Breaker:
        known = breaker or Breaker()
        if succeeded is None:
            return known.left(entry)
        return known.reported(policy.breaker, entry, succeeded=succeeded, now=now)

    store.update(_breaker(change), Breaker, told)


def ensure_approval(
    store: Store, plan: Plan, change: Change, decision: Decision, inputs: GateInputs, requested_by: str
) -> Approval:
    """The open request for approval of this plan that covers the change; one is made when there is none.

    It covers all changes of the plan that need approval whenever they act, so that a person answers once.
    """
    now, policy = inputs.now, inputs.policy
    needy = {c.id for c in plan.changes if c.environment == change.environment and always_needs_approval(c, policy)}
    covered = sorted(needy | {change.id})
    begins = max([now, *(c.earliest for c in plan.changes if c.id in covered and c.earliest is not None)])
    made: list[Approval] = []

    def ensure(known: dict[str, Approval] | None) -> dict[str, Approval]:
        made.clear()
        items = {key: item for key, item in (known or {}).items() if now < item.expires_at + _KEPT}
        of_plan = [item for item in items.values() if item.plan_hash == inputs.plan_hash]
        pending = [a for a in of_plan if change.id in a.change_ids and a.state(now) is ApprovalState.PENDING]
        if pending:
            made.append(pending[0])
            return items
        approval = Approval(
            id=_hashed(f"{inputs.plan_hash}/{len(of_plan)}")[:20],
            plan_hash=inputs.plan_hash,
            change_ids=tuple(covered),
            environment=change.environment,
            requested_by=requested_by,
            requested_at=now,
            expires_at=begins + policy.approval_lifetime,
            role=policy.approver_role,
            why=tuple(r.sentence for r in decision.reasons if r.code is ReasonCode.NEEDS_APPROVAL),
        )
        made.append(approval)
        return {**items, approval.id: approval}

    store.update(APPROVALS, dict[str, Approval], ensure)
    return made[0]


def always_needs_approval(change: Change, policy: Policy) -> bool:
    """Whether the change needs approval on any day."""
    return (
        change.requires_approval
        or change.risk in policy.approval_for_risks
        or change.action_class in policy.approval_for_classes
    )


def pending_reason(approval: Approval) -> Reason:
    """The reason that tells whom to ask, for a decision that has just led to a request."""
    return Reason(ReasonCode.APPROVAL_PENDING, f"approval {approval.id} is open", {"approval": approval.id})


def change_item[T](store: Store, name: str, kind: type[T], item_id: str, change: Callable[[T], T]) -> T:
    """Change one item of a collection. Raises ConflictError when it is gone, and what `change` raises."""

    def changed(known: dict[str, T] | None) -> dict[str, T]:
        items = known or {}
        if item_id not in items:
            raise ConflictError(f"{name} has no {item_id} any more")
        return {**items, item_id: change(items[item_id])}

    return store.update(name, dict[str, kind], changed)[item_id]


def originals_name(change: Change) -> str:
    """Where the originals of the change's target are kept."""
    return _originals(change.environment, change.target)


def get_originals(store: Store, change: Change) -> Originals:
    """The originals of the change's target."""
    return originals_of(store, change.environment, change.target)


def originals_of(store: Store, environment: str, target: str) -> Originals:
    """The originals of a target."""
    return store.get(_originals(environment, target), Originals) or Originals(target)


def _originals(environment: str, target: str) -> str:
    return f"originals/{environment}/{_hashed(target)}"


def _budgets(change: Change, policy: Policy) -> list[tuple[str, Budget, str]]:
    of_target = f"{change.action_class} on {change.target}"
    of_class = f"{change.action_class} in {change.environment}"
    return [
        (of_target, policy.attempts_per_target, f"attempts/{_hashed(f'{change.environment}/{of_target}')}"),
        (of_class, policy.attempts_per_class, f"attempts/{_hashed(of_class)}"),
    ]


def _breaker(change: Change) -> str:
    return f"breakers/{change.environment}/{_hashed(change.action_class)}"


def _places(change: Change) -> str:
    return f"places/{change.environment}"


def _queue(toll: Toll) -> str:
    return f"queues/{_hashed(toll.key)}"


def _hashed(text: str) -> str:
    """A blob name for any text. Azure resource ids differ in case without being different."""
    return sha256(text.casefold().encode()).hexdigest()[:32]
