"""Who starts restore drills: the schedule, and people through HTTP; and what is proven until when."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import azure.durable_functions as df
import azure.functions as func

from functions import estate_in_force
from functions.later import later
from functions.routing import Answer, Call, Problem, Route, add_routes
from shared.blob_container import BlobAlreadyExistsError
from shared.events import Event
from shared.identity import Role
from shared.platforms import event_grid, settings

if TYPE_CHECKING:
    from functions import drill_admission
    from functions import drill_steps as steps
    from shared.backup_verification import coverage, drill, planning, schedule
    from shared.changes.state import Store
else:
    drill_admission, steps = later("functions.drill_admission"), later("functions.drill_steps")
    coverage, drill, planning, schedule = (
        later(f"shared.backup_verification.{name}") for name in ("coverage", "drill", "planning", "schedule")
    )

blueprint = df.Blueprint()

_FIRST_SEEN = "drill-first-seen"
_PAGE = 100


@blueprint.function_name("backup_verification_tick")
@blueprint.timer_trigger(arg_name="timer", schedule="%BACKUP_VERIFICATION_SCHEDULE%")
@blueprint.durable_client_input(client_name="client")
async def backup_verification_tick(timer: func.TimerRequest, client: Any) -> None:
    """Start the drills that are due, and tell what is overdue. Due is due until it was done: no tick matters."""
    now = datetime.now(UTC)
    for request in await asyncio.to_thread(_due, now):
        await _start(client, request, now.date().isoformat(), now, scheduled=True)
    await asyncio.to_thread(_tell_overdue, now)


async def _start(
    client: Any, request: "drill.DrillRequest", key: str, now: datetime, *, scheduled: bool = False
) -> str:
    """Start a drill once: the same environment, server and key is the same drill, running or over."""
    if request.kind is drill.DrillKind.DUMP:
        from functions.dump_drill_log import remember
        from functions.dump_verification import start_dump_drill

        started = await start_dump_drill(client, request.environment, request.server, key, now)
        await asyncio.to_thread(remember, request.environment, request.server, started, now, None)
        return started
    instance = drill.drill_id(
        request.environment, request.server, key if not request.tenant else f"{key}:{request.tenant}"
    )
    started = {
        "id": instance,
        "request": request.model_dump(mode="json"),
        "requested_at": now.isoformat(),
        "scheduled": scheduled,
        "poll_seconds": float(settings.optional("DRILL_POLL_SECONDS", "30")),
    }
    state = await client.get_orchestration_state(instance)
    if state is None:
        await client.schedule_new_orchestration("drill", input=started, instance_id=instance)
    elif not scheduled and not _is_same(state.get_input(), started):
        raise Problem(
            409,
            "Conflict",
            f"{instance} was asked for otherwise: give an Idempotency-Key of your own for another drill of that server",
        )
    return instance


def _is_same(known: Any, started: Mapping[str, Any]) -> bool:
    """Whether a drill that is known was asked for in the same way; a bare request is content with any."""
    asked = started["request"]
    bare = drill.DrillRequest(environment=asked["environment"], server=asked["server"]).model_dump(mode="json")
    return asked == bare or known is None or known["request"] == asked


# --- API -------------------------------------------------------------------------------------------------------------


async def _post_drill(call: Call) -> Answer:
    wish: drill.DrillsRequest = call.body
    now = datetime.now(UTC)
    requests = await asyncio.to_thread(_requests, wish, now)
    key = call.idempotency_key or now.date().isoformat()
    drills = [{"id": await _start(call.durable, request, key, now), "server": request.server} for request in requests]
    if len(drills) > 1:
        return Answer({"drills": drills}, 202, {"Location": "/api/drills", "Retry-After": "5"})
    (one,) = drills
    return Answer(
        {"id": one["id"], "drills": drills}, 202, {"Location": f"/api/drills/{one['id']}", "Retry-After": "5"}
    )


def _requests(wish: "drill.DrillsRequest", now: datetime) -> "list[drill.DrillRequest]":
    estate = estate_in_force.get()
    if errors := planning.problems(estate, estate_in_force.calendar(now), wish, now):
        raise Problem(400, "Bad request", "the drill cannot be planned: see errors", errors)
    return planning.requests_of(estate, wish)


async def _get_drill(call: Call) -> Answer:
    instance = call.path["id"]
    state = await call.durable.get_orchestration_state(instance)
    if state is None or state.name not in ("drill", "dump_drill"):
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
    return Answer(await asyncio.to_thread(_listed, call.query.get("continuation", "")))


def _listed(continuation: str) -> dict[str, Any]:
    """A page of all drills by id, from the one on that the continuation names; those that wait or restore dumps too."""
    from functions.dump_drill_log import known_drills

    listed: dict[str, dict[str, Any]] = {
        name: _row(holder.environment, "waiting", None, None, holder.since)
        for name, holder in drill_admission.known_turns().waiting.items()
    }
    for name, (environment, one) in known_drills().items():
        outcome = None if one.passed is None else drill.Outcome.PASSED if one.passed else drill.Outcome.FAILED
        listed[name] = _row(environment, "none", None, outcome, one.requested_at)
    for known in steps.overview().drills():
        listed[known.id] = _row(known.environment, known.state, known.held, known.outcome, known.requested_at)
    ids = sorted(each for each in listed if each >= continuation)
    value = [{"id": each, **listed[each]} for each in ids[:_PAGE]]
    return {"value": value, "continuation": next(iter(ids[_PAGE:]), None)}


def _row(
    environment: str, server: str, held: "drill.NotDone | None", outcome: "drill.Outcome | None", since: datetime
) -> dict[str, Any]:
    """`server` says how the restored server stands, not which one was restored."""
    return {
        "environment": environment,
        "server": server,
        "held": held,
        "outcome": outcome,
        "since": since.isoformat(),
    }


async def _get_coverage(call: Call) -> Answer:
    covered = await asyncio.to_thread(covered_servers, datetime.now(UTC))
    return Answer({"value": [one.model_dump(mode="json") for one in covered]})


add_routes(
    blueprint,
    [
        Route(
            "post_drill",
            "POST",
            "drills",
            Role.OPERATOR,
            "Start restore drills.",
            _post_drill,
            lambda: drill.DrillsRequest,
        ),
        Route("list_drills", "GET", "drills", Role.READER, "List the drills.", _list_drills),
        Route("get_drill_coverage", "GET", "drills/coverage", Role.READER, "What is proven until when.", _get_coverage),
        Route("get_drill", "GET", "drills/{id}", Role.READER, "Show a drill's progress and report.", _get_drill),
    ],
)


# --- what is proven --------------------------------------------------------------------------------------------------


def covered_servers(now: datetime) -> "list[coverage.Covered]":
    """What is proven until when, of every declared server."""
    first_seen = _store().update(_FIRST_SEEN, dict[str, datetime], lambda known: _seen_since(known or {}, now))
    return coverage.coverage(estate_in_force.get(), estate_in_force.calendar(now), _past(now), first_seen, now)


def _seen_since(known: dict[str, datetime], now: datetime) -> dict[str, datetime]:
    environments = estate_in_force.get().environments.items()
    declared = [f"{name}/{server}" for name, environment in environments for server in environment.postgres]
    return {server: known.get(server, now) for server in declared}


def _due(now: datetime) -> "list[drill.DrillRequest]":
    turns = drill_admission.known_turns()
    busy = {(one.environment, one.server) for one in (*turns.taken.values(), *turns.waiting.values())}
    return schedule.due(estate_in_force.get(), estate_in_force.calendar(now), _past(now), now, busy)


def _past(now: datetime) -> "Mapping[schedule.ServerName, Sequence[schedule.Past]]":
    """Every drill that was begun, by server; those of dumps too."""
    from functions.dump_drill_log import past_drills

    past: dict[schedule.ServerName, list[schedule.Past]] = {}
    for one in steps.overview().drills():
        if one.held is None:
            passed = None if one.outcome is None else one.outcome is drill.Outcome.PASSED
            past.setdefault((one.environment, one.server), []).append(schedule.Past(one.requested_at, passed, one.kind))
    for server, one in past_drills(now):
        past.setdefault(server, []).append(one)
    return past


def _tell_overdue(now: datetime) -> None:
    """One event for each server and date that passed without a proof."""
    for one in covered_servers(now):
        if not one.overdue or one.due_by is None:
            continue
        mark = f"drill-overdue/{one.environment}/{one.server}/{one.due_by:%Y-%m-%dT%H%M%S}.json"
        if next(iter(steps.state().list(mark)), None) is not None:
            continue
        event_grid.topic().publish(
            [
                Event(
                    id=f"overdue:{one.environment}:{one.server}:{one.due_by.isoformat()}",
                    type="Closekeeper.BackupVerification.DrillOverdue",
                    subject=f"environments/{one.environment}/servers/{one.server}",
                    time=one.due_by,
                    data=one.model_dump(mode="json"),
                )
            ]
        )
        try:
            steps.state().create(mark, b"{}")
        except BlobAlreadyExistsError:
            continue


def _store() -> "Store":
    from functions.change_execution import services

    return services().store
