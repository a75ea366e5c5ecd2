"""A server's own backups against what the estate promises of it.

Azure makes no snapshot while nothing is written. So an old backup is a fault only where something was written that no
backup took up in time: that is asked of the live databases, and only when a backup is late.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.backup_verification.findings import Severity
from shared.backup_verification.inventory.finding import BackupFinding, Shown, Told, in_days, written

_SLACK = timedelta(hours=26)  # snapshots are daily, in a window of the service's choice
_RAREST_VAULT_BACKUP = timedelta(days=32)
_NIGHTS_MAY_BE_LATE = timedelta(days=2)
_BROKEN = {"Disabled", "Dropping", "Inaccessible"}
_SHORTEST_RPO = timedelta(minutes=5)  # what the service documents for its continuous backup


@dataclass(frozen=True, slots=True)
class ServerPromise:
    """What the estate declares of a server, and its tier's RPO. `late_after` is the policy's writes_without_backup."""

    name: str
    window: timedelta
    geo_redundant: bool
    long_term: timedelta | None
    rpo: timedelta
    late_after: timedelta


@dataclass(frozen=True, slots=True)
class ServerBackups:
    """What Azure says of one server now (times aware UTC)."""

    state: str
    created: datetime | None
    retention: timedelta | None
    geo_redundant: bool
    earliest_restore: datetime | None
    full: tuple[datetime, ...]
    long_term: tuple[datetime, ...] = ()


@dataclass(frozen=True, slots=True)
class Span:
    """From a backup on, what was written until `until` was not taken up in time; `ended` when a later backup came."""

    after: datetime
    until: datetime
    ended: bool


@dataclass(frozen=True, slots=True)
class Unsaved:
    """A write in such a span: there should have been a backup of it by now, or before the next one came."""

    span: Span
    write: datetime


@dataclass(frozen=True, slots=True)
class Archiving:
    """How the server's log leaves it: last success, last failure; `waiting` is the oldest business write since."""

    last: datetime | None = None
    failed: datetime | None = None
    waiting: datetime | None = None


@dataclass(frozen=True, slots=True)
class LiveAnswers:
    """What the server's databases say. `unreadable` says of databases why they could not be asked; `unanchored` are
    those that no night has been taken of for two days."""

    unsaved: tuple[Unsaved, ...] = ()
    archiving: Archiving = Archiving()
    unreadable: Mapping[str, str] = field(default_factory=dict[str, str])
    unanchored: tuple[str, ...] = ()


def late_spans(backups: ServerBackups, promise: ServerPromise, now: datetime) -> list[Span]:
    """The spans within the window in which a write would have been left without a backup for too long."""
    start = now - promise.window
    times = [at for at in sorted(backups.full) if at <= now]
    spans: list[Span] = []
    for at, following in zip(times, [*times[1:], None], strict=True):
        until = (following or now) - promise.late_after
        if until > max(at, start):
            spans.append(Span(at, until, following is not None))
    return spans


def rpo_allowed(promise: ServerPromise) -> timedelta:
    """How old a write may be that has not left the server yet."""
    return max(promise.rpo, _SHORTEST_RPO) + timedelta(minutes=1)


def show_server(name: str, backups: ServerBackups | None) -> Shown:
    """The server's line in the overview."""
    subject = f"servers/{name}"
    if backups is None:
        return Shown(subject=subject, state="absent")
    newest = max(backups.full, default=None)
    return Shown(subject=subject, state=backups.state, newest=newest, reaches_back_to=backups.earliest_restore)


def judge_server(
    promise: ServerPromise, backups: ServerBackups | None, live: LiveAnswers, now: datetime
) -> list[BackupFinding]:
    """The findings about one server; None for `backups` is a server that is not there."""
    told = Told(f"servers/{promise.name}")
    if backups is None:
        told.add("server is there", Severity.CRITICAL, "the declared server does not exist in Azure")
        return told.findings
    if backups.state in _BROKEN:
        told.add("server is there", Severity.CRITICAL, f"the server is {backups.state}")
    _judge_backups(told, promise, backups, live.unsaved, now)
    _judge_settings(told, promise, backups, now)
    _judge_archiving(told, promise, live.archiving, now)
    settled = backups.created is None or now - backups.created > _NIGHTS_MAY_BE_LATE
    if live.unanchored and settled:
        told.add(
            "nightly anchors",
            Severity.WARNING,
            f"not looked at for two nights: {', '.join(live.unanchored)}",
            "A drill is held against the newest anchor before its target; without one a lost tail cannot be seen.",
        )
    for database, why in live.unreadable.items():
        told.add(
            f"database {database} answers",
            Severity.ERROR,
            f"{database} could not be asked: {why}",
            "What cannot be read cannot be judged: an old backup may be a lost one, or that of an idle server.",
        )
    return told.findings


