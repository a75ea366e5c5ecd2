"""Rows of small tables, given by column; columns that a version lacks are left out."""

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import Connection, sql
from psycopg.types.json import Jsonb

from local.odoo.schema import column_types

type Row = Mapping[str, Any]


def insert(connection: Connection, table: str, rows: Sequence[Row]) -> None:
    """Insert rows that all have the same keys. A text for a `jsonb` column becomes Odoo's {"en_US": text}."""
    types = column_types(connection, table)
    names = [name for name in rows[0] if name in types] if rows else []
    if not names:
        return
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, names)),
        sql.SQL(", ").join([sql.Placeholder()] * len(names)),
    )
    with connection.cursor() as cursor:
        cursor.executemany(statement, [[_adapted(row[name], types[name]) for name in names] for row in rows])


def _adapted(value: Any, column_type: str) -> Any:
    if column_type != "jsonb" or value is None or isinstance(value, Jsonb):
        return value
    return Jsonb({"en_US": value} if isinstance(value, str) else value)
