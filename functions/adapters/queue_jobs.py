"""Requeueing a failed queue job through Odoo's own model: that one, while it is failed, once for one attempt."""

from collections.abc import Sequence
from datetime import timedelta

from functions.adapters.odoo_records import Record, claim, odoo_of
from shared.changes.change import Change, State
from shared.changes.ports import Act, Acted, Verified
from shared.changes.throttling import Rate, Toll
from shared.platforms import odoo

_RATE = Rate(burst=10, every=timedelta(seconds=1))
_FIRST_LOOK, _LATER_LOOK = timedelta(seconds=1), timedelta(minutes=1)
_PICKED_UP_WITHIN = 12  # looks, about four minutes: then nobody has the job, and the act was lost
_LIVE = frozenset({"pending", "enqueued", "started", "wait_dependencies"})
_FIELDS = ("state", "date_started", "exc_name", "identity_key")


class QueueJobs:
    """`requeue` on an `odoo-queue-job`. Fact: `state`."""

    def tolls(self, change: Change) -> Sequence[Toll]:
        """See `Adapter.tolls`."""
        record = Record.parse(change.target)
        return [Toll(f"odoo/{record.odoo}/{record.database}", _RATE)]

    def read_state(self, change: Change) -> State:
        """See `Adapter.read_state`."""
        return {"state": str(self._read(change)["state"])}

    def apply(self, change: Change, wanted: State, key: str) -> Acted:
        """See `Adapter.apply`. Odoo's own `requeue` would run a done job again: only a failed one is asked for."""
        try:
            job = self._read(change)
            if job["state"] in _LIVE:
                return _running(0)
            if job["state"] != "failed":
                return Acted(Act.FAILED, detail=f"it is {job['state']} by now: left alone")
            if job.get("identity_key") and self._has_twin(change, str(job["identity_key"])):
                return Acted(Act.FAILED, detail="another job with its identity key is waiting or at work: left alone")
            if why := _applied_since(change):
                return Acted(Act.FAILED, detail=why)
            if claim(key):
                odoo_of(change).call("queue.job", "requeue", [Record.parse(change.target).id])
        except odoo.OdooSilentError:
            return _running(0)  # it was asked, and may have done it: what the job does next will tell
        except odoo.OdooUnavailableError as error:
            return Acted(Act.BUSY, detail=str(error))
        except odoo.OdooError as error:
            return Acted(Act.FAILED, detail=str(error))
        return _running(0)

    def poll(self, change: Change, operation: str) -> Acted:
        """See `Adapter.poll`: until the job is done or failed anew; `operation` counts the looks."""
        looks = int(operation)
        try:
            job = self._read(change)
        except (odoo.OdooUnavailableError, odoo.OdooSilentError):
            return _running(looks + 1)
        match job["state"]:
            case "done":
                return Acted(Act.DONE)
            case "failed" if looks >= _PICKED_UP_WITHIN or _mark(job) != str(change.before.get("mark", _mark(job))):
                return Acted(Act.FAILED, detail=f"it failed again, or nobody took it up: {job['exc_name']}")
            case "failed":
                return _running(looks + 1)
            case "cancelled":
                return Acted(Act.FAILED, detail="somebody cancelled it")
            case _:
                return _running(looks + 1)

    def verify(self, change: Change, wanted: State) -> Verified:
        """See `Adapter.verify`."""
        state = str(self._read(change)["state"])
        return Verified(state == wanted["state"], f"the job is {state}")

    def undo(self, change: Change, original: State, key: str) -> Acted:
        """See `Adapter.undo`: what a job has done is not taken back."""
        return Acted(Act.FAILED, detail="what a job has done cannot be taken back")

    def predict(self, change: Change, observed: State) -> str:
        """See `Adapter.predict`."""
        return f"would requeue job {Record.parse(change.target).id}, which is {observed['state']}"

    def _read(self, change: Change) -> dict[str, object]:
        record = Record.parse(change.target)
        found = odoo_of(change).read("queue.job", [record.id], _FIELDS)
        if not found:
            return {"state": "gone", "date_started": None, "exc_name": "", "identity_key": None}
        return found[0]

    def _has_twin(self, change: Change, identity: str) -> bool:
        domain = [["identity_key", "=", identity], ["state", "in", sorted(_LIVE)]]
        return bool(odoo_of(change).call("queue.job", "search_count", (), domain=domain))


def _applied_since(change: Change) -> str:
    """Why it must not run again because it was applied meanwhile; asked again at the last moment."""
    from functions.remediation_probes import applied_of
    from shared.job_remediation.repetition import Applied

    job, record = str(change.before.get("job", "")), change.before.get("record")
    if not job or record is None:
        return ""
    said = applied_of(change.environment, Record.parse(change.target).database, job, int(str(record)))
    return "the probe says that it was applied by now: left alone" if said is Applied.YES else ""


def _mark(job: dict[str, object]) -> str:
    """What changes when the job is run once more."""
    return str(job.get("date_started") or "")


def _running(looks: int) -> Acted:
    return Acted(Act.RUNNING, operation=str(looks), again_after=min(_FIRST_LOOK * 1.5 ** min(looks, 20), _LATER_LOOK))


ADAPTER = QueueJobs()
