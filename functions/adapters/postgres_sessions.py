"""Ending a PostgreSQL session that blocks others: that very one, while it still is as it was diagnosed."""

from collections.abc import Sequence
from datetime import datetime

from functions import estate_in_force
from shared.changes.change import Change, State
from shared.changes.ports import Act, Acted, Verified
from shared.changes.throttling import Rate, Toll
from shared.platforms import postgres_servers, postgres_sessions, sql


class PostgresSessionEnder:
    """`end` on a `postgres-session`, by the target SERVER//sessions/PID@START and the identity in `before`."""

    def tolls(self, change: Change) -> Sequence[Toll]:
        """See `Adapter.tolls`: one session of one server in a while, so that what follows can be seen."""
        from shared.estate.policies.job_remediation import Sessions

        declared = estate_in_force.get().job_remediation
        policy = declared.sessions if declared else Sessions()
        return [Toll(f"postgres-sessions/{_server(change)}", Rate(1, policy.one_in))]

    def read_state(self, change: Change) -> State:
        """See `Adapter.read_state`."""
        pid, backend_start = _identity(change)
        return {"present": postgres_sessions.is_there(_host(change), pid, backend_start)}

    def apply(self, change: Change, wanted: State, key: str) -> Acted:
        """See `Adapter.apply`. The statement looks and ends in one, so a process number used again is never met."""
        from functions.remediation_evidence import session_thresholds

        pid, backend_start = _identity(change)
        xact_start = datetime.fromisoformat(str(change.before["xact_start"]))
        protected = sorted(session_thresholds(change.environment).protected_users)
        try:
            ended = postgres_sessions.end_idle(_host(change), pid, backend_start, xact_start, protected)
        except sql.DatabaseUnavailableError as error:
            return Acted(Act.BUSY, detail=str(error))
        if isinstance(ended, str):
            return Acted(Act.FAILED, detail=f"PostgreSQL refuses: {ended}")
        if not ended and postgres_sessions.is_there(_host(change), pid, backend_start):
            return Acted(Act.FAILED, detail="it is no longer idle in the transaction that was diagnosed: left alone")
        return Acted(Act.DONE)

    def poll(self, change: Change, operation: str) -> Acted:
        """See `Adapter.poll`: nothing goes on outside."""
        return Acted(Act.DONE)

    def verify(self, change: Change, wanted: State) -> Verified:
        """See `Adapter.verify`. That PostgreSQL said true proves nothing: the session must be gone."""
        there = self.read_state(change)["present"]
        return Verified(not there, "the session is still there" if there else "the session is gone")

    def undo(self, change: Change, original: State, key: str) -> Acted:
        """See `Adapter.undo`: a session cannot be given back."""
        return Acted(Act.FAILED, detail="a session that was ended cannot be given back")

    def predict(self, change: Change, observed: State) -> str:
        """See `Adapter.predict`."""
        who = f"{change.before.get('user')} in {change.before.get('database')}"
        return f"would end the session {change.target.rpartition('/')[2]} of {who}, and roll back its transaction"


def _identity(change: Change) -> tuple[int, datetime]:
    return int(str(change.before["pid"])), datetime.fromisoformat(str(change.before["backend_start"]))


def _server(change: Change) -> str:
    return change.target.partition("//")[0]


def _host(change: Change) -> str:
    server = postgres_servers.get(_server(change))
    if server is None:
        raise sql.DatabaseUnavailableError(f"{_server(change)}: Azure knows no such server")
    return server.host


ADAPTER = PostgresSessionEnder()
