"""The status page: one server-rendered page without scripts, of what is so now and what waits for somebody."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import azure.durable_functions as df

from functions import drill_requests, estate_in_force
from functions.change_execution import services
from functions.later import later
from functions.pages import page
from functions.routing import Answer, Call, Route, add_routes
from functions.status_forms import form_key, submitted
from shared.changes import governance
from shared.identity import Role

if TYPE_CHECKING:
    from functions import drill_steps, remediation_steps, tiering_steps
else:
    drill_steps, tiering_steps = later("functions.drill_steps"), later("functions.tiering_steps")
    remediation_steps = later("functions.remediation_steps")

if TYPE_CHECKING:
    from jinja2 import Template

blueprint = df.Blueprint()
_DAYS_AHEAD = timedelta(days=14)
_DRILLS_SHOWN = 20
_FAULTS_SHOWN = 50


async def _get_status(call: Call) -> Answer:
    return page(await asyncio.to_thread(_page, datetime.now(UTC), call))


async def _post_sleep(call: Call) -> Answer:
    return await submitted(call, lambda notice: asyncio.to_thread(_page, datetime.now(UTC), call, notice))


def _page(now: datetime, call: Call, notice: str = "") -> str:
    governed = services()
    facts: dict[str, Any] = {
        "now": now,
        "caller": call.caller.name,
        "form_key": form_key(call),
        "notice": notice,
        "switch": governance.stop_switch(governed),
        "approvals": [one for one in governance.list_approvals(governed) if one.state(now) == "pending"],
        "exceptions": [one for one in governance.list_exceptions(governed) if one.state(now) in _LIVING],
        "overrides": [one for one in governance.list_overrides(governed) if not one.revoked_at and now < one.end],
        "drills": drill_steps.newest_entries(_DRILLS_SHOWN),
        "faults": remediation_steps.shown_faults(open_only=True)[:_FAULTS_SHOWN],
    }
    return _template().render(facts | _declared(now))


_LIVING = {"requested", "granted"}


def _declared(now: datetime) -> dict[str, Any]:
    """What the estate says; without one in force the page still shows the rest, and why."""
    from functions import sleep_steps
    from functions.backup_looks import newest_standings
    from functions.peak_views import peaks
    from functions.sleep_state import environments_that_sleep
    from shared.estate.problems import EstateInvalidError
    from shared.estate.source import EstateUnavailableError

    try:
        current, calendar = estate_in_force.with_faults(now), estate_in_force.calendar(now)
    except (EstateInvalidError, EstateUnavailableError) as error:
        return {"problem": str(error)}
    return {
        "current": current,
        "in_force": calendar.in_force(now).explain(),
        "coming": calendar.events_between(now, now + _DAYS_AHEAD),
        "missing_feeds": calendar.missing_feeds,
        "environments": [sleep_steps.summary(name, now) for name in environments_that_sleep()],
        "peaks": peaks(now),
        "backups": newest_standings(),
        "tiering": tiering_steps.latest(),
        "overdue": [one for one in drill_requests.covered_servers(now) if one.overdue],
    }


def _shown(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


@cache
def _template() -> "Template":
    from jinja2 import Environment, FileSystemLoader

    folder = Path(__file__).with_name("templates")
    environment = Environment(loader=FileSystemLoader(folder), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["time"] = _shown
    return environment.get_template("status.html.j2")


add_routes(
    blueprint,
    [
        Route("get_status", "GET", "status", Role.READER, "The status page.", _get_status),
        Route(
            "post_sleep",
            "POST",
            "status",
            Role.READER,
            "The status page's form: wake, or sleep later.",
            _post_sleep,
        ),
    ],
)
