"""PostgreSQL flexible servers: stopped and started. Fact: `power` (Ready, Stopped; else Azure's state as it is).

A primary is stopped before its replicas, and started after them; a server out of turn waits for its turn.
"""

from collections.abc import Sequence

from functions.adapters.answers import arm_writes, asked, stands
from functions.adapters.targets import subscription
from shared.changes.change import Change, State
from shared.changes.ports import Act, Acted, Verified
from shared.changes.throttling import Toll
from shared.platforms import postgres_power, sql
from shared.platforms.postgres_power import PowerFacts

_MAINTENANCE_DATABASE = "postgres"
_ANSWER_WITHIN_SECONDS = 10


class PostgresServers:
    """The adapter."""

    def tolls(self, change: Change) -> Sequence[Toll]:
        """See `Adapter`."""
        return [arm_writes(subscription(change.target))]

    def read_state(self, change: Change) -> State:
        """See `Adapter`."""
        state = _get(change.target).state
        return {"power": state} if state in ("Ready", "Stopped") else {}

    def apply(self, change: Change, wanted: State, key: str) -> Acted:
        """See `Adapter`."""
        found = _get(change.target)
        stops = wanted["power"] == "Stopped"
        if found.state != ("Ready" if stops else "Stopped"):
            return Acted(Act.BUSY, detail=f"the server is {found.state}")
        if out_of_turn := _primary_runs(found) if stops else _replicas_sleep(found):
            return Acted(Act.BUSY, detail=out_of_turn)
        request = postgres_power.stop if stops else postgres_power.start
        return asked(lambda: request(change.target))

    def poll(self, change: Change, operation: str) -> Acted:
        """See `Adapter`."""
        return stands(postgres_power.operation(change.target, operation), operation)

    def verify(self, change: Change, wanted: State) -> Verified:
        """See `Adapter`: awake when it answers SQL."""
        found = _get(change.target)
        if found.state != wanted["power"]:
            return Verified(False, f"the server is {found.state}")
        if found.state == "Stopped":
            return Verified(True, "the server is stopped")
        try:
            with sql.read_only(
                found.host, _MAINTENANCE_DATABASE, statement_timeout_seconds=_ANSWER_WITHIN_SECONDS
            ) as database:
                database.rows("SELECT 1")
        except sql.DatabaseUnavailableError as error:
            return Verified(False, f"it does not answer SQL: {error}")
        return Verified(True, "it answers SQL")

    def undo(self, change: Change, original: State, key: str) -> Acted:
        """See `Adapter`."""
        return self.apply(change, original, key)

    def predict(self, change: Change, observed: State) -> str:
        """See `Adapter`."""
        name = change.target.rpartition("/")[2]
        if change.after["power"] == "Stopped":
            return f"would stop the server {name}; Azure starts it by itself after seven days"
        return f"would start the server {name}; Azure may have no capacity for it"


def _get(target: str) -> PowerFacts:
    found = postgres_power.read(target)
    if found is None:
        raise LookupError(f"there is no server {target}")
    return found


def _primary_runs(found: PowerFacts) -> str:
    if not found.source:
        return ""
    primary = postgres_power.read(found.source)
    if primary is None or primary.state == "Stopped":
        return ""
    return f"its primary is stopped first, and is {primary.state}"


def _replicas_sleep(found: PowerFacts) -> str:
    if found.source:
        return ""
    asleep = [
        replica.id.rpartition("/")[2] for replica in postgres_power.replicas(found.id) if replica.state != "Ready"
    ]
    return f"its replicas are started first: {', '.join(asleep)}" if asleep else ""


ADAPTER = PostgresServers()
