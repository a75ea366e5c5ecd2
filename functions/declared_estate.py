"""The declared estate and the finance calendar, as callers see them; and the word that a newer estate is invalid."""

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import azure.durable_functions as df
import azure.functions as func

from functions import estate_in_force
from functions.routing import Answer, Call, Problem, Route, add_routes, instant_of
from shared.blob_container import BlobAlreadyExistsError
from shared.events import Event
from shared.identity import Role
from shared.platforms import blobs, event_grid, settings

if TYPE_CHECKING:
    from shared.estate.source import EstateInForce

blueprint = df.Blueprint()
_LONGEST = timedelta(days=3660)


async def _get_estate(call: Call) -> Answer:
    return Answer(_described(await asyncio.to_thread(_in_force)))


async def _get_calendar(call: Call) -> Answer:
    """`from` and `to` (RFC 3339; now and 90 days from then by default), `format` json or ics."""
    return await asyncio.to_thread(_calendar, call)


async def _get_calendar_now(call: Call) -> Answer:
    return await asyncio.to_thread(_calendar_now, datetime.now(UTC))


def _in_force() -> "EstateInForce":
    from shared.estate.problems import EstateInvalidError
    from shared.estate.source import EstateUnavailableError

    try:
        return estate_in_force.with_faults(datetime.now(UTC))
    except EstateInvalidError as error:
        problems = [(problem.path, f"{problem.what}; {problem.remedy}") for problem in error.problems]
        raise Problem(503, "No estate is in force", "the declared estate is invalid", problems) from error
    except EstateUnavailableError as error:
        raise Problem(503, "No estate is in force", str(error)) from error


def _described(current: "EstateInForce") -> dict[str, object]:
    estate, fault = current.estate, current.fault
    described: dict[str, object] = {
        "estate": estate.estate,
        "version": estate.version,
        "since": _time(current.since),
        "checked": _time(current.checked),
        "kept_copy": current.kept,
        "environments": {
            name: {"stage": environment.stage, "tenants": sorted(environment.tenants)}
            for name, environment in estate.environments.items()
        },
    }
    if fault is not None:
        described["fault"] = {
            "since": _time(fault.since),
            "what": fault.what,
            "problems": [str(problem) for problem in fault.problems],
        }
    return described


def _calendar(call: Call) -> Answer:
    from shared.finance_calendar.rendering import as_ics, as_json

    now = datetime.now(UTC)
    start = instant_of(call, "from", now)
    end = instant_of(call, "to", start + timedelta(days=90))
    if not start < end <= start + _LONGEST:
        raise Problem(400, "Bad request", "", [("to", f"must be after from, at most {_LONGEST.days} days")])
    estate = _in_force().estate
    events = estate_in_force.calendar(now).events_between(start, end)
    match call.query.get("format", "json"):
        case "ics":
            return Answer(as_ics(events, estate.estate, now), headers={"Content-Type": "text/calendar; charset=utf-8"})
        case "json":
            body = {"from": _time(start), "to": _time(end), "version": estate.version, "value": as_json(events)}
            return Answer(body)
        case other:
            raise Problem(400, "Bad request", "", [("format", f"{other} is unknown; use json or ics")])


def _calendar_now(now: datetime) -> Answer:
    _in_force()
    calendar = estate_in_force.calendar(now)
    current, peak, freeze = calendar.in_force(now), calendar.next_peak(now), calendar.next_freeze(now)
    return Answer(
        {
            "at": _time(now),
            "in_force": current.explain(),
            "until": _time(current.until) if current.until else None,
            "next_peak": _time(peak.start) if peak else None,
            "next_freeze": _time(freeze.start) if freeze else None,
            "missing_feeds": list(calendar.missing_feeds),
        }
    )


def _time(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


add_routes(
    blueprint,
    [
        Route("get_estate", "GET", "estate", Role.READER, "The estate in force, and what is wrong.", _get_estate),
        Route("get_calendar", "GET", "calendar", Role.READER, "Events of the finance calendar.", _get_calendar),
        Route("get_calendar_now", "GET", "calendar/now", Role.READER, "What is in force, and next.", _get_calendar_now),
    ],
)


@blueprint.function_name("declared_estate_tick")
@blueprint.timer_trigger(arg_name="timer", schedule="%DECLARED_ESTATE_SCHEDULE%")
def declared_estate_tick(timer: func.TimerRequest) -> None:
    """Tell once that a newer estate is invalid, while the last good one stays in force."""
    now = datetime.now(UTC)
    current = estate_in_force.with_faults(now)
    fault = current.fault
    if fault is None or not fault.problems:
        return
    occasion = hashlib.sha256(f"{fault.etag}\n{fault.what}".encode()).hexdigest()[:32]
    event = Event(
        id=f"estate-invalid:{occasion}",
        type="Closekeeper.Estate.Invalid",
        subject=f"estates/{current.estate.estate}",
        time=fault.since,
        data={
            "what": fault.what,
            "problems": [str(problem) for problem in fault.problems],
            "in_force": current.estate.version,
        },
    )
    _tell_once(event)


def _tell_once(event: Event) -> None:
    """Publish, then remember: a crash in between tells it twice under the same id, never not at all."""
    state = blobs.container(settings.required("STATE_URL", "give the URL of the blob container for the app's state"))
    told = f"told/{event.id.replace(':', '/')}.json"
    if any(True for _ in state.list(told)):
        return
    event_grid.topic().publish([event])
    try:
        state.create(told, b"{}")
    except BlobAlreadyExistsError:
        return
