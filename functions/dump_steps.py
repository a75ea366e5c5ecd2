"""The effects of verifying dumps, each of which may come twice, late, or after the verification is over."""

import logging
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import AwareDatetime, BaseModel

from functions import estate_in_force
from functions.anchor_steps import examine_copy, reference
from functions.document_checks import with_documents
from functions.records import write_record
from functions.verification_holds import AUTOMATION, dry_run, held
from shared.backup_verification.books import Books, examine
from shared.backup_verification.dumps import register
from shared.backup_verification.dumps.content import Content, custom_stream, examine_content
from shared.backup_verification.dumps.damage import Damage, DamagedDumpError
from shared.backup_verification.dumps.levels import Level
from shared.backup_verification.dumps.parts import Dump, OpenedDump
from shared.backup_verification.dumps.plan import (
    SCRATCH_PREFIX,
    DumpPlan,
    DumpReport,
    Outcome,
    Restored,
    conclude,
    written_anew,
)
from shared.backup_verification.dumps.planning import declared_servers
from shared.backup_verification.dumps.register import DumpEntry
from shared.backup_verification.registry import EntryState, EvidenceReference
from shared.blob_container import BlobContainer, BlobFacts, BlobProperties
from shared.events import Event
from shared.platforms import (
    blob_reading,
    blobs,
    dump_tools,
    event_grid,
    postgres_servers,
    scratch_databases,
    settings,
    sql,
    vaults,
)
from shared.version import VERSION

if TYPE_CHECKING:
    from shared.platforms.scratch_databases import ScratchServer

_LOG = logging.getLogger("closekeeper.backup_verification")
_STATEMENT_TIMEOUT_SECONDS = 540
_WAIT_FOR_RESTORER_SECONDS = 60
_DUMP_TAKES = timedelta(hours=12)
_ABOUT_EXTENSION = re.compile(r'ERROR: .*\bextension "')


def state() -> BlobContainer:
    """The container that holds what must survive restarts."""
    return blobs.container(settings.required("STATE_URL", "give the URL of the blob container for the app's state"))


def begin(data: object) -> dict[str, Any]:
    """Register the verification before anything is created; one that is over, or may not begin, answers that."""
    plan = DumpPlan.model_validate(data)
    entry = register.find_entry(state(), plan.id)
    if entry is None:
        if reason := held(plan.environment, datetime.now(UTC)):
            return {"report": _record_held(plan, reason)}
        entry = register.open_entry(state(), plan)
    if entry.evidence is not None:
        return {"report": shown(entry)}
    return {"plan": entry.plan.model_dump(mode="json")}


def read(data: object) -> dict[str, Any]:
    """Read the dump to the wanted level, as far as that needs no server."""
    plan = DumpPlan.model_validate(data)
    try:
        opened = _open(plan)
        content = examine_content(opened, plan.level, plan.database, _key(plan))
    except DamagedDumpError as damaged:
        content = Content(damage=damaged.damage, failures=(str(damaged),))
    if content.needs_program and content.damage is None and plan.level.reaches(Level.DECODED):
        content = _decode_by_program(plan, content)
    return content.model_dump(mode="json")


def restore(data: Any) -> dict[str, Any]:
    """Restore into the scratch database once: `restored`, `busy` while another delivery does, or `failed`."""
    plan = DumpPlan.model_validate(data["plan"])
    content = Content.model_validate(data["content"])
    entry = register.read_entry(state(), plan.id)
    if entry.restored is not None:
        return {"restored": entry.restored.model_dump(mode="json")}
    if reason := _no_restore(plan):
        return {"failed": reason}
    try:
        tool = dump_tools.pg_restore(_step_seconds())
        with scratch_databases.scratch_server(_scratch_host(plan), SCRATCH_PREFIX) as server:
            if not server.lock(plan.scratch_database):
                return {"busy": True}
            return _restore_locked(plan, content, server, tool)
    except dump_tools.RestoreToolMissingError as error:
        return {"failed": str(error)}
    except dump_tools.RestoreTimeoutError as error:
        return {"failed": f"{error}: allow it more by functionTimeout and DUMP_STEP_SECONDS"}
    except DamagedDumpError as damaged:
        return {"failed": f"{damaged.damage}: {damaged}"}


def _restore_locked(
    plan: DumpPlan, content: Content, server: "ScratchServer", tool: dump_tools.PgRestore
) -> dict[str, Any]:
    entry = register.read_entry(state(), plan.id)  # once more: another delivery may have been faster
    if entry.restored is not None:
        return {"restored": entry.restored.model_dump(mode="json")}
    if entry.state is not EntryState.OPEN:
        return {"failed": "the verification is already being cleaned up"}
    began = time.monotonic()
    server.drop(plan.scratch_database)
    server.create(plan.scratch_database)
    host = _scratch_host(plan)
    run = tool.restore(custom_stream(_open(plan), _key(plan)), host, plan.scratch_database)
    with sql.read_only(host, plan.scratch_database, statement_timeout_seconds=60) as copy:
        present = {str(name) for (name,) in copy.rows("select extname from pg_extension")}
    about_extensions = [each for each in run.complaints if _ABOUT_EXTENSION.search(each)]
    restored = Restored(
        complaints=tuple(each for each in run.complaints if each not in about_extensions),
        errors=run.errors - len(about_extensions),
        absent_roles=tuple(sorted(set(content.roles) - server.roles())),
        absent_extensions=tuple(sorted(set(content.extensions) - present)),
        seconds=round(time.monotonic() - began, 3),
    )
    kept = register.keep_restored(state(), plan.id, restored)
    return {"restored": kept.model_dump(mode="json")}


