"""Verifying restored books, beside the bare restore of the same data by pg_restore, in the same run.

Baselines: a serial pg_restore of the database (custom format); the hash chain recomputed by one Python process that
reads every entry; and SHA-256 alone over as many texts of the same length. Prints the verification over two connections
and over one as a share of the restore, its parts (over one connection; the digests alone, with a pass over entries of
their own, which the verification shares with the checks), sealed entries per second, and the verifier's peak memory for
a tenth of the journal items and for all of them.
Exits 1 when PostgreSQL and Python disagree, a healthy copy has a finding, or memory grows with the size.

Run: python -m bench.backup_verification [--smoke] [--lines N]
"""

import argparse
import multiprocessing
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg

from local.odoo import Profile, generate
from local.postgres import LoopbackAddresses, PostgresCluster, binary
from shared.backup_verification.anchors import Anchor, take_anchor
from shared.backup_verification.books import Books, accept, examine
from shared.backup_verification.findings import Baseline
from shared.backup_verification.hash_chain import broken_moves, recompute
from shared.platforms.sql import ReadOnlyDatabase

AS_OF = datetime(2026, 11, 21, 14, 30, tzinfo=UTC)
ALL_JOURNALS = ("INV", "BILL", "MISC", "BNK1")
MEMORY_LIMIT = 200  # MB
GROWTH_LIMIT = 1.25


def open_read_only(dsn: str) -> psycopg.Connection:
    connection = psycopg.connect(dsn, options="-c default_transaction_read_only=on")
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    return connection


def verify(dsn: str, accepted: str, anchored: str, answers: Any) -> None:
    """In a process of its own, so that its peak memory is the verifier's."""
    baseline, anchor = Baseline.model_validate_json(accepted), Anchor.model_validate_json(anchored)
    seconds: dict[str, float] = {}
    with open_read_only(dsn) as connection, open_read_only(dsn) as other:
        database, beside = ReadOnlyDatabase(connection), ReadOnlyDatabase(other)

        def timed[R](part: str, question: Callable[[], R]) -> R:
            started = time.perf_counter()
            answer = question()
            seconds[part] = time.perf_counter() - started
            return answer

        def examined(*more: ReadOnlyDatabase, compared: Anchor | None) -> Books:
            return examine(database, "copy", "tenant", AS_OF, None, anchor=compared, baseline=baseline, beside=more)

        books = timed("over two connections", lambda: examined(beside, compared=anchor))
        timed("over one", lambda: examined(compared=anchor))
        timed("checks and hash chain", lambda: examined(compared=None))
        sealed, broken = timed("of these the hash chain", lambda: broken_moves(database))
        timed("digests for the anchor", lambda: take_anchor(database, up_to=anchor))
    failing = [finding.message for finding in books.findings if finding.fails]
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    answers.put((seconds, sealed, [fault.id for fault in broken], failing, megabytes))


def python_chain(dsn: str) -> tuple[float, list[int | None]]:
    with open_read_only(dsn) as connection:
        database = ReadOnlyDatabase(connection)
        started = time.perf_counter()
        ids = [move for (move,) in database.rows("select id from account_move where inalterable_hash <> ''")]
        broken = recompute(database, ids)
        return time.perf_counter() - started, [fault.id for fault in broken]


def bare_hashes(dsn: str) -> float:
    """SHA-256 per second in one Python process, over texts as long as those that are sealed, ready in memory."""
    with open_read_only(dsn) as connection:
        query = (
            "select avg(n)::integer from (select 90 + 130 * count(*) as n from account_move_line group by move_id) t"
        )
        [(length,)] = connection.execute(query).fetchall()
    text, rounds = b"x" * length, 200_000
    started = time.perf_counter()
    for _ in range(rounds):
        sha256(text).hexdigest()
    return rounds / (time.perf_counter() - started)


def measure(cluster: PostgresCluster, folder: Path, lines: int) -> tuple[float, bool]:
    source, copy, dump = f"source_{lines}", f"copy_{lines}", folder / f"{lines}.dump"
    cluster.run_sql(f"create database {source}")
    with psycopg.connect(cluster.dsn(source), autocommit=True) as connection:
        summary = generate(
            connection, Profile(database=source, as_of=AS_OF, journal_items=lines, hashed_journals=ALL_JOURNALS)
        )
    with open_read_only(cluster.dsn(source)) as connection:
        database = ReadOnlyDatabase(connection)
        baseline, anchor = accept(database), take_anchor(database)
    subprocess.run([binary("pg_dump"), "-Fc", "-f", dump, cluster.dsn(source)], check=True)
    cluster.run_sql(f"create database {copy}")
    started = time.perf_counter()
    subprocess.run([binary("pg_restore"), "--no-owner", "-d", cluster.dsn(copy), dump], check=True)
    restore = time.perf_counter() - started
    cluster.run_sql("analyze", database=copy)  # a physical copy brings its statistics along
    spawn = multiprocessing.get_context("spawn")
    answers = spawn.Queue()
    child = spawn.Process(
        target=verify, args=(cluster.dsn(copy), baseline.model_dump_json(), anchor.model_dump_json(), answers)
    )
    child.start()
    seconds, sealed, broken, failing, megabytes = answers.get(timeout=600)
    child.join()
    by_python, broken_by_python = python_chain(cluster.dsn(copy))
    hashes = bare_hashes(cluster.dsn(copy))
    cluster.run_sql(f"drop database {source} with (force)")
    cluster.run_sql(f"drop database {copy} with (force)")

    print(f"{summary.journal_items:,} journal items, {sealed:,} sealed entries; bare pg_restore {restore:.1f} s")
    for part, spent in seconds.items():
        print(f"  {part}: {spent:.2f} s, {spent / restore:.0%} of the restore")
    chain = seconds["of these the hash chain"]
    print(
        f"  hash chain: {sealed / chain:,.0f} entries/s by PostgreSQL, {sealed / by_python:,.0f} by one Python process"
        f" ({by_python / chain:.1f} times as long); SHA-256 alone {hashes:,.0f}/s"
    )
    print(f"  peak memory of the verifier: {megabytes:.0f} MB")
    for complaint in failing:
        print(f"  FINDING {complaint}")
    return megabytes, not failing and broken == broken_by_python


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="few journal items")
    parser.add_argument("--lines", type=int, default=1_000_000, help="journal items")
    options = parser.parse_args()
    lines = 10_000 if options.smoke else options.lines
    addresses = LoopbackAddresses()
    with tempfile.TemporaryDirectory(prefix="closekeeper-bench-") as folder:
        cluster = PostgresCluster.create(
            Path(folder) / "server",
            address=addresses.allocate(),
            port=addresses.port,
            administrator="odoo",
            password="of-this-benchmark-only",
            certificate=None,
            shared_buffers_megabytes=256,
            archive_timeout_seconds=3600,
        )
        try:
            small, good_small = measure(cluster, Path(folder), lines // 10)
            large, good_large = measure(cluster, Path(folder), lines)
        finally:
            cluster.destroy()
    flat = large < MEMORY_LIMIT and large < small * GROWTH_LIMIT
    return 0 if good_small and good_large and flat else 1


if __name__ == "__main__":
    sys.exit(main())
