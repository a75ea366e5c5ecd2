"""Restore drills: their schedule, API, orchestration and activities, and the reaper that lets no temporary server stay.

The orchestration only orders steps and waits; what to do and how to judge it is in `shared.backup_verification`.
"""

import asyncio
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Any

import azure.durable_functions as df
import azure.functions as func
from durabletask import task

from functions import drill_steps as steps
from functions.routing import Answer, Call, Problem, Route, add_routes
from shared.backup_verification import registry
from shared.backup_verification.drill import DrillPlan, DrillRequest, Phase, drill_id
from shared.identity import Role

blueprint = df.Blueprint()

_RETRY = task.RetryPolicy(
    first_retry_interval=timedelta(seconds=2),
    max_number_of_attempts=6,
    backoff_coefficient=2,
    max_retry_interval=timedelta(seconds=60),
)
_ABSENT_IS_FAILED_AFTER = 5  # looks in a row that find neither the server nor its operation
_REMOVAL_PATIENCE = timedelta(hours=1)

type Steps[T] = Generator[task.Task[Any], Any, T]


class _DrillFailedError(Exception):
    """The drill cannot go on; teardown and report follow."""


# --- schedule and API ------------------------------------------------------------------------------------------------


@blueprint.function_name("backup_verification_tick")
@blueprint.timer_trigger(arg_name="timer", schedule="%BACKUP_VERIFICATION_SCHEDULE%")
@blueprint.durable_client_input(client_name="client")
async def backup_verification_tick(timer: func.TimerRequest, client: Any) -> None:
    """Start the drills that are due. A lost tick is made up for by the next: due is due until it was done."""
    now = datetime.now(UTC)
    for request in await asyncio.to_thread(steps.due_requests, now):
        await _start(client, request, now.date().isoformat(), now)


async def _start(client: Any, request: DrillRequest, key: str, now: datetime) -> str:
    """Start a drill once: the same environment, server and key is the same drill, running or over."""
    instance = drill_id(request.environment, request.server, key)
    if await client.get_orchestration_state(instance) is None:
        await client.schedule_new_orchestration(
            "drill",
            input={"id": instance, "request": request.model_dump(mode="json"), "requested_at": now.isoformat()},
            instance_id=instance,
        )
    return instance


async def _post_drill(call: Call) -> Answer:
    request: DrillRequest = call.body
    now = datetime.now(UTC)
    if errors := await asyncio.to_thread(steps.problems_of, request, now):
        raise Problem(400, "Bad request", "the drill cannot be planned: see errors", errors)
    instance = await _start(call.durable, request, call.idempotency_key or now.date().isoformat(), now)
    return Answer({"id": instance}, 202, {"Location": f"/api/drills/{instance}", "Retry-After": "5"})


async def _get_drill(call: Call) -> Answer:
    instance = call.path["id"]
    state = await call.durable.get_orchestration_state(instance)
    if state is None or state.name != "drill":
        raise Problem(404, "Not found", f"there is no drill {instance}")
    return Answer(
        {
            "id": instance,
            "status": state.runtime_status.name.lower(),
            "progress": state.get_custom_status(),
            "report": state.get_output(),
        }
    )


async def _list_drills(call: Call) -> Answer:
    entries = await asyncio.to_thread(lambda: list(registry.entries(steps.state())))
    return Answer(
        {
            "value": [
                {"id": entry.plan.id, "server": entry.state, "held": entry.held and entry.held.outcome}
                for entry in entries
            ]
        }
    )


add_routes(
    blueprint,
    [
        Route("post_drill", "POST", "drills", Role.OPERATOR, "Start a restore drill.", _post_drill, DrillRequest),
        Route("list_drills", "GET", "drills", Role.READER, "List the drills.", _list_drills),
        Route("get_drill", "GET", "drills/{id}", Role.READER, "Show a drill's progress and report.", _get_drill),
    ],
)


# --- orchestration ---------------------------------------------------------------------------------------------------


@blueprint.orchestration_trigger(context_name="context", orchestration="drill")
def drill(ctx: task.OrchestrationContext, started: dict[str, Any]) -> Steps[Any]:
    """Restore, ask, verify, remove, report. Whatever fails, the server is removed and the report written."""
    begun = yield ctx.call_activity("drill_begin", input=started, retry_policy=_RETRY)
    if "report" in begun:
        return begun["report"]
    plan = DrillPlan.model_validate(begun["plan"])
    phases: dict[Phase, datetime] = {Phase.REQUESTED: plan.requested_at}
    books: list[Any] = []
    failures: list[str] = []
    try:
        yield from _restore_and_verify(ctx, plan, phases, books)
    except _DrillFailedError as failure:
        failures.append(str(failure))
    except task.TaskFailedError as failure:
        failures.append(f"a step failed for good: {failure.details.message}")
    problem = yield from _remove(ctx, plan, phases)
    if problem:
        failures.append(problem)
    conclusion = {
        "plan": begun["plan"],
        "phases": {phase: at.isoformat() for phase, at in phases.items()},
        "books": books,
        "failures": failures,
        "concluded_at": ctx.current_utc_datetime.replace(tzinfo=UTC).isoformat(),
    }
    return (yield ctx.call_activity("drill_conclude", input=conclusion, retry_policy=_RETRY))


