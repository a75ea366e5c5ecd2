"""Generated databases against independent checks, and against real ones."""

import hashlib
from collections import Counter
from collections.abc import Callable
from datetime import UTC, timedelta
from typing import Any

import pytest
from psycopg import Connection, errors

from local.odoo import Profile, generate
from local.odoo.profile import SUPPORTED_VERSIONS
from tests.local.odoo import independent_checks
from tests.local.odoo.conftest import AS_OF, JOURNAL_ITEMS, VARIANTS, GenerateDatabase, profile


def one(connection: Connection, query: Any, parameters: Any = None) -> Any:
    [row] = connection.execute(query, parameters).fetchall()
    return row[0] if len(row) == 1 else row


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_the_books_are_healthy(generated: GenerateDatabase, variant: dict[str, Any]) -> None:
    connection, summary = generated(**variant)
    assert independent_checks.offenders(connection) == {}
    gaps = [(gap.journal_id, gap.sequence_prefix, gap.number, gap.next_move_id) for gap in summary.legal_gaps]
    assert connection.execute(independent_checks.GAPS).fetchall() == gaps
    assert independent_checks.broken_hashes(connection) == (summary.hashed_moves, list(summary.unverifiable))
    assert len(summary.unverifiable) == variant.get("unverifiable", 0)


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_the_summary_counts_what_is_there(generated: GenerateDatabase, variant: dict[str, Any]) -> None:
    connection, summary = generated(**variant)
    wanted = variant.get("journal_items", JOURNAL_ITEMS)
    assert wanted <= summary.journal_items < wanted + 50
    assert one(connection, "SELECT count(*) FROM account_move_line") == summary.journal_items
    assert one(
        connection,
        "SELECT count(*), count(*) FILTER (WHERE state = 'posted'), count(inalterable_hash) FROM account_move",
    ) == (summary.moves, summary.posted_moves, summary.hashed_moves)
    assert one(connection, "SELECT count(*) FROM account_partial_reconcile") == summary.partial_reconciles
    assert one(connection, "SELECT count(*) FROM account_payment") == summary.payments
    assert one(connection, "SELECT count(*) FROM ir_attachment") == summary.attachments
    assert one(connection, "SELECT value FROM ir_config_parameter WHERE key = 'database.uuid'") == summary.database_uuid


@pytest.mark.parametrize("version", SUPPORTED_VERSIONS)
def test_there_is_some_of_everything(generated: GenerateDatabase, version: int) -> None:
    connection, _ = generated(**VARIANTS[f"version {version}"])
    kinds = Counter(
        dict(connection.execute("SELECT move_type || ' ' || state, count(*) FROM account_move GROUP BY 1").fetchall())
    )
    for kind in ("out_invoice posted", "in_invoice posted", "entry posted", "out_refund posted", "out_invoice draft"):
        assert kinds[kind], kinds
    assert any(kind.endswith(" cancel") for kind in kinds)
    states = {state for (state,) in connection.execute("SELECT DISTINCT payment_state FROM account_move").fetchall()}
    assert states == {"not_paid", "partial", "paid", "reversed"}
    currencies = connection.execute(
        "SELECT DISTINCT c.name FROM account_move m JOIN res_currency c ON c.id = m.currency_id"
        " WHERE m.state = 'posted'"
    ).fetchall()
    assert {name for (name,) in currencies} == {"EUR", "USD", "JPY", "KWD"}
    jobs = {state for (state,) in connection.execute("SELECT DISTINCT state FROM queue_job").fetchall()}
    assert jobs >= {"pending", "enqueued", "started", "done", "failed"}
    assert one(connection, "SELECT count(*) FROM account_partial_reconcile WHERE exchange_move_id IS NOT NULL")
    assert one(connection, "SELECT latest_version FROM ir_module_module WHERE name = 'base'") == f"{version}.0.1.3"


def test_the_last_write_is_as_of_and_nothing_is_later(generated: GenerateDatabase) -> None:
    connection, summary = generated()
    newest = one(connection, "SELECT max(write_date) FROM account_move").replace(tzinfo=UTC)
    assert newest == AS_OF == summary.newest_write
    for table in ("account_move_line", "account_partial_reconcile", "ir_attachment", "mail_message"):
        assert one(connection, f"SELECT max(write_date) FROM {table}").replace(tzinfo=UTC) <= AS_OF  # noqa: S608
    oldest = one(connection, "SELECT min(create_date) FROM account_move").replace(tzinfo=UTC)
    assert oldest == AS_OF - timedelta(days=profile("x").days)


