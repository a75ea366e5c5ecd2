"""The hourly look at every backup: what is there, what is wrong with it, and the word on both.

One subject that cannot be looked at (no right, no answer) is a finding of its own and hides no other.
"""

import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from functions import estate_in_force
from functions.change_execution import services
from functions.records import write_record
from shared.backup_verification import nightly
from shared.backup_verification.findings import Severity
from shared.backup_verification.inventory import standing as standings
from shared.backup_verification.inventory.dumps import DumpSeen, judge_dumps, show_dumps
from shared.backup_verification.inventory.finding import BackupFinding, Shown
from shared.backup_verification.inventory.promises import account_promises, dump_places, server_promises
from shared.backup_verification.inventory.servers import (
    LiveAnswers,
    ServerBackups,
    ServerPromise,
    judge_server,
    late_spans,
    show_server,
)
from shared.backup_verification.inventory.standing import News, Standing, Telling, advance
from shared.backup_verification.inventory.storage import (
    AccountPromise,
    AccountProtection,
    judge_account,
    show_account,
)
from shared.backup_verification.inventory.writes import Answer as LiveAnswer
from shared.backup_verification.inventory.writes import ask, together
from shared.blob_container import BlobChangedError, BlobContainer
from shared.changes import governance, overrides
from shared.events import Event
from shared.platforms import blobs, event_grid, postgres_backups, settings, sql, storage_accounts
from shared.version import VERSION

if TYPE_CHECKING:
    from shared.estate.estate import Estate
    from shared.estate.policies.backup_verification import BackupInventory

_LOG = logging.getLogger("closekeeper.backup_inventory")
_AUTOMATION = "backup_verification"
_AT_ONCE = 8
_STATEMENT_TIMEOUT_SECONDS = 60
_NIGHTS_MAY_BE_LATE = timedelta(days=2)
_DUMPS_ARE_WRITTEN_WITHIN = timedelta(hours=1)

type Look = tuple[list[Shown], list[BackupFinding]]


def look_at_every_environment() -> None:
    """Look at every environment's backups and tell what is new. What a lost or dying tick left is told by the next.

    Where evidence or the topic does not take the word on one environment, the others are looked at all the same, and
    an ExceptionGroup is raised at the end.
    """
    from azure.core.exceptions import AzureError

    estate = estate_in_force.get()
    if estate.backup_verification is None:
        return
    untold: list[Exception] = []
    for environment in estate.environments:
        try:
            look(estate, environment, estate.backup_verification.inventory, datetime.now(UTC))
        except AzureError as error:
            untold.append(error)
    if untold:
        raise ExceptionGroup("the word on some backups could not be given", untold)


def look(estate: "Estate", environment: str, policy: "BackupInventory", now: datetime) -> None:
    """One look at one environment. Two at the same time are one: the state's ETag lets one of them tell."""
    state = _state()
    before, etag = standings.read_standing(state, environment)
    shown, findings = _look_at_all(estate, environment, policy, now)
    after = advance(before, shown, findings, now)
    try:
        etag = standings.keep_standing(state, after, etag)
        _tell(estate, after)
        standings.keep_standing(state, after.model_copy(update={"to_tell": ()}), etag)
    except BlobChangedError:
        _LOG.info("another look at the backups of %s was faster and tells", environment)


# --- looking ---------------------------------------------------------------------------------------------------------


def _look_at_all(estate: "Estate", environment: str, policy: "BackupInventory", now: datetime) -> Look:
    looks: list[tuple[str, Callable[[], Look]]] = [
        *(
            (f"servers/{promise.name}", lambda promise=promise: _look_at_server(estate, environment, promise, now))
            for promise in server_promises(estate, environment, policy)
        ),
        *(
            (f"storage/{promise.name}", lambda promise=promise: _look_at_account(estate, environment, promise, now))
            for promise in account_promises(estate, environment, policy)
        ),
        *(
            (
                f"storage/{account}/{container}",
                lambda place=(account, container): _look_at_dumps(estate, environment, place, policy, now),
            )
            for account, container in dump_places(estate, environment)
        ),
    ]
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        done = list(threads.map(_guarded, looks))
    return [one for shown, _ in done for one in shown], [one for _, found in done for one in found]


def _guarded(subject_and_look: tuple[str, Callable[[], Look]]) -> Look:
    """The look, or the finding that it could not be taken."""
    from azure.core.exceptions import AzureError

    subject, look_at = subject_and_look
    try:
        return look_at()
    except AzureError as error:
        why = str(error).strip().partition("\n")[0]
        _LOG.warning("%s could not be looked at: %s", subject, why)
        code = getattr(getattr(error, "error", None), "code", None) or type(error).__name__
        finding = BackupFinding(
            subject=subject,
            check="can be looked at",
            severity=Severity.ERROR,
            message=f"could not be looked at: {code}",
            explanation=why,
        )
        return [Shown(subject=subject, state="unknown")], [finding]


