"""The tables of one Odoo version, from SQL whose lines say which versions they belong to."""

import re
from pathlib import Path

from psycopg import Connection, sql

from local.odoo.profile import Layout

_FOLDER = Path(__file__).parent
_MARK = re.compile(r"\s*-- @(\d+)(-?)(\d*)$|\s*-- @-(\d+)$")


def create_tables(connection: Connection, version: int, layouts: tuple[Layout, ...] = ()) -> None:
    """The bare tables: rows go in fastest while there is neither key nor index."""
    connection.execute(_script("tables.sql", version))
    if "fs_attachment" in layouts:
        connection.execute(_script("fs_attachment.sql", version))


def add_constraints(connection: Connection, version: int) -> None:
    """Keys and indexes, and every id sequence set behind its table's last id."""
    for table, columns in _serial_tables(connection):
        name = sql.Identifier(table)
        connection.execute(sql.SQL("ALTER TABLE {} ADD PRIMARY KEY (id)").format(name))
        connection.execute(
            sql.SQL("SELECT setval({}, max(id)) FROM {} HAVING max(id) IS NOT NULL").format(f"{table}_id_seq", name)
        )
        for column in sorted({"create_uid", "write_uid"} & columns):
            connection.execute(
                sql.SQL("ALTER TABLE {} ADD FOREIGN KEY ({}) REFERENCES res_users ON DELETE SET NULL").format(
                    name, sql.Identifier(column)
                )
            )
    connection.execute(_script("constraints.sql", version))


def column_types(connection: Connection, table: str) -> dict[str, str]:
    """The columns of a table and their types, by what the catalogue says; empty when there is no such table."""
    return dict(
        connection.execute(
            "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute"
            " WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            [table],
        ).fetchall()
    )


def _serial_tables(connection: Connection) -> list[tuple[str, set[str]]]:
    """The tables with a serial id, res_users first since the others refer to it."""
    rows = connection.execute(
        "SELECT c.relname, array_agg(a.attname::text) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
        " WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace AND a.attnum > 0"
        " GROUP BY c.relname HAVING 'id' = ANY(array_agg(a.attname::text)) ORDER BY c.relname <> 'res_users', c.relname"
    ).fetchall()
    return [(table, set(columns)) for table, columns in rows]


def _script(name: str, version: int) -> bytes:
    return "\n".join(_kept(line, version) for line in (_FOLDER / name).read_text().splitlines()).encode()


def _kept(line: str, version: int) -> str:
    """The line without its mark; empty when it belongs to other versions."""
    mark = _MARK.search(line)
    if mark is None:
        return line
    since, dash, until, only_until = mark.groups()
    first = int(since or 0)
    last = int(only_until or until or (999 if dash else since))
    return line[: mark.start()] if first <= version <= last else ""
