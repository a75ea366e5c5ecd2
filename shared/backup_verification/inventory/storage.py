"""A storage account's own protection against what the estate declares of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.backup_verification.findings import Severity
from shared.backup_verification.inventory.finding import BackupFinding, Shown, Told, in_days, written

_ENOUGH = {
    "none": {"none", "replicated", "readable"},
    "replicated": {"replicated", "readable"},
    "readable": {"readable"},
}


@dataclass(frozen=True, slots=True)
class AccountPromise:
    """What the estate declares of one account.

    `windows` are the point-in-time windows, by server, of the databases whose documents it holds.
    """

    name: str
    containers: tuple[str, ...]
    secondary: str
    soft_delete: timedelta | None
    versioning: bool
    secondary_behind: timedelta
    windows: Mapping[str, timedelta]


@dataclass(frozen=True, slots=True)
class AccountProtection:
    """What Azure says of one account now. Retentions are None while they are off; see the adapter for the rest."""

    secondary: str
    sync_status: str
    last_sync: datetime | None
    soft_delete: timedelta | None
    versioning: bool
    containers: frozenset[str]


def show_account(name: str, seen: AccountProtection | None) -> Shown:
    """The account's line in the overview."""
    subject = f"storage/{name}"
    if seen is None:
        return Shown(subject=subject, state="absent")
    return Shown(subject=subject, state=seen.sync_status or seen.secondary, newest=seen.last_sync)


def judge_account(promise: AccountPromise, seen: AccountProtection | None, now: datetime) -> list[BackupFinding]:
    """The findings about one account; None for `seen` is an account that is not there."""
    told = Told(f"storage/{promise.name}")
    if seen is None:
        told.add("account is there", Severity.CRITICAL, "the declared storage account does not exist in Azure")
        return told.findings
    if missing := sorted(set(promise.containers) - seen.containers):
        told.add("containers are there", Severity.CRITICAL, f"declared containers do not exist: {', '.join(missing)}")
    kept = f"deleted blobs are kept for {seen.soft_delete.days} days" if seen.soft_delete else "soft delete is off"
    if promise.soft_delete is not None and (seen.soft_delete or timedelta()) < promise.soft_delete:
        told.add("soft delete", Severity.ERROR, f"{kept}, {promise.soft_delete.days} are declared")
    if promise.versioning and not seen.versioning:
        told.add("versioning", Severity.ERROR, "versioning is off, although it is declared")
    server, window = max(promise.windows.items(), key=lambda item: item[1], default=("", timedelta()))
    if not seen.versioning and (seen.soft_delete or timedelta()) < window:
        told.add(
            "documents outlive the window",
            Severity.ERROR,
            f"{kept} and versioning is off, but {server} can be restored {window.days} days back",
            "A restored database needs the files that Odoo has collected since: keep what is deleted at least as long "
            "as the point-in-time window, by soft delete or by versions.",
        )
    _judge_secondary(told, promise, seen, now)
    return told.findings


def _judge_secondary(told: Told, promise: AccountPromise, seen: AccountProtection, now: datetime) -> None:
    if seen.secondary not in _ENOUGH[promise.secondary]:
        told.add(
            "secondary region",
            Severity.ERROR,
            f"the copy in the paired region is {seen.secondary}, {promise.secondary} is declared",
        )
    elif promise.secondary == "none":
        return
    elif seen.sync_status not in {"", "Live"}:
        told.add("replication", Severity.ERROR, f"the secondary region's state is {seen.sync_status}")
    elif seen.last_sync is None:
        told.add("replication", Severity.WARNING, "Azure does not say up to when the secondary region has everything")
    elif now - seen.last_sync > promise.secondary_behind:
        told.add(
            "replication",
            Severity.ERROR,
            f"the secondary region is more than {in_days(promise.secondary_behind.total_seconds())} behind",
            f"Everything before {written(seen.last_sync)} was there; what was written since is lost with the region.",
        )
