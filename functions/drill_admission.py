"""What comes before a drill: whether it may begin at all, its turn, its plan, its preflight, its place in the registry.

Everything here may come twice, late, or after the drill is over: what was registered first stands.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import AwareDatetime, BaseModel

from functions import estate_in_force
from functions.change_execution import services
from functions.records import write_record
from shared.backup_verification import preflight, registry, turns
from shared.backup_verification.cost import Cost, bounded_cost
from shared.backup_verification.drill import (
    DrillKind,
    DrillPlan,
    DrillRequest,
    DrillsRequest,
    Held,
    NotDone,
)
from shared.backup_verification.planning import plan_drill, problems
from shared.backup_verification.preflight import Needs, PreflightCheck, Surroundings
from shared.backup_verification.registry import Entry
from shared.backup_verification.schedule import calendar_of, why_not_now
from shared.backup_verification.turns import Holder, Turns
from shared.blob_container import BlobContainer
from shared.changes import governance
from shared.changes.policy import OverrideKind
from shared.events import Event
from shared.platforms import blobs, event_grid, postgres_servers, restore_surroundings, settings
from shared.version import VERSION

AUTOMATION = "backup_verification"
_LONGEST_WAIT = timedelta(days=7)


def state() -> BlobContainer:
    """The container that holds what must survive restarts."""
    return blobs.container(settings.required("STATE_URL", "give the URL of the blob container for the app's state"))


class _Started(BaseModel):
    id: str
    request: DrillRequest
    requested_at: AwareDatetime
    scheduled: bool = False


def begin(data: object) -> dict[str, Any]:
    """Answers one of: `wait` with why, when it is not the drill's turn; `plan`, once the server it may create is
    registered; `report`, when the drill is over or was not begun."""
    started = _Started.model_validate(data)
    entry = registry.find_entry(state(), started.id)
    if entry is None:
        admitted = _admit(started, datetime.now(UTC))
        if isinstance(admitted, str):
            return {"wait": admitted}
        entry = admitted
    if entry.held is not None:
        give_back_turn(started.id)
        return {"report": _record_held(entry, entry.held)}
    if entry.report is not None and entry.evidence is not None:
        return {"report": shown(entry)}
    return {"plan": entry.plan.model_dump(mode="json")}


def shown(entry: Entry) -> dict[str, Any]:
    """The report as callers see it, with its evidence."""
    if entry.report is None or entry.evidence is None:
        raise ValueError(f"{entry.plan.id} is not reported yet")
    return {**entry.report.model_dump(mode="json"), "evidence": entry.evidence.model_dump()}


def give_back_turn(drill: str) -> None:
    """Let the next drill have this one's turn; twice is once."""
    services().store.update(turns.NAME, Turns, lambda known: (known or Turns()).given_back(drill))


def known_turns() -> Turns:
    """Who has a turn, and who waits for one."""
    return services().store.get(turns.NAME, Turns) or Turns()


def _admit(started: _Started, now: datetime) -> Entry | str:
    """Register the drill, begun or held; or say what it waits for."""
    request = started.request
    if reason := not_allowed(request.environment, now):
        return _open(started, now, Held(outcome=NotDone.REFUSED, reason=reason))
    estate = estate_in_force.get()
    if errors := problems(estate, estate_in_force.calendar(now), DrillsRequest(**dict(request)), now):
        words = "; ".join(f"{field.strip('/')}: {sentence}".strip(": ") for field, sentence in errors)
        return _open(started, now, Held(outcome=NotDone.REFUSED, reason=f"cannot be planned any more: {words}"))
    if _rehearsed(request):
        return _open(started, now, Held(outcome=NotDone.DRY_RUN, reason=""))
    if started.scheduled and now - started.requested_at > _LONGEST_WAIT:
        return _open(started, now, Held(outcome=NotDone.REFUSED, reason="its turn did not come within 7 days"))
    if started.scheduled:
        calendar = calendar_of(estate, estate_in_force.calendar(now), request.environment)
        if reason := why_not_now(estate, calendar, request.environment, now):
            return reason
    return _take_turn(started, now)


