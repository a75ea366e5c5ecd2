"""Restore drills: their orchestration and activities, and the reaper that lets no temporary server stay.

The orchestration only orders steps and waits; what to do and how to judge it is in `shared.backup_verification`.
Who starts drills is in `functions.drill_requests`.
"""

import asyncio
from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import azure.durable_functions as df
import azure.functions as func
from durabletask import task

from functions.later import later

if TYPE_CHECKING:
    from functions import drill_admission, drill_configuration, drill_copies, drill_strangers
    from functions import drill_steps as steps
    from shared.backup_verification import drill as drills
else:
    drill_admission, drill_configuration = later("functions.drill_admission"), later("functions.drill_configuration")
    drill_copies, drill_strangers = later("functions.drill_copies"), later("functions.drill_strangers")
    steps = later("functions.drill_steps")
    drills = later("shared.backup_verification.drill")

blueprint = df.Blueprint()

_RETRY = task.RetryPolicy(
    first_retry_interval=timedelta(seconds=2),
    max_number_of_attempts=6,
    backoff_coefficient=2,
    max_retry_interval=timedelta(seconds=60),
)
_ABSENT_IS_FAILED_AFTER = 5  # looks in a row that find neither the server nor its operation
_REMOVAL_PATIENCE = timedelta(hours=1)
_TIME_TO_REGISTER = timedelta(hours=1)
_MOST_PATIENCE = 16  # in polls, of a drill that waits for its turn
_RUNNING = {"RUNNING", "PENDING", "SUSPENDED"}

type Steps[T] = Generator[task.Task[Any], Any, T]


class _DrillFailedError(Exception):
    """The drill cannot go on; teardown and report follow."""


# --- orchestration ---------------------------------------------------------------------------------------------------


@blueprint.orchestration_trigger(context_name="context", orchestration="drill")
def drill(ctx: task.OrchestrationContext, started: dict[str, Any]) -> Steps[Any]:
    """Restore, ask, verify, remove, report. Whatever fails, the server is removed and the report written."""
    begun = yield from _begin(ctx, started)
    if "report" in begun:
        return begun["report"]
    plan = drills.DrillPlan.model_validate(begun["plan"])
    seen = _Seen({drills.Phase.REQUESTED: plan.requested_at})
    try:
        yield from _restore_and_verify(ctx, plan, seen)
        yield from _after_the_verdict(ctx, plan, seen)
    except _DrillFailedError as failure:
        seen.failures.append(str(failure))
    except task.TaskFailedError as failure:
        seen.failures.append(f"a step failed for good: {failure.details.message}")
    if not (seen.kept and seen.kept["until"]):
        problem = yield from _remove(ctx, plan, seen.phases)
        if problem:
            seen.failures.append(problem)
    conclusion = {
        "plan": begun["plan"],
        "phases": {phase: at.isoformat() for phase, at in seen.phases.items()},
        "books": seen.books,
        "failures": seen.failures,
        "concluded_at": ctx.current_utc_datetime.replace(tzinfo=UTC).isoformat(),
        "carried": seen.carried,
        "self_test": seen.self_test,
        "kept": seen.kept,
    }
    return (yield ctx.call_activity("drill_conclude", input=conclusion, retry_policy=_RETRY))


@dataclass
class _Seen:
    """What is known of a drill so far. Data of activities stays as it came: it is only handed on."""

    phases: "dict[drills.Phase, datetime]"
    host: str = ""
    books: list[Any] = field(default_factory=list[Any])
    failures: list[str] = field(default_factory=list[str])
    carried: list[str] = field(default_factory=list[str])
    self_test: list[Any] = field(default_factory=list[Any])
    kept: Any = None


def _begin(ctx: task.OrchestrationContext, started: dict[str, Any]) -> Steps[Any]:
    """Wait for the drill's turn, ever more patiently; then it is planned and registered."""
    patience = 1
    while True:
        try:
            begun = yield ctx.call_activity("drill_begin", input=started, retry_policy=_RETRY)
        except task.TaskFailedError as failure:
            if patience >= _MOST_PATIENCE:
                raise
            begun = {"wait": f"it could not begin: {failure.details.message}"}
        if "wait" not in begun:
            return begun
        ctx.set_custom_status({"phase": "waiting for its turn", "why": begun["wait"]})
        yield ctx.create_timer(timedelta(seconds=patience * float(started.get("poll_seconds", 30))))
        patience = min(2 * patience, _MOST_PATIENCE)