def check_books(data: object) -> dict[str, Any]:
    """The checks of a drill, on the scratch database, held against the newest anchor from before the dump began.

    Nobody knows when that was, only when its blob was written: an anchor must be older by what a dump may take.
    """
    plan = DumpPlan.model_validate(data)
    environment = estate_in_force.get().environments.get(plan.environment)
    tenant = environment.tenants.get(plan.tenant) if environment else None
    with sql.read_only(
        _scratch_host(plan), plan.scratch_database, statement_timeout_seconds=_STATEMENT_TIMEOUT_SECONDS
    ) as copy:
        if tenant is None:
            books = examine(copy, plan.database or plan.scratch_database, plan.tenant, plan.last_modified, None)
        else:
            began = plan.last_modified - _DUMP_TAKES
            against = reference(
                plan.environment, tenant.database.server, plan.database, plan.tenant, began, plan.requested_at
            )
            books = examine_copy(copy, against, plan.database, plan.tenant, plan.last_modified, None)
        books = with_documents(written_anew(books), copy, plan.environment, plan.id)
    return books.model_dump(mode="json")


def drop(data: object) -> dict[str, Any]:
    """Forbid any further create, drop the scratch database, and look: gone only when the server does not list it."""
    entry = register.move_entry(state(), str(data), EntryState.REMOVING, datetime.now(UTC))
    plan = entry.plan
    if plan.scratch_id and (scratch := postgres_servers.get(plan.scratch_id)) is not None:
        with scratch_databases.scratch_server(scratch.host, SCRATCH_PREFIX) as server:
            server.drop(plan.scratch_database)  # which ends whoever still fills it
            if not server.wait_for_lock(plan.scratch_database, _WAIT_FOR_RESTORER_SECONDS):
                return {"gone": False, "error": "somebody still restores into the scratch database"}
            server.drop(plan.scratch_database)
            if server.exists(plan.scratch_database):
                return {"gone": False, "error": "the scratch server still lists the database"}
    register.move_entry(state(), plan.id, EntryState.CLOSED, datetime.now(UTC))
    return {"gone": True, "error": ""}


class _Conclusion(BaseModel):
    plan: DumpPlan
    content: Content
    restored: Restored | None
    books: Books | None
    failures: tuple[str, ...]
    dropped: bool
    concluded_at: AwareDatetime


def conclude_verification(data: object) -> dict[str, Any]:
    """Judge, record, remember and tell: from the same facts the same report, record and event."""
    facts = _Conclusion.model_validate(data)
    report = conclude(
        facts.plan, facts.content, facts.restored, facts.books, facts.failures, facts.dropped, facts.concluded_at
    )
    return _report(report)


def left_behind() -> Iterator[DumpEntry]:
    """The entries of scratch databases that are there now. A database that no entry knows is left alone, and logged."""
    policy = estate_in_force.get().backup_verification
    scratch_id = str(policy.dumps.scratch) if policy and policy.dumps and policy.dumps.scratch else ""
    scratch = postgres_servers.get(scratch_id) if scratch_id else None
    if scratch is None or scratch.state != "Ready":
        return
    with scratch_databases.scratch_server(scratch.host, SCRATCH_PREFIX) as server:
        found = server.mine()
    for database in found:
        entry = register.find_by_database(state(), database)
        if entry is None:
            _LOG.warning("the database %s on the scratch server is not one that we know: it is left alone", database)
        else:
            yield entry


def reap(entry: DumpEntry) -> None:
    """Drop what a verification left; one that never reported is reported as failed."""
    _LOG.warning("reaping %s of %s", entry.plan.scratch_database, entry.plan.id)
    dropped = drop(entry.plan.id)["gone"]
    if entry.evidence is None and dropped:
        failure = "the verification ended without a report (terminated or lost); the reaper removed what it left"
        _report(conclude(entry.plan, Content(), None, None, [failure], True, datetime.now(UTC)))


def shown(entry: DumpEntry) -> dict[str, Any]:
    """The report as callers see it, with its evidence."""
    if entry.report is None or entry.evidence is None:
        raise ValueError(f"{entry.plan.id} is not reported yet")
    return {**entry.report.model_dump(mode="json"), "evidence": entry.evidence.model_dump()}


