"""Odoo's queue and crons, read from their tables: by what the catalogue shows, since versions differ. Read-only.

Sources: Odoo 16 to 19 (`ir_cron`, `ir_act_server`), OCA queue_job 16.0 to 18.0.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString, cast

from shared.platforms.sql import ReadOnlyDatabase

MOST_ROWS = 1000


def has_table(database: ReadOnlyDatabase, name: str) -> bool:
    """Whether the table is there."""
    return database.rows("select to_regclass(%s) is not null", (name,))[0][0]


def has_column(database: ReadOnlyDatabase, table: str, column: str) -> bool:
    """Whether the table has the column."""
    query = "select exists (select from pg_attribute where attrelid = to_regclass(%s) and attname = %s)"
    return database.rows(query, (table, column))[0][0]


def failed_queue_jobs(database: ReadOnlyDatabase) -> list[tuple[Any, ...]]:
    """Id, uuid, model, method, state, exc_name, exc_message, records, date_started, whether a twin exists; the
    newest first, at most 1000.

    A twin is another job with the same identity key that is alive, or was made or tried since this one began, whatever
    became of it: then somebody has seen to it already.
    """
    return database.rows(
        """
        select j.id, j.uuid, j.model_name, j.method_name, j.state, coalesce(j.exc_name, ''),
            coalesce(j.exc_message, ''), j.records::text, j.date_started,
            j.identity_key is not null and exists (
                select from queue_job t where t.identity_key = j.identity_key and t.id <> j.id
                    and (t.state in ('pending', 'enqueued', 'started', 'wait_dependencies')
                        or greatest(t.date_created, t.date_started) > coalesce(j.date_started, j.date_created)))
        from queue_job j where j.state = 'failed' order by j.id desc limit 1000
        """
    )


def queue_job(database: ReadOnlyDatabase, id: int) -> tuple[Any, ...] | None:
    """State, date_started, exc_name, exc_message and whether a twin exists; None for one that is not there."""
    rows = database.rows(
        """
        select j.state, j.date_started, coalesce(j.exc_name, ''), coalesce(j.exc_message, ''),
            j.identity_key is not null and exists (
                select from queue_job t where t.identity_key = j.identity_key and t.id <> j.id
                    and (t.state in ('pending', 'enqueued', 'started', 'wait_dependencies')
                        or greatest(t.date_created, t.date_started) > coalesce(j.date_started, j.date_created)))
        from queue_job j where j.id = %s
        """,
        (id,),
    )
    return rows[0] if rows else None


def external_id(database: ReadOnlyDatabase, module: str, name: str, model: str) -> int | None:
    """The id of the record that has the external id MODULE.NAME; None when no record of that model has it."""
    if not has_table(database, "ir_model_data"):
        return None
    query = "select res_id from ir_model_data where module = %s and name = %s and model = %s"
    rows = database.rows(query, (module, name, model))
    return rows[0][0] if rows else None


def stuck_queue_jobs(database: ReadOnlyDatabase, older_than: timedelta, now: datetime) -> list[tuple[Any, ...]]:
    """As `failed_queue_jobs`, with since when it is so and whether a worker may have it, each job that is started or
    enqueued since before that time; the oldest first, at most 1000.

    A worker executes a job in one transaction. Where no session that was there when the job began is in one, that
    transaction is over, and the job is not. Odoo keeps times without zone, in UTC.
    """
    before = (now - older_than).astimezone(UTC).replace(tzinfo=None)
    return database.rows(
        """
        select j.id, j.uuid, j.model_name, j.method_name, j.state, '', '', j.records::text, began.at, false,
            j.state = 'started' and exists (
                select from pg_stat_activity a
                where a.datname = current_database() and a.backend_type = 'client backend'
                    and a.pid <> pg_backend_pid() and a.xact_start is not null
                    and a.backend_start at time zone 'utc' <= began.at + interval '1 minute')
        from queue_job j, lateral (select coalesce(
            case when j.state = 'started' then j.date_started end, j.date_enqueued, j.date_created) at) began
        where j.state in ('started', 'enqueued') and began.at < %s order by began.at, j.id limit 1000
        """,
        (before,),
    )


def crons(database: ReadOnlyDatabase) -> list[tuple[Any, ...]]:
    """Id, name, active, nextcall, lastcall, write_uid, model and code of every cron, and whether it runs now: Odoo
    holds the row's lock then, which shows as the row's xmax."""
    has_actions = has_table(database, "ir_act_server") and has_table(database, "ir_model")
    if has_actions and has_column(database, "ir_act_server", "code"):
        return database.rows(
            """
            select c.id, coalesce(c.cron_name::text, ''), coalesce(c.active, false), c.nextcall, c.lastcall,
                c.write_uid, coalesce(m.model, ''), coalesce(a.code, ''),
                exists (select from pg_locks l where l.locktype = 'transactionid' and l.granted
                    and l.transactionid = c.xmax)
            from ir_cron c
            left join ir_act_server a on a.id = c.ir_actions_server_id
            left join ir_model m on m.id = a.model_id
            order by c.id
            """
        )
    return database.rows(
        """
        select c.id, coalesce(c.cron_name::text, ''), coalesce(c.active, false), c.nextcall, c.lastcall, c.write_uid,
            '', '', exists (select from pg_locks l where l.locktype = 'transactionid' and l.granted
                and l.transactionid = c.xmax)
        from ir_cron c order by c.id
        """
    )


def is_neutralised(database: ReadOnlyDatabase) -> bool:
    """Whether Odoo says that the database is a neutralised copy."""
    query = "select exists (select from ir_config_parameter where key = 'database.is_neutralized' and value = 'true')"
    return database.rows(query)[0][0]


def probe(database: ReadOnlyDatabase, query: str, record: int | str) -> bool | str:
    """Whether a declared query returns rows for the record; the server's complaint when it fails."""
    parameters: Mapping[str, object] = {"job": record}
    answer = database.attempt(cast(LiteralString, query), cast(Any, parameters))
    return answer if isinstance(answer, str) else bool(answer)
