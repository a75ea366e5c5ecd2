"""Rehearsals of the recovery into the paired region: schedule, API, and the walk through the declared runbook."""

import asyncio
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Any

import azure.durable_functions as df
import azure.functions as func
from durabletask import task

from functions.routing import Answer, Call, Problem, Route, add_routes
from shared.backup_verification.rehearsal.plan import RehearsalRequest, StepName, rehearsal_id
from shared.identity import Role
from shared.platforms import settings

blueprint = df.Blueprint()

_RETRY = task.RetryPolicy(
    first_retry_interval=timedelta(seconds=2),
    max_number_of_attempts=5,
    backoff_coefficient=2,
    max_retry_interval=timedelta(seconds=60),
)

type Steps[T] = Generator[task.Task[Any], Any, T]


@blueprint.function_name("recovery_rehearsal_tick")
@blueprint.timer_trigger(arg_name="timer", schedule="%RECOVERY_REHEARSAL_SCHEDULE%")
@blueprint.durable_client_input(client_name="client")
async def recovery_rehearsal_tick(timer: func.TimerRequest, client: Any) -> None:
    """Start the rehearsals that are due. A lost tick is made up for by the next; a failed one is due the next day."""
    from functions import rehearsal_steps as steps

    now = datetime.now(UTC)
    for environment in await asyncio.to_thread(steps.due_environments, now):
        await _start(client, environment, now.date().isoformat(), now)


async def _start(client: Any, environment: str, key: str, now: datetime) -> str:
    instance = rehearsal_id(environment, key)
    if await client.get_orchestration_state(instance, fetch_payloads=False) is None:
        started = {
            "id": instance,
            "environment": environment,
            "requested_at": now.isoformat(),
            "poll_seconds": float(settings.optional("DRILL_POLL_SECONDS", "30")),
        }
        await client.schedule_new_orchestration("recovery_rehearsal", input=started, instance_id=instance)
    return instance


# --- API -------------------------------------------------------------------------------------------------------------


async def _post(call: Call) -> Answer:
    from functions import rehearsal_steps as steps

    request: RehearsalRequest = call.body
    if errors := await asyncio.to_thread(steps.problems_of, request):
        raise Problem(400, "Bad request", "there is nothing to rehearse: see errors", errors)
    now = datetime.now(UTC)
    instance = await _start(call.durable, request.environment, call.idempotency_key or now.date().isoformat(), now)
    return Answer({"id": instance}, 202, {"Location": f"/api/rehearsals/{instance}", "Retry-After": "10"})


async def _get(call: Call) -> Answer:
    instance = call.path["id"]
    state = await call.durable.get_orchestration_state(instance)
    if state is None or state.name != "recovery_rehearsal":
        raise Problem(404, "Not found", f"there is no rehearsal {instance}")
    return Answer(
        {
            "id": instance,
            "status": state.runtime_status.name.lower(),
            "progress": state.get_custom_status(),
            "report": state.get_output(),
        }
    )


async def _list(call: Call) -> Answer:
    from functions import rehearsal_steps as steps

    entries = await asyncio.to_thread(steps.entries)
    return Answer(
        {
            "value": [
                {
                    "id": entry.plan.id,
                    "environment": entry.plan.environment,
                    "requested_at": entry.plan.requested_at.isoformat(),
                    "outcome": entry.report and entry.report.outcome,
                    "seconds": entry.report and entry.report.seconds,
                }
                for entry in entries
            ]
        }
    )


add_routes(
    blueprint,
    [
        Route(
            "post_rehearsal",
            "POST",
            "rehearsals",
            Role.OPERATOR,
            "Rehearse the recovery of an environment into its paired region.",
            _post,
            RehearsalRequest,
        ),
        Route("list_rehearsals", "GET", "rehearsals", Role.READER, "List the rehearsals of recoveries.", _list),
        Route("get_rehearsal", "GET", "rehearsals/{id}", Role.READER, "Show a rehearsal's steps and verdict.", _get),
    ],
)