def _look_at_server(estate: "Estate", environment: str, promise: ServerPromise, now: datetime) -> Look:
    import psycopg

    declared = estate.environments[environment].postgres[promise.name]
    facts = postgres_backups.get(str(declared.id), long_term=promise.long_term is not None)
    seen = facts and ServerBackups(
        state=facts.state,
        created=facts.created,
        retention=facts.retention,
        geo_redundant=facts.geo_redundant,
        earliest_restore=facts.earliest_restore,
        full=facts.full,
        long_term=facts.long_term,
    )
    live = LiveAnswers()
    if facts is not None and seen is not None and facts.state == "Ready":
        spans = late_spans(seen, promise, now)
        answers: list[LiveAnswer] = []
        unreadable: dict[str, str] = {}
        for database in declared.databases:
            try:
                with sql.read_only(
                    declared.host or facts.host, database, statement_timeout_seconds=_STATEMENT_TIMEOUT_SECONDS
                ) as live_database:
                    answers.append(ask(live_database, spans, now))
            except (sql.DatabaseUnavailableError, psycopg.Error) as error:
                unreadable[database] = str(error).strip().partition("\n")[0]
        late = now - _NIGHTS_MAY_BE_LATE
        unanchored = tuple(
            database
            for database in declared.databases
            if not nightly.is_anchored_since(_state(), environment, promise.name, database, late)
        )
        live = replace(together(answers, unreadable), unanchored=unanchored)
    return [show_server(promise.name, seen)], judge_server(promise, seen, live, now)


def _look_at_account(estate: "Estate", environment: str, promise: AccountPromise, now: datetime) -> Look:
    facts = storage_accounts.get(str(estate.environments[environment].storage[promise.name].id))
    seen = facts and AccountProtection(
        secondary=facts.secondary,
        sync_status=facts.sync_status,
        last_sync=facts.last_sync,
        soft_delete=facts.soft_delete,
        versioning=facts.versioning,
        containers=facts.containers,
    )
    return [show_account(promise.name, seen)], judge_account(promise, seen, now)


def _look_at_dumps(
    estate: "Estate", environment: str, place: tuple[str, str], policy: "BackupInventory", now: datetime
) -> Look:
    from shared.backup_verification.dumps.names import dumps_in, owner_of

    account, container = place
    tenants = dump_places(estate, environment)[place]
    listing = blobs.container(f"{estate.environments[environment].storage[account].blob_address}/{container}").list()
    of_tenant: dict[str, list[DumpSeen]] = {tenant: [] for tenant in tenants.values()}
    for dump in dumps_in(listing):
        if database := owner_of(dump.name, tenants):
            of_tenant[tenants[database]].append(DumpSeen(dump.name, dump.size, dump.last_modified))
    shown = [show_dumps(tenant, dumps) for tenant, dumps in of_tenant.items()]
    found = [
        finding
        for tenant, dumps in of_tenant.items()
        for finding in judge_dumps(
            tenant,
            dumps,
            size_change=policy.dump_size_change.of_one,
            writing_since=now - _DUMPS_ARE_WRITTEN_WITHIN,
            now=now,
        )
    ]
    return shown, found


# --- telling ---------------------------------------------------------------------------------------------------------


def _tell(estate: "Estate", standing: Standing) -> None:
    """Record and tell what has to be told; ids follow from the look's time, so that twice is once."""
    for telling in standing.to_tell:
        _record(estate, standing, telling)
    muted = overrides.mutes(tuple(governance.list_overrides(services())), standing.environment, datetime.now(UTC))
    if standing.to_tell and not muted:
        event_grid.topic().publish([_event(standing, telling) for telling in standing.to_tell])


def _record(estate: "Estate", standing: Standing, telling: Telling) -> None:
    from shared.evidence.record import Kind, Record

    record = Record(
        automation=_AUTOMATION,
        kind=Kind.ALL_CLEAR if telling.news is News.ALL_CLEAR else Kind.FINDING,
        subject=_subject(standing, telling),
        time=telling.at,
        environment=standing.environment,
        estate_version=estate.version,
        app_version=VERSION,
        body=_data(telling),
    )
    write_record(record)


def _event(standing: Standing, telling: Telling) -> Event:
    clear = telling.news is News.ALL_CLEAR
    place = f"environments/{standing.environment}"
    return Event(
        id=f"backups:{_subject(standing, telling)}:{telling.news}:{telling.at.isoformat()}",
        type=f"Closekeeper.BackupVerification.{'BackupsAllClear' if clear else 'BackupFinding'}",
        subject=f"{place}/{telling.finding.subject}" if telling.finding else place,
        time=telling.at,
        data=_data(telling),
    )


def _subject(standing: Standing, telling: Telling) -> str:
    return f"{standing.environment}/{telling.finding.key}" if telling.finding else f"{standing.environment}/backups"


def _data(telling: Telling) -> dict[str, object]:
    if telling.finding is None:
        return {"shown": [one.model_dump(mode="json") for one in telling.shown]}
    since = telling.since.isoformat() if telling.since else None
    return {"news": str(telling.news), "since": since, **telling.finding.model_dump(mode="json")}


# --- showing ---------------------------------------------------------------------------------------------------------


def newest_standings() -> list[Standing]:
    """What the last looks found, by environment; those that were not looked at yet are left out."""
    state = _state()
    found = (standings.find_standing(state, environment) for environment in estate_in_force.get().environments)
    return [standing for standing in found if standing is not None and standing.looked_at is not None]


def described(standing: Standing, now: datetime) -> dict[str, Any]:
    """What the API answers about one environment; the worst findings first."""
    return {
        "environment": standing.environment,
        "looked_at": standing.looked_at and standing.looked_at.isoformat(),
        "backups": [
            {
                **one.model_dump(mode="json"),
                "age_seconds": round((now - one.newest).total_seconds()) if one.newest else None,
            }
            for one in standing.shown
        ],
        "findings": [
            {"since": each.since.isoformat(), **each.finding.model_dump(mode="json")}
            for each in _worst_first(standing.open.values())
        ],
    }


def _worst_first(found: Iterable[standings.Open]) -> list[standings.Open]:
    order = list(Severity)
    return sorted(found, key=lambda each: (-order.index(each.finding.severity), each.finding.key))


def _state() -> BlobContainer:
    return blobs.container(settings.required("STATE_URL", "give the URL of the blob container for the app's state"))
