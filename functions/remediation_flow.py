"""How a remediation goes: the steps of its orchestration, in order, and what it waits for.

What a fault's evidence means and what is done about it, the playbooks and `shared.job_remediation.decision` say.
"""

from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from durabletask import task

from functions.change_execution import PlanOrder
from functions.remediation_looks import Look, Looked, Well
from functions.remediation_steps import Conclusion, Outcome, Patience
from functions.signal_intake import RESOLVED
from shared.changes.execution import GOOD, Result
from shared.changes.scheduling import PlanEnded
from shared.changes.state import from_data, to_data
from shared.job_remediation.decision import Course, Decision

_RETRY = task.RetryPolicy(
    first_retry_interval=timedelta(seconds=2),
    max_number_of_attempts=10,
    backoff_coefficient=2,
    max_retry_interval=timedelta(minutes=2),
)
_MOST_LOOKS = 50

type Steps[T] = Generator[task.Task[Any], Any, T]


@dataclass(frozen=True, slots=True)
class _Fault:
    """Whose remediation an orchestration is."""

    fingerprint: str
    occurrence: int


def remediate(ctx: task.OrchestrationContext, started: Any) -> Steps[Any]:
    """Look, act, verify, until the fault is over or a human has it; the orchestration `remediation`."""
    fault = from_data(_Fault, started)
    patience = from_data(Patience, (yield ctx.call_activity("remediation_patience", retry_policy=_RETRY)))
    resolved = ctx.wait_for_external_event(RESOLVED)
    yield from _wait(ctx, patience.settle, resolved)
    tried: list[str] = []
    number = 0
    while True:
        number += 1
        ctx.set_custom_status({"phase": "looking", "attempts": len(tried)})
        order = Look(fault.fingerprint, fault.occurrence, number, len(tried), _now(ctx))
        looked = from_data(
            Looked, (yield ctx.call_activity("remediation_look", input=to_data(order), retry_policy=_RETRY))
        )
        decision = looked.decision
        match decision.course:
            case Course.OVER:
                outcome = Outcome.RESOLVED if looked.resolved else Outcome.FIXED if tried else Outcome.NOTHING_WRONG
                return (yield from _conclude(ctx, fault, outcome, decision, tried))
            case Course.WAIT if number < _MOST_LOOKS:
                ctx.set_custom_status({"phase": "waiting", "why": decision.why, "attempts": len(tried)})
                until = decision.until or _now(ctx)
                yield from _wait(ctx, max(until - _now(ctx), timedelta(seconds=1)), resolved)
            case Course.HUMAN | Course.WAIT:
                return (yield from _conclude(ctx, fault, Outcome.ESCALATED, decision, tried))
            case Course.ACT:
                acted = yield from _act(ctx, fault, looked, len(tried) + 1, patience)
                tried.append(acted.said)
                if acted.outcome is not None:
                    return (yield from _conclude(ctx, fault, acted.outcome, decision, tried))
                if (yield from _stays_well(ctx, fault, decision, patience)):
                    return (yield from _conclude(ctx, fault, Outcome.FIXED, decision, tried))


@dataclass(frozen=True, slots=True)
class _Acted:
    """What came of acting. `outcome` is None when it is for verification to say."""

    said: str
    outcome: Outcome | None = None


def _act(
    ctx: task.OrchestrationContext, fault: _Fault, looked: Looked, attempt: int, patience: Patience
) -> Steps[_Acted]:
    """Execute the changes through the gate. What nothing was done about is not tried again: the gate had its say."""
    decision = looked.decision
    ctx.set_custom_status({"phase": "acting", "case": decision.case, "attempts": attempt})
    order = PlanOrder(changes=decision.changes, requested_by=looked.requested_by)
    running: task.Task[Any] = ctx.call_sub_orchestrator(
        "change_plan", input=to_data(order), instance_id=f"{ctx.instance_id}:{attempt}"
    )
    late = ctx.create_timer(patience.escalate)
    first = yield task.when_any([running, late])
    if first is late:
        told = Conclusion(fault.fingerprint, fault.occurrence, Outcome.WAITING, decision, (), _now(ctx))
        yield ctx.call_activity("remediation_tell_waiting", input=to_data(told), retry_policy=_RETRY)
        yield task.when_any([running])
    else:
        late.cancel()
    if running.is_failed:
        return _Acted(f"attempt {attempt}: {running.get_exception().details.message}", Outcome.ESCALATED)
    ended = from_data(PlanEnded, running.get_result())
    said = f"attempt {attempt}: {ended.sentence}"
    results = {change.result for change in ended.changes}
    if results == {Result.DRY_RUN}:
        return _Acted(said, Outcome.REHEARSED)
    return _Acted(said, None if results & GOOD else Outcome.ESCALATED)


def _stays_well(ctx: task.OrchestrationContext, fault: _Fault, decision: Decision, patience: Patience) -> Steps[bool]:
    """Whether the world is well for as long as the policy wants, before the patience is at an end."""
    since: datetime | None = None
    give_up = _now(ctx) + patience.verify
    question = {"fingerprint": fault.fingerprint, "playbook": decision.playbook}
    while True:
        seen = from_data(Well, (yield ctx.call_activity("remediation_check", input=question, retry_policy=_RETRY)))
        now = _now(ctx)
        ctx.set_custom_status({"phase": "verifying", "seen": seen.seen})
        since = (since or now) if seen.well else None
        if since is not None and now - since >= patience.stabilise:
            return True
        if now >= give_up and since is None:
            return False
        yield ctx.create_timer(patience.poll)


def _conclude(
    ctx: task.OrchestrationContext, fault: _Fault, outcome: Outcome, decision: Decision, tried: list[str]
) -> Steps[Any]:
    told = Conclusion(fault.fingerprint, fault.occurrence, outcome, decision, tuple(tried), _now(ctx))
    ctx.set_custom_status({"phase": "over", "outcome": outcome})
    return (yield ctx.call_activity("remediation_conclude", input=to_data(told), retry_policy=_RETRY))


def _wait(ctx: task.OrchestrationContext, how_long: timedelta, resolved: task.Task[Any]) -> Steps[None]:
    """Wait, or until the fault is told to be over."""
    if resolved.is_complete:
        return
    timer = ctx.create_timer(how_long)
    first = yield task.when_any([timer, resolved])
    if first is resolved:
        timer.cancel()


def _now(ctx: task.OrchestrationContext) -> datetime:
    return ctx.current_utc_datetime.replace(tzinfo=UTC)
