"""Anchors: what a live database held at one instant, small enough to keep every night as evidence.

A copy that was restored from a later instant is measured the same way and compared (`anchor_comparison`). This is what
sees a lost tail, which no hash chain can see. Digests do not depend on the order of rows, and cover no text that could
be read back: the sum of PostgreSQL's 64-bit hashes of the rows.
"""

from collections.abc import Callable, Container, Mapping
from datetime import UTC, datetime
from typing import LiteralString

from pydantic import AwareDatetime, BaseModel, ConfigDict

from shared.backup_verification.catalogue import Catalogue, read_catalogue
from shared.backup_verification.database import Database, Rows
from shared.backup_verification.entries import Entries, Period, can_be_read, read_entries


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True)


class Chain(_Model):
    """The sealed entries of one journal and prefix: how many, and the number and hash of the last."""

    journal: int
    prefix: str
    count: int
    number: int
    hash: str


class Table(_Model):
    """How many rows a table has, and their digest."""

    rows: int
    digest: str


class Anchor(_Model):
    """A look at one database. `schema_objects` are digests of definitions by `kind name`; `newest_writes` by table;
    `digests` says in which way rows were digested: only digests of one way can be compared."""

    taken_at: AwareDatetime
    database_uuid: str | None
    newest_writes: Mapping[str, AwareDatetime]
    chains: tuple[Chain, ...]
    periods: tuple[Period, ...]
    tables: Mapping[str, Table]
    names_are_unique: bool
    schema_objects: Mapping[str, str]
    extensions: Mapping[str, str]
    collation_version: str | None
    sequences: Mapping[str, int]
    active_crons: Mapping[int, str]
    jobs: Mapping[str, int]
    modules: Mapping[str, str]
    active_users: tuple[int, ...]
    companies: tuple[int, ...] = ()
    digests: int = 1

    @property
    def newest_write(self) -> datetime | None:
        """The newest write of all."""
        return max(self.newest_writes.values(), default=None)


# What of each table is digested; None means whole rows. Texts and contents that are large are left to other checks.
_DIGESTED: Mapping[LiteralString, LiteralString | None] = {
    "account_move": None,
    "account_partial_reconcile": None,
    "account_full_reconcile": None,
    "account_payment": None,
    "account_bank_statement": None,
    "account_bank_statement_line": None,
    "account_account": None,
    "account_journal": None,
    "account_tax": None,
    "res_company": None,
    "res_currency": None,
    "res_partner": None,
    "ir_attachment": "(t.id, t.name, t.type, t.url, t.store_fname, t.checksum, t.file_size, t.res_model, t.res_id)",
    "mail_message": "(t.id, t.date, t.model, t.res_id, t.author_id)",
}
_WRITTEN: tuple[LiteralString, ...] = (
    "account_move",
    "account_move_line",
    "account_payment",
    "ir_attachment",
    "mail_message",
    "res_partner",
)
_DIGESTS = 2  # 1: of rows as text
_OBJECTS: LiteralString = """
    select 'column ' || c.relname || '.' || a.attname,
           format_type(a.atttypid, a.atttypmod) || case when a.attnotnull then ' not null' else '' end
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relkind in ('r', 'p') and c.relnamespace = to_regnamespace('public')
    union all
    select 'index ' || i.relname, pg_get_indexdef(i.oid) from pg_class i
    where i.relkind = 'i' and i.relnamespace = to_regnamespace('public')
    union all
    select 'constraint ' || c.relname || '.' || k.conname, pg_get_constraintdef(k.oid)
    from pg_constraint k join pg_class c on c.oid = k.conrelid
    where k.contype <> 'n' and c.relnamespace = to_regnamespace('public')
    union all
    select 'trigger ' || c.relname || '.' || g.tgname, pg_get_triggerdef(g.oid)
    from pg_trigger g join pg_class c on c.oid = g.tgrelid
    where not g.tgisinternal and c.relnamespace = to_regnamespace('public')
    union all
    select 'view ' || c.relname, pg_get_viewdef(c.oid) from pg_class c
    where c.relkind in ('v', 'm') and c.relnamespace = to_regnamespace('public')"""

# PostgreSQL spells casts and parentheses otherwise after a dump was restored: they are left out.
_SPELT: LiteralString = r"regexp_replace(definition, '[()\s]|::(character varying|\w+)(\(\d+\))?(\[\])*', '', 'g')"

_SEQUENCES: LiteralString = """
    select format('select %L, last_value - (not is_called)::integer from %I.%I', relname, nspname, relname)
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'public'
      and case when c.relkind = 'S' then has_sequence_privilege(c.oid, 'select') else false end"""


