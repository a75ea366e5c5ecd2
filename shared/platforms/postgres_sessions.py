"""The sessions of a PostgreSQL server: who blocks whom, how many there are, and ending exactly one of them.

Needs a role with pg_monitor and pg_signal_backend; neither lets it read data. Sources: PostgreSQL 18, "The Cumulative
Statistics System" (pg_stat_activity), "System Information Functions" (pg_blocking_pids), "Server Signaling Functions".
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from shared.database_sessions import Session, Sessions
from shared.platforms import sql

_TIMEOUT_SECONDS = 5
_DATABASE = "postgres"


def look(host: str) -> Sessions:
    """All client sessions. Raises `sql.DatabaseUnavailableError`."""
    with sql.read_only(host, _DATABASE, statement_timeout_seconds=_TIMEOUT_SECONDS) as server:
        rows = server.rows(_SESSIONS)
        ((prepared, most, used),) = server.rows(_LIMITS)
    return Sessions(
        sessions=tuple(_session(row) for row in rows),
        prepared=prepared,
        most_connections=most,
        used_connections=used,
    )


def is_there(host: str, pid: int, backend_start: datetime) -> bool:
    """Whether that very session is still there. Raises `sql.DatabaseUnavailableError`."""
    with sql.read_only(host, _DATABASE, statement_timeout_seconds=_TIMEOUT_SECONDS) as server:
        found = server.rows(
            "select 1 from pg_stat_activity where pid = %s and backend_start = %s", (pid, backend_start)
        )
    return bool(found)


def end_idle(
    host: str, pid: int, backend_start: datetime, xact_start: datetime, protected: Sequence[str]
) -> bool | str:
    """End that very session while it still is idle in that very transaction, looked at in the statement that ends it.

    True when it was ended, False when it is no longer as it was, or is of a protected user; the server's complaint
    when it refuses. Raises `sql.DatabaseUnavailableError`.
    """
    with sql.read_only(host, _DATABASE, statement_timeout_seconds=_TIMEOUT_SECONDS * 2) as server:
        answer = server.attempt(_END, (pid, backend_start, xact_start, list(protected)))
    return answer if isinstance(answer, str) else any(ended for (ended,) in answer)


def _session(row: tuple[Any, ...]) -> Session:
    pid, backend_start, xact_start, state, in_state, user, application, database, waits, blocks, longest_wait = row
    return Session(
        pid=pid,
        backend_start=backend_start,
        xact_start=xact_start,
        state=state or "",
        in_state=in_state or timedelta(0),
        user=user or "",
        application=application or "",
        database=database or "",
        waits=waits,
        blocks=blocks,
        longest_wait=longest_wait or timedelta(0),
    )


# pg_blocking_pids takes the lock manager for itself alone, so it is asked for waiting sessions only, and once.
_SESSIONS = """
with recursive waiting as materialized (
    select pid, query_start, unnest(pg_blocking_pids(pid)) as blocker
    from pg_stat_activity where wait_event_type = 'Lock'
), behind(root, pid) as (
    select blocker, pid from waiting
    union
    select behind.root, waiting.pid from behind join waiting on waiting.blocker = behind.pid
), held as (
    select root, count(distinct behind.pid) as blocks, max(clock_timestamp() - waiter.query_start) as longest_wait
    from behind join pg_stat_activity waiter on waiter.pid = behind.pid
    group by root
)
select a.pid, a.backend_start, a.xact_start, a.state, clock_timestamp() - a.state_change, a.usename,
    a.application_name, a.datname, a.pid in (select pid from waiting), coalesce(held.blocks, 0), held.longest_wait
from pg_stat_activity a left join held on held.root = a.pid
where a.backend_type = 'client backend' and a.pid <> pg_backend_pid()
order by a.pid
"""

_LIMITS = """
select
    (select count(distinct pid) from (
        select pid, unnest(pg_blocking_pids(pid)) as blocker from pg_stat_activity where wait_event_type = 'Lock'
    ) waiting where blocker = 0),
    current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
        - coalesce(current_setting('reserved_connections', true)::int, 0),
    (select count(*) from pg_stat_activity where backend_type = 'client backend')
"""

_END = """
select pg_terminate_backend(pid, 5000)
from pg_stat_activity
where pid = %s and backend_start = %s and xact_start = %s and state like 'idle in transaction%%'
    and backend_type = 'client backend' and pid <> pg_backend_pid() and usename <> all(%s)
"""
