"""Dumps in Blob: verified when they arrive and on schedule, restored into a scratch database, and told about.

The orchestrations only order steps and wait; what a dump's bytes say is judged in `shared.backup_verification.dumps`.
"""

import asyncio
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import azure.durable_functions as df
import azure.functions as func
from durabletask import task

from functions.routing import Answer, Call, Problem, Route, add_routes
from shared.backup_verification.dumps.levels import Level
from shared.backup_verification.dumps.request import DumpRequest
from shared.identity import Role
from shared.platforms import settings

if TYPE_CHECKING:
    from shared.backup_verification.dumps.plan import DumpPlan

blueprint = df.Blueprint()

_RETRY = task.RetryPolicy(
    first_retry_interval=timedelta(seconds=2),
    max_number_of_attempts=5,
    backoff_coefficient=2,
    max_retry_interval=timedelta(seconds=60),
)
_PATIENCE = timedelta(hours=6)
"""How long a restore may be in the hands of another delivery, and how long the scratch database may resist."""
_SHOWN = 100
_RUNNING = {"RUNNING", "PENDING", "SUSPENDED"}

type Steps[T] = Generator[task.Task[Any], Any, T]


# --- what starts a verification --------------------------------------------------------------------------------------


@blueprint.function_name("dump_created")
@blueprint.event_grid_trigger(arg_name="event")  # pyright: ignore[reportUnknownMemberType] - its options are untyped
@blueprint.durable_client_input(client_name="client")
async def dump_created(event: func.EventGridEvent, client: Any) -> None:
    """A blob was written where dumps are (Microsoft.Storage.BlobCreated). Told twice, it is verified once."""
    from functions import dump_looks

    now = datetime.now(UTC)
    plan = await asyncio.to_thread(dump_looks.of_event, event.topic or "", event.subject or "", now)
    if plan is not None:
        await _start(client, plan)


@blueprint.function_name("dump_verification_tick")
@blueprint.timer_trigger(arg_name="timer", schedule="%DUMP_VERIFICATION_SCHEDULE%")
@blueprint.durable_client_input(client_name="client")
async def dump_verification_tick(timer: func.TimerRequest, client: Any) -> None:
    """Start what no event told of, and drop the scratch databases that nobody works on any more."""
    from functions import dump_looks, dump_steps

    for plan in await asyncio.to_thread(lambda: list(dump_looks.due(datetime.now(UTC)))):
        await _start(client, plan)
    for entry in await asyncio.to_thread(lambda: list(dump_steps.left_behind())):
        if not await _is_at_work(client, entry.plan, reported=entry.evidence is not None):
            await asyncio.to_thread(dump_steps.reap, entry)


async def start_dump_drill(client: Any, environment: str, server: str, key: str, now: datetime) -> str:
    """Start a drill of kind `dump`: the newest dump of each tenant database of the server is restored and checked.

    Returns the instance's id; the same environment, server and key is the same drill. The instance's output is the
    drill's report.
    """
    from functions import dump_drills

    instance = dump_drills.instance_of(environment, server, key)
    if await client.get_orchestration_state(instance, fetch_payloads=False) is None:
        started = {"id": instance, "environment": environment, "server": server, "requested_at": now.isoformat()}
        await client.schedule_new_orchestration("dump_drill", input=started, instance_id=instance)
    return instance


async def _start(client: Any, plan: "DumpPlan") -> str:
    from grpc.aio import AioRpcError

    if await _is_running(client, plan.id):
        return plan.id
    try:
        await client.schedule_new_orchestration(
            "dump_verification", input=plan.model_dump(mode="json"), instance_id=plan.id
        )
    except AioRpcError:
        if not await _is_running(client, plan.id):  # else another starter was faster
            raise
    return plan.id


async def _is_running(client: Any, instance: str) -> bool:
    state = await client.get_orchestration_state(instance, fetch_payloads=False)
    return state is not None and state.runtime_status.name in _RUNNING


async def _is_at_work(client: Any, plan: "DumpPlan", *, reported: bool) -> bool:
    """Whether the verification may still need its database: where nothing is known of it, an app with a task hub of its
    own, such as a deployment slot, may be at work on what is not reported yet."""
    state = await client.get_orchestration_state(plan.id, fetch_payloads=False)
    if state is None:
        return not reported and datetime.now(UTC) < plan.requested_at + 2 * _PATIENCE
    return state.runtime_status.name in _RUNNING


# --- API -------------------------------------------------------------------------------------------------------------