def take_anchor(
    database: Database, *, up_to: Anchor | None = None, entries: Callable[[], Entries | None] = lambda: None
) -> Anchor:
    """Look at a database through its one read-only, repeatable-read transaction.

    Of a copy, with `up_to`, the chains are measured no further than the anchor's: what was sealed since does not hide
    what was lost. What a database has no tables for stays empty. `entries` waits for what somebody else has read of
    the same instant; what the server could not answer there is asked once more.
    """
    catalogue = read_catalogue(database)
    ((taken_at,),) = database.rows("select transaction_timestamp()")
    tables = _tables(database, catalogue)
    read = entries() or (read_entries(database, catalogue) if can_be_read(catalogue) else None)
    written: Mapping[str, datetime] = read.newest_writes if read else {}
    return Anchor(
        taken_at=taken_at,
        database_uuid=_setting(database, catalogue),
        newest_writes={**_newest_writes(database, catalogue, written), **written},
        chains=_chains(database, catalogue, up_to),
        periods=read.periods if read else (),
        tables=tables,
        names_are_unique=catalogue.names_are_unique,
        schema_objects=dict(
            database.rows(f"select name, left(md5({_SPELT}), 12) from ({_OBJECTS}) as objects (name, definition)")
        ),
        extensions=catalogue.extensions,
        collation_version=catalogue.collation_version,
        sequences=_sequences(database),
        active_crons=dict(database.rows("select id, cron_name::text from ir_cron where active"))
        if catalogue.has("ir_cron", "id", "cron_name", "active")
        else {},
        jobs=dict(database.rows("select state, count(*) from queue_job group by state"))
        if catalogue.has("queue_job", "state")
        else {},
        modules=dict(
            database.rows(
                "select name, state || ' ' || coalesce(latest_version, '') from ir_module_module"
                " where state not in ('uninstalled', 'uninstallable')"
            )
        )
        if catalogue.has("ir_module_module", "name", "state", "latest_version")
        else {},
        active_users=tuple(user for (user,) in database.rows("select id from res_users where active order by id"))
        if catalogue.has("res_users", "id", "active")
        else (),
        companies=tuple(company for (company,) in database.rows("select id from res_company order by id"))
        if catalogue.has("res_company", "id")
        else (),
        digests=_DIGESTS,
    )


def newest_write(database: Database) -> datetime | None:
    """The newest write of all, as an anchor has it."""
    return max(_newest_writes(database, read_catalogue(database), ()).values(), default=None)


def _sequences(database: Database) -> dict[str, int]:
    """The last number that each sequence gave out. The server writes and quotes the query that asks them all."""
    queries = [query for (query,) in database.rows(_SEQUENCES)]
    return dict(database.rows(" union all ".join(queries))) if queries else {}


def _setting(database: Database, catalogue: Catalogue) -> str | None:
    if not catalogue.has("ir_config_parameter", "key", "value"):
        return None
    rows = database.rows("select value from ir_config_parameter where key = 'database.uuid'")
    return str(rows[0][0]) if rows else None


def _newest_writes(database: Database, catalogue: Catalogue, known: Container[str]) -> dict[str, datetime]:
    newest: dict[str, datetime] = {}
    for table in _WRITTEN:
        if table not in known and catalogue.has(table, "write_date"):
            ((at,),) = database.rows(f"select max(write_date) from {table}")
            if at is not None:
                newest[table] = at.replace(tzinfo=UTC)
    if catalogue.has("queue_job", "date_created", "date_started", "date_done"):
        ((at,),) = database.rows("select max(greatest(date_created, date_started, date_done)) from queue_job")
        if at is not None:
            newest["queue_job"] = at.replace(tzinfo=UTC)
    return newest


def _chains(database: Database, catalogue: Catalogue, up_to: Anchor | None) -> tuple[Chain, ...]:
    if not catalogue.has("account_move", "inalterable_hash", "journal_id", "sequence_prefix", "sequence_number"):
        return ()
    limits: LiteralString = """
        left join unnest(%s::integer[], %s::text[], %s::integer[]) as head (journal, prefix, number)
        on head.journal = m.journal_id and head.prefix = m.sequence_prefix"""
    anchored = up_to.chains if up_to else ()
    rows = database.rows(
        f"""
        with sealed as (
            select m.journal_id, coalesce(m.sequence_prefix, '') as prefix, count(*), max(m.sequence_number) as number
            from account_move m {limits}
            where m.inalterable_hash <> '' and (head.number is null or m.sequence_number <= head.number)
            group by 1, 2
        )
        select s.journal_id, s.prefix, s.count, s.number, (array_agg(m.inalterable_hash order by m.id desc))[1]
        from sealed s
        join account_move m on m.journal_id = s.journal_id and coalesce(m.sequence_prefix, '') = s.prefix
            and coalesce(m.sequence_number, 0) = coalesce(s.number, 0)
        where m.inalterable_hash <> ''
        group by 1, 2, 3, 4 order by 1, 2""",
        [
            [chain.journal for chain in anchored],
            [chain.prefix for chain in anchored],
            [chain.number for chain in anchored],
        ],
    )
    return tuple(Chain(journal=j, prefix=p, count=c, number=n or 0, hash=h) for j, p, c, n, h in rows)


def _tables(database: Database, catalogue: Catalogue) -> dict[str, Table]:
    found: dict[str, Table] = {}
    for table, chosen in _DIGESTED.items():
        if not catalogue.has(table):
            continue
        ((rows, digest),) = _digested(database, table, chosen or "t")
        found[table] = Table(rows=rows, digest=digest)
    return found


def _digested(database: Database, table: LiteralString, row: LiteralString) -> Rows:
    """By the hashes of its values; as text where a type has none, such as json."""
    query: LiteralString = "select count(*), coalesce(sum({hash}), 0)::text from {table} t"
    by_value = database.attempt(query.format(hash=f"hash_record_extended({row}, 0)", table=table))
    if not isinstance(by_value, str):
        return by_value
    return database.rows(query.format(hash=f"hashtextextended(({row})::text, 0)", table=table))