def _take_turn(started: _Started, now: datetime) -> Entry | str:
    estate = estate_in_force.get()
    if estate.backup_verification is None:
        raise ValueError("the estate declares no backup_verification")
    at_once = estate.backup_verification.drills.at_once
    request = started.request
    source = str(estate.environments[request.environment].postgres[request.server].id)
    holder = Holder(environment=request.environment, server=request.server, source_id=source, since=now)
    known = services().store.update(
        turns.NAME, Turns, lambda known: (known or Turns()).asked(started.id, holder, at_once)
    )
    if since := turns.held_since(known, started.id):
        return _open(started, since)
    if rival := known.rival(started.id, source):
        reason = f"another drill of this server is alive: {rival}"
        check = PreflightCheck(name="another drill", state=preflight.CheckState.REFUSED, message=reason)
        return _open(started, now, Held(outcome=NotDone.REFUSED, reason=reason), (check,))
    return f"{len(known.taken)} of {at_once} restored servers are alive: {', '.join(sorted(known.taken))}"


def _open(
    started: _Started, turn_at: datetime, held: Held | None = None, checks: tuple[PreflightCheck, ...] = ()
) -> Entry:
    """Plan the drill, look around it, and register it; whoever registered it first has decided."""
    request = started.request
    estate = estate_in_force.get()
    if request.environment not in estate.environments or estate.backup_verification is None:
        raise ValueError(f"{started.id}: {held.reason if held else 'its environment is not declared any more'}")
    source = postgres_servers.get(str(estate.environments[request.environment].postgres[request.server].id))
    plan = plan_drill(
        estate,
        calendar_of(estate, estate_in_force.calendar(turn_at), request.environment),
        request,
        drill=started.id,
        location=source.location if source else "",
        earliest=source.earliest_restore if source else None,
        asked_at=started.requested_at,
        requested_at=turn_at,
        poll_seconds=float(settings.optional("DRILL_POLL_SECONDS", "30")),
        self_test=_is_self_tested(request),
    )
    cost = None
    if held is None or held.outcome is NotDone.DRY_RUN:
        checks, cost = _look_around(plan, source)
        refusal = preflight.refusal(checks)
        if refusal:
            held = Held(outcome=NotDone.REFUSED, reason=f"preflight: {refusal}")
        elif held is not None:
            words = f"would restore {plan.source_id} to {plan.target.isoformat()} as {plan.server_id}, and remove it"
            held = Held(outcome=NotDone.DRY_RUN, reason=words)
    return registry.open_entry(state(), plan, held, checks, cost)


def not_allowed(environment: str, now: datetime) -> str:
    """Why no drill may begin in that environment now, whatever was asked for; empty when it may."""
    governed = services()
    if reason := stopped():
        return reason
    policy = governed.rules.policy(environment)
    if policy.enabled_automations is not None and AUTOMATION not in policy.enabled_automations:
        return f"{AUTOMATION} is not enabled in {environment}"
    for override in governance.list_overrides(governed):
        concerned = override.automation == AUTOMATION and override.environment in (None, environment)
        if override.kind is OverrideKind.PAUSE and concerned and override.in_force(now):
            return f"paused until {override.end.isoformat()} ({override.reason}), by {override.set_by}"
    return ""


def stopped() -> str:
    """Why the stop switch holds every drill, empty when it does not."""
    switch = governance.stop_switch(services())
    return f"the stop switch is pulled ({switch.reason}), by {switch.by}" if switch and switch.pulled else ""


def _rehearsed(request: DrillRequest) -> bool:
    governed = services()
    return request.dry_run or governed.dry_run or governed.rules.policy(request.environment).dry_run


def _is_self_tested(request: DrillRequest) -> bool:
    """Whether it is the n-th drill of the server that tests the checks themselves."""
    policy = estate_in_force.get().backup_verification
    every = policy.drills.self_test_every if policy else None
    if every is None or request.dry_run:
        return False
    done = sum(entry.held is None for entry in registry.entries(state(), request.environment, request.server))
    return (done + 1) % every == 0


# --- preflight -------------------------------------------------------------------------------------------------------