def _report(report: DumpReport) -> dict[str, Any]:
    from shared.evidence.record import Kind, Record

    report = register.keep_report(state(), report)
    passed = report.outcome is Outcome.PASSED
    written = write_record(
        Record(
            automation=AUTOMATION,
            kind=Kind.VERIFIED if passed else Kind.FINDING,
            subject=report.id,
            time=report.concluded_at,
            environment=report.environment,
            tenant=report.tenant or None,
            estate_version=report.estate_version,
            app_version=VERSION,
            body=report.model_dump(mode="json"),
        )
    )
    evidence = EvidenceReference(name=written.name, sha256=written.sha256)
    whose = f"environments/{report.environment}" + (f"/tenants/{report.tenant}" if report.tenant else "")
    event_grid.topic().publish(
        [
            Event(
                id=report.id,
                type=f"Closekeeper.BackupVerification.Dump{report.outcome.capitalize()}",
                subject=f"{whose}/dumps/{report.dump}",
                time=report.concluded_at,
                data={"report": report.model_dump(mode="json"), "evidence": evidence.model_dump()},
            )
        ]
    )
    if passed and report.level is Level.RESTORED:
        register.keep_proof(state(), report)
    return shown(register.keep_evidence(state(), report.id, evidence))


def _record_held(plan: DumpPlan, reason: str) -> dict[str, Any]:
    """Record that nothing was begun. It is due again when what holds it is over: nothing is registered."""
    from shared.evidence.record import Kind, Record

    write_record(
        Record(
            automation=AUTOMATION,
            kind=Kind.REFUSED,
            subject=plan.id,
            time=plan.requested_at,
            environment=plan.environment,
            tenant=plan.tenant or None,
            estate_version=plan.estate_version,
            app_version=VERSION,
            body={"plan": plan.model_dump(mode="json"), "reason": reason},
        )
    )
    return {"id": plan.id, "outcome": "refused", "reason": reason}


def _decode_by_program(plan: DumpPlan, content: Content) -> Content:
    try:
        run = dump_tools.pg_restore(_step_seconds()).decode(custom_stream(_open(plan), _key(plan)))
    except dump_tools.RestoreToolMissingError as error:
        return content.model_copy(update={"failures": (*content.failures, f"{content.compression}: {error}")})
    except dump_tools.RestoreTimeoutError as error:
        return content.model_copy(update={"damage": Damage.TOO_SLOW, "failures": (*content.failures, str(error))})
    except DamagedDumpError as damaged:
        return content.model_copy(update={"damage": damaged.damage, "failures": (*content.failures, str(damaged))})
    if run.errors:
        return content.model_copy(
            update={"damage": Damage.CORRUPT_DATA, "failures": (*content.failures, run.complaints[0])}
        )
    return content.model_copy(update={"level": Level.DECODED})


def _no_restore(plan: DumpPlan) -> str:
    """Why the dump must not or cannot be restored now, empty when it can."""
    if not plan.scratch_id:
        return "there is no server to restore it on: declare dumps.scratch"
    if plan.scratch_id.lower() in declared_servers(estate_in_force.get()):
        return "the scratch server has books on it: declare another one in dumps.scratch"
    if dry_run(plan.environment):
        return "a dry run creates no scratch database"
    return held(plan.environment, datetime.now(UTC))  # what holds it may have come since it began


def _scratch_host(plan: DumpPlan) -> str:
    server = postgres_servers.get(plan.scratch_id)
    if server is None or server.state != "Ready":
        raise sql.DatabaseUnavailableError(f"{plan.scratch_id}: {server.state if server else 'not there'}")
    return server.host


def _open(plan: DumpPlan) -> OpenedDump:
    """The dump as it was when the verification was planned; the reading of it ends when a step takes too long."""
    facts = Dump(plan.dump, plan.signature, plan.size, plan.last_modified, plan.manifest)
    return OpenedDump(_Timed(blob_reading.readable(plan.container_url), _step_seconds()), facts)


def _key(plan: DumpPlan) -> str:
    if not plan.key:
        return ""
    from shared.estate.secret_references import parse_secret_reference

    place = parse_secret_reference(plan.key)
    try:
        return vaults.secret(place.vault, place.name)
    except (vaults.VaultError, settings.MissingSettingError) as error:
        _LOG.warning("the key of the dumps cannot be read: %s", error)
        return ""


def _step_seconds() -> float:
    return float(settings.optional("DUMP_STEP_SECONDS", "540"))


class _Timed:
    """A container whose streams end when the step has taken too long, before the platform ends it without a word."""

    def __init__(self, container: blob_reading.ReadableContainer, seconds: float) -> None:
        self._container, self._seconds = container, seconds
        self._end = time.monotonic() + seconds

    def properties(self, name: str) -> BlobProperties | None:
        return self._container.properties(name)

    def list(self, prefix: str = "") -> Iterator[BlobFacts]:
        return self._container.list(prefix)

    def stream(self, name: str, etag: str = "", start: int = 0, length: int | None = None) -> Iterator[bytes]:
        for chunk in self._container.stream(name, etag, start, length):
            if time.monotonic() > self._end:
                raise DamagedDumpError(
                    Damage.TOO_SLOW,
                    f"{name} could not be read within {self._seconds:.0f} s: allow the step more by functionTimeout "
                    "and DUMP_STEP_SECONDS",
                )
            yield chunk
