"""Opening a plan for execution, and what is put on record about it as a whole."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from shared.changes import executor
from shared.changes.change import Change
from shared.changes.errors import NotKnownError
from shared.changes.execution import Result
from shared.changes.plan import Plan
from shared.changes.ports import Entry, Services, UnknownActionError
from shared.changes.progress import Rehearsed
from shared.changes.scheduling import Ended, Item, PlanEnded

_MOST_AT_ONCE = 100
_LISTED = 500
"""Changes listed in the record of a plan; of a larger one it holds the number, and the hash identifies the rest."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A plan, ready to run.

    items: in an order that has dependencies first. at_once: how many changes are begun at a time. dry_runs: why a
    change is only rehearsed, by change id. impossible: what cannot be executed at all, with the reason.
    """

    plan_hash: str
    items: tuple[Item, ...]
    at_once: int
    dry_runs: Mapping[str, str] = field(default_factory=dict[str, str])
    impossible: tuple[Ended, ...] = ()


def open_plan(services: Services, changes: tuple[Change, ...], dry_run: str | None) -> Opened:
    """Check and keep the plan; one that is only rehearsed is not kept. Raises InvalidPlanError."""
    plan = Plan.of(changes)
    places: dict[str, int] = {}
    dry_runs: dict[str, str] = {}
    impossible: list[Ended] = []
    for change in plan.changes:
        try:
            policy = services.rules.policy(change.environment)
            services.adapters.find(change)
        except (NotKnownError, UnknownActionError) as error:
            impossible.append(Ended(change.id, change.description, Result.FAILED, str(error)))
            continue
        places[change.environment] = policy.limits.per_environment
        own = f"{change.environment} is in dry run" if policy.dry_run else None
        reason = dry_run or ("DRY_RUN is set" if services.dry_run else own)
        if reason:
            dry_runs[change.id] = reason
    if len(dry_runs) < len(plan.changes):
        services.store.create(executor.plan_name(plan.hash), Plan, plan)
    return Opened(
        plan_hash=plan.hash,
        items=tuple(Item(c.id, c.description, c.depends_on) for c in plan.changes),
        at_once=min(_MOST_AT_ONCE, max(1, sum(places.values()))),
        dry_runs=dry_runs,
        impossible=tuple(impossible),
    )


def planned(opened: Opened, changes: tuple[Change, ...], requested_by: str, now: datetime) -> Entry:
    """The record that a plan was made and begins."""
    listed = [
        {"id": c.id, "digest": c.digest, "what": c.description, "after": dict(c.after), "reason": c.reason}
        for c in changes[:_LISTED]
    ]
    body = {"plan_hash": opened.plan_hash, "count": len(changes), "changes": listed, "dry_runs": dict(opened.dry_runs)}
    return _of_plan("planned", opened.plan_hash, changes, requested_by, body, now)


def plan_over(ended: PlanEnded, changes: tuple[Change, ...], requested_by: str, now: datetime) -> Entry:
    """The record of how the plan ended."""
    results = [{"id": e.change_id, "result": e.result, "detail": e.detail} for e in ended.changes[:_LISTED]]
    body = {"plan_hash": ended.plan_hash, "sentence": ended.sentence[:4000], "changes": results}
    kind = "plan_succeeded" if ended.succeeded else "plan_failed"
    return _of_plan(kind, ended.plan_hash, changes, requested_by, body, now)


def not_begun(change: Change, ended: Ended, plan_hash: str, now: datetime) -> Entry:
    """The record that a change of the plan was skipped, or cannot be executed."""
    kind = "skipped" if ended.result is Result.SKIPPED else "failed"
    return _of_change(kind, change, {"plan_hash": plan_hash, "result": ended.result, "detail": ended.detail}, now)


def rehearsed(change: Change, answer: Rehearsed, plan_hash: str, why: str, now: datetime) -> Entry:
    """The record of a dry run."""
    body = {**answer.body, "plan_hash": plan_hash, "dry_run": why, "detail": answer.effect}
    return _of_change("dry_run", change, body, now)


def _of_plan(
    kind: str,
    plan_hash: str,
    changes: tuple[Change, ...],
    requested_by: str,
    body: Mapping[str, object],
    now: datetime,
) -> Entry:
    environments = {change.environment for change in changes}
    automation = changes[0].automation if changes else "changes"
    return Entry(
        automation=automation,
        kind=kind,
        subject=f"plan:{plan_hash}",
        time=now,
        environment=environments.pop() if len(environments) == 1 else None,
        actor=None if requested_by == automation else requested_by,
        body={**body, "requested_by": requested_by},
    )


def _of_change(kind: str, change: Change, body: Mapping[str, object], now: datetime) -> Entry:
    return Entry(
        automation=change.automation,
        kind=kind,
        subject=f"change:{change.id}",
        time=now,
        environment=change.environment,
        tenant=change.tenant,
        body={"change_id": change.id, "what": change.description, **body},
    )
