"""The damage suite: every injury of a database is found and named by the right check; where the others are tested.

Injuries are local/odoo/damage; those of documents, dumps, servers and networks have tests of their own, listed below.
"""

import ast
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from psycopg import Connection

from local.odoo import generate, write_business
from local.odoo.damage import INJURIES, corrupt_page
from local.postgres import PostgresCluster
from shared.backup_verification.anchors import Anchor, take_anchor
from shared.backup_verification.books import accept, examine
from shared.backup_verification.findings import Baseline, Finding
from shared.platforms.sql import ReadOnlyDatabase
from tests.local.odoo.conftest import VARIANTS, GenerateDatabase, profile

NOW = datetime(2026, 11, 22, tzinfo=UTC)
TESTS = Path(__file__).resolve().parents[1]
DOCUMENTATION = TESTS.parent / "docs" / "backup-verification.md"

DAMAGE: dict[str, set[str]] = {
    # what the copy itself shows, without any memory of the live database
    "change_amount": {"posted moves balance", "hash chain"},
    "shift_amount": {"hash chain"},
    "change_account": {"hash chain"},
    "delete_line": {"posted moves balance", "hash chain"},
    "delete_middle_move": {"hash chain", "journals have no gap"},
    "orphan_lines": {"lines belong to moves", "hash chain"},
    "unpost": {"lines agree with their move"},
    "unbalance_currency": {"invoices balance in their currency"},
    "contradict_amounts": {"lines agree with themselves"},
    "empty_entry": {"posted moves have lines"},
    "lose_partial": {"residuals are what is open"},
    "lose_reconciled_line": {"reconciliations refer to lines"},
    "misstate_residual": {"residuals are what is open"},
    "reopen_reconciled": {"full reconciliations leave nothing"},
    "call_it_paid": {"invoices are paid as they say"},
    "misstate_statement": {"statements add up"},
    "drop_hash": {"hash chain", "seals have no hole"},
    "set_lock_date_ahead": {"lock dates are sane"},
    "rewind_id_sequence": {"ids are ahead"},
    "lose_business_counter": {"business sequences have their counter"},
    "unvalidated_foreign_key": {"constraints are validated"},
    "invalid_index": {"indexes are valid"},
    "swap_attachments": {"attachments say where they are"},
    "half_upgrade": {"modules are settled"},
    "lose_currency": {"companies are complete"},
    "lose_everybody": {"somebody can log in"},
    # what only the comparison with an anchor of the live database shows
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
    "downgrade_module": {"anchor: modules"},
}
"""An injury, and the checks that must name it."""

ELSEWHERE = {
    "a broken page of an index, and of a table": "backup_verification/test_damage.py::"
    "test_a_broken_page_of_an_index_and_of_a_table_is_named",
    "the wrong restore point": "backup_verification/test_damage.py::test_a_restore_point_that_is_too_early_is_named",
    "a lost tail behind later business": "backup_verification/test_anchors.py::"
    "test_a_lost_tail_is_seen_although_business_went_on_since",
    "a line changed in a closed month": "backup_verification/test_anchors.py::test_a_closed_month_may_never_change",
    "a deleted, swapped, cut or renamed document": "documents/test_verification.py::"
    "test_each_injury_is_told_by_its_own_word",
    "a secondary region without a document": "documents/test_verification.py::"
    "test_the_secondary_region_is_told_apart_from_what_is_on_its_way",
    "a truncated, corrupted, empty or foreign dump": "dumps/test_content.py::"
    "test_each_injury_of_an_archive_is_told_by_its_own_word",
    "a flipped bit in a dump": "dumps/test_content.py::"
    "test_any_flipped_bit_is_found_with_a_checksum_and_none_breaks_the_reader",
    "a missing part of a dump": "dumps/test_content.py::test_a_part_that_a_folder_lacks_is_named",
    "a cut encrypted dump": "dumps/test_age.py::test_every_size_around_the_blocks_is_opened_and_every_cut_told",
    "a dump of books that were broken": "dumps/test_in_the_app.py::"
    "test_books_that_were_broken_before_the_dump_are_seen_in_the_copy",
    "a dump of a newer version": "dumps/test_in_the_app.py::"
    "test_a_program_that_is_older_than_the_dump_is_told_by_the_version",
    "a missing segment of the log": "drills/test_failing_drill.py::test_a_missing_log_segment_fails_the_restore",
    "a damaged segment of the log": "local/postgres/test_point_in_time.py::"
    "test_a_damaged_segment_is_not_taken_for_the_end",
    "a restore that hangs": "drills/test_failing_drill.py::test_a_restore_that_hangs_fails_in_time_and_leaves_nothing",
    "a restore that fails": "drills/test_failing_drill.py::test_a_restore_that_azure_gives_up_fails_with_azures_words",
    "a restore into the wrong state": "drills/test_failing_drill.py::"
    "test_a_restore_that_succeeds_into_the_wrong_state_fails",
    "network loss in the middle": "drills/test_failing_drill.py::"
    "test_a_network_that_is_lost_in_the_middle_is_waited_for",
    "teardown refused twice": "drills/test_failing_drill.py::"
    "test_a_removal_that_is_refused_twice_succeeds_the_third_time",
    "a terminated drill": "drills/test_failing_drill.py::test_a_terminated_drill_is_reaped_and_reported",
    "a worker killed at any step": "drills/test_drill.py::test_a_worker_killed_at_any_work_item_is_one_drill",
}
"""What is not an injury of one database, and the test that shows it detected, beside this one."""


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


def test_the_tables_hold_every_injury_and_each_other_test_is_there() -> None:
    assert DAMAGE.keys() == INJURIES.keys()
    documented = DOCUMENTATION.read_text()
    for injury, checks in DAMAGE.items():
        assert f"| {injury.replace('_', ' ')} | {'; '.join(sorted(checks))} |" in documented
    told = " ".join(documented.split())
    assert [other for other in ELSEWHERE if other not in told] == []
    for test in ELSEWHERE.values():
        file, name = test.split("::")
        tree = ast.parse((TESTS / file).read_text())
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, test


@pytest.mark.parametrize("injury", DAMAGE)
def test_each_injury_is_named_by_the_right_check(healthy: Healthy, injury: str) -> None:
    with_anchor = any(check.startswith("anchor:") for check in DAMAGE[injury])
    found = findings(healthy, injury, with_anchor=with_anchor)
    assert found.keys() >= DAMAGE[injury]
    assert any(found[check].fails for check in DAMAGE[injury])


def test_a_restore_point_that_is_too_early_is_named(healthy: Healthy) -> None:
    connection = healthy.connection
    with connection.transaction(force_rollback=True):
        written = write_business(connection, NOW - timedelta(hours=1))
        anchor = take_anchor(ReadOnlyDatabase(connection))
    connection.execute("select setval(sequence, value) from saved_sequences")
    with connection.transaction(force_rollback=True):
        books = examine(ReadOnlyDatabase(connection), "odoo", "contoso", NOW, None, anchor=anchor)
    found = {finding.check: finding.message for finding in books.findings if finding.fails}
    assert found.keys() >= {"anchor: newest writes", "anchor: chain heads", "anchor: sequences"}
    assert f"instead of {written.at.isoformat()}" in found["anchor: newest writes"]


def test_a_broken_page_of_an_index_and_of_a_table_is_named(
    cluster: PostgresCluster, new_database: Callable[[], Connection]
) -> None:
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
