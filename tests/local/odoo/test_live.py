"""A live source: business goes on after the database was generated."""

import hashlib
from datetime import timedelta

import psycopg
import pytest

from local.odoo import write_business
from local.odoo.profile import SUPPORTED_VERSIONS
from local.postgres import PostgresCluster
from tests.local.odoo import independent_checks
from tests.local.odoo.conftest import AS_OF, VARIANTS, GenerateDatabase, RealDatabase
from tests.local.odoo.real_databases import REAL_VERSIONS


@pytest.mark.parametrize("version", SUPPORTED_VERSIONS)
def test_the_books_stay_healthy_over_a_turn_of_the_year(generated: GenerateDatabase, version: int) -> None:
    connection, summary = generated(**VARIANTS[f"version {version}"])
    uploaded: dict[str, bytes] = {}
    names: list[str] = []
    with connection.transaction(force_rollback=True):
        for days in (0.001, 1, 2, 41, 42, 43):
            now = AS_OF + timedelta(days=days)
            written = write_business(connection, now, uploaded.__setitem__)
            names.append(written.name)
            newest = connection.execute(
                "SELECT max(write_date), (SELECT max(id) FROM account_move) FROM account_move_line"
            ).fetchall()
            assert newest == [(now.replace(tzinfo=None), written.move_id)]
        assert independent_checks.offenders(connection) == {}
        assert independent_checks.broken_hashes(connection) == (summary.hashed_moves + 6, list(summary.unverifiable))
        assert len(connection.execute(independent_checks.GAPS).fetchall()) == len(summary.legal_gaps)
        for path, content in uploaded.items():
            digest = hashlib.sha1(content, usedforsecurity=False).hexdigest()
            assert path == f"{connection.info.dbname}/{digest[:2]}/{digest}"
            assert connection.execute("SELECT FROM ir_attachment WHERE checksum = %s", [digest]).fetchall()
    assert len(uploaded) == 6
    assert [name[:9] for name in names] == ["INV/2026/"] * 3 + ["INV/2027/"] * 3
    assert [name[9:] for name in names[3:]] == ["00001", "00002", "00003"]


def test_a_cron_has_run(generated: GenerateDatabase) -> None:
    connection, _ = generated()
    now = AS_OF + timedelta(hours=1)
    with connection.transaction(force_rollback=True):
        [(due,)] = connection.execute("SELECT min(nextcall) FROM ir_cron WHERE active").fetchall()
        write_business(connection, now)
        ran = connection.execute(
            "SELECT nextcall > lastcall, write_date < lastcall FROM ir_cron WHERE lastcall = %s",
            [now.replace(tzinfo=None)],
        ).fetchall()
        assert ran == [(True, True)]
        [(next_due,)] = connection.execute("SELECT min(nextcall) FROM ir_cron WHERE active").fetchall()
        assert next_due > due


def test_writers_of_one_journal_wait_for_each_other(generated: GenerateDatabase, cluster: PostgresCluster) -> None:
    connection, _ = generated()
    with psycopg.connect(cluster.dsn(connection.info.dbname)) as other, other.transaction(force_rollback=True):
        write_business(other, AS_OF + timedelta(minutes=1))
        with connection.transaction(force_rollback=True):
            connection.execute("SET LOCAL lock_timeout = '100ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                write_business(connection, AS_OF + timedelta(minutes=2))


def test_an_empty_ledger_cannot_be_continued(generated: GenerateDatabase) -> None:
    connection, _ = generated()
    with connection.transaction(force_rollback=True):
        connection.execute("TRUNCATE account_move CASCADE")
        with pytest.raises(LookupError, match="generate the database first"):
            write_business(connection, AS_OF)


@pytest.mark.parametrize("version", REAL_VERSIONS)
def test_real_databases_can_be_continued(real: RealDatabase, version: int) -> None:
    connection = real(version)
    hashed, broken = independent_checks.broken_hashes(connection)
    before = independent_checks.offenders(connection)
    with connection.transaction(force_rollback=True):
        write_business(connection, AS_OF + timedelta(days=2))
        assert independent_checks.broken_hashes(connection) == (hashed + 1, broken)
        assert independent_checks.offenders(connection).keys() == before.keys()
