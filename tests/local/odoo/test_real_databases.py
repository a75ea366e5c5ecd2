"""Real Odoo databases: our recipe is Odoo's, our checks hold there, and ours look like them."""

import pytest
from psycopg import Connection

from shared.backup_verification import inalterability
from tests.local.odoo import independent_checks
from tests.local.odoo.conftest import VARIANTS, GenerateDatabase, RealDatabase
from tests.local.odoo.real_databases import REAL_VERSIONS

HASHED_AND_BROKEN = {16: (212, 88), 17: (212, 0), 18: (223, 0)}
"""In the one of 16, 88 entries of hash version 1 fail Odoo's own check too, although nothing is corrupt."""


@pytest.mark.parametrize("version", REAL_VERSIONS)
def test_the_recipe_is_odoos(real: RealDatabase, version: int) -> None:
    connection = real(version)
    entries: dict[int, list[inalterability.Line]] = {}
    for move_id, *line in connection.execute(
        "SELECT l.move_id, l.id, l.name, l.debit, l.credit, l.account_id, l.partner_id, c.decimal_places"
        " FROM account_move_line l JOIN res_currency c ON c.id = l.currency_id"
    ):
        entries.setdefault(move_id, []).append(inalterability.Line(*line))
    heads: dict[tuple[int, str | None], str] = {}
    versions: list[int | None] = []
    for move_id, name, day, journal, company, prefix, stored in connection.execute(
        "SELECT id, name, date, journal_id, company_id,"
        " CASE WHEN coalesce(secure_sequence_number, 0) = 0 THEN sequence_prefix END, inalterable_hash"
        " FROM account_move WHERE inalterable_hash IS NOT NULL ORDER BY journal_id,"
        " nullif(secure_sequence_number, 0) NULLS LAST, sequence_prefix, sequence_number"
    ):
        entry = inalterability.Entry(name, day, journal, company, entries[move_id])
        versions.append(inalterability.matching_version(entry, heads.get((journal, prefix), ""), stored))
        heads[journal, prefix] = stored
    assert (len(versions), versions.count(None)) == HASHED_AND_BROKEN[version]
    assert set(versions) - {None} == {{16: 1, 17: 3, 18: 4}[version]}
    hashed, broken = independent_checks.broken_hashes(connection)
    assert (hashed, len(broken)) == HASHED_AND_BROKEN[version]


STRICTER_THAN_ODOO = {
    "names are prefix and number",
    "prefixes are of the entry's period",
    "entries are dated when they were made",
    "ids follow time",
    "hashed journals hash what they post",
    "statements add up",
    "the bank account is what the statements say",
    "reconciled means that nothing is left",
    "payments are their entry",
    "payment states are right",
    "full reconciliations have partials",
    "lines have the name and currency of their entry, exchange differences apart",
    "invoice totals are those of their lines",
}
"""What we promise of ours only: demonstration data is dated back, has entries without amount, instalments, ..."""


@pytest.mark.parametrize("version", REAL_VERSIONS)
def test_the_independent_checks_hold_in_real_databases(real: RealDatabase, version: int) -> None:
    connection = real(version)
    assert independent_checks.offenders(connection).keys() <= STRICTER_THAN_ODOO


@pytest.mark.parametrize("version", REAL_VERSIONS)
def test_our_tables_are_a_selection_of_the_real_ones(
    generated: GenerateDatabase, real: RealDatabase, version: int
) -> None:
    ours, theirs = generated(**VARIANTS[f"version {version}"])[0], real(version)
    our_columns, their_columns = _columns(ours), _columns(theirs)
    shared_tables = {table for table, _ in our_columns} & {table for table, _ in their_columns}
    assert len(shared_tables) >= 24
    assert {key: kind for key, kind in our_columns.items() if key[0] in shared_tables}.items() <= their_columns.items()
    assert _unique_name_index(ours) == _unique_name_index(theirs)


def _columns(connection: Connection) -> dict[tuple[str, str], tuple[str, bool]]:
    rows = connection.execute(
        "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull FROM pg_attribute a"
        " JOIN pg_class c ON c.oid = a.attrelid WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace"
        " AND a.attnum > 0 AND NOT a.attisdropped"
    )
    return {(table, column): (kind, required) for table, column, kind, required in rows.fetchall()}


def _unique_name_index(connection: Connection) -> str:
    [(definition,)] = connection.execute("SELECT pg_get_indexdef('account_move_unique_name'::regclass)").fetchall()
    return definition
