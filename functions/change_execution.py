"""Executing changes: the orchestrations `change_plan` and `change`, and their activities.

The orchestrations only carry out steps and wait; what the next step is, `shared.changes` decides.
"""

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import azure.durable_functions as df
from durabletask import task

from shared.changes import executor, planning
from shared.changes.advance import advance, step
from shared.changes.change import Change
from shared.changes.execution import Result
from shared.changes.plan import Plan
from shared.changes.ports import Entry, Services
from shared.changes.progress import (
    ActAnswer,
    Admitted,
    Answer,
    Checked,
    Fault,
    Gated,
    Nothing,
    Phase,
    Progress,
    Rehearsed,
    Sleep,
)
from shared.changes.scheduling import Ended, conclude, next_moves
from shared.changes.state import from_data, to_data

blueprint = df.Blueprint()

WAKE = "recheck"
"""The external event that makes a waiting change look again. It carries nothing: what was decided is looked up."""

STEPS_PER_HISTORY = 400
"""After so many steps a change begins a new history, so that waiting for hours does not make each replay longer."""

_PERSISTENT = task.RetryPolicy(
    first_retry_interval=timedelta(seconds=2),
    max_number_of_attempts=30,
    backoff_coefficient=2,
    max_retry_interval=timedelta(minutes=5),
)

type Steps[T] = Generator[task.Task[Any], Any, T]


class PlanFailedError(Exception):
    """Changes of a plan were not done; the message lists each with its reason."""


_provide: Callable[[], Services] | None = None


def use(provide: Callable[[], Services]) -> None:
    """Say where the activities get their services from. Called once, when the app is put together."""
    global _provide
    _provide = provide


def services() -> Services:
    """The services that `use` named; raises RuntimeError when it was not called."""
    if _provide is None:
        raise RuntimeError("change_execution.use was not called: the app that registers the blueprint must call it")
    return _provide()


# --- starting and waking ---------------------------------------------------------------------------------------------


async def start_plan(client: Any, changes: Iterable[Change], *, requested_by: str, dry_run: str | None = None) -> str:
    """Start the plan of these changes, unless just this plan is running; returns its instance id.

    `requested_by`: a user name or the automation's; it can never approve. `dry_run`: why nothing is to be done.
    The instance ends as failed when a change was not done. Raises InvalidPlanError.
    """
    from grpc.aio import AioRpcError

    plan = Plan.of(changes)
    instance = f"plan:{plan.hash[:32]}{':dry' if dry_run else ''}"
    order = PlanOrder(changes=plan.changes, requested_by=requested_by, dry_run=dry_run, fails=True)
    if await _is_running(client, instance):
        return instance
    try:
        await client.schedule_new_orchestration("change_plan", input=to_data(order), instance_id=instance)
    except AioRpcError:
        if not await _is_running(client, instance):  # else another starter was faster
            raise
    return instance


async def _is_running(client: Any, instance: str) -> bool:
    state = await client.get_orchestration_state(instance, fetch_payloads=False)
    return state is not None and state.runtime_status.name in ("PENDING", "RUNNING", "SUSPENDED")


async def wake(client: Any, instances: Iterable[str]) -> None:
    """Make waiting changes look again at once; those that are over do not mind."""
    from grpc.aio import AioRpcError

    for instance in instances:
        try:
            await client.raise_orchestration_event(instance, WAKE)
        except AioRpcError:
            continue  # it is over, or will look again by itself


# --- one change ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ChangeOrder:
    """The input of `change`. `owner` identifies the plan's run; `progress` is where an earlier history got to."""

    change: Change
    plan_hash: str
    owner: str
    requested_by: str
    progress: Progress | None = None


def change_instance(change_id: str, owner: str) -> str:
    """The instance that executes the change for this owner. Which owner may act, admission decides."""
    return f"change:{change_id}:{sha256(owner.encode()).hexdigest()[:8]}"


@blueprint.orchestration_trigger(context_name="context", orchestration="change")
def change(ctx: task.OrchestrationContext, inp: Any) -> Steps[Any]:
    """Execute one change; returns how it ended."""
    order = from_data(ChangeOrder, inp)
    wanted = order.change
    progress = order.progress or Progress(
        change_id=wanted.id, automation=wanted.automation, environment=wanted.environment, tenant=wanted.tenant
    )
    woken = ctx.wait_for_external_event(WAKE)
    for _ in range(STEPS_PER_HISTORY):
        now = step(progress)
        if now is Phase.DONE:
            result = progress.result or Result.FAILED
            return to_data(Ended(wanted.id, wanted.description, result, progress.detail))
        answer: Answer = Nothing()
        match now:
            case Sleep():
                if (yield from _sleep(ctx, now, woken)):
                    woken = ctx.wait_for_external_event(WAKE)
            case Entry():
                answer = yield from _ask(ctx, "change_record", to_data(now), Nothing)
            case Phase():
                answer = yield from _take(ctx, order, progress, now)
        progress = advance(progress, answer, _now(ctx))
    ctx.continue_as_new(to_data(replace(order, progress=progress)), save_events=True)
    return None


