"""Each injury does what it says, and no more."""

from collections.abc import Callable

import psycopg
import pytest
from psycopg import Connection

from local.memory_blobs import MemoryBlobContainer
from local.odoo.damage import INJURIES, corrupt_document, corrupt_page, delete_document, truncate_document
from local.postgres import PostgresCluster
from shared.blob_container import BlobNotFoundError
from tests.local.odoo import independent_checks
from tests.local.odoo.conftest import VARIANTS, GenerateDatabase

SEEN_BY_LEDGER_CHECKS = {
    "change_amount": {"posted entries balance", "in the company's currency both amounts are one"},
    "shift_amount": {"in the company's currency both amounts are one"},
    "delete_line": {"posted entries balance", "invoices balance in their own currency"},
    "unpost": {"lines say what their entry says"},
    "unbalance_currency": {"invoices balance in their own currency"},
    "lose_partial": {"residuals are balance minus partials", "residuals in currency are amount minus partials"},
    "misstate_residual": {"residuals are balance minus partials"},
    "call_it_paid": {"payment states are right"},
    "duplicate_name": {"posted names are unique"},
    "drop_hash": {"hashed journals hash what they post"},
    "swap_attachments": {"documents have a place and a size"},
}
SEEN_BY_HASHES = {"change_amount", "shift_amount", "change_account", "delete_line", "drop_hash", "delete_middle_move"}
"""The last two break the entry that follows the missing one."""


@pytest.fixture(scope="module")
def healthy(generated: GenerateDatabase) -> Connection:
    """A database whose sequences nobody else looks at: they stay where an injury sets them."""
    return generated(**VARIANTS["another seed"])[0]


@pytest.mark.parametrize("name", INJURIES)
def test_an_injury_changes_what_it_names(healthy: Connection, name: str) -> None:
    with healthy.transaction(force_rollback=True):
        before = digests(healthy)
        injury = INJURIES[name](healthy)
        after = digests(healthy)
    assert injury.table in after
    changed = {key for key in before if before[key] != after.get(key)}
    assert changed, injury.done
    if injury.ids:
        assert injury.table in changed


@pytest.mark.parametrize("name", SEEN_BY_LEDGER_CHECKS)
def test_ledger_checks_see_it(healthy: Connection, name: str) -> None:
    with healthy.transaction(force_rollback=True):
        INJURIES[name](healthy)
        assert independent_checks.offenders(healthy).keys() >= SEEN_BY_LEDGER_CHECKS[name]


@pytest.mark.parametrize("name", sorted(SEEN_BY_HASHES | {"change_unsealed_amount", "delete_tail"}))
def test_the_chain_sees_what_it_can_and_nothing_else(healthy: Connection, name: str) -> None:
    with healthy.transaction(force_rollback=True):
        INJURIES[name](healthy)
        _, broken = independent_checks.broken_hashes(healthy)
    assert len(broken) == (1 if name in SEEN_BY_HASHES else 0)


def test_documents_are_damaged() -> None:
    container = MemoryBlobContainer()
    document = bytes(range(64))
    for path in ("kept", "deleted", "corrupt", "truncated"):
        container.create(path, document)
    delete_document(container, "deleted")
    corrupt_document(container, "corrupt")
    truncate_document(container, "truncated")
    with pytest.raises(BlobNotFoundError):
        container.read("deleted")
    corrupt = container.read("corrupt").data
    assert len(corrupt) == len(document) != corrupt.count(0)
    assert sum(one != other for one, other in zip(corrupt, document, strict=True)) == 1
    assert container.read("truncated").data == document[:32]
    assert container.read("kept").data == document


def test_a_corrupt_page_is_noticed_when_it_is_read(
    cluster: PostgresCluster, new_database: Callable[[], Connection]
) -> None:
    connection = new_database()
    connection.execute("CREATE TABLE ledger AS SELECT n AS id, repeat('x', 100) AS name FROM generate_series(1, 999) n")
    injury = corrupt_page(connection, cluster.data, "ledger", page=2)
    assert injury.table == "ledger"
    connection.execute("CREATE EXTENSION pg_buffercache")
    connection.execute("SELECT pg_buffercache_evict_relation('ledger')")  # as a restart would
    with pytest.raises(psycopg.errors.DataCorrupted, match="invalid page in block 2"):
        connection.execute("SELECT sum(id) FROM ledger")


def digests(connection: Connection) -> dict[str, str]:
    """The content of every table, the state of every id sequence, and the constraints and indexes."""
    tables = connection.execute(
        "SELECT relname, relkind FROM pg_class WHERE relkind IN ('r', 'S') AND relnamespace = 'public'::regnamespace"
    ).fetchall()
    found: dict[str, str] = {}
    for name, kind in tables:
        content = "md5(string_agg(t::text, '|' ORDER BY t::text))" if kind == "r" else "last_value"
        [(found[name],)] = connection.execute(f"SELECT {content} FROM {name} t").fetchall()  # noqa: S608
    [(found["constraints"],)] = connection.execute(
        "SELECT md5(string_agg(conname || convalidated, ',' ORDER BY conname)) FROM pg_constraint"
    ).fetchall()
    [(found["indexes"],)] = connection.execute(
        "SELECT md5(string_agg(indexrelid::regclass || ' ' || indisvalid, ',' ORDER BY indexrelid)) FROM pg_index"
    ).fetchall()
    return found
