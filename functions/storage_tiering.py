"""Storage tiering: the daily run, its API and its orchestration.

A run plans each account, and gives the changes to the one governed way to act: see `functions.change_execution`.
"""

import asyncio
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import azure.durable_functions as df
import azure.functions as func
from durabletask import task

from functions.later import later
from functions.routing import Answer, Call, Problem, Route, add_routes
from shared.identity import Role

if TYPE_CHECKING:
    from functions import tiering_steps as steps
else:
    steps = later("functions.tiering_steps")

blueprint = df.Blueprint()

_RETRY = task.RetryPolicy(
    first_retry_interval=timedelta(seconds=2),
    max_number_of_attempts=6,
    backoff_coefficient=2,
    max_retry_interval=timedelta(seconds=60),
)

type Steps[T] = Generator[task.Task[Any], Any, T]


# --- schedule and API ------------------------------------------------------------------------------------------------


@blueprint.function_name("storage_tiering_tick")
@blueprint.timer_trigger(arg_name="timer", schedule="%STORAGE_TIERING_SCHEDULE%")
@blueprint.durable_client_input(client_name="client")
async def storage_tiering_tick(timer: func.TimerRequest, client: Any) -> None:
    """Start the daily runs that are due. A lost tick is made up for by the next: due is due all day."""
    for run in await asyncio.to_thread(steps.due, datetime.now(UTC)):
        await _start(client, run)


async def _start(client: Any, run: "steps.Run") -> None:
    """Start a run once: the same id is the same run, running or over."""
    if await client.get_orchestration_state(run.id, fetch_payloads=False) is None:
        await client.schedule_new_orchestration("tiering", input=run.model_dump(mode="json"), instance_id=run.id)


async def _post_run(call: Call) -> Answer:
    request: steps.RunRequest = call.body
    now = datetime.now(UTC)
    if errors := await asyncio.to_thread(steps.problems_of, request):
        raise Problem(400, "Bad request", "the run cannot be planned: see errors", errors)
    run = steps.Run(
        id=steps.run_id(request.environment, call.idempotency_key or f"{now:%Y-%m-%dT%H%M%S.%f}"),
        request=request,
        requested_by=call.caller.name,
        requested_at=now,
    )
    await _start(call.durable, run)
    return Answer({"id": run.id}, 202, {"Location": f"/api/tiering/runs/{run.id}", "Retry-After": "5"})


async def _get_run(call: Call) -> Answer:
    state = await call.durable.get_orchestration_state(call.path["id"])
    if state is None or state.name != "tiering":
        raise Problem(404, "Not found", f"there is no tiering run {call.path['id']}")
    return Answer(
        {
            "id": call.path["id"],
            "status": state.runtime_status.name.lower(),
            "progress": state.get_custom_status(),
            "report": state.get_output(),
        }
    )


async def _list_plans(call: Call) -> Answer:
    return Answer({"value": await asyncio.to_thread(steps.latest)})


async def _get_plan(call: Call) -> Answer:
    environment, account = call.path["environment"], call.path["account"]
    found = await asyncio.to_thread(steps.latest_of, environment, account)
    if found is None:
        raise Problem(404, "Not found", f"no plan was made for account {account} of {environment} yet")
    return Answer(found)


add_routes(
    blueprint,
    [
        Route("list_tiering_plans", "GET", "tiering", Role.READER, "The latest plan of each account.", _list_plans),
        Route(
            "get_tiering_plan",
            "GET",
            "tiering/accounts/{environment}/{account}",
            Role.READER,
            "The latest plan of one account: moves, deletions, what is blocked, money, what-if.",
            _get_plan,
        ),
        Route(
            "post_tiering_run",
            "POST",
            "tiering/runs",
            Role.OPERATOR,
            "Plan and run now.",
            _post_run,
            lambda: steps.RunRequest,
        ),
        Route("get_tiering_run", "GET", "tiering/runs/{id}", Role.READER, "Show a run.", _get_run),
    ],
)


# --- orchestration ---------------------------------------------------------------------------------------------------


@blueprint.orchestration_trigger(context_name="context", orchestration="tiering")
def tiering(ctx: task.OrchestrationContext, run: dict[str, Any]) -> Steps[Any]:
    """Plan the accounts one after the other, then run all their changes, then report."""
    accounts = yield ctx.call_activity("tiering_accounts", input=run, retry_policy=_RETRY)
    plans: list[dict[str, Any]] = []
    for account in accounts:
        ctx.set_custom_status({"phase": "planning", "account": account, "planned": len(plans), "of": len(accounts)})
        try:
            planned = yield ctx.call_activity(
                "tiering_plan", input={"run": run, "account": account}, retry_policy=_RETRY
            )
        except task.TaskFailedError as failure:
            planned = {"account": account, "problem": f"planning failed: {failure.details.message}"}
        plans.append(planned)
    dry_run = "asked for" if run["request"]["dry_run"] else None
    ended: list[Any] = []
    changes = [change for planned in plans for change in planned.get("changes", [])]
    if changes:
        ctx.set_custom_status({"phase": "changing", "changes": len(changes), "plan": f"{ctx.instance_id}:changes"})
        order = {"changes": changes, "requested_by": run["requested_by"], "dry_run": dry_run, "fails": False}
        result = yield ctx.call_sub_orchestrator("change_plan", input=order, instance_id=f"{ctx.instance_id}:changes")
        ended = result["changes"]
    ctx.set_custom_status({"phase": "reporting"})
    conclusion = {
        "run": run,
        "plans": plans,
        "ended": ended,
        "dry_run": dry_run,
        "concluded_at": ctx.current_utc_datetime.replace(tzinfo=UTC).isoformat(),
    }
    return (yield ctx.call_activity("tiering_conclude", input=conclusion, retry_policy=_RETRY))


@blueprint.activity_trigger(input_name="run", activity="tiering_accounts")
def tiering_accounts(run: object) -> object:
    """The accounts that the run is about."""
    return steps.accounts_of(run)


@blueprint.activity_trigger(input_name="asked", activity="tiering_plan")
def tiering_plan(asked: object) -> object:
    """Plan one account."""
    return steps.plan(asked)


@blueprint.activity_trigger(input_name="conclusion", activity="tiering_conclude")
def tiering_conclude(conclusion: object) -> object:
    """Report, record and tell."""
    return steps.conclude(conclusion)
