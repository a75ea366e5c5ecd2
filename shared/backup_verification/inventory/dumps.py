"""A tenant's dumps against their own history: none, an odd size, a rhythm that has stopped."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from shared.backup_verification.findings import Severity
from shared.backup_verification.inventory.finding import BackupFinding, Shown, Told, written

_HISTORY = 30
_ENOUGH_HISTORY = 3


@dataclass(frozen=True, slots=True)
class DumpSeen:
    """One dump: its name, its size in bytes (of all files of a directory), when it was written (aware UTC)."""

    name: str
    size: int
    at: datetime


def show_dumps(tenant: str, dumps: Sequence[DumpSeen]) -> Shown:
    """The line of a tenant's dumps in the overview."""
    times = [dump.at for dump in dumps]
    return Shown(
        subject=_subject(tenant),
        state=f"{len(dumps)} dumps",
        newest=max(times, default=None),
        reaches_back_to=min(times, default=None),
    )


def judge_dumps(
    tenant: str, dumps: Sequence[DumpSeen], *, size_change: float, writing_since: datetime, now: datetime
) -> list[BackupFinding]:
    """The findings about one tenant's dumps.

    `size_change` is how far the newest may be from the median of those before it, as a share (0.5 is half). The dumps'
    own rhythm is the promise: the next is overdue after twice the median time between them. `writing_since` leaves
    dumps alone that may still be on their way: written after it, they are judged an hour later.
    """
    told = Told(_subject(tenant))
    ordered = sorted(dumps, key=lambda dump: (dump.at, dump.name))
    if not ordered:
        told.add("dumps are there", Severity.ERROR, "there is no dump, although a container is declared")
        return told.findings
    *history, newest = [dump for dump in ordered if dump.at <= writing_since][-_HISTORY - 1 :] or ordered[-1:]
    if len(history) >= _ENOUGH_HISTORY:
        usual = median(dump.size for dump in history)
        if abs(newest.size - usual) > size_change * usual:
            told.add(
                "dump size",
                Severity.WARNING,
                f"{newest.name} has {newest.size} bytes; the {len(history)} before it have {usual:.0f} in the median",
            )
    times = [dump.at for dump in ordered][-_HISTORY - 1 :]
    rests = [(later - before).total_seconds() for before, later in pairwise(times)]
    if len(rests) >= _ENOUGH_HISTORY and now - times[-1] > timedelta(seconds=2 * median(rests), hours=1):
        told.add(
            "dump rhythm",
            Severity.ERROR,
            f"no dump came after {written(times[-1])}, although one came every "
            f"{timedelta(seconds=round(median(rests)))} before",
        )
    return told.findings


def _subject(tenant: str) -> str:
    return f"tenants/{tenant}/dumps"
