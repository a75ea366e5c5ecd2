"""The effects of a drill, each of which may come twice, late, or after the drill is over."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import AwareDatetime, BaseModel

from functions import estate_in_force
from functions.change_execution import services
from functions.records import write_record
from shared.backup_verification import registry
from shared.backup_verification.books import Books, examine, is_ledger, newest_business_write
from shared.backup_verification.drill import (
    DatabaseUnderTest,
    DrillPlan,
    DrillReport,
    DrillRequest,
    Held,
    NotDone,
    Outcome,
    Phase,
    conclude,
    drill_tags,
)
from shared.backup_verification.registry import Entry, EntryState
from shared.backup_verification.schedule import due, plan_drill, problems
from shared.blob_container import BlobContainer
from shared.changes import governance
from shared.changes.policy import OverrideKind
from shared.events import Event
from shared.platforms import blobs, event_grid, postgres_servers, settings, sql
from shared.version import VERSION

_LOG = logging.getLogger("closekeeper.backup_verification")
_AUTOMATION = "backup_verification"
_STATEMENT_TIMEOUT_SECONDS = 540
_KEEP_LOOKING_AFTER_CLOSE = timedelta(hours=24)


def state() -> BlobContainer:
    """The container that holds what must survive restarts."""
    return blobs.container(settings.required("STATE_URL", "give the URL of the blob container for the app's state"))


# --- before a drill --------------------------------------------------------------------------------------------------


def due_requests(now: datetime) -> list[DrillRequest]:
    """What the schedule asks for at that instant. A failed drill proved nothing: its server is due again."""
    proven: dict[tuple[str, str], datetime] = {}
    for entry in registry.entries(state()):
        if entry.held is None and (entry.report is None or entry.report.outcome is Outcome.PASSED):
            key = (entry.plan.environment, entry.plan.server)
            proven[key] = max(proven.get(key, entry.plan.requested_at), entry.plan.requested_at)
    return due(estate_in_force.get(), proven, now)


def problems_of(request: DrillRequest, now: datetime) -> list[tuple[str, str]]:
    """Why that drill cannot be planned, by field; empty when it can."""
    return problems(estate_in_force.get(), request, now)


class _Started(BaseModel):
    id: str
    request: DrillRequest
    requested_at: AwareDatetime


def begin(data: object) -> dict[str, Any]:
    """Fix the plan and register the server before anything is created; a drill that is over answers its report."""
    started = _Started.model_validate(data)
    entry = registry.find_entry(state(), started.id)
    if entry is None:
        source_id = estate_in_force.get().environments[started.request.environment].postgres[started.request.server].id
        source = postgres_servers.get(str(source_id))
        plan = plan_drill(
            estate_in_force.get(),
            started.request,
            drill=started.id,
            location=source.location if source else "",
            requested_at=started.requested_at,
            poll_seconds=float(settings.optional("DRILL_POLL_SECONDS", "30")),
        )
        entry = registry.open_entry(state(), plan, _held(plan, started.request))
    if entry.held is not None:
        return {"report": _record_held(entry, entry.held)}
    if entry.evidence is not None:
        return {"report": _shown(entry)}
    return {"plan": entry.plan.model_dump(mode="json")}


def _held(plan: DrillPlan, request: DrillRequest) -> Held | None:
    """Why the drill is not begun, None when it is."""
    governed = services()
    now = datetime.now(UTC)
    if reason := _stopped(plan):
        return Held(outcome=NotDone.REFUSED, reason=reason)
    policy = governed.rules.policy(plan.environment)
    if policy.enabled_automations is not None and _AUTOMATION not in policy.enabled_automations:
        return Held(outcome=NotDone.REFUSED, reason=f"{_AUTOMATION} is not enabled in {plan.environment}")
    for override in governance.list_overrides(governed):
        concerned = override.automation == _AUTOMATION and override.environment in (None, plan.environment)
        if override.kind is OverrideKind.PAUSE and concerned and override.in_force(now):
            reason = f"paused until {override.end.isoformat()} ({override.reason}), by {override.set_by}"
            return Held(outcome=NotDone.REFUSED, reason=reason)
    if request.dry_run or governed.dry_run or policy.dry_run:
        reason = f"would restore {plan.source_id} to {plan.target.isoformat()} as {plan.server_id}, and remove it"
        return Held(outcome=NotDone.DRY_RUN, reason=reason)
    return None


def _stopped(plan: DrillPlan) -> str:
    """Why the stop switch holds the drill, empty when it does not."""
    switch = governance.stop_switch(services())
    return f"the stop switch is pulled ({switch.reason}), by {switch.by}" if switch and switch.pulled else ""


def _record_held(entry: Entry, held: Held) -> dict[str, Any]:
    """Record that nothing was done; the same occasion is one record however often it is told."""
    from shared.evidence.record import Kind, Record

    plan = entry.plan
    write_record(
        Record(
            automation=_AUTOMATION,
            kind=Kind.DRY_RUN if held.outcome is NotDone.DRY_RUN else Kind.REFUSED,
            subject=plan.id,
            time=plan.requested_at,
            environment=plan.environment,
            estate_version=plan.estate_version,
            app_version=VERSION,
            body={"plan": plan.model_dump(mode="json"), "reason": held.reason},
        )
    )
    return {"id": plan.id, "plan": plan.model_dump(mode="json"), **held.model_dump(mode="json")}


# --- during a drill --------------------------------------------------------------------------------------------------


def look_at_source(data: object) -> dict[str, str | None]:
    """The newest business write that each live database had at the target; absent when the source did not answer."""
    plan = DrillPlan.model_validate(data)
    source = postgres_servers.get(plan.source_id)
    seen: dict[str, str | None] = {}
    if source is None or source.state != "Ready":
        return seen
    for database in plan.databases:
        try:
            with _open(source.host, database.name) as live:
                newest = newest_business_write(live, plan.target) if is_ledger(live) else None
        except sql.DatabaseUnavailableError as error:
            _LOG.warning("the source did not answer, its newest write stays unknown: %s", error)
            continue
        seen[database.name] = newest.isoformat() if newest else None
    return seen


def create_server(data: object) -> dict[str, str]:
    """Ask for the restore once: a server that is there was asked for, and a drill that is over asks for nothing."""
    plan = DrillPlan.model_validate(data)
    if registry.read_entry(state(), plan.id).state is not EntryState.OPEN:
        return {"refused": "the drill is already being torn down"}
    if postgres_servers.get(plan.server_id) is not None:
        return {"operation": ""}
    if reason := _stopped(plan):  # pulled since the drill began
        return {"refused": reason}
    try:
        operation = postgres_servers.restore_to_point_in_time(
            plan.source_id, plan.server_id, plan.location, plan.target
        )
    except postgres_servers.ServerRequestRefusedError as error:
        return {"refused": str(error)}
    return {"operation": operation}


def observe_server(data: Any) -> dict[str, str]:
    """How the restore stands: `restoring`, `ready` with the host, `failed` with the error, or `absent`."""
    server_id, operation = str(data["server_id"]), str(data["operation"])
    server = postgres_servers.get(server_id)
    if operation:
        asked = postgres_servers.operation(server_id, operation)
        if asked.state is postgres_servers.OperationState.FAILED:
            return {"state": "failed", "error": asked.error}
        if asked.state is postgres_servers.OperationState.RUNNING:
            return {"state": "restoring"}
    if server is None:
        return {"state": "absent"}
    if server.state == "Ready" and server.host:
        return {"state": "ready", "host": server.host}
    if server.state in {"Disabled", "Dropping", "Inaccessible", "Stopped", "Stopping"}:
        return {"state": "failed", "error": f"the server is {server.state}"}
    return {"state": "restoring"}


def tag_server(data: object) -> dict[str, str]:
    """Say on the server itself what it is; replacing tags by the same tags changes nothing."""
    plan = DrillPlan.model_validate(data)
    server = postgres_servers.get(plan.server_id)
    if server is not None and not drill_tags(plan).items() <= server.tags.items():
        postgres_servers.tag(plan.server_id, {**server.tags, **drill_tags(plan)})
    return {}


def ask(data: Any) -> dict[str, str]:
    """The first good answer: every database lets us in and shows a ledger, or says why not yet."""
    plan = DrillPlan.model_validate(data["plan"])
    for database in plan.databases:
        try:
            with _open(str(data["host"]), database.name) as copy:
                is_ledger(copy)
        except sql.DatabaseUnavailableError as error:
            return {"unavailable": str(error)}
    return {"answered_at": datetime.now(UTC).isoformat()}


def verify_books(data: Any) -> dict[str, Any]:
    """Check one restored database."""
    plan = DrillPlan.model_validate(data["plan"])
    database = DatabaseUnderTest.model_validate(data["database"])
    source_newest = data["source_newest_write"]
    with _open(str(data["host"]), database.name) as copy:
        books = examine(
            copy,
            database.name,
            database.tenant,
            plan.target,
            datetime.fromisoformat(source_newest) if source_newest else None,
        )
    return books.model_dump(mode="json")


def remove_server(data: object) -> dict[str, Any]:
    """Forbid any further create, ask for the removal, and look: gone only when Azure answers 404."""
    plan = registry.move_entry(state(), str(data), EntryState.REMOVING, datetime.now(UTC)).plan
    error = _delete(plan.server_id)
    if postgres_servers.get(plan.server_id) is not None:
        return {"gone": False, "error": error or "Azure still lists it"}
    registry.move_entry(state(), plan.id, EntryState.CLOSED, datetime.now(UTC))
    return {"gone": True, "error": ""}


class _Conclusion(BaseModel):
    plan: DrillPlan
    phases: dict[Phase, AwareDatetime]
    books: tuple[Books, ...]
    failures: tuple[str, ...]
    concluded_at: AwareDatetime


def conclude_drill(data: object) -> dict[str, Any]:
    """Judge, record, remember and tell: from the same facts the same report, record and event."""
    facts = _Conclusion.model_validate(data)
    report = conclude(facts.plan, dict(facts.phases), facts.books, facts.failures, facts.concluded_at)
    return _report(report)


# --- after a drill ---------------------------------------------------------------------------------------------------


def entries_to_look_after(now: datetime) -> Iterator[Entry]:
    """The temporary servers that may still exist: all that are not proven gone, and those only lately so.

    A create request that was delivered twice can reach Azure after the removal, so that once is not enough.
    """
    for entry in registry.entries(state()):
        lately = entry.closed_at is None or now - entry.closed_at < _KEEP_LOOKING_AFTER_CLOSE
        if lately and entry.held is None:
            yield entry


def newest_entries(most: int) -> list[Entry]:
    """The newest drills, the newest first."""
    return sorted(registry.entries(state()), key=lambda entry: entry.plan.requested_at, reverse=True)[:most]


def reap(entry: Entry, now: datetime) -> None:
    """Remove one drill's server for good; a drill that never reported is reported as failed."""
    plan = entry.plan
    if entry.state is EntryState.CLOSED and postgres_servers.get(plan.server_id) is None:
        gone_at = entry.closed_at
    else:
        _LOG.warning("reaping %s of %s", plan.server_id, plan.id)
        registry.move_entry(state(), plan.id, EntryState.REMOVING, now)
        _delete(plan.server_id)
        if postgres_servers.get(plan.server_id) is not None:
            return  # the next tick goes on
        gone_at = registry.move_entry(state(), plan.id, EntryState.CLOSED, now).closed_at
    if entry.evidence is None and gone_at is not None:
        phases = {Phase.REQUESTED: plan.requested_at, Phase.REMOVED: gone_at}
        failure = "the drill ended without a report (terminated or lost); the reaper removed what it left"
        _report(conclude(plan, phases, (), [failure], gone_at))