def digest_of(connection: Connection) -> dict[str, str]:
    tables = connection.execute(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    digests: dict[str, str] = {}
    for (table,) in tables.fetchall():
        digests[table] = one(connection, f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} t")  # noqa: S608
    return digests


def test_the_same_profile_yields_the_same_rows(
    generated: GenerateDatabase, new_database: Callable[[], Connection]
) -> None:
    first, _ = generated()
    again = new_database()
    generate(again, profile("tenant"))
    assert digest_of(again) == digest_of(first)
    other, _ = generated(**VARIANTS["another seed"])
    assert digest_of(other)["account_move"] != digest_of(first)["account_move"]


def test_ids_and_business_sequences_are_ahead_of_the_rows(generated: GenerateDatabase) -> None:
    for variant in ("version 16", "version 18"):
        connection, summary = generated(**VARIANTS[variant])
        for (table,) in connection.execute(
            "SELECT table_name FROM information_schema.columns WHERE column_name = 'id' AND table_schema = 'public'"
        ).fetchall():
            last = one(connection, f"SELECT coalesce(max(id), 0) FROM {table}")  # noqa: S608
            assert one(connection, "SELECT nextval(%s)", [f"{table}_id_seq"]) > last, table
        payment = one(connection, "SELECT id FROM ir_sequence WHERE code = 'account.payment'")
        assert one(connection, f"SELECT nextval('ir_sequence_{payment:03}')") == summary.payments + 1
    rows = generated(**VARIANTS["version 16"])[0].execute(
        "SELECT s.number_next, (SELECT max(secure_sequence_number) FROM account_move WHERE journal_id = j.id)"
        " FROM account_journal j JOIN ir_sequence s ON s.id = j.secure_sequence_id"
    )
    for number_next, last in rows.fetchall():
        assert number_next == last + 1


def test_every_document_is_uploaded_once_where_its_attachments_say(new_database: Callable[[], Connection]) -> None:
    uploaded: dict[str, bytes] = {}

    def upload(path: str, content: bytes) -> None:
        assert path not in uploaded
        uploaded[path] = content

    connection = new_database()
    layouts = ("file", "fs_attachment", "attachment_azure", "cloud_storage")
    summary = generate(connection, profile("tenant", attachments=40, attachment_layouts=layouts), upload)
    rows = connection.execute(
        "SELECT CASE WHEN store_fname LIKE '__/%' THEN 'tenant/' || store_fname"
        " WHEN type = 'cloud_storage' THEN replace(url, 'https://example.blob.core.windows.net/documents/', '')"
        " ELSE regexp_replace(store_fname, '^(azblob://|azure://tenant/)', '') END, checksum, file_size"
        " FROM ir_attachment WHERE store_fname IS NOT NULL OR type = 'cloud_storage'"
    ).fetchall()
    assert len(rows) > len(uploaded) == summary.documents  # some entries share a document
    assert sum(map(len, uploaded.values())) == summary.document_bytes
    assert {path for path, _, _ in rows} == uploaded.keys()
    for path, checksum, size in rows:
        content = uploaded[path]
        if checksum is not None:  # Odoo's own cloud storage keeps none
            assert (hashlib.sha1(content, usedforsecurity=False).hexdigest(), len(content)) == (checksum, size)
    special = connection.execute(
        "SELECT name, type, url IS NULL, db_datas IS NULL, checksum IS NULL FROM ir_attachment"
        " WHERE store_fname IS NULL AND type <> 'cloud_storage' ORDER BY name"
    ).fetchall()
    assert special == [
        ("empty.txt", "binary", True, True, True),
        ("in_database.pdf", "binary", True, False, False),
        ("link", "url", False, True, True),
        ("placeholder.png", "url", False, True, True),
    ]


def test_a_database_that_is_not_empty_is_left_alone(generated: GenerateDatabase) -> None:
    connection, summary = generated()
    with pytest.raises(errors.DuplicateTable):
        generate(connection, profile("tenant"))
    assert one(connection, "SELECT count(*) FROM account_move") == summary.moves


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"version": 15}, "version 15"),
        ({"as_of": AS_OF.replace(tzinfo=None)}, "time zone"),
        ({"journal_items": 3}, "at least 100"),
        ({"version": 17, "hash_versions": (3, 4)}, "writes none above 3"),
        ({"version": 17, "attachment_layouts": ("cloud_storage",)}, "no cloud storage"),
    ],
)
def test_impossible_profiles_are_refused(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        profile("tenant", **changes)


def test_profiles_are_values() -> None:
    assert profile("a") == Profile(database="a", as_of=AS_OF, journal_items=JOURNAL_ITEMS)
