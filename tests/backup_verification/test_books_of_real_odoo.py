"""The checks on databases that real Odoo servers wrote: no false alarm beyond what Odoo itself cannot verify."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest

from local.postgres.addresses import LoopbackAddresses
from local.postgres.binaries import binary
from local.postgres.cluster import PostgresCluster
from shared.backup_verification.books import examine

DUMPS = Path(__file__).resolve().parents[3] / "shared" / "odoo"
NOW = datetime(2026, 11, 22, tzinfo=UTC)
pytestmark = pytest.mark.skipif(not DUMPS.is_dir(), reason="the real Odoo databases do not lie beside the checkout")


class Database:
    """The port over a plain connection."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection

    def rows(self, query: LiteralString, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        return self.connection.execute(query, parameters or None).fetchall()

    def stream(self, query: LiteralString, parameters: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        yield from self.connection.execute(query, parameters or None)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresCluster]:
    addresses = LoopbackAddresses()
    server = PostgresCluster.create(
        tmp_path_factory.mktemp("odoo") / "server",
        address=addresses.allocate(),
        port=addresses.port,
        administrator="odoo",
        password="of-this-test-only",
        certificate=None,
    )
    yield server
    server.destroy()


@contextmanager
def restored(cluster: PostgresCluster, version: int) -> Iterator[Database]:
    name = f"odoo{version}"
    cluster.run_sql(f"create database {name}")
    subprocess.run(
        [binary("pg_restore"), "--no-owner", "-d", cluster.dsn(name), DUMPS / f"odoo{version}_min.dump"], check=True
    )
    with psycopg.connect(cluster.dsn(name)) as connection:
        yield Database(connection)
    cluster.run_sql(f"drop database {name} with (force)")


@pytest.mark.parametrize(
    ("version", "moves", "sealed", "unverifiable"), [(16, 413, 212, 88), (17, 429, 212, 0), (18, 407, 223, 0)]
)
def test_a_healthy_database_of_a_real_odoo_has_no_finding(
    cluster: PostgresCluster, version: int, moves: int, sealed: int, unverifiable: int
) -> None:
    with restored(cluster, version) as database:
        books = examine(database, "odoo", "contoso", NOW, None)
    assert (books.moves, books.hashed_moves) == (moves, sealed)
    assert books.newest_write is not None
    # 88 entries of the 16.0 database fail Odoo's own check too: its hash version 1 printed floats.
    assert {finding.check for finding in books.findings} == ({"hash chain"} if unverifiable else set())
    for finding in books.findings:
        assert "and 68 more" in finding.message


def test_a_line_changed_after_the_fact_is_named(cluster: PostgresCluster) -> None:
    with restored(cluster, 18) as database:
        ((move, name),) = database.rows(
            "select id, name from account_move where inalterable_hash is not null order by id limit 1 offset 40"
        )
        database.connection.execute(
            "update account_move_line set account_id = account_id + 1 where id = "
            "(select min(id) from account_move_line where move_id = %s)",
            [move],
        )
        books = examine(database, "odoo", "contoso", NOW, None)
    (finding,) = books.findings
    assert finding.check == "hash chain"
    assert finding.rows == (move,)
    assert name in finding.message
