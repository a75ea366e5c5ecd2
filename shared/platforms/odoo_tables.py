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
    """Id, uuid, model, method, state, exc_name, exc_message, records, date_started, whether a live twin exists; the
    newest first, at most 1000."""
    return database.rows(
        """
        select j.id, j.uuid, j.model_name, j.method_name, j.state, coalesce(j.exc_name, ''),
            coalesce(j.exc_message, ''), j.records::text, j.date_started,
            j.identity_key is not null and exists (
                select from queue_job t where t.identity_key = j.identity_key and t.id <> j.id
                    and t.state in ('pending', 'enqueued', 'started', 'wait_dependencies'))
        from queue_job j where j.state = 'failed' order by j.id desc limit 1000
        """
    )


def stuck_queue_jobs(database: ReadOnlyDatabase, older_than: timedelta, now: datetime) -> int:
    """How many jobs are started or enqueued since before that time, without a worker that holds their lock.

    Odoo keeps times without zone, in UTC.
    """
    before = (now - older_than).astimezone(UTC).replace(tzinfo=None)
    query: LiteralString = """
        select count(*) from queue_job
        where state in ('started', 'enqueued') and coalesce(date_started, date_enqueued, date_created) < %s
    """
    return database.rows(query, (before,))[0][0]


def crons(database: ReadOnlyDatabase) -> list[tuple[Any, ...]]:
    """Id, name, active, nextcall, lastcall, write_uid, model and code of every cron."""
    has_actions = has_table(database, "ir_act_server") and has_table(database, "ir_model")
    if has_actions and has_column(database, "ir_act_server", "code"):
        return database.rows(
            """
            select c.id, coalesce(c.cron_name::text, ''), coalesce(c.active, false), c.nextcall, c.lastcall,
                c.write_uid, coalesce(m.model, ''), coalesce(a.code, '')
            from ir_cron c
            left join ir_act_server a on a.id = c.ir_actions_server_id
            left join ir_model m on m.id = a.model_id
            order by c.id
            """
        )
    return database.rows(
        """
        select id, coalesce(cron_name::text, ''), coalesce(active, false), nextcall, lastcall, write_uid, '', ''
        from ir_cron order by id
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
