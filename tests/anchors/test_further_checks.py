"""Checks that see one injury each, and nothing in healthy books; the real Odoo databases are in test_books.py."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from psycopg import Connection

from shared.backup_verification.anchor_comparison import compare
from shared.backup_verification.anchors import take_anchor
from shared.backup_verification.books import examine
from shared.platforms.sql import ReadOnlyDatabase
from tests.local.odoo.conftest import VARIANTS, GenerateDatabase

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def unmatch(connection: Connection) -> int:
    """A reconciled payment whose receivable is open again, as if its reconciliation had been lost."""
    ((payment, move),) = connection.execute(
        "select id, move_id from account_payment where is_reconciled and move_id is not null order by id limit 1"
    ).fetchall()
    connection.execute(
        "update account_move_line l set amount_residual = balance, amount_residual_currency = amount_currency,"
        " reconciled = false from account_account a where a.id = l.account_id and l.move_id = %s"
        " and a.account_type in ('asset_receivable', 'liability_payable')",
        [move],
    )
    return payment


def lose_range(connection: Connection) -> int:
    """A sequence by ranges of dates whose second range has lost its counter."""
    ((sequence,),) = connection.execute(
        "update ir_sequence set use_date_range = true, implementation = 'standard'"
        " where id = (select min(id) from ir_sequence where active) returning id"
    ).fetchall()
    found: list[int] = []
    for year in (2025, 2026):
        ((one,),) = connection.execute(
            "insert into ir_sequence_date_range (sequence_id, date_from, date_to, number_next)"
            " values (%s, make_date(%s, 1, 1), make_date(%s, 12, 31), 1) returning id",
            [sequence, year, year],
        ).fetchall()
        found.append(one)
    connection.execute(f"create sequence ir_sequence_{sequence:03d}_{found[0]:03d}")  # type: ignore[arg-type]
    return found[1]


@pytest.mark.parametrize("variant", ["version 16", "version 18", "version 19"])
@pytest.mark.parametrize(
    ("check", "injure"),
    [("payments are reconciled as flagged", unmatch), ("sequence ranges have their counter", lose_range)],
)
def test_an_injury_is_seen_and_named(
    generated: GenerateDatabase, variant: str, check: str, injure: Callable[[Connection], int]
) -> None:
    connection: Connection = generated(**VARIANTS[variant])[0]
    with connection.transaction(force_rollback=True):
        healthy = examine(ReadOnlyDatabase(connection), "odoo", "contoso", NOW, None)
        assert check in healthy.checks
        assert check not in {finding.check for finding in healthy.findings}
        row = injure(connection)
        books = examine(ReadOnlyDatabase(connection), "odoo", "contoso", NOW, None)
        assert [finding.rows for finding in books.findings if finding.check == check] == [(row,)]


def test_a_company_that_did_not_come_back_is_named(generated: GenerateDatabase) -> None:
    connection: Connection = generated(**VARIANTS["three companies"])[0]
    with connection.transaction(force_rollback=True):
        anchor = take_anchor(ReadOnlyDatabase(connection))
        assert len(anchor.companies) == 3
        connection.execute("set session_replication_role = replica")
        lost = anchor.companies[-1]
        connection.execute("delete from res_company where id = %s", [lost])
        found = {
            one.check: one.rows for one in compare(anchor, take_anchor(ReadOnlyDatabase(connection), up_to=anchor))
        }
    assert found["anchor: companies"] == (lost,)