# --- orchestration ---------------------------------------------------------------------------------------------------


@blueprint.orchestration_trigger(context_name="context", orchestration="recovery_rehearsal")
def recovery_rehearsal(ctx: task.OrchestrationContext, started: dict[str, Any]) -> Steps[Any]:
    """Walk the runbook step by step, as people would; a step that fails does not keep the next from being walked."""
    begun = yield ctx.call_activity("rehearsal_begin", input=started, retry_policy=_RETRY)
    if "report" in begun:
        return begun["report"]
    plan = begun["plan"]
    walked: list[Any] = [(yield from _restore_databases(ctx, started, plan))]
    for step in (StepName.DOCUMENTS, StepName.MANIFESTS, StepName.SECRETS, StepName.HOSTS):
        ctx.set_custom_status({"phase": step.value})
        began = _now(ctx)
        try:
            walked.append(
                (
                    yield ctx.call_activity(
                        "rehearsal_walk", input={"plan": plan, "step": step.value}, retry_policy=_RETRY
                    )
                )
            )
        except task.TaskFailedError as failure:
            failed = f"the step could not be walked: {failure.details.message}"
            walked.append(
                {"name": step.value, "state": "failed", "began_at": began, "ended_at": _now(ctx), "failures": [failed]}
            )
    conclusion = {"plan": plan, "steps": walked, "concluded_at": _now(ctx)}
    return (yield ctx.call_activity("rehearsal_conclude", input=conclusion, retry_policy=_RETRY))


def _restore_databases(ctx: task.OrchestrationContext, started: dict[str, Any], plan: dict[str, Any]) -> Steps[Any]:
    """Restore every server into the paired region by a drill of its own, one after the other."""
    from shared.backup_verification.drill import DrillRequest, drill_id

    began = _now(ctx)
    reports: list[Any] = []
    failures: list[str] = []
    for server in plan["servers"]:
        ctx.set_custom_status({"phase": "database", "server": server})
        request = DrillRequest.model_validate(
            {"environment": plan["environment"], "server": server, "kind": "geo-restore"}
        )
        drill = drill_id(plan["environment"], server, plan["id"])
        asked = {
            "id": drill,
            "request": request.model_dump(mode="json"),
            "requested_at": _now(ctx),
            "scheduled": False,
            "poll_seconds": started["poll_seconds"],
        }
        try:
            reports.append((yield ctx.call_sub_orchestrator("drill", input=asked, instance_id=drill)))
        except task.TaskFailedError as failure:
            failures.append(f"{server}: {failure.details.message}")
    facts = {"plan": plan, "began": began, "reports": reports, "failures": failures}
    return (yield ctx.call_activity("rehearsal_of_drills", input=facts, retry_policy=_RETRY))


def _now(ctx: task.OrchestrationContext) -> str:
    return ctx.current_utc_datetime.replace(tzinfo=UTC).isoformat()


# --- activities ------------------------------------------------------------------------------------------------------


@blueprint.activity_trigger(input_name="started", activity="rehearsal_begin")
def rehearsal_begin(started: object) -> object:
    """Fix what is walked."""
    from functions import rehearsal_steps as steps

    return steps.begin(started)


@blueprint.activity_trigger(input_name="step", activity="rehearsal_walk")
def rehearsal_walk(step: object) -> object:
    """Walk one step."""
    from functions import rehearsal_steps as steps

    return steps.walk(step)


@blueprint.activity_trigger(input_name="facts", activity="rehearsal_of_drills")
def rehearsal_of_drills(facts: Any) -> object:
    """The step of the databases, from the drills' reports."""
    from functions import rehearsal_steps as steps

    return steps.of_drills(facts["plan"], facts["began"], facts["reports"], facts["failures"])


@blueprint.activity_trigger(input_name="conclusion", activity="rehearsal_conclude")
def rehearsal_conclude(conclusion: object) -> object:
    """Judge, record and tell."""
    from functions import rehearsal_steps as steps

    return steps.conclude_rehearsal(conclusion)