def _look_around(
    plan: DrillPlan, source: postgres_servers.ServerFacts | None
) -> tuple[tuple[PreflightCheck, ...], Cost | None]:
    estate = estate_in_force.get()
    if estate.backup_verification is None:
        raise ValueError("the estate declares no backup_verification")
    limit = estate.backup_verification.drills.cost_limit
    cost, no_cost = None, "the estate declares no rates: what a drill costs is not known"
    if estate.rates is not None and source is not None:
        cost = bounded_cost(estate.rates, source.sku, source.storage_gb, plan.expires_at - plan.requested_at, limit)
        no_cost = f"the rates name no price of {source.sku}: add it to rates.postgres_hour"
    elif estate.rates is not None:
        no_cost = "the source is not visible, so that its size and price are not known"
    needs = Needs(
        geo_restore=plan.kind is DrillKind.GEO_RESTORE,
        subnet=plan.network.subnet if plan.network else None,
        app_addresses=app_addresses(),
        from_=plan.requested_at,
        until=plan.expires_at,
        cost=cost,
        cost_limit=limit if source is not None else None,
        no_cost=no_cost,
    )
    return preflight.judge(_surroundings(plan, source), needs), cost


def app_addresses() -> tuple[str, ...]:
    """The addresses from which the app reaches out, for firewalls of copies that are in no subnet."""
    return tuple(address.strip() for address in settings.optional("APP_ADDRESSES", "").split(",") if address.strip())


def _surroundings(plan: DrillPlan, source: postgres_servers.ServerFacts | None) -> Surroundings:
    """What Azure says around the drill. What may not be read, or is not answered, is unknown and keeps nobody."""
    from azure.core.exceptions import AzureError

    unknown: dict[str, str] = {}

    def look[T](name: str, ask: Callable[[], T]) -> T | None:
        try:
            return ask()
        except AzureError as error:
            unknown[name] = str(error).partition("\n")[0][:300]
            return None

    at = postgres_servers.ServerId.parse(plan.server_id)
    quota = look("vCore quota", lambda: restore_surroundings.core_quota(at.subscription, plan.location))
    subnet = plan.network.subnet if plan.network else None
    addresses = look("network", lambda: restore_surroundings.subnet_addresses(subnet)) if subnet else None
    coming = look("maintenance", lambda: restore_surroundings.coming_maintenance(plan.source_id)) if source else None
    return Surroundings(
        source_state=source.state if source else None,
        source_subnet=source.subnet if source else None,
        geo_backup=source.geo_redundant if source else False,
        cores=source.cores if source else 0,
        locks=look("locks", lambda: restore_surroundings.locks(at.subscription, at.resource_group)),
        cores_used=quota.used if quota else None,
        cores_limit=quota.limit if quota else None,
        addresses_left=addresses.limit - addresses.used if addresses else None,
        maintenance=None
        if coming is None
        else [preflight.Maintenance(one.status, one.start, one.end) for one in coming],
        unknown=unknown,
    )


# --- what was not begun ----------------------------------------------------------------------------------------------


def _record_held(entry: Entry, held: Held) -> dict[str, Any]:
    """Record and tell that nothing was done; the same occasion is one record however often it is told."""
    from shared.evidence.record import Kind, Record

    plan = entry.plan
    body = {
        "plan": plan.model_dump(mode="json"),
        "reason": held.reason,
        "preflight": [check.model_dump(mode="json") for check in entry.preflight],
        "cost": entry.cost.model_dump(mode="json") if entry.cost else None,
    }
    write_record(
        Record(
            automation=AUTOMATION,
            kind=Kind.DRY_RUN if held.outcome is NotDone.DRY_RUN else Kind.REFUSED,
            subject=plan.id,
            time=plan.requested_at,
            environment=plan.environment,
            estate_version=plan.estate_version,
            app_version=VERSION,
            body=body,
        )
    )
    if held.outcome is NotDone.REFUSED:
        event_grid.topic().publish(
            [
                Event(
                    id=plan.id,
                    type="Closekeeper.BackupVerification.DrillRefused",
                    subject=f"environments/{plan.environment}/servers/{plan.server}",
                    time=plan.requested_at,
                    data={"drill": plan.id, "reason": held.reason},
                )
            ]
        )
    return {"id": plan.id, **body, "outcome": held.outcome.value}
