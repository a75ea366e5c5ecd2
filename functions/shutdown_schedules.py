"""Shutdown schedules: the tick, and environments over HTTP: why they are awake, wake now, keep awake, postpone.

The tick only looks, and starts the plan that follows; `change_plan` carries it out.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import azure.durable_functions as df
import azure.functions as func
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from functions.change_execution import start_plan, wake
from functions.governed import governed
from functions.routing import Answer, Call, Problem, Route, add_routes
from shared.changes.overrides import Override
from shared.changes.state import to_data
from shared.identity import Role

blueprint = df.Blueprint()
_AUTOMATION = "shutdown_schedules"
_UNDER_WAY = ("PENDING", "RUNNING", "SUSPENDED")


# --- the tick --------------------------------------------------------------------------------------------------------


@blueprint.function_name("shutdown_schedules_tick")
@blueprint.timer_trigger(arg_name="timer", schedule="%SHUTDOWN_SCHEDULES_SCHEDULE%")
@blueprint.durable_client_input(client_name="client")
async def shutdown_schedules_tick(timer: func.TimerRequest, client: Any) -> None:
    """Look at every environment that sleeps. A lost tick, of whatever length, is made up for by the next."""
    from functions.sleep_state import environments_that_sleep

    now = datetime.now(UTC)
    environments = await asyncio.to_thread(environments_that_sleep)
    ended = await asyncio.gather(*(look(client, each, now) for each in environments), return_exceptions=True)
    failures = [each for each in ended if isinstance(each, Exception)]
    if failures:  # the others have been looked at all the same
        raise ExceptionGroup("not every environment could be looked at", failures)


async def look(client: Any, environment: str, now: datetime, *, requested: bool = False) -> str | None:
    """Look at one environment, and start the plan that follows; returns its instance, None when nothing is to be done.

    requested: a person asks that it wakes: then also what nobody here put to sleep.
    """
    from functions import sleep_steps as steps

    last = await asyncio.to_thread(steps.last_plan, environment)
    running = await _is_running(client, last)
    considered = await asyncio.to_thread(lambda: steps.look(environment, now, running=running, requested=requested))
    if considered.unwanted:
        await _turn_round(client, last if running else None, considered.unwanted)
    instance = None
    if considered.changes and considered.memory.attempt is not None:
        instance = await start_plan(client, considered.changes, requested_by=_AUTOMATION)
        await asyncio.to_thread(steps.remember_plan, environment, considered.memory.attempt.at, instance)
    await asyncio.to_thread(steps.tell, environment)
    return instance


async def _turn_round(client: Any, plan: str | None, unwanted: Mapping[str, str]) -> None:
    """End a plan of which something is not wanted any more: what acts is seen through, nothing further begins.

    What of it is still wanted is in the next plan, in order.
    """
    from grpc.aio import AioRpcError

    from functions import sleep_steps as steps

    if plan is not None:
        with suppress(AioRpcError):  # it has just ended
            await client.terminate_orchestration(plan, output="nobody wants all of it any more", recursive=False)
    await wake(client, await asyncio.to_thread(steps.withdraw, unwanted))


async def _is_running(client: Any, instance: str | None) -> bool:
    if instance is None:
        return False
    state = await client.get_orchestration_state(instance, fetch_payloads=False)
    return state is not None and state.runtime_status.name in _UNDER_WAY


# --- environments over HTTP ------------------------------------------------------------------------------------------


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AwakeRequest(_Body):
    """Who asks is known; why, and until when. `target`: only this, by its id or its name in the estate."""

    reason: str = Field(min_length=1, max_length=2000)
    until: AwareDatetime
    target: str | None = Field(default=None, max_length=1000)


class PostponeRequest(_Body):
    """Let it sleep later, by so many minutes."""

    reason: str = Field(min_length=1, max_length=2000)
    minutes: int = Field(default=60, ge=5, le=7 * 24 * 60)


async def _list_environments(call: Call) -> Answer:
    from functions import estate_in_force
    from functions import sleep_steps as steps

    now = datetime.now(UTC)

    def summaries() -> list[dict[str, Any]]:
        return [steps.summary(name, now) for name in estate_in_force.get().environments]

    return Answer({"value": await asyncio.to_thread(summaries)})


async def _get_environment(call: Call) -> Answer:
    from functions import sleep_steps as steps

    name = call.path["name"]
    try:
        return Answer(await asyncio.to_thread(steps.details, name, datetime.now(UTC)))
    except KeyError as error:
        raise Problem(404, "Not found", f"there is no environment {name}") from error


async def _keep_awake(call: Call) -> Answer:
    return await _awake(call, woken=False)


async def _wake(call: Call) -> Answer:
    return await _awake(call, woken=True)


async def _postpone(call: Call) -> Answer:
    body: PostponeRequest = call.body
    override, plan = await sleep_later(call, call.path["name"], body.reason, timedelta(minutes=body.minutes))
    return _kept_awake(call.path["name"], override, plan)


async def _awake(call: Call, *, woken: bool) -> Answer:
    body: AwakeRequest = call.body
    name = call.path["name"]
    override, plan = await stay_awake(call, name, body.reason, body.until, target=body.target, woken=woken)
    return _kept_awake(name, override, plan)


def _kept_awake(name: str, override: Override, plan: str | None) -> Answer:
    body = {"override": to_data(override), "plan": plan, "environment": f"/api/environments/{name}"}
    return Answer(body, 202, {"Location": f"/api/overrides/{override.id}"})


async def sleep_later(
    call: Call, name: str, reason: str, by: timedelta, *, end: str = "minutes"
) -> tuple[Override, str | None]:
    """Let the environment sleep later than it would. Raises Problem as `stay_awake` does."""
    from functions import sleep_steps as steps

    now = datetime.now(UTC)
    until = await governed(lambda: steps.next_sleep(name, now)) + by
    return await stay_awake(call, name, reason, until, woken=False, end=end)


async def stay_awake(
    call: Call,
    name: str,
    reason: str,
    until: datetime,
    *,
    target: str | None = None,
    woken: bool,
    end: str = "until",
) -> tuple[Override, str | None]:
    """Keep awake, and look at once: what is under way turns round, and a lost look is made up for by the next tick.

    woken: what sleeps wakes. end: the field of the request that says until when. Returns the override and the plan
    that was started, None when nothing is to be done. Raises Problem.
    """
    from functions import sleep_steps as steps

    now = datetime.now(UTC)
    made = await governed(
        lambda: steps.keep_awake(
            call.caller, name, reason=reason, until=until, target=target, now=now, key=call.idempotency_key
        ),
        {"end": end},
    )
    return made, await look(call.durable, name, datetime.now(UTC), requested=woken)


READER = Role.READER
_ONE = "environments/{name}"
add_routes(
    blueprint,
    [
        Route("list_environments", "GET", "environments", READER, "What is awake, and why.", _list_environments),
        Route("get_environment", "GET", _ONE, READER, "Why everything in it is as it is.", _get_environment),
        Route("wake_environment", "POST", f"{_ONE}/wake", READER, "Wake it now.", _wake, AwakeRequest),
        Route("keep_awake", "POST", f"{_ONE}/keep-awake", READER, "Keep it awake.", _keep_awake, AwakeRequest),
        Route("postpone_sleep", "POST", f"{_ONE}/postpone", READER, "Sleep later.", _postpone, PostponeRequest),
    ],
)