def _delete(server_id: str) -> str:
    try:
        postgres_servers.delete(server_id)
    except postgres_servers.ServerRequestRefusedError as error:
        return str(error)
    return ""


def _report(report: DrillReport) -> dict[str, Any]:
    """Record and tell the drill's one report, which an earlier delivery may have fixed already."""
    from shared.evidence.record import Kind, Record

    report = registry.keep_report(state(), report)
    written = write_record(
        Record(
            automation=_AUTOMATION,
            kind=Kind.DRILL,
            subject=report.id,
            time=report.concluded_at,
            environment=report.environment,
            estate_version=report.estate_version,
            app_version=VERSION,
            body=report.model_dump(mode="json"),
        )
    )
    evidence = registry.EvidenceReference(name=written.name, sha256=written.sha256)
    event_grid.topic().publish(
        [
            Event(
                id=report.id,
                type=f"Closekeeper.BackupVerification.Drill{report.outcome.capitalize()}",
                subject=f"environments/{report.environment}/servers/{report.server}",
                time=report.concluded_at,
                data={"report": report.model_dump(mode="json"), "evidence": evidence.model_dump()},
            )
        ]
    )
    return _shown(registry.keep_evidence(state(), report.id, evidence))


def _shown(entry: Entry) -> dict[str, Any]:
    """The report as callers see it, with its evidence."""
    if entry.report is None or entry.evidence is None:
        raise ValueError(f"{entry.plan.id} is not reported yet")
    return {**entry.report.model_dump(mode="json"), "evidence": entry.evidence.model_dump()}


def _open(host: str, database: str) -> Any:
    return sql.read_only(host, database, statement_timeout_seconds=_STATEMENT_TIMEOUT_SECONDS)
