"""Point-in-time restore: exactly to the instant, from what is archived, or not at all."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import psycopg
import pytest

from local.postgres import CancelledError, LoopbackAddresses, PostgresCluster, RestoreFailedError
from local.postgres.wal_archive import following
from tests.local.postgres.conftest import CreateCluster, create_cluster
from tests.local.postgres.processes_in import processes_in

type Restore = Callable[..., PostgresCluster]


@dataclass(frozen=True)
class History:
    """A server whose log was archived after each of the commits 1, 2 and 3, and the instants between them."""

    server: PostgresCluster
    after_1: datetime
    after_2: datetime
    after_3: datetime
    segments: dict[int, Path]
    """The archived segment that has the commit."""


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory, addresses: LoopbackAddresses) -> Iterator[History]:
    server = create_cluster(tmp_path_factory.mktemp("history") / "server", addresses, max_connections=23)
    server.run_sql("ALTER SYSTEM SET work_mem = '7MB'")
    server.restart()
    server.take_base_backup()
    server.run_sql("CREATE TABLE entry (number int)")
    instants, segments = [], {}
    for number in (1, 2, 3):
        before = set(server.archive.segments())
        server.run_sql("INSERT INTO entry VALUES (%s)", [number])
        server.archive_now()
        (segments[number],) = (server.archive.folder / name for name in set(server.archive.segments()) - before)
        instants.append(clock(server))
    yield History(server, *instants, segments)
    server.destroy()


@pytest.fixture
def restore(tmp_path: Path, addresses: LoopbackAddresses) -> Iterator[Restore]:
    """Restore servers that end with the test."""
    with ExitStack() as stack:

        def restore_one(source: PostgresCluster, target: datetime | None, **options: Any) -> PostgresCluster:
            folder = tmp_path / f"restored{len(list(tmp_path.iterdir()))}"
            defaults: dict[str, Any] = {
                "address": addresses.allocate(),
                "port": addresses.port,
                "certificate": None,
            }
            cluster = PostgresCluster.restore(folder, source, target=target, **defaults | options)
            stack.callback(cluster.destroy)
            return cluster

        yield restore_one


def clock(server: PostgresCluster) -> datetime:
    return server.run_sql("SELECT clock_timestamp()")[0][0]


def entries(server: PostgresCluster) -> list[int]:
    return [number for (number,) in server.run_sql("SELECT number FROM entry ORDER BY number")]


@pytest.mark.parametrize(("instant", "expected"), [("after_1", [1]), ("after_2", [1, 2])])
def test_recovery_stops_between_two_commits(
    history: History, restore: Restore, instant: str, expected: list[int]
) -> None:
    restored = restore(history.server, getattr(history, instant))
    assert entries(restored) == expected
    assert not restored.run_sql("SELECT pg_is_in_recovery()")[0][0]


def test_a_commit_at_the_very_instant_is_included(history: History, restore: Restore) -> None:
    last = history.server.archived_until
    assert last is not None
    assert history.after_2 < last < history.after_3
    assert entries(restore(history.server, last, clamp=True)) == [1, 2, 3]
    assert entries(restore(history.server, last - timedelta(microseconds=1))) == [1, 2]


def test_latest_is_all_that_is_archived(history: History, restore: Restore) -> None:
    steps: list[str] = []
    restored = restore(history.server, None, on_progress=steps.append)
    assert entries(restored) == [1, 2, 3]
    assert [step.split()[0] for step in steps] == ["Copying", "Replaying"]


def test_a_target_after_the_last_archived_commit_fails_unless_clamped(history: History, restore: Restore) -> None:
    with pytest.raises(RestoreFailedError, match="recovery ended before configured recovery target was reached"):
        restore(history.server, history.after_3)
    assert entries(restore(history.server, history.after_3, clamp=True)) == [1, 2, 3]


def test_clamping_leaves_an_earlier_target_alone(history: History, restore: Restore) -> None:
    assert entries(restore(history.server, history.after_1, clamp=True)) == [1]


def test_a_target_before_the_first_backup_fails(history: History, restore: Restore) -> None:
    earliest = history.server.earliest_restore_time
    assert earliest is not None
    with pytest.raises(RestoreFailedError, match="the earliest restore time is"):
        restore(history.server, earliest - timedelta(microseconds=1))


def test_the_moment_a_backup_was_complete_can_be_restored(history: History, restore: Restore) -> None:
    restored = restore(history.server, history.server.earliest_restore_time)
    with pytest.raises(psycopg.errors.UndefinedTable):
        entries(restored)


def test_without_a_backup_there_is_no_restore(create: CreateCluster, restore: Restore) -> None:
    server = create()
    assert server.earliest_restore_time is None
    with pytest.raises(RestoreFailedError, match="no base backup"):
        restore(server, None)


@pytest.fixture
def without_segment_3(history: History) -> Iterator[History]:
    segment = history.segments[3]
    hidden = segment.with_name("hidden")
    segment.rename(hidden)
    (segment.with_name(following(segment.name))).touch()
    yield history
    segment.with_name(following(segment.name)).unlink()
    hidden.rename(segment)


def test_a_missing_segment_fails_a_restore_beyond_it(without_segment_3: History, restore: Restore) -> None:
    name = without_segment_3.segments[3].name
    with pytest.raises(RestoreFailedError, match=f"{name} is missing"):
        restore(without_segment_3.server, None)
    with pytest.raises(RestoreFailedError, match=f"target was reached.*{name} is missing"):
        restore(without_segment_3.server, without_segment_3.after_3)


def test_a_missing_segment_does_not_fail_a_restore_before_it(without_segment_3: History, restore: Restore) -> None:
    assert entries(restore(without_segment_3.server, without_segment_3.after_1)) == [1]


def test_a_backup_is_nothing_without_the_log_that_was_written_meanwhile(history: History, restore: Restore) -> None:
    segment = history.server.archive.folder / history.server.backups[0].first_segment
    hidden = segment.rename(segment.with_name("hidden"))
    try:
        with pytest.raises(RestoreFailedError, match=f"{segment.name} is missing"):
            restore(history.server, history.after_1)
    finally:
        hidden.rename(segment)


def test_a_damaged_segment_is_not_taken_for_the_end(history: History, restore: Restore) -> None:
    segment = history.segments[2]
    whole = segment.read_bytes()
    try:
        segment.write_bytes(b"\xff" * 4096 + whole[4096:])
        with pytest.raises(RestoreFailedError, match="before the last archived one"):
            restore(history.server, None)
    finally:
        segment.write_bytes(whole)


def test_a_source_that_is_down_can_be_restored(create: CreateCluster, restore: Restore) -> None:
    source = create()
    source.take_base_backup()
    source.run_sql("CREATE TABLE entry AS SELECT 1 AS number")
    source.stop()
    assert entries(restore(source, None)) == [1], "a server that is stopped archives all that it has"

    source.start()
    source.run_sql("INSERT INTO entry VALUES (2)")
    source.kill()
    assert entries(restore(source, None)) == [1], "one that crashes does not"

    source.start()
    assert entries(source) == [1, 2]


def test_a_restored_server_is_the_same_but_on_its_own(history: History, restore: Restore) -> None:
    source = history.server
    archived = source.archive.segments()
    restored = restore(source, history.after_1)

    with psycopg.connect(
        host=restored.address, port=restored.port, user="clerk", password="correct horse", dbname="postgres"
    ) as connection:
        connection.execute("SELECT 1")
    identity = "SELECT system_identifier FROM pg_control_system()"
    assert restored.run_sql(identity) == source.run_sql(identity)
    assert restored.run_sql("SHOW max_connections") == [("23",)]
    assert source.run_sql("SHOW work_mem") == [("7MB",)]
    assert restored.run_sql("SHOW work_mem") == [("4MB",)]
    assert restored.backups == []

    restored.run_sql("INSERT INTO entry VALUES (100)")
    restored.archive_now()
    assert source.archive.segments() == archived
    assert {name[:8] for name in restored.archive.segments()} == {"00000002"}
    assert entries(source) == [1, 2, 3]


def test_a_restored_server_restarts_as_it_is_and_can_be_restored_itself(history: History, restore: Restore) -> None:
    first = restore(history.server, history.after_2)
    first.restart()
    first.take_base_backup()
    first.run_sql("INSERT INTO entry VALUES (10)")
    instant = clock(first)
    first.run_sql("INSERT INTO entry VALUES (11)")
    first.archive_now()

    assert entries(restore(first, instant)) == [1, 2, 10]
    assert entries(restore(first, None)) == [1, 2, 10, 11]


def test_nobody_reads_before_the_target_is_reached(history: History, restore: Restore) -> None:
    restored = restore(history.server, history.after_1)
    assert "consistent recovery state reached" in restored.log.read_text()
    assert "ready to accept read-only connections" not in restored.log.read_text()


def test_the_newest_backup_before_the_target_is_taken(create: CreateCluster, restore: Restore) -> None:
    source = create()
    source.take_base_backup("first")
    source.run_sql("CREATE TABLE entry AS SELECT 1 AS number")
    between = clock(source)
    source.take_base_backup("second")
    after = clock(source)
    source.run_sql("INSERT INTO entry VALUES (2)")
    source.archive_now()
    for target, used, found in ((between, "first", [1]), (after, "second", [1])):
        steps: list[str] = []
        assert entries(restore(source, target, on_progress=steps.append)) == found
        assert steps[0].endswith(used)


@pytest.mark.parametrize("step", ["Copying", "Replaying"])
def test_a_cancelled_restore_leaves_nothing(
    history: History, addresses: LoopbackAddresses, tmp_path: Path, step: str
) -> None:
    cancel = Event()
    homes: list[Path] = []
    steps: list[str] = []

    def cancel_at(progress: str) -> None:
        homes.append((tmp_path / "cancelled").resolve())
        steps.append(progress.split()[0])
        if progress.startswith(step):
            cancel.set()

    with pytest.raises(CancelledError):
        PostgresCluster.restore(
            tmp_path / "cancelled",
            history.server,
            target=None,
            address=addresses.allocate(),
            port=addresses.port,
            certificate=None,
            cancel=cancel,
            on_progress=cancel_at,
        )
    assert steps[-1] == step
    assert not homes[0].exists()
    assert not os.path.lexists(tmp_path / "cancelled")
    assert not processes_in(homes[0])


def test_a_failed_restore_leaves_nothing(history: History, restore: Restore, tmp_path: Path) -> None:
    with pytest.raises(RestoreFailedError):
        restore(history.server, datetime.now(UTC))
    assert list(tmp_path.iterdir()) == []


def test_an_instant_without_a_zone_is_refused(history: History, restore: Restore) -> None:
    with pytest.raises(TypeError):
        restore(history.server, datetime(2026, 11, 22))  # noqa: DTZ001 - that is the point
