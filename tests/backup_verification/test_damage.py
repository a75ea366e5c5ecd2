"""Every injury of a database is found, and named by the right check."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

import pytest
from psycopg import Connection

from local.odoo.damage import INJURIES, corrupt_page
from local.postgres import PostgresCluster
from shared.backup_verification.anchors import Anchor, take_anchor
from shared.backup_verification.books import accept, examine
from shared.backup_verification.findings import Baseline, Finding
from shared.platforms.sql import ReadOnlyDatabase
from tests.local.odoo.conftest import VARIANTS, GenerateDatabase

NOW = datetime(2026, 11, 22, tzinfo=UTC)
SEEN_BY_THE_COPY_ALONE = {
    "change_amount": {"posted moves balance", "hash chain"},
    "shift_amount": {"hash chain"},
    "change_account": {"hash chain"},
    "delete_line": {"posted moves balance", "hash chain"},
    "delete_middle_move": {"hash chain", "journals have no gap"},
    "orphan_lines": {"lines belong to moves", "hash chain"},
    "unpost": {"lines agree with their move"},
    "unbalance_currency": {"invoices balance in their currency"},
    "lose_partial": {"residuals are what is open"},
    "misstate_residual": {"residuals are what is open"},
    "call_it_paid": {"invoices are paid as they say"},
    "drop_hash": {"hash chain", "seals have no hole"},
    "set_lock_date_ahead": {"lock dates are sane"},
    "rewind_id_sequence": {"ids are ahead"},
    "unvalidated_foreign_key": {"constraints are validated"},
    "swap_attachments": {"attachments say where they are"},
    "half_upgrade": {"modules are settled"},
}
SEEN_BY_THE_ANCHOR = {
    "change_unsealed_amount": {"anchor: open periods"},
    "delete_tail": {"anchor: chain heads"},
    "duplicate_name": {"posted names are unique", "anchor: schema"},
    "rewind_business_sequence": {"anchor: sequences"},
    "drop_foreign_key": {"anchor: schema"},
    "drop_index": {"anchor: schema"},
    "lose_attachment_file": {"anchor: tables"},
    "deactivate_cron": {"anchor: crons"},
    "lose_queue": {"anchor: jobs"},
    "requeue_done_jobs": {"anchor: jobs"},
    "lose_messages": {"anchor: newest writes", "anchor: tables"},
    "garble_names": {"anchor: tables"},
    "lose_user": {"anchor: users"},
    "change_identity": {"anchor: identity"},
}


class Healthy(NamedTuple):
    connection: Connection
    anchor: Anchor
    baseline: Baseline


@pytest.fixture(scope="module", params=[16, 19], ids="version {}".format)
def healthy(request: pytest.FixtureRequest, generated: GenerateDatabase) -> Healthy:
    connection, _ = generated(version=request.param, seed=4711, journal_items=3_000, days=91)
    with connection.transaction(force_rollback=True):
        return Healthy(connection, take_anchor(ReadOnlyDatabase(connection)), accept(ReadOnlyDatabase(connection)))


def findings(database: Healthy, injury: str, *, with_anchor: bool) -> dict[str, Finding]:
    connection, anchor, baseline = database
    with connection.transaction(force_rollback=True):
        INJURIES[injury](connection)
        books = examine(
            ReadOnlyDatabase(connection),
            "odoo",
            "contoso",
            NOW,
            None,
            anchor=anchor if with_anchor else None,
            baseline=baseline,
        )
        connection.execute("select setval(sequence, value) from saved_sequences")
    return {finding.check: finding for finding in books.findings}


@pytest.fixture(autouse=True)
def sequences_come_back(healthy: Healthy) -> None:
    """A sequence that was set stays where it is when a transaction is rolled back."""
    healthy.connection.execute(
        "create temp table if not exists saved_sequences as"
        " select sequencename::text as sequence, last_value as value from pg_sequences"
        " where schemaname = 'public' and last_value is not null"
    )


def test_every_injury_of_a_database_is_expected_somewhere() -> None:
    assert SEEN_BY_THE_COPY_ALONE.keys() | SEEN_BY_THE_ANCHOR.keys() == INJURIES.keys()


@pytest.mark.parametrize("injury", SEEN_BY_THE_COPY_ALONE)
def test_the_copy_itself_shows_it(healthy: Healthy, injury: str) -> None:
    found = findings(healthy, injury, with_anchor=False)
    assert found.keys() >= SEEN_BY_THE_COPY_ALONE[injury]
    assert any(finding.fails for finding in found.values())


@pytest.mark.parametrize("injury", SEEN_BY_THE_ANCHOR)
def test_the_anchor_shows_it(healthy: Healthy, injury: str) -> None:
    found = findings(healthy, injury, with_anchor=True)
    assert found.keys() >= SEEN_BY_THE_ANCHOR[injury]
    assert all(found[check].fails for check in SEEN_BY_THE_ANCHOR[injury])


def test_a_broken_page_of_an_index_and_of_a_table_is_named(
    cluster: PostgresCluster, new_database: Callable[[], Connection]
) -> None:
    from local.odoo import generate
    from tests.local.odoo.conftest import profile

    connection = new_database()
    generate(connection, profile("broken", **VARIANTS["tiny"]))
    connection.execute("create extension amcheck")
    connection.execute("create extension pg_buffercache")
    for relation in ("res_partner_pkey", "mail_message"):
        corrupt_page(connection, cluster.data, relation, page=1 if relation.endswith("pkey") else 0)
        connection.execute("select pg_buffercache_evict_relation(%s)", [relation])
    with connection.transaction(force_rollback=True):
        books = examine(ReadOnlyDatabase(connection), "odoo", "contoso", NOW, None)
    found = {finding.check: finding.message for finding in books.findings}
    assert "invalid page in block 1" in found["indexes are sound"]
    assert "tables are sound" in found