def _sleep(ctx: task.OrchestrationContext, sleep: Sleep, woken: task.Task[Any]) -> Steps[bool]:
    """Sleep; returns whether the sleeper was woken."""
    if sleep.until <= _now(ctx):
        return False
    timer = ctx.create_timer(sleep.until)
    if not sleep.wakeable:
        yield timer
        return False
    first = yield task.when_any([timer, woken])
    if first is not woken:
        return False
    timer.cancel()
    return True


def _take(ctx: task.OrchestrationContext, order: ChangeOrder, progress: Progress, phase: Phase) -> Steps[Answer]:
    """Carry out the activity of a phase."""
    run = {"change_id": progress.change_id, "run": progress.run}
    attempt = {**run, "attempt": progress.attempt}
    match phase:
        case Phase.ADMIT:
            asked = AdmitInput(
                order.change, order.plan_hash, order.owner, ctx.instance_id, order.requested_by, progress.run
            )
            return (yield from _ask(ctx, "change_admit", to_data(asked), Admitted))
        case Phase.GATE:
            return (yield from _ask(ctx, "change_gate", attempt, Gated))
        case Phase.REHEARSE:
            asked = RehearseInput(order.change, order.plan_hash, progress.run, progress.attempt, _now(ctx), None)
            return (yield from _ask(ctx, "change_rehearse", to_data(asked), Rehearsed))
        case Phase.ACT:
            return (yield from _ask(ctx, "change_act", attempt, ActAnswer))
        case Phase.POLL:
            return (yield from _ask(ctx, "change_poll", {**run, "operation": progress.operation}, ActAnswer))
        case Phase.VERIFY:
            return (yield from _ask(ctx, "change_verify", run, Checked))
        case Phase.UNDO:
            return (yield from _ask(ctx, "change_undo", attempt, ActAnswer))
        case Phase.FINISH | Phase.DONE:
            ended = {**run, "result": progress.result, "detail": progress.detail}
            return (yield from _ask(ctx, "change_finish", ended, Nothing))


def _ask[T](ctx: task.OrchestrationContext, activity: str, data: Any, kind: type[T]) -> Steps[T | Fault]:
    """Call an activity; an exception in it is an answer, too."""
    try:
        answer = yield ctx.call_activity(activity, input=data)
    except task.TaskFailedError as error:
        return Fault(f"{activity}: {error.details.message}")
    return from_data(kind, answer)


def _now(ctx: task.OrchestrationContext) -> datetime:
    return ctx.current_utc_datetime.replace(tzinfo=UTC)


# --- the activities of a change --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AdmitInput:
    """The input of `change_admit`."""

    change: Change
    plan_hash: str
    owner: str
    instance: str
    requested_by: str
    joined: int


@dataclass(frozen=True)
class RehearseInput:
    """The input of `change_rehearse`. `dry_run` None: the environment's or the app's own switch is on."""

    change: Change
    plan_hash: str
    run: int
    attempt: int
    since: datetime
    dry_run: str | None


@blueprint.activity_trigger(input_name="input", activity="change_admit")
def change_admit(input: Any) -> Any:
    """Ask to run a change."""
    asked = from_data(AdmitInput, input)
    return to_data(
        executor.admit(
            services(),
            asked.change,
            plan_hash=asked.plan_hash,
            owner=asked.owner,
            instance=asked.instance,
            requested_by=asked.requested_by,
            joined=asked.joined,
        )
    )


@blueprint.activity_trigger(input_name="input", activity="change_gate")
def change_gate(input: Any) -> Any:
    """Decide, and take what an allowed attempt needs."""
    return to_data(executor.gate(services(), input["change_id"], input["run"], input["attempt"]))


@blueprint.activity_trigger(input_name="input", activity="change_rehearse")
def change_rehearse(input: Any) -> Any:
    """Say what would happen."""
    asked = from_data(RehearseInput, input)
    return to_data(
        executor.rehearse(
            services(),
            asked.change,
            plan_hash=asked.plan_hash,
            run=asked.run,
            attempt=asked.attempt,
            since=asked.since,
            dry_run=asked.dry_run,
        )
    )


@blueprint.activity_trigger(input_name="input", activity="change_act")
def change_act(input: Any) -> Any:
    """Act, if that is still allowed and not done."""
    return to_data(executor.act(services(), input["change_id"], input["run"], input["attempt"]))


@blueprint.activity_trigger(input_name="input", activity="change_poll")
def change_poll(input: Any) -> Any:
    """Ask how a long operation stands."""
    return to_data(executor.poll(services(), input["change_id"], input["run"], input["operation"] or ""))


@blueprint.activity_trigger(input_name="input", activity="change_verify")
def change_verify(input: Any) -> Any:
    """Look whether the wanted state is real."""
    return to_data(executor.verify(services(), input["change_id"], input["run"]))


