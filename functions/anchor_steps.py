"""Anchors: the nightly look at every live database, and what a copy is held against.

Level-triggered: a night that has not been looked at is looked at by the next tick, until the next night begins.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from functions import estate_in_force
from functions.change_execution import services
from functions.records import write_record
from shared.backup_verification import nightly
from shared.backup_verification.acceptance import MILD, known_after, news, with_declared
from shared.backup_verification.anchors import newest_write, take_anchor
from shared.backup_verification.assertions import Returned, declared_for, judge, run
from shared.backup_verification.books import Books, examine, look_at_live
from shared.backup_verification.database import Database
from shared.backup_verification.findings import Baseline, Finding, Severity
from shared.backup_verification.nightly import Kept, Nightly
from shared.blob_container import BlobContainer, BlobNotFoundError
from shared.changes import governance, overrides
from shared.events import Event
from shared.platforms import blobs, event_grid, postgres_servers, settings, sql
from shared.version import VERSION

if TYPE_CHECKING:
    from shared.estate.estate import Estate
    from shared.estate.policies.backup_verification import BackupVerification
    from shared.evidence.record import Record

_LOG = logging.getLogger("closekeeper.anchors")
_AUTOMATION = "backup_verification"
_AT_ONCE = 4
_BEGIN_NO_MORE_AFTER_SECONDS = 240.0
_STATEMENT_TIMEOUT_SECONDS = 540
_recorded: set[str] = set()


class Live(BaseModel):
    """One live database that is anchored."""

    environment: str
    server: str
    database: str
    tenant: str


# --- the nightly look ------------------------------------------------------------------------------------------------


def look_at_live_databases() -> None:
    """Look at every live database that was not looked at since its night began. What does not fit into this tick, or
    does not answer, is left to the next."""
    estate = estate_in_force.get()
    policy = estate.backup_verification
    if policy is None:
        return
    now, begun = datetime.now(UTC), time.monotonic()

    def look(live: Live) -> None:
        if time.monotonic() - begun < _BEGIN_NO_MORE_AFTER_SECONDS:
            _look(estate, policy, live, now)

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        list(threads.map(look, _live_databases(estate)))


def _live_databases(estate: "Estate") -> Iterator[Live]:
    for environment, place in estate.environments.items():
        for server, declared in place.postgres.items():
            tenants = {
                tenant.database.database: name for name, tenant in estate.tenants_of_server(environment, server).items()
            }
            for database in declared.databases:
                yield Live(environment=environment, server=server, database=database, tenant=tenants.get(database, ""))


def _look(estate: "Estate", policy: "BackupVerification", live: Live, now: datetime) -> None:
    """Take the night's anchor unless it is there, and see that it is on record."""
    import psycopg
    from azure.core.exceptions import AzureError

    state = _state()
    night = nightly.night_of(policy.anchors.at, estate.time_zone_of(live.environment), now)
    place = nightly.folder(live.environment, live.server, live.database)
    if f"{place}{night.isoformat()}" in _recorded:
        return
    try:
        kept = nightly.find(state, live.environment, live.server, live.database, night)
        if kept is None:
            taken = _take(estate, policy, live, night)
            if taken is None:
                return
            kept = nightly.keep(state, taken)
            nightly.forget(state, live.environment, live.server, live.database, now - policy.anchors.keep)
    except (sql.DatabaseUnavailableError, psycopg.Error, AzureError) as error:
        _LOG.warning("no anchor of %s/%s/%s yet: %s", live.environment, live.server, live.database, error)
        return
    _tell(kept)
    _recorded.add(f"{place}{night.isoformat()}")


def _take(estate: "Estate", policy: "BackupVerification", live: Live, night: datetime) -> Nightly | None:
    """Look at the live database in one transaction; None while its server is not running."""
    declared = estate.environments[live.environment].postgres[live.server]
    server = postgres_servers.get(str(declared.id))
    if server is None or server.state != "Ready":
        return None
    former = next(nightly.before(_state(), live.environment, live.server, live.database, datetime.now(UTC)), None)
    with sql.read_only(
        declared.host or server.host, live.database, statement_timeout_seconds=_STATEMENT_TIMEOUT_SECONDS
    ) as database:
        anchor = take_anchor(database)
        looked = look_at_live(database)
        answers = {each.name: run(database, each) for each in declared_for(policy, live.tenant)}
    known = known_after(former and former.nightly.known, looked.faults, MILD)
    today = _today(estate, live.environment, night)
    expected = with_declared(known, policy, live.tenant, today)
    return Nightly(
        **live.model_dump(),
        night=night,
        anchor=anchor,
        known=known,
        new=tuple(news(looked.findings, looked.faults, expected)),
        assertions={name: answer for name, answer in answers.items() if isinstance(answer, Returned)},
        estate_version=estate.version,
        app_version=VERSION,
    )


def _tell(kept: Kept) -> None:
    """Record the anchor, and tell what is new in the live books. From the same anchor, the same record and event."""
    looked = kept.nightly
    record = _record(looked, kept)
    write_record(record)
    muted = overrides.mutes(tuple(governance.list_overrides(services())), looked.environment, datetime.now(UTC))
    if looked.new and not muted:
        event_grid.topic().publish(
            [
                Event(
                    id=f"anchor:{record.id}",
                    type="Closekeeper.BackupVerification.LiveBooksFinding",
                    subject=_subject(looked),
                    time=looked.anchor.taken_at,
                    data={
                        "night": looked.night.isoformat(),
                        "findings": [finding.model_dump(mode="json") for finding in looked.new],
                    },
                )
            ]
        )