def _restore_and_verify(
    ctx: task.OrchestrationContext, plan: DrillPlan, phases: dict[Phase, datetime], books: list[Any]
) -> Steps[None]:
    plan_data = plan.model_dump(mode="json")
    ctx.set_custom_status({"phase": "asking for the restore"})
    source = yield ctx.call_activity("drill_look_at_source", input=plan_data, retry_policy=_RETRY)
    created = yield ctx.call_activity("drill_create_server", input=plan_data, retry_policy=_RETRY)
    if "refused" in created:
        raise _DrillFailedError(f"Azure refused the restore: {created['refused']}")
    phases[Phase.ACCEPTED] = _now(ctx)

    host = yield from _wait_until_ready(ctx, plan, created["operation"])
    phases[Phase.READY] = _now(ctx)
    yield ctx.call_activity("drill_tag_server", input=plan_data, retry_policy=_RETRY)

    ctx.set_custom_status({"phase": "waiting for the first answer"})
    while True:
        answer = yield ctx.call_activity("drill_ask", input={"plan": plan_data, "host": host}, retry_policy=_RETRY)
        if "answered_at" in answer:
            break
        yield from _wait(ctx, plan, f"the restored server did not answer: {answer['unavailable']}")
    phases[Phase.ANSWERED] = datetime.fromisoformat(answer["answered_at"])

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
    books.extend((yield task.when_all(checks)))
    phases[Phase.VERIFIED] = _now(ctx)


def _wait_until_ready(ctx: task.OrchestrationContext, plan: DrillPlan, operation: str) -> Steps[str]:
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


def _remove(ctx: task.OrchestrationContext, plan: DrillPlan, phases: dict[Phase, datetime]) -> Steps[str]:
    """Remove the temporary server until its absence is proven; returns what is wrong when it is not."""
    ctx.set_custom_status({"phase": "removing the temporary server"})
    give_up = ctx.current_utc_datetime + _REMOVAL_PATIENCE
    while True:
        try:
            removal = yield ctx.call_activity("drill_remove_server", input=plan.id, retry_policy=_RETRY)
        except task.TaskFailedError as failure:
            removal = {"gone": False, "error": failure.details.message}
        if removal["gone"]:
            phases[Phase.REMOVED] = _now(ctx)
            return ""
        if ctx.current_utc_datetime >= give_up:
            return f"the temporary server was not removed in time: {removal['error']}"
        yield ctx.create_timer(timedelta(seconds=plan.poll_seconds))


def _wait(ctx: task.OrchestrationContext, plan: DrillPlan, too_late: str) -> Steps[None]:
    if _now(ctx) >= plan.restore_deadline:
        raise _DrillFailedError(too_late)
    yield ctx.create_timer(timedelta(seconds=plan.poll_seconds))


def _now(ctx: task.OrchestrationContext) -> datetime:
    return ctx.current_utc_datetime.replace(tzinfo=UTC)


# --- activities ------------------------------------------------------------------------------------------------------


@blueprint.activity_trigger(input_name="started", activity="drill_begin")
def drill_begin(started: object) -> object:
    """Fix the plan and register the server that may be created."""
    return steps.begin(started)


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


@blueprint.activity_trigger(input_name="plan", activity="drill_tag_server")
def drill_tag_server(plan: object) -> object:
    """Tag the server with the drill and its expiry."""
    return steps.tag_server(plan)


@blueprint.activity_trigger(input_name="question", activity="drill_ask")
def drill_ask(question: object) -> object:
    """Ask the restored server for a first good answer."""
    return steps.ask(question)


@blueprint.activity_trigger(input_name="question", activity="drill_verify_books")
def drill_verify_books(question: object) -> object:
    """Check one database's books."""
    return steps.verify_books(question)


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
    """Remove what drills left behind: after a terminate, a lost orchestration, or a create that came late."""
    now = datetime.now(UTC)
    for entry in await asyncio.to_thread(steps.entries_to_look_after, now):
        state = await client.get_orchestration_state(entry.plan.id)
        running = state is not None and state.runtime_status.name in {"RUNNING", "PENDING", "SUSPENDED"}
        if running and now < entry.plan.expires_at:
            continue
        await asyncio.to_thread(steps.reap, entry, now)
