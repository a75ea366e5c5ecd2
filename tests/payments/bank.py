"""A queue job that makes a payment file, as Odoo, its workers, its people and the bank live with it.

Odoo's own rules, as local/odoo_server.py serves them: `requeue` asks nothing; the guarding server action looks and
requeues in one transaction; a worker ends a job well, by an error before the file was made, or by a lost answer after
the bank took the file. Only what this module calls `files` counts in the end.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from shared.job_remediation.odoo_jobs import QueueJob, attempt_of
from shared.platforms.odoo import OdooUserError

PASSES = ("psycopg2.OperationalError", "could not serialize access due to concurrent update")
LOST = ("psycopg2.OperationalError", "upload to the bank: Read timed out")
LIVE = ("pending", "started")
PAYMENT = 17


class By(StrEnum):
    """Who let an attempt run."""

    ODOO = "odoo"
    MACHINE = "machine"
    PERSON = "person"


class Ending(StrEnum):
    """How an attempt ends."""

    DONE = "done"
    PASSES = "passes"
    """By an error before anything was sent."""
    LOST = "lost"
    """The bank took the file and its answer was lost, so Odoo rolled back what it knew of it."""
    RETRIED = "retried"
    """Odoo's own retry, before anything was sent."""
    DIES = "dies"
    """The worker is gone before anything was sent; Odoo's runner finds the job later."""


@dataclass
class Row:
    """One row of queue_job."""

    id: int
    created: datetime
    state: str = "failed"
    started: datetime | None = None
    error: tuple[str, str] = PASSES
    by: By = By.ODOO
    dead: bool = False


@dataclass
class Bank:
    """The world. files: by whom each was made. told: whether the bank has told Odoo of its file."""

    random: random.Random
    now: datetime
    endings: Sequence[Ending]
    rows: dict[int, Row] = field(default_factory=dict[int, Row])
    files: list[By] = field(default_factory=list[By])
    told: bool = False
    wrong: list[str] = field(default_factory=list[str])
    _ticks: int = 0

    def moment(self) -> datetime:
        """A moment that no other one is equal to."""
        self._ticks += 1
        return self.now + timedelta(microseconds=self._ticks)

    def fail(self, error: tuple[str, str]) -> None:
        """The job has failed: by what passes, or by a lost answer, with the file at the bank."""
        self.rows[1] = Row(1, self.moment(), started=self.moment(), error=error)
        if error == LOST:
            self._send(self.rows[1])

    def failed(self) -> list[QueueJob]:
        """As the diagnosis reads them."""
        return [
            QueueJob(
                id=row.id,
                uuid=str(row.id),
                model="account.payment.order",
                method="generate_payment_file",
                state=row.state,
                exception=row.error[0],
                message=row.error[1],
                records=(PAYMENT,),
                date_started=row.started,
                twin=self.has_twin(row),
            )
            for row in self.rows.values()
            if row.state == "failed"
        ]

    def has_twin(self, row: Row) -> bool:
        """Whether another job for the same is alive, or was made or tried since."""
        others, since = (other for other in self.rows.values() if other is not row), row.started or row.created
        return any(other.state in LIVE or max(other.created, other.started or since) > since for other in others)

    # --- Odoo's models

    def requeue(self, id: int, by: By) -> None:
        """What Odoo does, whatever the job's state is."""
        row = self.rows[id]
        row.state, row.started, row.by, row.dead = "pending", None, by, False

    def guarded_requeue(self, id: int, attempt: str) -> None:
        """What the server action does. Raises OdooUserError."""
        row = self.rows[id]
        if row.state != "failed" or attempt_of(row.started) != attempt:
            raise OdooUserError("The job is not in the attempt that was diagnosed.")
        if self.has_twin(row):
            raise OdooUserError("Another job for the same is alive, or was tried since.")
        self.requeue(id, By.MACHINE)

    # --- what happens by itself, and what people do

    @property
    def is_quiet(self) -> bool:
        return not any(row.state in LIVE for row in self.rows.values())

    def work(self) -> None:
        """A worker, or the runner, makes one step with one job."""
        live = [row for row in self.rows.values() if row.state in LIVE]
        if not live:
            return
        row = self.random.choice(live)
        if row.state == "pending":
            row.state, row.started = "started", self.moment()
        elif row.dead:
            row.state, row.started, row.dead = "pending", None, False
        else:
            self._end(row, self.random.choice(self.endings))

    def _end(self, row: Row, ending: Ending) -> None:
        match ending:
            case Ending.DONE:
                self._send(row)
                self.told, row.state = True, "done"
            case Ending.LOST:
                self._send(row)
                row.state, row.error = "failed", LOST
            case Ending.PASSES:
                row.state, row.error = "failed", PASSES
            case Ending.RETRIED:
                row.state, row.started = "pending", None
            case Ending.DIES:
                row.dead = True

    def _send(self, row: Row) -> None:
        if self.files:
            self.wrong.append(f"a second file, by {row.by}")
        self.files.append(row.by)

    def person(self) -> None:
        """Somebody who has looked at the bank: requeues the failed job, or asks for the file anew, if none is there."""
        if self.files or not self.is_quiet:
            return
        if self.random.random() < 0.5:
            self.requeue(1, By.PERSON)
        else:
            id = len(self.rows) + 1
            self.rows[id] = Row(id, self.moment(), "pending", by=By.PERSON)

    def bank_tells(self) -> None:
        """The bank's statement comes in."""
        self.told = self.told or bool(self.files)