def _subject(looked: Nightly) -> str:
    tenant = f"/tenants/{looked.tenant}" if looked.tenant else ""
    return f"environments/{looked.environment}{tenant}/servers/{looked.server}/databases/{looked.database}"


def _record(looked: Nightly, kept: Kept | None) -> "Record":
    """The record of a look; without what was kept, the same record's name and id only."""
    from shared.evidence.record import Kind, Record

    anchor = looked.anchor
    body = {} if kept is None else {
        "anchor": kept.name,
        "sha256": kept.sha256,
        "taken_at": anchor.taken_at,
        "database_uuid": anchor.database_uuid,
        "newest_write": anchor.newest_write,
        "chains": len(anchor.chains),
        "sealed_entries": sum(chain.count for chain in anchor.chains),
        "closed_periods": sum(period.closed for period in anchor.periods),
        "known": {check: len(keys) for check, keys in looked.known.accepted.items()},
        "new": looked.new,
        "assertions": dict(looked.assertions),
    }  # fmt: skip
    return Record(
        automation=_AUTOMATION,
        kind=Kind.ANCHOR,
        subject=f"{looked.environment}/{looked.server}/{looked.database}",
        time=anchor.taken_at,
        environment=looked.environment,
        tenant=looked.tenant or None,
        estate_version=looked.estate_version,
        app_version=looked.app_version,
        body=body,
    )


# --- what a copy is held against -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reference:
    """What a copy is held against: the newest look before its target (None: there is none), and what is accepted of
    it. `findings` are about the look itself."""

    baseline: Baseline
    nightly: Nightly | None
    findings: tuple[Finding, ...] = ()


def reference(
    environment: str, server: str, database: str, tenant: str, target: datetime, today: datetime
) -> Reference:
    """What a copy of that database is held against when it was restored to `target`; what the estate accepts counts by
    the day of `today` in the environment's zone."""
    estate = estate_in_force.get()
    problems: list[Finding] = []
    looked = None
    for kept in nightly.before(_state(), environment, server, database, target):
        if (problem := _not_as_recorded(kept)) is None:
            looked = kept.nightly
            break
        problems.append(problem)
    if looked is None:
        text = f"there is no anchor from before {target.isoformat()}: a lost tail cannot be seen"
        problems.append(Finding(check=_AS_RECORDED, message=text, severity=Severity.NOTE))
    known = looked.known if looked else Baseline()
    if estate.backup_verification is not None:
        known = with_declared(known, estate.backup_verification, tenant, _today(estate, environment, today))
    return Reference(known, looked, tuple(problems))


_AS_RECORDED = "anchor: as recorded"


def _not_as_recorded(kept: Kept) -> Finding | None:
    """What is wrong with an anchor by its record in the evidence; None when it is the one that was recorded."""
    from shared.evidence.record import Record

    try:
        record = Record.parse(_evidence().read(_record(kept.nightly, None).name).data)
    except BlobNotFoundError:
        text = f"the evidence does not know the anchor {kept.name}: it was passed over"
        return Finding(check=_AS_RECORDED, message=text, severity=Severity.WARNING)
    if record.body.get("sha256") == kept.sha256:
        return None
    return Finding(
        check=_AS_RECORDED,
        message=f"the anchor {kept.name} is not the one that was recorded: it was passed over",
        severity=Severity.CRITICAL,
        explanation="The evidence holds its SHA-256 since it was taken: somebody has changed it since.",
    )


def examine_copy(
    copy: Database,
    against: Reference,
    database: str,
    tenant: str,
    target: datetime,
    source_newest: datetime | None,
    *,
    beside: Sequence[Database] = (),
) -> Books:
    """Every check on a copy, the comparison with its anchor, and the estate's own assertions. `beside` are further
    connections to the same copy, over which the questions are spread."""
    looked = against.nightly
    books = examine(
        copy,
        database,
        tenant,
        target,
        source_newest,
        anchor=looked.anchor if looked else None,
        baseline=against.baseline,
        beside=beside,
    )
    policy = estate_in_force.get().backup_verification
    assertions = declared_for(policy, tenant) if policy else []
    judged = judge(
        copy,
        assertions,
        looked.assertions if looked else {},
        looked.anchor.newest_write if looked else None,
        newest_write(copy) if assertions else None,
        against.baseline,
    )
    return books.model_copy(
        update={
            "checks": (*books.checks, _AS_RECORDED, *judged.checks),
            "findings": (*books.findings, *against.findings, *judged.findings),
            "accepted": (*books.accepted, *judged.accepted),
        }
    )


def _today(estate: "Estate", environment: str, now: datetime) -> date:
    return now.astimezone(ZoneInfo(estate.time_zone_of(environment))).date()


def _state() -> BlobContainer:
    return blobs.container(settings.required("STATE_URL", "give the URL of the blob container for the app's state"))


def _evidence() -> BlobContainer:
    return blobs.container(settings.required("EVIDENCE_URL", "give the URL of the blob container for evidence"))
