"""PostgreSQL's own recomputation of the hash chains agrees with the recipe in Python, entry by entry."""

from collections import defaultdict
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from psycopg import Connection

from shared.backup_verification import sealed_text
from shared.backup_verification.hash_chain import broken_moves, recompute
from shared.backup_verification.inalterability import Entry, Line, digest, hexadecimal, stored_form
from shared.platforms.sql import ReadOnlyDatabase
from tests.local.odoo.conftest import VARIANTS, GenerateDatabase, RealDatabase

NAMES = (
    'quotes " and \\ and / and \\u00e9',
    "lines\nand\ttabs\r and \b\f\x01\x1f\x7f",
    "Dépôt «été» \u2013 12 €",
    "emoji 🧾 and \U0001d518, \uffff and \u2028",
    "日本語の請求書",
    "100% {braces} $4$ 'single' %s",
    "",
    "False",
    None,
)
EASY = ("0", "5.10", "12.34", "0.01", "1234567.89", "99999999.99", "15", "-3.4", "7.00")
HARD = ("12.50", "13.5", "0.125", "0.135", "0.0001", "1e-7", "1e17", "-0.001", "5.1000000000000005")


def set_wise(connection: Connection, version: int) -> set[int]:
    [(_, ids, _)] = connection.execute(sealed_text.mismatches(version, numbered=True, among=False)).fetchall()
    return set(ids)


def one_by_one(connection: Connection, version: int) -> set[int]:
    """The ids of those that do not fit this version, by the recipe."""
    wrong: set[int] = set()
    for (_, name, day, journal, company, stored, previous), entry_lines in read(connection).values():
        entry = Entry(name, day, journal, company, entry_lines)
        if digest(entry, version, previous) != hexadecimal(stored):
            wrong.add(_)
    return wrong


def read(connection: Connection) -> dict[int, tuple[Any, list[Line]]]:
    lines: dict[int, list[Line]] = defaultdict(list)
    for move, *values in connection.execute(
        "select l.move_id, l.id, l.name, coalesce(l.debit, 0), coalesce(l.credit, 0), l.account_id, l.partner_id,"
        " coalesce(c.decimal_places, 0) from account_move_line l left join res_currency c on c.id = l.currency_id"
    ):
        lines[move].append(Line(*values))
    heads: dict[Any, str] = {}
    entries: dict[int, tuple[Any, list[Line]]] = {}
    for move, name, day, journal, company, stored, number, prefix in connection.execute(
        "select id, name, date, journal_id, company_id, inalterable_hash, nullif(secure_sequence_number, 0),"
        " sequence_prefix from account_move where inalterable_hash <> '' order by journal_id,"
        " nullif(secure_sequence_number, 0) nulls last, sequence_prefix, sequence_number, id"
    ):
        previous = heads.get((journal, prefix) if number is None else journal, "")
        entries[move] = (move, name, day, journal, company, stored, previous), lines[move]
        heads[journal, prefix] = stored
        if number is not None:
            heads[journal] = stored
    return entries


def agree(connection: Connection) -> None:
    sealed = len(read(connection))
    for version in (1, 2, 3):
        refused = set_wise(connection, version) - one_by_one(connection, version)
        assert one_by_one(connection, version) <= set_wise(connection, version), "nothing that is wrong passes"
        assert len(refused) < 0.02 * sealed + 2, "almost all that is right passes without Python"
    database = ReadOnlyDatabase(connection)
    count, broken = broken_moves(database)
    assert count == sealed
    assert broken == recompute(database, list(read(connection)))


@pytest.mark.parametrize("variant", VARIANTS)
def test_they_agree_on_generated_databases(generated: GenerateDatabase, variant: str) -> None:
    connection, summary = generated(**VARIANTS[variant])
    with connection.transaction(force_rollback=True):
        agree(connection)
        _, broken = broken_moves(ReadOnlyDatabase(connection))
    assert [fault.id for fault in broken] == sorted(summary.unverifiable)


@pytest.mark.parametrize(("version", "unverifiable"), [(16, 88), (17, 0), (18, 0)])
def test_they_agree_on_databases_of_real_odoo(real: RealDatabase, version: int, unverifiable: int) -> None:
    connection = real(version)
    with connection.transaction(force_rollback=True):
        agree(connection)
        _, broken = broken_moves(ReadOnlyDatabase(connection))
    assert len(broken) == unverifiable


@pytest.mark.parametrize("recipe", [1, 2, 3, 4])
def test_any_text_and_any_amount_is_printed_as_python_prints_it(generated: GenerateDatabase, recipe: int) -> None:
    """Every sealed entry gets other names and amounts and is sealed again, by the recipe."""
    connection, _ = generated(**VARIANTS["version 18"])
    die = Random(recipe)
    with connection.transaction(force_rollback=True):
        connection.execute("alter table account_move_line drop constraint account_move_line_check_credit_debit")
        hard: set[int] = set()
        changes: list[tuple[object, ...]] = []
        for line, move in connection.execute("select id, move_id from account_move_line order by id").fetchall():
            amounts = [Decimal(die.choice(HARD if die.random() < 0.03 else EASY)) for _ in "dc"]
            if {Decimal(text) for text in HARD} & set(amounts):
                hard.add(move)
            changes.append((die.choice(NAMES), *amounts, line))
        with connection.cursor() as cursor:
            cursor.executemany(
                "update account_move_line set name = %s, debit = %s, credit = %s where id = %s",
                changes,
            )
        heads: dict[Any, str] = {}
        for move, ((_, name, day, journal, company, _, _), lines) in read(connection).items():
            place = (journal, name.rpartition("/")[0])
            sealed = digest(Entry(name, day, journal, company, lines), recipe, heads.get(place, ""))
            heads[place] = sealed
            connection.execute(
                "update account_move set inalterable_hash = %s where id = %s", [stored_form(sealed, recipe), move]
            )
        wrong = set_wise(connection, recipe)
        assert one_by_one(connection, recipe) == set()
        # Ids sort in the sealed text as text, and in the database as numbers.
        of_other_length = {
            move for move, (_, lines) in read(connection).items() if len({len(str(x.id)) for x in lines}) > 1
        }
        assert wrong <= hard | of_other_length
        assert len(hard & read(connection).keys()) < len(read(connection)) / 2
        assert broken_moves(ReadOnlyDatabase(connection))[1] == []
        connection.execute(
            "update account_move_line set name = name || '.' where id = (select max(l.id) from account_move_line l"
            " join account_move m on m.id = l.move_id where m.inalterable_hash <> '' and l.name is not null)"
        )
        assert len(broken_moves(ReadOnlyDatabase(connection))[1]) == (1 if recipe > 1 else 0)


def test_a_version_of_the_future_is_not_guessed(generated: GenerateDatabase) -> None:
    connection, _ = generated(**VARIANTS["version 18"])
    with connection.transaction(force_rollback=True):
        [(move,)] = connection.execute(
            "update account_move set inalterable_hash = replace(inalterable_hash, '$4$', '$5$') where id ="
            " (select min(id) from account_move where inalterable_hash <> '') returning id"
        ).fetchall()
        assert [fault.id for fault in broken_moves(ReadOnlyDatabase(connection))[1]] == [move]
