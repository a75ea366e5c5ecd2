"""Crons of Odoo: activated again, or triggered, through Odoo's own models."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from functions.adapters.odoo_records import Record, answered, claim, give_back, odoo_of
from functions.remediation_probes import cron_at_work
from functions.remediation_rulings import objection_now
from shared.changes.change import Change, State
from shared.changes.ports import Act, Acted, Verified
from shared.changes.throttling import Rate, Toll
from shared.platforms import odoo

_RATE = Rate(burst=5, every=timedelta(seconds=1))
_AGAIN = timedelta(seconds=30)


class OdooCrons:
    """`activate` (fact `active`) and `trigger` (fact `ran_since`: the run that it had before) on an `odoo-cron`."""

    def tolls(self, change: Change) -> Sequence[Toll]:
        """See `Adapter.tolls`."""
        record = Record.parse(change.target)
        return [Toll(f"odoo/{record.odoo}/{record.database}", _RATE)]

    def read_state(self, change: Change) -> State:
        """See `Adapter.read_state`. For `trigger`: the run that is to follow is told by another one than before."""
        cron = self._read(change)
        if change.action == "activate":
            return {"active": bool(cron["active"])}
        before, last = str(change.after["ran_since"]), _instant(cron["lastcall"])
        return {"ran_since": before if last and last != before else f"not since {before}"}

    def apply(self, change: Change, wanted: State, key: str) -> Acted:
        """See `Adapter.apply`. Odoo takes the cron's row while it runs: then it is busy, and is asked again later."""
        if why := objection_now(change):
            return Acted(Act.FAILED, detail=why)
        record = Record.parse(change.target)

        def act() -> Acted | None:
            if change.action == "activate":
                odoo_of(change).write("ir.cron", [record.id], {"active": True})
            elif cron_at_work(change.environment, record.database, record.id):
                return Acted(Act.BUSY, again_after=_AGAIN, detail="the cron runs at this moment")
            elif claim(key):
                self._trigger(change, key)
            return None

        return answered(act, Acted(Act.DONE), again_after=_AGAIN)

    def poll(self, change: Change, operation: str) -> Acted:
        """See `Adapter.poll`; nothing here is long."""
        return Acted(Act.DONE)

    def verify(self, change: Change, wanted: State) -> Verified:
        """See `Adapter.verify`."""
        cron = self._read(change)
        if change.action == "activate":
            return Verified(bool(cron["active"]), "it is active" if cron["active"] else "it is not active")
        reached = self.read_state(change) == wanted
        return Verified(reached, f"it ran last at {_instant(cron['lastcall']) or 'no time'}")

    def undo(self, change: Change, original: State, key: str) -> Acted:
        """See `Adapter.undo`."""
        if change.action != "activate":
            return Acted(Act.FAILED, detail="a run cannot be taken back")
        record, active = Record.parse(change.target), bool(original["active"])
        return answered(
            lambda: odoo_of(change).write("ir.cron", [record.id], {"active": active}),
            Acted(Act.DONE),
            again_after=_AGAIN,
        )

    def predict(self, change: Change, observed: State) -> str:
        """See `Adapter.predict`."""
        return f"would {change.action} cron {Record.parse(change.target).id}"

    def _trigger(self, change: Change, key: str) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
        try:
            odoo_of(change).create("ir.cron.trigger", {"cron_id": Record.parse(change.target).id, "call_at": now})
        except (odoo.OdooUserError, odoo.OdooUnavailableError):
            give_back(key)  # nothing was done, so it may be asked again
            raise

    def _read(self, change: Change) -> dict[str, object]:
        record = Record.parse(change.target)
        found = odoo_of(change).read("ir.cron", [record.id], ("active", "lastcall"))
        if not found:
            raise odoo.OdooRefusedError(f"there is no cron {record.id} in {record.database}")
        return found[0]


def _instant(value: object) -> str:
    """Odoo's `2026-11-20 10:00:00`, which is UTC, as RFC 3339; empty for none."""
    return datetime.fromisoformat(str(value)).replace(tzinfo=UTC).isoformat() if value else ""


ADAPTER = OdooCrons()