def _restore_and_verify(ctx: task.OrchestrationContext, plan: "drills.DrillPlan", seen: _Seen) -> Steps[None]:
    phases = seen.phases
    plan_data = plan.model_dump(mode="json")
    ctx.set_custom_status({"phase": "asking for the restore"})
    source = yield ctx.call_activity("drill_look_at_source", input=plan_data, retry_policy=_RETRY)
    wanted = yield ctx.call_activity("drill_read_configuration", input=plan_data, retry_policy=_RETRY)
    created = yield ctx.call_activity("drill_create_server", input=plan_data, retry_policy=_RETRY)
    if "refused" in created:
        raise _DrillFailedError(f"Azure refused the restore: {created['refused']}")
    phases[drills.Phase.ACCEPTED] = _now(ctx)

    host = yield from _wait_until_ready(ctx, plan, created["operation"])
    seen.host = host
    phases[drills.Phase.READY] = _now(ctx)
    yield from _configure(ctx, plan, seen, wanted)
    phases[drills.Phase.CONFIGURED] = _now(ctx)

    ctx.set_custom_status({"phase": "waiting for the first answer"})
    while True:
        answer = yield ctx.call_activity("drill_ask", input={"plan": plan_data, "host": host}, retry_policy=_RETRY)
        if "resolved_at" in answer:
            phases.setdefault(drills.Phase.RESOLVED, datetime.fromisoformat(answer["resolved_at"]))
        if "answered_at" in answer:
            break
        yield from _wait(ctx, plan, f"the restored server did not answer: {answer['unavailable']}")
    phases[drills.Phase.ANSWERED] = datetime.fromisoformat(answer["answered_at"])

    ctx.set_custom_status({"phase": "checking the books"})
    checks: list[task.Task[Any]] = [
        ctx.call_activity(
            "drill_verify_books",
            input={
                "plan": plan_data,
                "host": host,
                "database": database.model_dump(mode="json"),
                "source_newest_write": source.get(database.name),
            },
            retry_policy=_RETRY,
        )
        for database in plan.databases
    ]
    seen.books.extend((yield task.when_all(checks)))
    phases[drills.Phase.VERIFIED] = _now(ctx)


def _configure(ctx: task.OrchestrationContext, plan: "drills.DrillPlan", seen: _Seen, wanted: Any) -> Steps[None]:
    """Set what a restore does not carry, one change after the other."""
    ctx.set_custom_status({"phase": "setting what a restore does not carry"})
    given_up: Any = {}
    while True:
        asked = {"drill": plan.id, "server_id": plan.server_id, "wanted": wanted, "given_up": given_up}
        answer = yield ctx.call_activity("drill_configure_server", input=asked, retry_policy=_RETRY)
        if answer["done"]:
            seen.carried.extend(answer["carried"])
            return
        given_up = answer["given_up"]
        yield from _wait(ctx, plan, "the restored server was not configured in time")


def _after_the_verdict(ctx: task.OrchestrationContext, plan: "drills.DrillPlan", seen: _Seen) -> Steps[None]:
    """The only acts that write to the copy. What they need is proven anew in each of them."""
    question = {"plan": plan.model_dump(mode="json"), "host": seen.host, "books": seen.books}
    if plan.self_test:
        ctx.set_custom_status({"phase": "testing the checks with known faults"})
        tested = yield ctx.call_activity("drill_self_test", input=question, retry_policy=_RETRY)
        seen.self_test.extend(tested["self_test"])
    if plan.keep:
        ctx.set_custom_status({"phase": "making the copy harmless"})
        answer = yield ctx.call_activity("drill_keep_copy", input=question, retry_policy=_RETRY)
        seen.kept = answer["kept"]


def _wait_until_ready(ctx: task.OrchestrationContext, plan: "drills.DrillPlan", operation: str) -> Steps[str]:
    absent = 0
    while True:
        look = {"server_id": plan.server_id, "operation": operation}
        seen = yield ctx.call_activity("drill_observe_server", input=look, retry_policy=_RETRY)
        ctx.set_custom_status({"phase": "restoring", "server": seen["state"]})
        match seen["state"]:
            case "ready":
                return seen["host"]
            case "failed":
                raise _DrillFailedError(f"the restore failed: {seen['error']}")
            case "absent":
                absent += 1
                if absent >= _ABSENT_IS_FAILED_AFTER:
                    raise _DrillFailedError("the restore failed: neither the server nor its operation is to be found")
            case _:
                absent = 0
        yield from _wait(ctx, plan, "the restore was not done in time")


def _remove(
    ctx: task.OrchestrationContext, plan: "drills.DrillPlan", phases: "dict[drills.Phase, datetime]"
) -> Steps[str]:
    """Remove the temporary server until its absence is proven; returns what is wrong when it is not."""
    ctx.set_custom_status({"phase": "removing the temporary server"})
    give_up = ctx.current_utc_datetime + _REMOVAL_PATIENCE
    while True:
        try:
            removal = yield ctx.call_activity("drill_remove_server", input=plan.id, retry_policy=_RETRY)
        except task.TaskFailedError as failure:
            removal = {"gone": False, "error": failure.details.message}
        if removal["gone"]:
            phases[drills.Phase.REMOVED] = _now(ctx)
            return ""
        if ctx.current_utc_datetime >= give_up:
            return f"the temporary server was not removed in time: {removal['error']}"
        yield ctx.create_timer(timedelta(seconds=plan.poll_seconds))


def _wait(ctx: task.OrchestrationContext, plan: "drills.DrillPlan", too_late: str) -> Steps[None]:
    if _now(ctx) >= plan.restore_deadline:
        raise _DrillFailedError(too_late)
    yield ctx.create_timer(timedelta(seconds=plan.poll_seconds))


