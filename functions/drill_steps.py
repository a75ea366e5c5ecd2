"""The effects of a drill, each of which may come twice, late, or after the drill is over."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from heapq import nlargest
from typing import Any

from pydantic import AwareDatetime, BaseModel

from functions import drill_strangers
from functions.anchor_steps import examine_copy, reference
from functions.document_checks import with_documents
from functions.drill_admission import AUTOMATION, give_back_turn, shown, state, stopped
from functions.records import write_record
from shared.backup_verification import registry
from shared.backup_verification.aftermath import Kept, SelfTested
from shared.backup_verification.books import Books, is_ledger, newest_business_write
from shared.backup_verification.drill import (
    DatabaseUnderTest,
    DrillKind,
    DrillPlan,
    DrillReport,
    Outcome,
    Phase,
    conclude,
)
from shared.backup_verification.overview import Overview
from shared.backup_verification.registry import Entry, EntryState
from shared.backup_verification.trend import EarlierDrill, compare
from shared.events import Event
from shared.platforms import event_grid, names, postgres_servers, sql
from shared.version import VERSION

__all__ = ["state"]

_LOG = logging.getLogger("closekeeper.backup_verification")
_STATEMENT_TIMEOUT_SECONDS = 540
_KEEP_LOOKING_AFTER_CLOSE = timedelta(hours=24)


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
    if reason := stopped():  # pulled since the drill began
        return {"refused": reason}
    try:
        operation = postgres_servers.restore(
            plan.source_id,
            plan.server_id,
            plan.location,
            plan.target,
            geo=plan.kind is DrillKind.GEO_RESTORE,
            subnet=plan.network.subnet if plan.network else "",
            dns_zone=plan.network.dns_zone if plan.network else "",
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


def ask(data: Any) -> dict[str, str]:
    """The first good answer: every database lets us in and shows a ledger, or says why not yet."""
    plan = DrillPlan.model_validate(data["plan"])
    host = str(data["host"])
    if not names.addresses(host):
        return {"unavailable": f"the name {host} leads nowhere yet"}
    resolved_at = datetime.now(UTC)
    for database in plan.databases:
        try:
            with _open(host, database.name) as copy:
                is_ledger(copy)
        except sql.DatabaseUnavailableError as error:
            return {"unavailable": str(error), "resolved_at": resolved_at.isoformat()}
    return {"resolved_at": resolved_at.isoformat(), "answered_at": datetime.now(UTC).isoformat()}


def verify_books(data: Any) -> dict[str, Any]:
    """Check one restored database."""
    plan = DrillPlan.model_validate(data["plan"])
    database = DatabaseUnderTest.model_validate(data["database"])
    source_newest = data["source_newest_write"]
    against = reference(
        plan.environment, plan.server, database.name, database.tenant, plan.certain_until, plan.requested_at
    )
    host = str(data["host"])
    with _open(host, database.name) as copy, _open(host, database.name) as another:
        books = examine_copy(
            copy,
            against,
            database.name,
            database.tenant,
            plan.target,
            datetime.fromisoformat(source_newest) if source_newest else None,
            beside=[another],
        )
        books = with_documents(books, copy, plan.environment, plan.id)
    return books.model_dump(mode="json")


def remove_server(data: object) -> dict[str, Any]:
    """Forbid any further create, ask for the removal, and look: gone only when Azure answers 404."""
    plan = registry.move_entry(state(), str(data), EntryState.REMOVING, datetime.now(UTC)).plan
    why = drill_strangers.why_untouched(plan)
    error = f"it is left alone: {why}" if why else _delete(plan.server_id)
    if postgres_servers.get(plan.server_id) is not None:
        return {"gone": False, "error": error or "Azure still lists it"}
    registry.move_entry(state(), plan.id, EntryState.CLOSED, datetime.now(UTC))
    give_back_turn(plan.id)
    return {"gone": True, "error": ""}


class _Conclusion(BaseModel):
    plan: DrillPlan
    phases: dict[Phase, AwareDatetime]
    books: tuple[Books, ...]
    failures: tuple[str, ...]
    concluded_at: AwareDatetime
    carried: tuple[str, ...] = ()
    self_test: tuple[SelfTested, ...] = ()
    kept: Kept | None = None


def conclude_drill(data: object) -> dict[str, Any]:
    """Judge, record, remember and tell: from the same facts the same report, record and event."""
    facts = _Conclusion.model_validate(data)
    report = conclude(
        facts.plan,
        dict(facts.phases),
        facts.books,
        facts.failures,
        facts.concluded_at,
        carried=facts.carried,
        self_test=facts.self_test,
        kept=facts.kept,
    )
    return _report(report)


# --- after a drill ---------------------------------------------------------------------------------------------------


@cache
def overview() -> Overview:
    """All drills at a glance, remembered for the life of this process."""
    return Overview(state())


def entries_to_look_after(now: datetime) -> Iterator[Entry]:
    """The temporary servers that may still exist: all that are not proven gone, and those only lately so.

    A create request that was delivered twice can reach Azure after the removal, so that once is not enough.
    """
    for drill in overview().drills():
        lately = drill.closed_at is None or now - drill.closed_at < _KEEP_LOOKING_AFTER_CLOSE
        if lately and drill.held is None:
            yield registry.read_entry(state(), drill.id)


def find_entry(drill: str) -> Entry | None:
    """What the registry knows of a drill."""
    return registry.find_entry(state(), drill)


def newest_entries(most: int) -> list[Entry]:
    """The newest drills, the newest first."""
    newest = nlargest(most, overview().drills(), key=lambda drill: drill.requested_at)
    return [registry.read_entry(state(), drill.id) for drill in newest]


def reap(entry: Entry, now: datetime) -> None:
    """Remove one drill's server for good, unless its name or resource group does not fit; a drill that never reported
    is reported as failed."""
    plan = entry.plan
    if entry.state is EntryState.KEPT and entry.kept_until is not None and now < entry.kept_until:
        return
    if entry.state is EntryState.CLOSED and postgres_servers.get(plan.server_id) is None:
        gone_at = entry.closed_at
    elif why := drill_strangers.why_untouched(plan):
        drill_strangers.tell(plan.server_id, why, now)
        return
    else:
        _LOG.warning("reaping %s of %s", plan.server_id, plan.id)
        registry.move_entry(state(), plan.id, EntryState.REMOVING, now)
        _delete(plan.server_id)
        if postgres_servers.get(plan.server_id) is not None:
            return  # the next tick goes on
        if entry.kept_until is not None and entry.state is not EntryState.CLOSED:
            _tell_removed(entry, entry.kept_until)
        gone_at = registry.move_entry(state(), plan.id, EntryState.CLOSED, now).closed_at
    give_back_turn(plan.id)
    if entry.evidence is None and gone_at is not None:
        phases = {Phase.REQUESTED: plan.requested_at, Phase.REMOVED: gone_at}
        failure = "the drill ended without a report (terminated or lost); the reaper removed what it left"
        _report(conclude(plan, phases, (), [failure], gone_at))


def _tell_removed(entry: Entry, kept_until: datetime) -> None:
    """Record and tell that a copy which was kept for people is gone: the drill's verdict could not say it yet.

    Before the entry is closed, and with the same words each time: a tick that dies in between tells it again.
    """
    from shared.evidence.record import Kind, Record

    plan = entry.plan
    body = {"removed": plan.server_id, "kept_until": kept_until.isoformat()}
    write_record(
        Record(
            automation=AUTOMATION,
            kind=Kind.DRILL,
            subject=plan.id,
            time=kept_until,
            environment=plan.environment,
            estate_version=plan.estate_version,
            app_version=VERSION,
            body=body,
        )
    )
    event_grid.topic().publish(
        [
            Event(
                id=f"{plan.id}:removed",
                type="Closekeeper.BackupVerification.KeptCopyRemoved",
                subject=f"environments/{plan.environment}/servers/{plan.server}",
                time=kept_until,
                data={"drill": plan.id, **body},
            )
        ]
    )


def _delete(server_id: str) -> str:
    try:
        postgres_servers.delete(server_id)
    except postgres_servers.ServerRequestRefusedError as error:
        return str(error)
    return ""


def _report(report: DrillReport) -> dict[str, Any]:
    """Record and tell the drill's one report, which an earlier delivery may have fixed already."""
    from shared.evidence.record import Kind, Record

    report = registry.keep_report(state(), _with_trend_and_cost(report))
    written = write_record(
        Record(
            automation=AUTOMATION,
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
    return shown(registry.keep_evidence(state(), report.id, evidence))


def _with_trend_and_cost(report: DrillReport) -> DrillReport:
    """The same, beside the earlier drills of its kind, and with what was known of its cost before."""
    earlier: list[EarlierDrill] = []
    this = None
    for entry in registry.entries(state(), report.environment, report.server):
        if entry.plan.id == report.id:
            this = entry
        elif (told := entry.report) and told.kind is report.kind and told.concluded_at < report.concluded_at:
            earlier.append(
                EarlierDrill(
                    id=told.id,
                    at=told.concluded_at,
                    passed=told.outcome is Outcome.PASSED,
                    rto_seconds=told.rto_seconds,
                    rpo_seconds=told.rpo_seconds,
                )
            )
    accepted, removed = report.phases.get(Phase.ACCEPTED), report.phases.get(Phase.REMOVED)
    cost = this.cost if this else None
    if cost is not None and accepted and removed:
        cost = cost.after(removed - accepted)
    return report.model_copy(
        update={
            "trend": compare(earlier, report.rto_seconds),
            "preflight": this.preflight if this else (),
            "cost": cost,
        }
    )


def _open(host: str, database: str) -> Any:
    return sql.read_only(host, database, statement_timeout_seconds=_STATEMENT_TIMEOUT_SECONDS)
