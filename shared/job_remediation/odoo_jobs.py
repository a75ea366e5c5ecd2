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
MOST_RECORDS = 100
"""The most records of one job that a probe is asked about; of more, nobody knows whether it was applied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueJob:
    """One row of queue_job. `records`: the records that it is about.

    date_started: since when it is enqueued, for one that is enqueued only. twin: whether another job with its identity
    key is alive, or was made after this one began. worker: whether a worker may have it, for one that is started.
    """

    id: int
    uuid: str
    model: str
    method: str
    state: str
    exception: str
    message: str
    records: tuple[int, ...]
    date_started: datetime | None
    twin: bool
    worker: bool = False

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

    at_work: whether it runs at this moment. failed_off: whether Odoo itself deactivated it after failures: it was
    active when we last looked, the last who wrote it was Odoo's own user, and it ships active.
    """

    id: int
    name: str
    model: str
    method: str
    active: bool
    nextcall: datetime
    lastcall: datetime | None
    at_work: bool
    failed_off: bool

    @property
    def job(self) -> str:
        """MODEL.METHOD, as the estate declares jobs; the name where the action is no plain call."""
        return f"{self.model}.{self.method}" if self.method else self.name


def records_of(value: object) -> tuple[int, ...]:
    """The ids in `queue_job.records`, which is JSON, or text that holds JSON; none where one of them is no id."""
    document: Any = value
    if isinstance(value, str):
        try:
            document = json.loads(value)
        except ValueError:
            return ()
    ids: Any = cast("dict[str, Any]", document).get("ids") if isinstance(document, dict) else document
    found = tuple(cast("list[Any]", ids)) if isinstance(ids, list) else ()
    return found if all(isinstance(one, int) for one in found) else ()


def attempt_of(date_started: datetime | None) -> str:
    """What names one attempt of a job, as Odoo's Python writes it: requeueing clears it, and none has another's."""
    return str(date_started.replace(tzinfo=None)) if date_started else ""


def queue_evidence(
    odoo: str,
    database: str,
    failed: Sequence[QueueJob],
    stuck: Sequence[QueueJob],
    guarded: bool,
    applied: Callable[[QueueJob], str],
    *,
    self_healing: bool = False,
) -> Evidence:
    """The facts of `queue-jobs`; as items the failed jobs of the most frequent cause, and those without a worker.

    guarded: whether this Odoo has the guarded requeue. applied: what the probe says of one job; it is asked for the
    items only. self_healing: whether its job runner tells dead jobs by locks.
    """
    zombies = [one for one in stuck if not one.worker]
    facts: dict[str, Value] = {
        "queue.failed": len(failed),
        "queue.stuck": len(zombies),
        "queue.never_began": sum(1 for one in zombies if one.state == "enqueued"),
        "queue.long": len(stuck) - len(zombies),
        "queue.self_healing": self_healing,
    }
    if zombies:
        facts["queue.stuck_since"] = _newest(zombies)
        facts["queue.method"] = zombies[0].job
    alike: list[QueueJob] = []
    if failed:
        # One class of exceptions has many messages: a lost lock and a lost answer can both be an OperationalError.
        causes = Counter((one.job, one.exception, one.cause) for one in failed)
        (job, exception, cause), _ = min(causes.items(), key=lambda item: (-item[1], item[0]))
        alike = sorted(
            (one for one in failed if (one.job, one.exception, one.cause) == (job, exception, cause)),
            key=lambda one: one.id,
        )
        facts |= {
            "queue.newest": _newest(failed),
            "queue.cause": cause,
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
            "state": one.state,
            "failed": one.state == "failed" and not one.twin,
            "stuck": one.state != "failed",
            "applied": applied(one),
            "records": ",".join(str(record) for record in one.records) if len(one.records) <= MOST_RECORDS else "",
            "attempt": attempt_of(None if one.state == "enqueued" else one.date_started),
            "guarded": guarded,
        }
        for one in [*alike[:MOST_ITEMS], *zombies[:MOST_ITEMS]]
    ]
    return Evidence(facts, tuple(items))


def _newest(jobs: Sequence[QueueJob]) -> str:
    times = [one.date_started for one in jobs if one.date_started is not None]
    return max(times).isoformat() if times else ""


def cron_evidence(
    odoo: str, database: str, crons: Sequence[Cron], neutralised: bool, overdue_after: timedelta, now: datetime
) -> Evidence:
    """The facts of `crons`, and the overdue and deactivated ones as items, the latest first."""
    # Odoo tells when a cron ran only at its end: one that is at work for long looks overdue, and is not.
    late = [one for one in crons if one.active and not one.at_work and now - one.nextcall > overdue_after]
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
        facts["crons.id"] = bad[0].id
        facts["crons.since"] = bad[-1].nextcall.isoformat()
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
