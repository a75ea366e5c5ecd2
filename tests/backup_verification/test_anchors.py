"""Anchors: growth since one is no finding, loss is, and so is what changed where nothing may change any more."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from psycopg import Connection

from local.odoo import write_business
from local.odoo.damage import INJURIES
from shared.backup_verification.anchor_comparison import compare, unchanged_since
from shared.backup_verification.anchors import Anchor, take_anchor
from shared.backup_verification.findings import Baseline
from shared.platforms.sql import ReadOnlyDatabase
from tests.local.odoo.conftest import AS_OF, VARIANTS, GenerateDatabase

type Act = Callable[[Connection], object]


def anchor_of(connection: Connection, up_to: Anchor | None = None) -> Anchor:
    return take_anchor(ReadOnlyDatabase(connection), up_to=up_to)


def grow(connection: Connection) -> None:
    for hour in range(1, 4):
        write_business(connection, AS_OF + timedelta(hours=hour))


@pytest.fixture(params=["version 16", "version 18"])
def live(request: pytest.FixtureRequest, generated: GenerateDatabase) -> Connection:
    return generated(**VARIANTS[request.param])[0]


def seen(connection: Connection, *acts: Act) -> set[str]:
    """What is found after these acts, by an anchor of before."""
    with connection.transaction(force_rollback=True):
        anchor = anchor_of(connection)
        anchor = Anchor.model_validate_json(anchor.model_dump_json())
        for act in acts:
            act(connection)
        return {finding.check for finding in compare(anchor, anchor_of(connection, anchor))}


def test_business_as_usual_is_no_finding(live: Connection) -> None:
    assert seen(live) == set()
    assert seen(live, grow) == set()


def test_a_lost_tail_is_seen_although_business_went_on_since(live: Connection) -> None:
    assert seen(live, INJURIES["delete_tail"], grow) == {"anchor: chain heads"}


def test_a_closed_month_may_never_change(live: Connection) -> None:
    def rebook(connection: Connection) -> None:
        connection.execute(
            "update account_move_line set name = 'something else' where id = (select min(l.id) from account_move_line l"
            " join res_company c on c.id = l.company_id where l.date < date_trunc('month', c.fiscalyear_lock_date))"
        )

    assert seen(live, rebook, grow) == {"anchor: closed periods"}
    assert "anchor: closed periods" in seen(live, rebook)


def test_an_open_month_may_change_with_a_write_only(live: Connection) -> None:
    def rebook(connection: Connection) -> None:
        connection.execute("update account_move_line set name = 'x' where id = (select max(id) from account_move_line)")

    assert seen(live, rebook) == {"anchor: open periods"}
    assert seen(live, rebook, grow) == set()


def test_the_order_of_rows_does_not_matter(live: Connection) -> None:
    def rewrite(connection: Connection) -> None:
        connection.execute(
            "update account_move set name = name where id in (select id from account_move order by random() limit 9)"
        )

    assert seen(live, rewrite) == set()


def test_what_the_baseline_accepts_is_no_finding(live: Connection) -> None:
    with live.transaction(force_rollback=True):
        anchor = anchor_of(live)
        cron = INJURIES["deactivate_cron"](live).ids[0]
        copy = anchor_of(live, anchor)
        assert unchanged_since(anchor, copy)
        assert [finding.check for finding in compare(anchor, copy)] == ["anchor: crons"]
        assert compare(anchor, copy, Baseline(accepted={"anchor: crons": frozenset({str(cron)})})) == []


def test_an_anchor_is_small_and_says_when_it_was_taken(live: Connection) -> None:
    anchor = anchor_of(live)
    assert abs(anchor.taken_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert anchor.newest_write == AS_OF
    assert len(anchor.model_dump_json()) < 100_000


def test_an_anchor_that_was_digested_otherwise_is_compared_by_what_it_adds_up_to(live: Connection) -> None:
    with live.transaction(force_rollback=True):
        anchor = anchor_of(live)
        former = anchor.model_copy(
            update={
                "digests": anchor.digests - 1,
                "periods": tuple(each.model_copy(update={"ledger": "1", "open": "2"}) for each in anchor.periods),
                "tables": {name: table.model_copy(update={"digest": "3"}) for name, table in anchor.tables.items()},
            }
        )
        assert compare(former, anchor_of(live, former)) == []
        live.execute(
            "update account_move_line set debit = debit + 1 where id in (select max(id) from account_move_line"
            " where debit > 0)"
        )
        live.execute("delete from mail_message where id = (select min(id) from mail_message)")
        found = {finding.check for finding in compare(former, anchor_of(live, former))}
    assert found == {"anchor: open periods", "anchor: tables"}


def test_a_table_with_a_type_that_has_no_hash_is_digested_as_text(live: Connection) -> None:
    def note(connection: Connection) -> None:
        connection.execute("update account_journal set noted = '[2]' where id = (select min(id) from account_journal)")

    with live.transaction(force_rollback=True):
        live.execute("alter table account_journal add column noted json default '[1]'")
        anchor = anchor_of(live)
        assert compare(anchor, anchor_of(live, anchor)) == []
        note(live)
        assert [finding.check for finding in compare(anchor, anchor_of(live, anchor))] == ["anchor: tables"]
