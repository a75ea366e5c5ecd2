"""Marking a queue job as failed whose worker is gone: that attempt, while it is still so, through Odoo's own model.

Odoo's `requeue` would take a started job, too, and run it a second time beside a worker that lives. A failed one is
requeued under the rules of its class. Source: OCA queue_job 16.0 to 18.0, `models/queue_job.py`: `state` may be written
by whoever manages the queue, and writing `failed` tells its followers.
"""

from collections.abc import Sequence
from datetime import timedelta

from functions.adapters.odoo_records import Record, answered, odoo_of
from shared.changes.change import Change, State
from shared.changes.ports import Act, Acted, Verified
from shared.changes.throttling import Rate, Toll

_RATE = Rate(burst=10, every=timedelta(seconds=1))
FOUND_DEAD = "JobFoundDead"
"""The name that queue_job's own runner gives to such an end."""


class DeadQueueJobs:
    """`mark-failed` on an `odoo-queue-job`. Fact: `state`."""

    def tolls(self, change: Change) -> Sequence[Toll]:
        """See `Adapter.tolls`."""
        record = Record.parse(change.target)
        return [Toll(f"odoo/{record.odoo}/{record.database}", _RATE)]

    def read_state(self, change: Change) -> State:
        """See `Adapter.read_state`."""
        from functions.remediation_probes import queue_job_now

        target = Record.parse(change.target)
        found = queue_job_now(change.environment, target.database, target.id)
        return {"state": found[0] if found else "gone"}

    def apply(self, change: Change, wanted: State, key: str) -> Acted:
        """See `Adapter.apply`. Looked at again first: whoever has taken it up meanwhile keeps it."""
        from functions.remediation_probes import is_dead

        target = Record.parse(change.target)

        def mark() -> Acted | None:
            if not is_dead(change.environment, target.database, target.id, str(change.before["attempt"])):
                return Acted(
                    Act.FAILED, detail="it is not stuck in that attempt any more, or a worker has it: left alone"
                )
            message = f"no worker has it any more; marked by {change.occasion}"
            dead = {"state": "failed", "exc_name": FOUND_DEAD, "exc_message": message}
            odoo_of(change).write("queue.job", [target.id], dead)
            return None

        return answered(mark, Acted(Act.DONE))

    def poll(self, change: Change, operation: str) -> Acted:
        """See `Adapter.poll`; nothing here is long."""
        return Acted(Act.DONE)

    def verify(self, change: Change, wanted: State) -> Verified:
        """See `Adapter.verify`."""
        state = str(self.read_state(change)["state"])
        return Verified(state == wanted["state"], f"the job is {state}")

    def undo(self, change: Change, original: State, key: str) -> Acted:
        """See `Adapter.undo`: that it is failed is the truth."""
        return Acted(Act.FAILED, detail="that it failed is the truth, and stays")

    def predict(self, change: Change, observed: State) -> str:
        """See `Adapter.predict`."""
        return f"would mark job {Record.parse(change.target).id}, which is {observed['state']}, as failed"


ADAPTER = DeadQueueJobs()
