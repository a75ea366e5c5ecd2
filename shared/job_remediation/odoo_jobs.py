"""What failed and stuck queue jobs and stopped crons of Odoo show. Pure.

Sources: OCA queue_job 16.0 to 18.0 (`queue_job/job.py`, `models/queue_job.py`); Odoo 16 to 19 (`ir_cron.py`).
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from shared.job_remediation.causes import Cause, cause_of_text
from shared.job_remediation.evidence import MOST_ITEMS, Evidence, Item, Value

_LONGEST = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueJob:
    """One row of queue_job. `record`: the first record that it is about; None when it is about none.

    twin: whether another job with its identity key is pending, enqueued or started. locked: whether a worker holds its
    row of queue_job_lock; None where that table does not exist.
    """

    id: int
    uuid: str
    model: str
    method: str
    state: str
    exception: str
    message: str
    record: int | None
    date_started: datetime | None
    twin: bool
    locked: bool | None

    @property
    def job(self) -> str:
        """MODEL.METHOD, as the estate declares jobs."""
        return f"{self.model}.{self.method}"

    @property
    def cause(self) -> Cause:
        """The kind of error that it failed by."""
        return cause_of_text(f"{self.exception}: {self.message}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """One row of ir_cron with its server action. Times are aware UTC.

    failed_off: whether Odoo itself deactivated it after failures: it was active when we last looked, the last who
    wrote it was Odoo's own user, and it ships active.
    """

    id: int
    name: str
    model: str
    method: str
    active: bool
    nextcall: datetime
    lastcall: datetime | None
    failed_off: bool

    @property
    def job(self) -> str:
        """MODEL.METHOD, as the estate declares jobs; the name where the action is no plain call."""
        return f"{self.model}.{self.method}" if self.method else self.name


def records_of(value: object) -> int | None:
    """The first record's id in `queue_job.records`, which is JSON, or text that holds JSON."""
    document: Any = value
    if isinstance(value, str):
        try:
            document = json.loads(value)
        except ValueError:
            return None
    ids: Any = cast("dict[str, Any]", document).get("ids") if isinstance(document, dict) else document
    first: Any = cast("list[Any]", ids)[0] if isinstance(ids, list) and ids else None
    return first if isinstance(first, int) else None


def queue_evidence(
    odoo: str, database: str, failed: Sequence[QueueJob], stuck: int, applied: Callable[[QueueJob], str]
) -> Evidence:
    """The facts of `queue-jobs`, and the failed jobs of the most frequent cause as items.

    applied: what the probe says of one job, as `Applied`; it is asked for the items only.
    """
    facts: dict[str, Value] = {"queue.failed": len(failed), "queue.stuck": stuck}
    if not failed:
        return Evidence(facts)
    causes = Counter((one.job, one.exception) for one in failed)
    (job, exception), _ = min(causes.items(), key=lambda item: (-item[1], item[0]))
    alike = sorted((one for one in failed if (one.job, one.exception) == (job, exception)), key=lambda one: one.id)
    facts |= {
        "queue.cause": alike[0].cause,
        "queue.method": job,
        "queue.message": f"{exception}: {alike[0].message}"[:_LONGEST],
    }
    items: list[Item] = [
        {
            "kind": "queue-job",
            "id": str(one.id),
            "odoo": odoo,
            "database": database,
            "job": one.job,
            "failed": not one.twin,
            "applied": applied(one),
            "mark": one.date_started.strftime("%Y-%m-%d %H:%M:%S") if one.date_started else "",
            **({"record": one.record} if one.record is not None else {}),
        }
        for one in alike[:MOST_ITEMS]
    ]
    return Evidence(facts, tuple(items))


def cron_evidence(
    odoo: str, database: str, crons: Sequence[Cron], neutralised: bool, overdue_after: timedelta, now: datetime
) -> Evidence:
    """The facts of `crons`, and the overdue and deactivated ones as items, the latest first."""
    late = [one for one in crons if one.active and now - one.nextcall > overdue_after]
    off = [one for one in crons if not one.active and one.failed_off]
    facts: dict[str, Value] = {
        "crons.overdue": len(late),
        "crons.deactivated": len(off),
        "crons.neutralised": neutralised,
        "crons.cause": Cause.UNKNOWN,
    }
    bad = sorted(off or late, key=lambda one: (one.nextcall, one.id))
    if bad:
        facts["crons.method"] = bad[0].job
    items: list[Item] = [
        {
            "kind": "cron",
            "id": str(one.id),
            "odoo": odoo,
            "database": database,
            "job": one.job,
            "overdue": one in late,
            "deactivated": one in off,
            # Odoo's API tells whole seconds; what is compared with it must, too.
            "lastcall": one.lastcall.replace(microsecond=0).isoformat() if one.lastcall else "",
            "weight": (now - one.nextcall).total_seconds(),
            "applied": "unknown",
        }
        for one in bad[:MOST_ITEMS]
    ]
    return Evidence(facts, tuple(items))
