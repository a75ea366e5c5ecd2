"""Read replicas: they follow, refuse writes, and become servers of their own."""

import time
from pathlib import Path

import psycopg
import pytest

from local.postgres import LoopbackAddresses, PostgresCluster


def test_a_replica_follows_until_it_is_promoted(
    source: PostgresCluster, addresses: LoopbackAddresses, tmp_path: Path
) -> None:
    source.run_sql("CREATE TABLE followed (number int)")
    replica = PostgresCluster.create_replica(
        tmp_path / "replica", source, address=addresses.allocate(), port=addresses.port, certificate=None
    )
    try:
        source.run_sql("INSERT INTO followed VALUES (1)")
        await_rows(replica, [(1,)])
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            replica.run_sql("INSERT INTO followed VALUES (2)")

        replica.stop()
        source.run_sql("INSERT INTO followed VALUES (3)")
        write_until_the_log_is_recycled(source)
        replica.start()
        await_rows(replica, [(1,), (3,)])

        archived = source.archive.segments()
        replica.promote()
        replica.run_sql("INSERT INTO followed VALUES (4)")
        replica.restart()
        replica.archive_now()
        assert replica.run_sql("SELECT number FROM followed ORDER BY 1") == [(1,), (3,), (4,)]
        assert source.run_sql("SELECT number FROM followed ORDER BY 1") == [(1,), (3,)]
        assert source.archive.segments() == archived
    finally:
        replica.destroy()


def write_until_the_log_is_recycled(source: PostgresCluster) -> None:
    oldest = min(path.name for path in (source.data / "pg_wal").glob("0*"))
    while (source.data / "pg_wal" / oldest).exists():
        source.run_sql("CREATE TABLE filler AS SELECT generate_series(1, 50000)")
        source.run_sql("DROP TABLE filler")
        source.archive_now()
        source.run_sql("CHECKPOINT")


def await_rows(replica: PostgresCluster, expected: list[tuple[int]]) -> None:
    deadline = time.monotonic() + 60
    while replica.run_sql("SELECT number FROM followed ORDER BY 1") != expected:
        assert time.monotonic() < deadline
        time.sleep(0.02)
