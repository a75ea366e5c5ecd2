"""What a database consists of, by its own catalogue, read once: no check trusts a version string."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import LiteralString

from shared.backup_verification.database import Database

_COLUMNS: LiteralString = """
    select c.relname::text, array_agg(a.attname::text)
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relkind in ('r', 'p') and c.relnamespace = to_regnamespace('public')
    group by c.relname"""
_UNIQUE_NAMES: LiteralString = """
    select pg_get_indexdef(indexrelid) from pg_index
    where indrelid = to_regclass('public.account_move') and indisunique"""
_ODOO_UNIQUE_NAME = "(name, journal_id) WHERE (((state)::text = 'posted'::text) AND ((name)::text <> '/'::text))"
# The server quotes the names: each answer is a query for a sequence that will yield an id that its table has already.
_ID_SEQUENCES: LiteralString = """
    select format('select null::integer, %L, %L from (select max(%I) as last from %I.%I) as t, %I.%I as s'
                  ' where t.last >= s.last_value + s.is_called::integer',
                  t.relname, t.relname, a.attname, n.nspname, t.relname, n.nspname, s.relname)
    from pg_class s
    join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = s.oid and d.deptype in ('a', 'i')
    join pg_class t on t.oid = d.refobjid and t.relkind in ('r', 'p')
    join pg_attribute a on a.attrelid = t.oid and a.attnum = d.refobjsubid
    join pg_namespace n on n.oid = t.relnamespace and n.nspname = 'public' and s.relnamespace = n.oid
    where s.relkind = 'S' order by t.relname"""
_MAY_RUN_AMCHECK: LiteralString = """
    select coalesce(bool_and(has_function_privilege(oid, 'execute')), false) from pg_proc
    where proname in ('bt_index_check', 'verify_heapam')"""
_COLLATION: LiteralString = "select datcollversion from pg_database where datname = current_database()"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The tables of the schema `public` with their columns, and what else decides which checks apply.

    `names_are_unique` says whether posted entries have Odoo's own unique index; localisations replace it by another.
    `id_sequences` are queries, one per sequence that a column owns, for whether it is behind its table.
    """

    columns: Mapping[str, frozenset[str]]
    extensions: Mapping[str, str]
    names_are_unique: bool
    id_sequences: Sequence[str]
    server_version: int
    collation_version: str | None
    may_run_amcheck: bool

    def has(self, table: str, *columns: str) -> bool:
        """Whether there is such a table with all of these columns."""
        return table in self.columns and self.columns[table].issuperset(columns)

    @property
    def is_ledger(self) -> bool:
        """Whether the tables of Odoo's accounting are there."""
        return self.has("account_move", "id") and self.has("account_move_line", "id")


def read_catalogue(database: Database) -> Catalogue:
    """Read it, in a few queries."""
    ((server_version, may_run_amcheck),) = database.rows(
        f"select current_setting('server_version_num')::integer, ({_MAY_RUN_AMCHECK})"
    )
    return Catalogue(
        columns={table: frozenset(columns) for table, columns in database.rows(_COLUMNS)},
        extensions=dict(database.rows("select extname::text, extversion from pg_extension")),
        names_are_unique=any(definition.endswith(_ODOO_UNIQUE_NAME) for (definition,) in database.rows(_UNIQUE_NAMES)),
        id_sequences=[query for (query,) in database.rows(_ID_SEQUENCES)],
        server_version=server_version,
        # Since PostgreSQL 15 a database knows the version of its collation.
        collation_version=database.rows(_COLLATION)[0][0] if server_version >= 150_000 else None,
        may_run_amcheck=may_run_amcheck,
    )
