"""The sessions of a PostgreSQL server as plain data, for who looks at them and who judges them."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One client's session. Times are aware UTC by the server's clock.

    pid, backend_start: its identity, since process numbers are used again.
    xact_start: since when its transaction is open; None when none is.
    blocks: how many sessions wait for it, directly or behind one another; longest_wait: how long the longest has.
    waits: whether it waits for a lock itself.
    """

    pid: int
    backend_start: datetime
    xact_start: datetime | None
    state: str
    in_state: timedelta
    user: str
    application: str
    database: str
    waits: bool
    blocks: int
    longest_wait: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions:
    """The sessions of a server at one instant. `prepared`: prepared transactions that sessions wait for."""

    sessions: tuple[Session, ...]
    prepared: int
    most_connections: int
    used_connections: int
