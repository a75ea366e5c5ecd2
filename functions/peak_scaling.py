"""Peak scaling: the tick, and peaks over HTTP: what comes, whether it is ready, what came of it.

The tick only looks, and starts the plan that follows; `change_plan` carries it out.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import azure.durable_functions as df
import azure.functions as func

from functions.change_execution import start_plan
from functions.routing import Answer, Call, Problem, Route, add_routes
from shared.changes.state import to_data
from shared.identity import Role

blueprint = df.Blueprint()
_AUTOMATION = "peak_scaling"


@blueprint.function_name("peak_scaling_tick")
@blueprint.timer_trigger(arg_name="timer", schedule="%PEAK_SCALING_SCHEDULE%")
@blueprint.durable_client_input(client_name="client")
async def peak_scaling_tick(timer: func.TimerRequest, client: Any) -> None:
    """Look at every environment that has peaks. A lost tick is made up for by the next."""
    from functions.peak_state import environments_with_peaks

    now = datetime.now(UTC)
    environments = await asyncio.to_thread(environments_with_peaks)
    ended = await asyncio.gather(*(look(client, each, now) for each in environments), return_exceptions=True)
    failures = [each for each in ended if isinstance(each, Exception)]
    if failures:  # the others have been looked at all the same
        raise ExceptionGroup("not every environment could be looked at", failures)


async def look(client: Any, environment: str, now: datetime) -> str | None:
    """Look at one environment, and start the plan that follows; returns its instance, None when nothing is to be done.

    A plan is started beside one that still runs: a pool that waits for capacity holds up nothing else.
    """
    from functions import peak_steps as steps

    considered = await asyncio.to_thread(steps.look, environment, now)
    changes = considered.changes
    instance = await start_plan(client, changes, requested_by=_AUTOMATION) if changes else None
    await asyncio.to_thread(steps.tell, environment)
    return instance


# --- peaks over HTTP -------------------------------------------------------------------------------------------------


async def _list_peaks(call: Call) -> Answer:
    from functions import peak_views

    asked = call.query.get("environment")
    return Answer({"value": await _known(lambda: peak_views.peaks(datetime.now(UTC), asked), asked or "")})


async def _get_peak(call: Call) -> Answer:
    from functions import peak_views

    environment, key = call.path["environment"], _key(call)
    return Answer(await _known(lambda: peak_views.peak(environment, key, datetime.now(UTC)), f"{environment}/{key}"))


async def _recheck(call: Call) -> Answer:
    from functions import peak_steps as steps

    environment = call.path["environment"]
    await _known(lambda: steps.recheck(environment), environment)
    plan = await look(call.durable, environment, datetime.now(UTC))
    return Answer({"plan": plan}, 202, {"Location": f"/api/peaks?environment={environment}"})


async def _list_recommendations(call: Call) -> Answer:
    from functions import peak_steps as steps

    environment = call.path["environment"]
    found = await _known(lambda: steps.recommendations(environment), environment)
    return Answer({"value": [{"id": each.id, **to_data(each)} for each in found]})


async def _approve(call: Call) -> Answer:
    from functions import peak_steps as steps

    environment, wish = call.path["environment"], call.path["id"]
    used = await _known(
        lambda: steps.agree(environment, wish, call.caller.name, datetime.now(UTC)), f"{environment}/{wish}"
    )
    return Answer({"id": used.id, **to_data(used)})


def _key(call: Call) -> str:
    return "/".join(call.path[part] for part in ("event", "region", "anchor"))


async def _known[T](work: Callable[[], T], name: str) -> T:
    try:
        return await asyncio.to_thread(work)
    except KeyError as error:
        raise Problem(404, "Not found", f"there is no peak or environment with peaks {name}") from error


_ONE = "peaks/{environment}/{event}/{region}/{anchor}"
_WISHES = "peaks/{environment}/recommendations"
add_routes(
    blueprint,
    [
        Route(
            "list_peaks", "GET", "peaks", Role.READER, "The peaks that come, and whether they are ready.", _list_peaks
        ),
        Route("get_peak", "GET", _ONE, Role.READER, "A peak with targets, readiness and report.", _get_peak),
        Route("list_peak_recommendations", "GET", _WISHES, Role.READER, "Levels to agree to.", _list_recommendations),
        Route("approve_peak_recommendation", "POST", f"{_WISHES}/{{id}}/approve", Role.APPROVER, "Use it.", _approve),
        Route("recheck_peaks", "POST", "peaks/{environment}/recheck", Role.OPERATOR, "Look again, now.", _recheck),
    ],
)