@blueprint.activity_trigger(input_name="input", activity="change_undo")
def change_undo(input: Any) -> Any:
    """Take back what cannot be verified."""
    return to_data(executor.undo(services(), input["change_id"], input["run"], input["attempt"]))


@blueprint.activity_trigger(input_name="input", activity="change_finish")
def change_finish(input: Any) -> Any:
    """End the run."""
    executor.finish(services(), input["change_id"], input["run"], Result(input["result"]), input["detail"])
    return to_data(Nothing())


@blueprint.activity_trigger(input_name="input", activity="change_record")
def change_record(input: Any) -> Any:
    """Write evidence."""
    executor.record(services(), from_data(Entry, input))
    return to_data(Nothing())


# --- a plan ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class PlanOrder:
    """The input of `change_plan`.

    dry_run: why nothing is to be done in this call, or None. fails: whether the orchestration itself fails when a
    change was not done; an automation that goes on with the result leaves it False.
    """

    changes: tuple[Change, ...]
    requested_by: str
    dry_run: str | None = None
    fails: bool = False


@blueprint.orchestration_trigger(context_name="context", orchestration="change_plan")
def change_plan(ctx: task.OrchestrationContext, inp: Any) -> Steps[Any]:
    """Run the changes of a plan, each as soon as what it depends on succeeded; returns how each ended."""
    order = from_data(PlanOrder, inp)
    owner = f"{ctx.instance_id}@{_now(ctx).isoformat()}"
    data = yield ctx.call_activity("change_plan_open", input=inp, retry_policy=_PERSISTENT)
    opened = from_data(planning.Opened, data)
    changes = {one.id: one for one in order.changes}
    ended: dict[str, Ended] = {}
    running: dict[str, task.Task[Any]] = {}
    yield from _record(ctx, planning.planned(opened, order.changes, order.requested_by, _now(ctx)))
    for each in opened.impossible:
        ended[each.change_id] = each
        yield from _record(ctx, planning.not_begun(changes[each.change_id], each, opened.plan_hash, _now(ctx)))
    while True:
        moves = next_moves(opened.items, running.keys(), ended, opened.at_once)
        for each in moves.skip:
            ended[each.change_id] = each
            yield from _record(ctx, planning.not_begun(changes[each.change_id], each, opened.plan_hash, _now(ctx)))
        for item in moves.begin:
            running[item.id] = _begin(ctx, changes[item.id], opened, owner, order.requested_by)
        if not running:
            break
        first = yield task.when_any(list(running.values()))
        finished = next(change_id for change_id, one in running.items() if one is first)
        ended[finished] = yield from _ending(ctx, changes[finished], opened, running.pop(finished))
        ctx.set_custom_status({"done": len(ended), "of": len(opened.items)})
    result = conclude(opened.plan_hash, opened.items, ended)
    yield from _record(ctx, planning.plan_over(result, order.changes, order.requested_by, _now(ctx)))
    if order.fails and not result.succeeded:
        raise PlanFailedError(result.sentence)
    return to_data(result)


def _begin(
    ctx: task.OrchestrationContext, wanted: Change, opened: planning.Opened, owner: str, requested_by: str
) -> task.Task[Any]:
    """Begin to execute a change, or to rehearse it."""
    dry_run = opened.dry_runs.get(wanted.id)
    if dry_run is not None:
        rehearsal = RehearseInput(wanted, opened.plan_hash, 0, 1, _now(ctx), dry_run)
        return ctx.call_activity("change_rehearse", input=to_data(rehearsal))
    order = ChangeOrder(wanted, opened.plan_hash, owner, requested_by)
    return ctx.call_sub_orchestrator("change", input=to_data(order), instance_id=change_instance(wanted.id, owner))


def _ending(
    ctx: task.OrchestrationContext, wanted: Change, opened: planning.Opened, one: task.Task[Any]
) -> Steps[Ended]:
    """How a change that is over ended."""
    if one.is_failed:
        return Ended(wanted.id, wanted.description, Result.FAILED, one.get_exception().details.message)
    dry_run = opened.dry_runs.get(wanted.id)
    if dry_run is None:
        return from_data(Ended, one.get_result())
    answer = from_data(Rehearsed, one.get_result())
    yield from _record(ctx, planning.rehearsed(wanted, answer, opened.plan_hash, dry_run, _now(ctx)))
    return Ended(wanted.id, wanted.description, Result.DRY_RUN, answer.effect)


def _record(ctx: task.OrchestrationContext, entry: Entry) -> Steps[None]:
    yield ctx.call_activity("change_record", input=to_data(entry), retry_policy=_PERSISTENT)


@blueprint.activity_trigger(input_name="input", activity="change_plan_open")
def change_plan_open(input: Any) -> Any:
    """Check and keep a plan."""
    order = from_data(PlanOrder, input)
    return to_data(planning.open_plan(services(), order.changes, order.dry_run))