async def _post(call: Call) -> Answer:
    from functions import dump_looks

    request: DumpRequest = call.body
    now = datetime.now(UTC)
    key = call.idempotency_key or now.isoformat(timespec="minutes")
    plan = await asyncio.to_thread(dump_looks.of_request, request, key, now)
    if isinstance(plan, list):
        raise Problem(400, "Bad request", "there is no such dump: see errors", plan)
    await _start(call.durable, plan)
    return Answer({"id": plan.id}, 202, {"Location": f"/api/backups/dumps/{plan.id}", "Retry-After": "5"})


async def _get(call: Call) -> Answer:
    from functions import dump_steps
    from shared.backup_verification.dumps import register

    entry = await asyncio.to_thread(register.find_entry, dump_steps.state(), call.path["id"])
    if entry is not None and entry.evidence is not None:
        return Answer({"id": entry.plan.id, "status": "completed", "report": dump_steps.shown(entry)})
    state = await call.durable.get_orchestration_state(call.path["id"])
    if state is None:
        raise Problem(404, "Not found", f"there is no verification {call.path['id']}")
    body = {"id": call.path["id"], "status": state.runtime_status.name.lower(), "progress": state.get_custom_status()}
    return Answer({**body, "report": state.get_output() if body["status"] == "completed" else None})


async def _list(call: Call) -> Answer:
    from functions import dump_steps
    from shared.backup_verification.dumps import register

    entries = await asyncio.to_thread(register.newest_entries, dump_steps.state(), _SHOWN)
    wanted = call.query.get("environment", "")
    return Answer(
        {
            "value": [
                {
                    "id": entry.plan.id,
                    "environment": entry.plan.environment,
                    "tenant": entry.plan.tenant,
                    "dump": entry.plan.dump,
                    "wanted": entry.plan.level,
                    "level": entry.report and entry.report.level,
                    "outcome": entry.report and entry.report.outcome,
                    "damage": entry.report and entry.report.damage,
                    "requested_at": entry.plan.requested_at.isoformat(),
                }
                for entry in entries
                if wanted in ("", entry.plan.environment)
            ]
        }
    )


add_routes(
    blueprint,
    [
        Route(
            "post_dump_verification",
            "POST",
            "backups/dumps",
            Role.OPERATOR,
            "Verify a tenant's newest dump, or the one that is named.",
            _post,
            DumpRequest,
        ),
        Route(
            "list_dump_verifications",
            "GET",
            "backups/dumps",
            Role.READER,
            "List the verifications of dumps that changed last.",
            _list,
        ),
        Route("get_dump_verification", "GET", "backups/dumps/{id}", Role.READER, "Show a dump's report.", _get),
    ],
)


# --- orchestrations --------------------------------------------------------------------------------------------------


@blueprint.orchestration_trigger(context_name="context", orchestration="dump_verification")
def dump_verification(ctx: task.OrchestrationContext, plan: dict[str, Any]) -> Steps[Any]:
    """Read, restore, check, drop, report. Whatever fails, the scratch database is dropped and the report written."""
    begun = yield ctx.call_activity("dump_begin", input=plan, retry_policy=_RETRY)
    if "report" in begun:
        return begun["report"]
    facts: dict[str, Any] = {
        "plan": begun["plan"],
        "content": {},
        "restored": None,
        "books": None,
        "failures": [],
        "dropped": False,
    }
    try:
        yield from _prove(ctx, facts)
    except task.TaskFailedError as failure:
        facts["failures"].append(f"a step failed for good: {failure.details.message}")
    facts["dropped"] = yield from _drop(ctx, facts["plan"]["id"])
    facts["concluded_at"] = _now(ctx).isoformat()
    return (yield ctx.call_activity("dump_conclude", input=facts, retry_policy=_RETRY))


def _prove(ctx: task.OrchestrationContext, facts: dict[str, Any]) -> Steps[None]:
    ctx.set_custom_status({"phase": "reading"})
    facts["content"] = yield ctx.call_activity("dump_read", input=facts["plan"], retry_policy=_RETRY)
    if facts["plan"]["level"] != Level.RESTORED or facts["content"]["level"] != Level.DECODED:
        return
    if facts["content"]["failures"]:
        return
    ctx.set_custom_status({"phase": "restoring"})
    give_up = ctx.current_utc_datetime + _PATIENCE
    question = {"plan": facts["plan"], "content": facts["content"]}
    while True:
        answer = yield ctx.call_activity("dump_restore", input=question, retry_policy=_RETRY)
        if "busy" not in answer:
            break
        if ctx.current_utc_datetime >= give_up:
            facts["failures"].append("another delivery of the restore was not done in time")
            return
        yield ctx.create_timer(timedelta(seconds=_poll_seconds()))
    if "failed" in answer:
        facts["failures"].append(answer["failed"])
        return
    facts["restored"] = answer["restored"]
    ctx.set_custom_status({"phase": "checking the books"})
    facts["books"] = yield ctx.call_activity("dump_check_books", input=facts["plan"], retry_policy=_RETRY)


