"""Requeueing a failed queue job through Odoo's own model: the very attempt that was diagnosed, and that once.

Odoo's `requeue` asks nothing: it runs a job again that is done or at work. So what must not run twice is requeued by a
server action of Odoo's, which looks and requeues in one transaction, and refuses what is not the diagnosed attempt any
more. Requeueing ends an attempt, so whoever asks twice, late, or after somebody else, is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from functions.adapters.odoo_records import Record, answered, odoo_of
from shared.changes.change import Change, State
from shared.changes.ports import Act, Acted, Verified
from shared.changes.throttling import Rate, Toll
from shared.job_remediation.causes import Cause, cause_of_text
from shared.job_remediation.evidence import readable
from shared.job_remediation.repetition import Applied, Standing, objection
from shared.platforms import odoo
from shared.platforms.sql import DatabaseUnavailableError

_RATE = Rate(burst=10, every=timedelta(seconds=1))
_FIRST_LOOK, _LATER_LOOK = timedelta(seconds=1), timedelta(minutes=1)
_PICKED_UP_WITHIN = 12  # looks, about four minutes: then nobody has the job, and the act was lost
_LIVE = frozenset({"pending", "enqueued", "started", "wait_dependencies"})
_UNGUARDED_CLASS = "A"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A job as it is now. attempt: which one failed, see `attempt_of`. twin: see `odoo_tables.failed_queue_jobs`."""

    state: str
    attempt: str
    error: str
    twin: bool = False


class Queue(Protocol):
    """An Odoo's queue, for one change. All raise DatabaseUnavailableError, `requeue` OdooError instead."""

    def look(self, change: Change) -> Seen | None:
        """The job as it is now; None when it is gone."""
        ...

    def standing(self, change: Change) -> Standing:
        """What is declared of the job and in force now."""
        ...

    def applied(self, change: Change) -> Applied:
        """What the job's probe says now."""
        ...

    def requeue(self, change: Change) -> None:
        """Requeue the attempt that was diagnosed, and no other."""
        ...


class OdooQueue:
    """Looks by SQL, acts by Odoo's external API."""

    def look(self, change: Change) -> Seen | None:
        """See `Queue.look`."""
        from functions.remediation_probes import queue_job_now
        from shared.job_remediation.odoo_jobs import attempt_of

        target = Record.parse(change.target)
        found = queue_job_now(change.environment, target.database, target.id)
        if found is None:
            return None
        state, started, exception, message, twin = found
        return Seen(state=state, attempt=attempt_of(started), error=f"{exception}: {message}", twin=twin)

    def standing(self, change: Change) -> Standing:
        """See `Queue.standing`."""
        from functions.remediation_rulings import standing

        return standing(change)

    def applied(self, change: Change) -> Applied:
        """See `Queue.applied`."""
        from functions.remediation_probes import applied_of

        database, records = Record.parse(change.target).database, str(change.before["records"])
        return applied_of(
            change.environment, database, str(change.before["job"]), [int(one) for one in records.split(",") if one]
        )

    def requeue(self, change: Change) -> None:
        """See `Queue.requeue`. Without the server action only what may be repeated at will is requeued."""
        from functions.remediation_probes import guard_of

        target = Record.parse(change.target)
        guard = guard_of(change.environment, target.database)
        if guard is not None:
            asked = {"closekeeper_job": target.id, "closekeeper_attempt": change.before["attempt"]}
            odoo_of(change).call("ir.actions.server", "run", [guard], context=asked)
        elif change.emergency_class == _UNGUARDED_CLASS:
            odoo_of(change).call("queue.job", "requeue", [target.id])
        else:
            raise odoo.OdooRefusedError("its Odoo has no guarded requeue any more: install it")


class QueueJobs:
    """`requeue` on an `odoo-queue-job`. Fact: `state`."""

    def __init__(self, queue: Queue | None = None) -> None:
        self._queue: Queue = queue or OdooQueue()

    def tolls(self, change: Change) -> Sequence[Toll]:
        """See `Adapter.tolls`."""
        record = Record.parse(change.target)
        return [Toll(f"odoo/{record.odoo}/{record.database}", _RATE)]

    def read_state(self, change: Change) -> State:
        """See `Adapter.read_state`."""
        seen = self._queue.look(change)
        return {"state": seen.state if seen else "gone"}

    def apply(self, change: Change, wanted: State, key: str) -> Acted:
        """See `Adapter.apply`. What is seen here spares an act; what is refused by Odoo's guard is the promise."""

        def requeue() -> Acted | None:
            seen = self._queue.look(change)
            if seen is not None and seen.state in _LIVE:
                return _running(0)
            if why := self._objection(change, seen):
                return Acted(Act.FAILED, detail=why)
            self._queue.requeue(change)
            return None

        return answered(requeue, _running(0))

    def _objection(self, change: Change, seen: Seen | None) -> str:
        """Why it may not be requeued any more; empty when it may."""
        if seen is None:
            return "it is gone by now"
        if seen.state != "failed":
            return f"it is {seen.state} by now: left alone"
        if seen.attempt != change.before["attempt"]:
            return "it was tried again since it was diagnosed, and failed anew: left alone"
        if seen.twin:
            return "another job with its identity key was made since, or is at work: left alone"
        return objection(
            self._queue.standing(change),
            self._queue.applied(change),
            ambiguous=cause_of_text(seen.error) is Cause.AMBIGUOUS,
            approved=change.requires_approval,
            proven=change.before["applied"] == Applied.NO,
        )

    def poll(self, change: Change, operation: str) -> Acted:
        """See `Adapter.poll`: until the job is done or failed anew; `operation` counts the looks."""
        looks = int(operation)
        try:
            seen = self._queue.look(change)
        except DatabaseUnavailableError:
            return _running(looks + 1)
        match seen.state if seen else "gone":
            case "done":
                return Acted(Act.DONE)
            case "failed" if seen and seen.attempt != change.before["attempt"]:
                return Acted(Act.FAILED, detail=f"it failed again: {readable(seen.error)}")
            case "failed" if looks >= _PICKED_UP_WITHIN:
                return Acted(Act.FAILED, detail="it was asked to run, and nobody took it up")
            case "gone" | "cancelled" as state:
                return Acted(Act.FAILED, detail=f"somebody has meddled: it is {state}")
            case _:
                return _running(looks + 1)

    def verify(self, change: Change, wanted: State) -> Verified:
        """See `Adapter.verify`."""
        state = str(self.read_state(change)["state"])
        return Verified(state == wanted["state"], f"the job is {state}")

    def undo(self, change: Change, original: State, key: str) -> Acted:
        """See `Adapter.undo`: what a job has done is not taken back."""
        return Acted(Act.FAILED, detail="what a job has done cannot be taken back")

    def predict(self, change: Change, observed: State) -> str:
        """See `Adapter.predict`."""
        return f"would requeue job {Record.parse(change.target).id}, which is {observed['state']}"


def _running(looks: int) -> Acted:
    return Acted(Act.RUNNING, operation=str(looks), again_after=min(_FIRST_LOOK * 1.5 ** min(looks, 20), _LATER_LOOK))


ADAPTER = QueueJobs()
