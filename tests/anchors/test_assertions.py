"""The estate's own assertions on a real database: they hold, break, or fail to be answered; and they only read."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from local.postgres import PostgresCluster
from shared.backup_verification.assertions import Assertion, Judged, Returned, declared_for, judge, run
from shared.backup_verification.findings import NOTHING_ACCEPTED, Baseline, Severity
from shared.estate.policies.backup_verification import BackupVerification
from shared.platforms.sql import ReadOnlyDatabase
from tests.local.odoo.conftest import VARIANTS, GenerateDatabase

THEN = datetime(2026, 11, 22, 2, 30, tzinfo=UTC)
GROUP = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-drills"


@pytest.fixture(scope="module")
def books(generated: GenerateDatabase) -> str:
    connection: Connection = generated(**VARIANTS["tiny"])[0]
    return connection.info.dbname


@pytest.fixture
def database(cluster: PostgresCluster, books: str) -> Iterator[ReadOnlyDatabase]:
    """A read-only, repeatable-read transaction, as the app opens one."""
    with psycopg.connect(cluster.dsn(books)) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        yield ReadOnlyDatabase(connection)
        connection.rollback()


def assertion(sql: str, expect: str = "no rows", seconds: int = 30) -> Assertion:
    return Assertion("mine", sql, expect, Severity.ERROR, seconds)


def judged(
    database: ReadOnlyDatabase, one: Assertion, anchored: dict[str, Returned] | None = None, **more: Any
) -> Judged:
    return judge(database, [one], anchored or {}, THEN, more.pop("copy", THEN), **more)


@pytest.mark.parametrize(
    ("sql", "expect", "message"),
    [
        ("select id from account_move where id < 0", "no rows", None),
        ("select id from account_move where id < 0;", "no rows", None),
        ("select id from account_move where name = ';' -- no; such name", "no rows", None),
        ("with m as (select id from account_move) select id from m where id < 0 /* none; */ ;\n", "no rows", None),
        ("select id from account_move where name like '%x%y%'", "no rows", None),
        ("select id from account_move order by id limit 3", "no rows", "returned 3 rows: 1, 2, 3"),
        ("select name from res_company", "no rows", "returned 1 rows: without an id in the first column"),
        ("table res_company", "rows", None),
        ("select l.id, m.id from account_move_line l join account_move m on m.id = l.move_id", "rows", None),
        ("select id from account_move where id < 0", "rows", "returned: no row"),
        ("select nothing from account_move", "rows", 'could not be answered: column "nothing" does not exist'),
        ("select id from no_such_table", "no rows", 'could not be answered: relation "no_such_table" does not exist'),
        ("select from where", "no rows", "could not be answered: syntax error"),
    ],
)
def test_an_assertion_holds_or_says_why_not(
    database: ReadOnlyDatabase, sql: str, expect: str, message: str | None
) -> None:
    found = judged(database, assertion(sql, expect)).findings
    if message is None:
        assert found == ()
    else:
        (finding,) = found
        assert finding.message.startswith(message)
        assert (finding.check, finding.severity) == ("assertion: mine", Severity.ERROR)


@pytest.mark.parametrize(
    "sql",
    [
        "with gone as (delete from account_move returning id) select id from gone",
        "select setval('account_move_id_seq', 1)",
        "select set_config('transaction_read_only', 'off', true), setval('account_move_id_seq', 1)",
        "select lo_create(4711)",
    ],
)
def test_an_assertion_cannot_write(database: ReadOnlyDatabase, sql: str) -> None:
    before = database.rows("select count(*), max(id) from account_move")
    (finding,) = judged(database, assertion(sql)).findings
    assert finding.message.startswith("could not be answered"), finding.message
    assert database.rows("select count(*), max(id) from account_move") == before


def test_an_assertion_has_its_own_time_and_leaves_the_others_theirs(database: ReadOnlyDatabase) -> None:
    database.rows("select set_config('statement_timeout', '77s', true)")
    (finding,) = judged(database, assertion("select pg_sleep(20)", "rows", seconds=1)).findings
    assert "statement timeout" in finding.message
    assert database.rows("select current_setting('statement_timeout')") == [("77s",)]
    assert judged(database, assertion("select 1", "rows")).findings == ()


BALANCE = "select account_id, sum(balance) from account_move_line where parent_state = 'posted' group by 1 order by 1"


def test_the_answer_of_the_anchor_is_compared_whatever_the_order(database: ReadOnlyDatabase) -> None:
    same = assertion(BALANCE, "same as anchor")
    returned = run(database, same)
    assert isinstance(returned, Returned)
    assert returned.rows > 3
    assert judged(database, same, {"mine": returned}).findings == ()
    backwards = assertion(BALANCE + " desc", "same as anchor")
    assert run(database, backwards) == returned.model_copy(update={"query": backwards.query})

    other = {"mine": returned.model_copy(update={"digest": "1"})}
    (finding,) = judged(database, same, other).findings
    assert (finding.severity, finding.fails) == (Severity.ERROR, True)
    (finding,) = judged(database, same, other, copy=THEN + timedelta(hours=1)).findings
    assert (finding.severity, "newer writes than the anchor" in finding.message) == (Severity.NOTE, True)


def test_without_an_anchored_answer_to_this_query_nothing_is_concluded(database: ReadOnlyDatabase) -> None:
    same = assertion(BALANCE, "same as anchor")
    former = Returned(query="another query", rows=1, digest="1")
    for anchored in ({}, {"mine": former}):
        (finding,) = judged(database, same, anchored).findings
        assert (finding.severity, finding.fails) == (Severity.NOTE, False)


def test_an_accepted_assertion_is_shown_and_fails_nothing(database: ReadOnlyDatabase) -> None:
    baseline = Baseline(whole=frozenset({"assertion: mine"}), reasons={"assertion: mine": "audited"})
    said = judged(database, assertion("select id from account_move"), baseline=baseline)
    assert said.findings == ()
    assert [(one.check, one.why) for one in said.accepted] == [("assertion: mine", "audited")]
    assert judged(database, assertion("select id from account_move"), baseline=NOTHING_ACCEPTED).accepted == ()


def test_an_assertion_is_for_the_tenants_that_it_names() -> None:
    policy = BackupVerification.model_validate(
        {
            "drills": {"resource_group": GROUP},
            "assertions": {
                "everywhere": {"sql": "select 1", "expect": "rows", "severity": "critical"},
                "here": {"sql": "select 1", "tenants": ["contoso"], "time_limit": "5s"},
            },
        }
    )
    assert [one.name for one in declared_for(policy, "contoso")] == ["everywhere", "here"]
    (only,) = declared_for(policy, "fabrikam")
    assert (only.name, only.severity, only.seconds, only.expect) == ("everywhere", Severity.CRITICAL, 30, "rows")
    assert [one.name for one in declared_for(policy, "")] == ["everywhere"]