def _drop(ctx: task.OrchestrationContext, verification: str) -> Steps[bool]:
    """Drop the scratch database until its absence is proven, or patience ends; the reaper goes on then."""
    ctx.set_custom_status({"phase": "dropping the scratch database"})
    give_up = ctx.current_utc_datetime + timedelta(hours=1)
    while True:
        try:
            removal = yield ctx.call_activity("dump_drop", input=verification, retry_policy=_RETRY)
        except task.TaskFailedError:
            removal = {"gone": False}
        if removal["gone"]:
            return True
        if ctx.current_utc_datetime >= give_up:
            return False
        yield ctx.create_timer(timedelta(seconds=_poll_seconds()))


@blueprint.orchestration_trigger(context_name="context", orchestration="dump_drill")
def dump_drill(ctx: task.OrchestrationContext, started: dict[str, Any]) -> Steps[Any]:
    """Restore the newest dump of each tenant database of a server, one after the other, and conclude as one drill."""
    planned = yield ctx.call_activity("dump_drill_plan", input=started, retry_policy=_RETRY)
    reports: list[Any] = []
    failures: list[str] = list(planned["failures"])
    for plan in planned["plans"]:
        ctx.set_custom_status({"phase": "restoring", "tenant": plan["tenant"]})
        try:
            reports.append((yield ctx.call_sub_orchestrator("dump_verification", input=plan, instance_id=plan["id"])))
        except task.TaskFailedError as failure:
            failures.append(f"{plan['tenant']}: {failure.details.message}")
    conclusion = {**started, "reports": reports, "failures": failures, "concluded_at": _now(ctx).isoformat()}
    return (yield ctx.call_activity("dump_drill_conclude", input=conclusion, retry_policy=_RETRY))


def _poll_seconds() -> float:
    return float(settings.optional("DRILL_POLL_SECONDS", "30"))


def _now(ctx: task.OrchestrationContext) -> datetime:
    return ctx.current_utc_datetime.replace(tzinfo=UTC)


# --- activities ------------------------------------------------------------------------------------------------------


@blueprint.activity_trigger(input_name="plan", activity="dump_begin")
def dump_begin(plan: object) -> object:
    """Register the verification and its scratch database."""
    from functions import dump_steps

    return dump_steps.begin(plan)


@blueprint.activity_trigger(input_name="plan", activity="dump_read")
def dump_read(plan: object) -> object:
    """Read the dump: contents, checksum, data."""
    from functions import dump_steps

    return dump_steps.read(plan)


@blueprint.activity_trigger(input_name="question", activity="dump_restore")
def dump_restore(question: object) -> object:
    """Restore the dump into its scratch database."""
    from functions import dump_steps

    return dump_steps.restore(question)


@blueprint.activity_trigger(input_name="plan", activity="dump_check_books")
def dump_check_books(plan: object) -> object:
    """Check the books in the scratch database."""
    from functions import dump_steps

    return dump_steps.check_books(plan)


@blueprint.activity_trigger(input_name="verification", activity="dump_drop")
def dump_drop(verification: object) -> object:
    """Drop the scratch database and look whether it is gone."""
    from functions import dump_steps

    return dump_steps.drop(verification)


@blueprint.activity_trigger(input_name="facts", activity="dump_conclude")
def dump_conclude(facts: object) -> object:
    """Judge, record and tell."""
    from functions import dump_steps

    return dump_steps.conclude_verification(facts)


@blueprint.activity_trigger(input_name="started", activity="dump_drill_plan")
def dump_drill_plan(started: object) -> object:
    """Find the newest dump of each database."""
    from functions import dump_drills

    return dump_drills.plan(started)


@blueprint.activity_trigger(input_name="conclusion", activity="dump_drill_conclude")
def dump_drill_conclude(conclusion: object) -> object:
    """Judge the drill, record and tell."""
    from functions import dump_drills

    return dump_drills.conclude(conclusion)