def _judge_backups(
    told: Told, promise: ServerPromise, backups: ServerBackups, unsaved: Sequence[Unsaved], now: datetime
) -> None:
    young = backups.created is not None and now - backups.created < promise.late_after
    if not backups.full and not young:
        told.add("newest backup", Severity.CRITICAL, "there is no completed backup")
    for each in unsaved:
        if not each.span.ended:
            told.add(
                "newest backup",
                Severity.CRITICAL,
                f"the newest backup was completed at {written(each.span.after)}, and what was written since has waited "
                f"for one for more than {in_days(promise.late_after.total_seconds())}",
                f"The oldest such write was seen at {written(each.write)}. Azure backs a server up daily while it is "
                "written to, and not while it is idle.",
            )
    if gaps := [each for each in unsaved if each.span.ended]:
        spans = ", ".join(f"after {written(each.span.after)}" for each in gaps)
        told.add(
            "no gap between backups",
            Severity.WARNING,
            f"backups are missing, although there were writes: {spans}",
            "A restore into a gap must replay all of the log since the backup before it, and takes longer.",
        )


def _judge_settings(told: Told, promise: ServerPromise, backups: ServerBackups, now: datetime) -> None:
    if backups.retention is not None and backups.retention < promise.window:
        told.add(
            "point-in-time window",
            Severity.ERROR,
            f"the server keeps {backups.retention.days} days of backups, {promise.window.days} are declared",
            "Raise the backup retention of the server; it can be changed at any time, 7 to 35 days.",
        )
    kept = min(backups.retention or promise.window, promise.window)
    if backups.created is not None and backups.earliest_restore is not None:
        should_reach = max(now - kept, backups.created)
        if backups.earliest_restore > should_reach + _SLACK:
            told.add(
                "earliest restore point",
                Severity.ERROR,
                f"a restore reaches back to {written(backups.earliest_restore)} only, although the server exists since "
                f"{written(backups.created)} and keeps {kept.days} days",
                "Part of the history is gone: the window has a gap at its beginning.",
            )
    elif backups.earliest_restore is None and backups.full:
        told.add("earliest restore point", Severity.ERROR, "Azure names no instant that can be restored")
    if promise.geo_redundant and not backups.geo_redundant:
        told.add(
            "geo-redundancy",
            Severity.ERROR,
            "backups are not copied into the paired region, as is declared",
            "Azure allows it when a server is created only: plan a move to a new server.",
        )
    if promise.long_term is not None:
        newest = max(backups.long_term, default=None)
        if newest is None or now - newest > _RAREST_VAULT_BACKUP:
            since = f"the newest vault backup is of {written(newest)}" if newest else "there is no vault backup"
            told.add(
                "long-term backups",
                Severity.ERROR,
                f"{since}, although backups are to be kept for {promise.long_term.days} days",
                "Azure Backup's policy makes them weekly or monthly. How long the vault keeps them is not seen here.",
            )


def _judge_archiving(told: Told, promise: ServerPromise, archiving: Archiving, now: datetime) -> None:
    allowed = rpo_allowed(promise)
    if archiving.last and archiving.failed and archiving.failed > archiving.last:
        told.add(
            "log leaves the server",
            Severity.CRITICAL,
            f"archiving the log fails; the last success was at {written(archiving.last)}",
            "What is in no archive is lost with the server.",
        )
    elif archiving.last and archiving.waiting and now - archiving.waiting > allowed:
        told.add(
            "log leaves the server",
            Severity.CRITICAL,
            f"nothing was archived since {written(archiving.last)}, although there are writes: the RPO of "
            f"{in_days(promise.rpo.total_seconds())} is not kept",
            f"The oldest write that waits is of {written(archiving.waiting)}. "
            "Continuous backup is what keeps an RPO of minutes; snapshots are daily.",
        )