def _now(ctx: task.OrchestrationContext) -> datetime:
    return ctx.current_utc_datetime.replace(tzinfo=UTC)


# --- activities ------------------------------------------------------------------------------------------------------


@blueprint.activity_trigger(input_name="started", activity="drill_begin")
def drill_begin(started: object) -> object:
    """Once it is the drill's turn: fix the plan, look around, register the server that may be created."""
    return drill_admission.begin(started)


@blueprint.activity_trigger(input_name="plan", activity="drill_look_at_source")
def drill_look_at_source(plan: object) -> object:
    """The newest business write of each live database at the target."""
    return steps.look_at_source(plan)


@blueprint.activity_trigger(input_name="plan", activity="drill_create_server")
def drill_create_server(plan: object) -> object:
    """Ask for the point-in-time restore, unless it was asked for or the drill is over."""
    return steps.create_server(plan)


@blueprint.activity_trigger(input_name="look", activity="drill_observe_server")
def drill_observe_server(look: object) -> object:
    """See how the restore stands."""
    return steps.observe_server(look)


@blueprint.activity_trigger(input_name="plan", activity="drill_read_configuration")
def drill_read_configuration(plan: object) -> object:
    """What the source has and a restore does not carry."""
    return drill_configuration.read_configuration(plan)


@blueprint.activity_trigger(input_name="asked", activity="drill_configure_server")
def drill_configure_server(asked: object) -> object:
    """Set the next thing that the copy lacks."""
    return drill_configuration.configure_server(asked)


@blueprint.activity_trigger(input_name="question", activity="drill_ask")
def drill_ask(question: object) -> object:
    """Ask the restored server for a first good answer."""
    return steps.ask(question)


@blueprint.activity_trigger(input_name="question", activity="drill_verify_books")
def drill_verify_books(question: object) -> object:
    """Check one database's books."""
    return steps.verify_books(question)


@blueprint.activity_trigger(input_name="question", activity="drill_self_test")
def drill_self_test(question: object) -> object:
    """Put known faults into the proven copy, and look whether the checks find them."""
    return drill_copies.self_test(question)


@blueprint.activity_trigger(input_name="question", activity="drill_keep_copy")
def drill_keep_copy(question: object) -> object:
    """Make the proven copy harmless, prove it, and keep it for people."""
    return drill_copies.keep(question)


@blueprint.activity_trigger(input_name="drill", activity="drill_remove_server")
def drill_remove_server(drill: object) -> object:
    """Remove the temporary server and look whether it is gone."""
    return steps.remove_server(drill)


@blueprint.activity_trigger(input_name="conclusion", activity="drill_conclude")
def drill_conclude(conclusion: object) -> object:
    """Judge, record and tell."""
    return steps.conclude_drill(conclusion)


# --- reaper ----------------------------------------------------------------------------------------------------------


@blueprint.function_name("drill_reaper")
@blueprint.timer_trigger(arg_name="timer", schedule="%DRILL_REAPER_SCHEDULE%")
@blueprint.durable_client_input(client_name="client")
async def drill_reaper(timer: func.TimerRequest, client: Any) -> None:
    """Remove what drills left behind: after a terminate, a lost orchestration, or a create that came late; and tell of
    what is there and is no drill's.

    A drill that this task hub never knew is left its time: it may be another app's that shares our state, such as a
    deployment slot with a hub of its own. Raises an ExceptionGroup at its end for what Azure did not let it look after.
    """
    from azure.core.exceptions import AzureError

    now = datetime.now(UTC)
    failures: list[Exception] = []
    for entry in await asyncio.to_thread(lambda: list(steps.entries_to_look_after(now))):
        state = await client.get_orchestration_state(entry.plan.id)
        at_work = entry.evidence is None if state is None else state.runtime_status.name in _RUNNING
        if at_work and now < entry.plan.expires_at:
            continue
        try:
            await asyncio.to_thread(steps.reap, entry, now)
        except AzureError as failure:  # what keeps one server may not keep the others
            failures.append(failure)
    try:
        await asyncio.to_thread(drill_strangers.tell_strangers, steps.overview(), now)
    except AzureError as failure:
        failures.append(failure)
    await _give_back_lost_turns(client, now)
    if failures:
        raise ExceptionGroup("some servers could not be looked after: the next tick tries again", failures)


async def _give_back_lost_turns(client: Any, now: datetime) -> None:
    """A drill that was ended before it was registered left nothing but its turn; another app's is given time for it."""
    known = await asyncio.to_thread(drill_admission.known_turns)
    for drill, holder in known.known().items():
        state = await client.get_orchestration_state(drill)
        at_work = now < holder.since + _TIME_TO_REGISTER if state is None else state.runtime_status.name in _RUNNING
        if not at_work and await asyncio.to_thread(steps.find_entry, drill) is None:
            await asyncio.to_thread(drill_admission.give_back_turn, drill)
