"""Documents brought back from archive: the API, and the orchestration that sees them back, kept at hand, given back."""

import asyncio
from collections.abc import Generator, Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import azure.durable_functions as df
from durabletask import task

from functions.later import later
from functions.routing import Answer, Call, Problem, Route, add_routes
from shared.identity import Role

if TYPE_CHECKING:
    from functions import rehydration_steps as steps
    from shared.storage_tiering.rehydration import RehydrationRequest
else:
    steps = later("functions.rehydration_steps")

blueprint = df.Blueprint()

LOOK = "look"
"""The external event that makes a rehydration look at once. It carries nothing: what is so is looked up."""

_RETRY = task.RetryPolicy(
    first_retry_interval=timedelta(seconds=2),
    max_number_of_attempts=10,
    backoff_coefficient=2,
    max_retry_interval=timedelta(minutes=5),
)
_LONGEST_TIMER = timedelta(days=5)
_LOOKS_PER_HISTORY = 200

type Steps[T] = Generator[task.Task[Any], Any, T]


async def _post_rehydration(call: Call) -> Answer:
    request: RehydrationRequest = call.body
    now = datetime.now(UTC)
    if errors := await asyncio.to_thread(steps.problems_of, request, now):
        raise Problem(400, "Bad request", "the documents cannot be brought back: see errors", errors)
    known = await asyncio.to_thread(steps.register, request, call.idempotency_key or "", call.caller.name, now)
    if await call.durable.get_orchestration_state(known.id, fetch_payloads=False) is None:
        started = {"id": known.id, "requested_by": known.requested_by, "poll_seconds": steps.poll_seconds()}
        await call.durable.schedule_new_orchestration("rehydration", input=started, instance_id=known.id)
    return Answer({"id": known.id}, 202, {"Location": f"/api/rehydrations/{known.id}", "Retry-After": "60"})


async def _list_rehydrations(call: Call) -> Answer:
    return Answer({"value": await asyncio.to_thread(steps.all_shown)})


async def _get_rehydration(call: Call) -> Answer:
    found = await asyncio.to_thread(steps.shown, call.path["id"])
    if found is None:
        raise Problem(404, "Not found", f"there is no rehydration {call.path['id']}")
    return Answer(found)


async def _release(call: Call) -> Answer:
    known = await asyncio.to_thread(steps.release, call.path["id"], datetime.now(UTC))
    if known is None:
        raise Problem(404, "Not found", f"there is no rehydration {call.path['id']}")
    await nudge(call.durable, [known.id])
    return Answer(await asyncio.to_thread(steps.shown, known.id), 202)


async def nudge(client: Any, rehydrations: Iterable[str]) -> None:
    """Make them look at once; those that are over do not mind."""
    from grpc.aio import AioRpcError

    for instance in rehydrations:
        try:
            await client.raise_orchestration_event(instance, LOOK)
        except AioRpcError:
            continue  # it is over, or will look again by itself


add_routes(
    blueprint,
    [
        Route(
            "post_rehydration",
            "POST",
            "rehydrations",
            Role.OPERATOR,
            "Bring documents back from archive.",
            _post_rehydration,
            lambda: steps.RehydrationRequest,
        ),
        Route("list_rehydrations", "GET", "rehydrations", Role.READER, "List them.", _list_rehydrations),
        Route("get_rehydration", "GET", "rehydrations/{id}", Role.READER, "Show how one stands.", _get_rehydration),
        Route("release_rehydration", "POST", "rehydrations/{id}/release", Role.OPERATOR, "End it early.", _release),
    ],
)


@blueprint.orchestration_trigger(context_name="context", orchestration="rehydration")
def rehydration(ctx: task.OrchestrationContext, started: dict[str, Any]) -> Steps[Any]:
    """Ask for the blobs, see them back, keep them until they are no longer needed, give them back."""
    one = started["id"]
    if not started.get("asked"):
        try:
            problem = yield from _ask(ctx, started)
        except task.TaskFailedError as failure:
            problem = f"a step failed for good: {failure.details.message}"
        if problem:
            return (yield from _conclude(ctx, one, "failed", problem))
    looked = ctx.wait_for_external_event(LOOK)
    for _ in range(_LOOKS_PER_HISTORY):
        seen = yield ctx.call_activity("rehydration_look", input=one, retry_policy=_RETRY)
        ctx.set_custom_status({"stage": seen["stage"], "pending": seen["pending"], "of": seen["wanted"]})
        until = datetime.fromisoformat(seen["request"]["until"])
        if seen["stage"] == "ready" and not started.get("told"):
            started["told"] = True
            at = datetime.fromisoformat(seen["ready_at"])
            yield from _conclude(ctx, one, "ready", f"{seen['wanted']['blobs']} blobs are at hand", at)
        if _now(ctx) >= until:
            return (yield from _conclude(ctx, one, "over", "no longer needed: the policy may archive them again"))
        wait = _LONGEST_TIMER if seen["stage"] == "ready" else timedelta(seconds=started["poll_seconds"])
        timer = ctx.create_timer(min(until, _now(ctx) + wait))
        first = yield task.when_any([timer, looked])
        if first is looked:
            timer.cancel()
            looked = ctx.wait_for_external_event(LOOK)
    ctx.continue_as_new({**started, "asked": True}, save_events=True)
    return None


def _ask(ctx: task.OrchestrationContext, started: dict[str, Any]) -> Steps[str]:
    """Ask for the blobs as a change; returns why they do not come, empty when they do."""
    ctx.set_custom_status({"stage": "planning"})
    planned = yield ctx.call_activity("rehydration_plan", input=started["id"], retry_policy=_RETRY)
    if planned["change"] is None:
        return ""
    order = {"changes": [planned["change"]], "requested_by": started["requested_by"], "dry_run": None, "fails": False}
    ctx.set_custom_status({"stage": "asking"})
    result = yield ctx.call_sub_orchestrator("change_plan", input=order, instance_id=f"{started['id']}:change")
    (ended,) = result["changes"]
    return "" if ended["result"] in ("succeeded", "unchanged") else f"{ended['result']}: {ended['detail']}"


def _conclude(
    ctx: task.OrchestrationContext, one: str, stage: str, detail: str, at: datetime | None = None
) -> Steps[Any]:
    conclusion = {"id": one, "stage": stage, "detail": detail, "at": (at or _now(ctx)).isoformat()}
    return (yield ctx.call_activity("rehydration_conclude", input=conclusion, retry_policy=_RETRY))


def _now(ctx: task.OrchestrationContext) -> datetime:
    return ctx.current_utc_datetime.replace(tzinfo=UTC)


@blueprint.activity_trigger(input_name="rehydration", activity="rehydration_plan")
def rehydration_plan(rehydration: object) -> object:
    """Find what is in archive, and what bringing it back costs."""
    return steps.plan(rehydration)


@blueprint.activity_trigger(input_name="rehydration", activity="rehydration_look")
def rehydration_look(rehydration: object) -> object:
    """See how much is back."""
    return steps.look(rehydration)


@blueprint.activity_trigger(input_name="conclusion", activity="rehydration_conclude")
def rehydration_conclude(conclusion: object) -> object:
    """Record a stage and tell of it."""
    return steps.conclude(conclusion)
