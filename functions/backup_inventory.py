"""The hourly look at every backup: its timer and its API; what it does is in `backup_looks`."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import azure.durable_functions as df
import azure.functions as func

from functions.routing import Answer, Call, Problem, Route, add_routes
from shared.identity import Role

blueprint = df.Blueprint()


@blueprint.function_name("backup_inventory_tick")
@blueprint.timer_trigger(arg_name="timer", schedule="%BACKUP_INVENTORY_SCHEDULE%")
def backup_inventory_tick(timer: func.TimerRequest) -> None:
    """Look at every environment's backups and tell what is new."""
    from functions.backup_looks import look_at_every_environment

    look_at_every_environment()


async def _get_backups(call: Call) -> Answer:
    """`environment` limits the answer to one."""
    wanted = call.query.get("environment")
    found = await asyncio.to_thread(_newest, datetime.now(UTC))
    if wanted is not None and wanted not in found:
        raise Problem(404, "Not found", f"nothing is known of the backups of {wanted}: it is not declared, or not yet")
    return Answer({"value": [shown for environment, shown in found.items() if wanted in (None, environment)]})


def _newest(now: datetime) -> dict[str, dict[str, Any]]:
    from functions.backup_looks import described, newest_standings

    return {standing.environment: described(standing, now) for standing in newest_standings()}


add_routes(
    blueprint,
    [Route("get_backups", "GET", "backups", Role.READER, "The backups, and what is wrong with them.", _get_backups)],
)
