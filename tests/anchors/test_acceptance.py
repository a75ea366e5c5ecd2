"""What is known of live books and what is accepted of copies: a drill is red for what is new."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from psycopg import Connection

from local.odoo.damage import INJURIES
from shared.backup_verification.acceptance import MILD, known_after, news, with_declared
from shared.backup_verification.books import examine, look_at_live
from shared.backup_verification.findings import NOTHING_ACCEPTED, Baseline, Fault
from shared.estate.policies.backup_verification import BackupVerification
from shared.platforms.sql import ReadOnlyDatabase
from tests.local.odoo.conftest import VARIANTS, GenerateDatabase

NOW = datetime(2026, 11, 22, tzinfo=UTC)
GAPS = "journals have no gap"


def shown(**checks: list[str]) -> dict[str, list[Fault]]:
    return {check.replace("_", " "): [Fault(None, key, key) for key in keys] for check, keys in checks.items()}


def keys(known: Baseline) -> dict[str, set[str]]:
    return {check: set(found) for check, found in known.accepted.items()}


def test_the_first_look_knows_what_it_sees_but_nothing_that_could_not_be_looked_at() -> None:
    known = known_after(None, shown(hash_chain=["1", "2"], posted_moves_balance=["unanswered"]), MILD)
    assert keys(known) == {"hash chain": {"1", "2"}}


def test_an_error_that_comes_later_stays_new_and_one_that_goes_is_forgotten() -> None:
    first = known_after(None, shown(hash_chain=["1", "2"]), MILD)
    second = known_after(first, shown(hash_chain=["2", "3"]), MILD)
    assert keys(second) == {"hash chain": {"2"}}
    third = known_after(second, shown(hash_chain=["1", "2", "3"]), MILD)
    assert keys(third) == {"hash chain": {"2"}}, "what had gone and comes again is new"


def test_a_warning_becomes_known_whenever_it_comes() -> None:
    assert GAPS in MILD
    assert "hash chain" not in MILD
    first = known_after(None, {}, MILD)
    assert keys(known_after(first, {GAPS: [Fault(7, "7", "7")]}, MILD)) == {GAPS: {"7"}}


def test_news_name_only_what_is_new(generated: GenerateDatabase) -> None:
    connection: Connection = generated(**VARIANTS["version 16"])[0]
    with connection.transaction(force_rollback=True):
        looked = look_at_live(ReadOnlyDatabase(connection))
        known = known_after(None, looked.faults, MILD)
        assert len(known.accepted["hash chain"]) == 5
        assert news(looked.findings, looked.faults, known) == []
        injury = INJURIES["change_account"](connection)
        again = look_at_live(ReadOnlyDatabase(connection))
        (fresh,) = news(again.findings, again.faults, known_after(known, again.faults, MILD))
        ((move,),) = connection.execute("select move_id from account_move_line where id = %s", injury.ids).fetchall()
    assert (fresh.check, fresh.rows, fresh.count) == ("hash chain", (move,), 1)


def policy(**accepted: Any) -> BackupVerification:
    group = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-drills"
    entry = {"check": "hash-chain", "why": "audited", "until": "2026-12-31"} | accepted
    return BackupVerification.model_validate({"drills": {"resource_group": group}, "accepted": {"old-hashes": entry}})


@pytest.mark.parametrize(
    ("accepted", "tenant", "today", "taken"),
    [
        ({}, "contoso", date(2026, 12, 31), True),
        ({}, "contoso", date(2027, 1, 1), False),
        ({"tenants": ["contoso"]}, "contoso", date(2026, 11, 22), True),
        ({"tenants": ["fabrikam"]}, "contoso", date(2026, 11, 22), False),
        ({"check": "hash chain"}, "contoso", date(2026, 11, 22), True),
        ({"check": "Hash Chain"}, "contoso", date(2026, 11, 22), True),
        ({"check": "posted moves balance"}, "contoso", date(2026, 11, 22), False),
    ],
)
def test_the_estate_accepts_a_check_for_its_tenants_until_its_day(
    generated: GenerateDatabase, accepted: dict[str, Any], tenant: str, today: date, taken: bool
) -> None:
    baseline = with_declared(NOTHING_ACCEPTED, policy(**accepted), tenant, today)
    connection: Connection = generated(**VARIANTS["version 16"])[0]
    with connection.transaction(force_rollback=True):
        books = examine(ReadOnlyDatabase(connection), "odoo", tenant, NOW, None, baseline=baseline)
    assert [one.check for one in books.findings if one.fails] == ([] if taken else ["hash chain"])
    assert [(one.check, one.count) for one in books.accepted] == ([("hash chain", 5)] if taken else [])
    if taken:
        assert books.accepted[0].why == "audited (until 2026-12-31: old-hashes)"


def test_what_is_accepted_of_a_comparison_is_shown_with_its_reason() -> None:
    baseline = with_declared(NOTHING_ACCEPTED, policy(check="anchor: crons"), "contoso", date(2026, 11, 22))
    assert baseline.whole == {"anchor: crons"}
    assert baseline.new("anchor: crons", [Fault(1, "a", "1")]) == []
    accepted = baseline.known("anchor: crons", "no longer active", [Fault(1, "a", "1")])
    assert accepted is not None
    assert accepted.why.startswith("audited")
