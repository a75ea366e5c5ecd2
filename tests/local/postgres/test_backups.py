"""Base backups on a schedule, their retention, and the archive of the log."""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from local.postgres import PostgresCluster
from local.postgres.wal_archive import WalArchive, following, parse_position, segment_name
from tests.local.postgres.conftest import CreateCluster

DAY = timedelta(days=1)
WEEK = timedelta(days=7)


def test_a_backup_is_due_when_the_newest_is_old_and_something_was_written(create: CreateCluster) -> None:
    server = create()
    start = datetime.now(UTC)
    first = server.back_up_when_due(start, interval=DAY, retention=WEEK)
    assert first is not None
    assert start <= first.started_at < first.completed_at
    assert server.earliest_restore_time == first.completed_at

    server.run_sql("CREATE TABLE entry (number int)")
    assert server.back_up_when_due(start + DAY / 2, interval=DAY, retention=WEEK) is None, "too early"
    second = server.back_up_when_due(start + 2 * DAY, interval=DAY, retention=WEEK)
    assert second is not None
    assert server.back_up_when_due(start + 4 * DAY, interval=DAY, retention=WEEK) is None, "nothing was written"
    assert server.backups == [first, second]

    server.stop()
    assert server.back_up_when_due(start + 5 * DAY, interval=DAY, retention=WEEK) is None, "stopped"


def test_retention_keeps_what_a_restore_within_it_needs(create: CreateCluster, tmp_path: Path) -> None:
    server = create()
    backups = [server.take_base_backup() for _ in range(3)]

    server.prune_backups(backups[0].completed_at - DAY)
    assert server.backups == backups, "a retention that reaches further back than the oldest backup removes nothing"

    server.prune_backups(backups[2].completed_at - timedelta(microseconds=1))
    assert server.backups == backups[1:], "the one before is still needed"
    assert server.archive.segments()[0] == backups[1].first_segment

    server.run_sql("CREATE TABLE entry AS SELECT 7 AS number")
    server.archive_now()
    server.prune_backups(datetime.now(UTC))
    assert server.backups == backups[2:]
    restored = PostgresCluster.restore(
        tmp_path / "restored", server, target=None, address=server.address, port=server.port + 1, certificate=None
    )
    try:
        assert restored.run_sql("SELECT number FROM entry") == [(7,)]
    finally:
        restored.destroy()


def test_an_interrupted_backup_is_none(source: PostgresCluster) -> None:
    half = source.backup_store.folder / "half"
    (half / "data").mkdir(parents=True)
    assert "half" not in {backup.name for backup in source.backups}
    source.backup_store.remove("half")
    assert not half.exists()


def test_a_name_is_used_once(source: PostgresCluster) -> None:
    backup = source.take_base_backup("by-hand")
    with pytest.raises(FileExistsError):
        source.take_base_backup("by-hand")
    assert backup in source.backups


def test_a_backup_that_fails_leaves_nothing(source: PostgresCluster) -> None:
    before = os.listdir(source.backup_store.folder)
    source.stop()
    try:
        with pytest.raises(psycopg.OperationalError):
            source.take_base_backup()
    finally:
        source.start()
    assert os.listdir(source.backup_store.folder) == before


def test_archiving_now_waits_until_the_commit_is_there(source: PostgresCluster) -> None:
    for _ in range(5):
        [(before,)] = source.run_sql("SELECT clock_timestamp()")
        source.run_sql("SELECT pg_current_xact_id()")
        source.archive_now()
        until = source.archived_until
        assert until is not None
        assert until >= before


def test_archiving_now_on_an_idle_server_returns(source: PostgresCluster) -> None:
    source.archive_now()
    before = source.archive.segments()
    source.archive_now(timeout=60)
    assert len(source.archive.segments()) <= len(before) + 1


def test_a_quiet_server_archives_by_itself(create: CreateCluster) -> None:
    server = create(archive_timeout_seconds=1)
    server.take_base_backup()
    [(committed,)] = server.run_sql("SELECT clock_timestamp() FROM pg_current_xact_id()")
    deadline = time.monotonic() + 60
    while (until := server.archived_until) is None or until < committed:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_failing_archive_is_reported_and_made_up_for(source: PostgresCluster) -> None:
    elsewhere = source.archive.folder.rename(source.home / "elsewhere")
    try:
        [(committed,)] = source.run_sql("SELECT clock_timestamp() FROM pg_current_xact_id()")
        with pytest.raises(TimeoutError, match="was not archived"):
            source.archive_now(timeout=0.3)
        with pytest.raises(TimeoutError, match="was not archived"):
            source.take_base_backup("unarchived", archive_timeout=0.3)
    finally:
        elsewhere.rename(source.archive.folder)
    source.archive_now()
    until = source.archived_until
    assert until is not None
    assert until >= committed
    assert not (source.backup_store.folder / "unarchived").exists()


def test_an_archived_segment_is_never_overwritten_by_another(create: CreateCluster) -> None:
    server = create()
    server.archive_now()
    segment = server.archive.folder / following(server.archive.segments()[-1])
    segment.write_bytes(b"somebody else's")
    server.run_sql("CREATE TABLE entry (number int)")
    server.run_sql("SELECT pg_switch_wal()")
    deadline = time.monotonic() + 60
    while "archive file" not in server.log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert segment.read_bytes() == b"somebody else's"


def test_the_last_commit_is_found_behind_segments_without_any(source: PostgresCluster) -> None:
    source.run_sql("SELECT pg_current_xact_id()")
    source.archive_now()
    committed, segments = source.archived_until, len(source.archive.segments())
    source.run_sql("CHECKPOINT")
    source.archive_now()
    assert len(source.archive.segments()) > segments
    assert committed is not None
    assert source.archived_until == committed


def test_segment_names() -> None:
    assert segment_name(1, parse_position("0/100000")) == "000000010000000000000000"
    assert segment_name(1, parse_position("0/100001")) == "000000010000000000000001"
    assert segment_name(3, parse_position("2/1")) == "000000030000000200000000"
    assert following("0000000100000000000000FF") == "000000010000000000000100"
    assert following("000000010000000000000FFF") == "000000010000000100000000"


@pytest.mark.parametrize(
    ("present", "missing"),
    [([1, 2, 3], None), ([1, 3], 2), ([2, 3], 1), ([], 1), ([0, 1], None)],
)
def test_the_first_missing_segment(tmp_path: Path, present: list[int], missing: int | None) -> None:
    for number in present:
        (tmp_path / f"00000001{number:016X}").touch()
    (tmp_path / "00000002.history").touch()
    (tmp_path / f"00000002{2:016X}").touch()
    expected = f"00000001{missing:016X}" if missing is not None else None
    assert WalArchive(tmp_path).first_missing(f"00000001{1:016X}") == expected


def test_what_is_frozen_outlives_pruning(tmp_path: Path) -> None:
    archive, frozen = WalArchive(tmp_path / "archive"), tmp_path / "frozen"
    archive.folder.mkdir()
    frozen.mkdir()
    for number in range(4):
        (archive.folder / f"00000001{number:016X}").write_text(str(number))
    copy = archive.freeze(frozen, f"00000001{1:016X}")
    archive.prune(f"00000001{3:016X}")
    (archive.folder / f"00000001{4:016X}").touch()

    assert [int(name[8:], 16) for name in archive.segments()] == [3, 4]
    assert [int(name[8:], 16) for name in copy.segments()] == [1, 2, 3]
    assert [(frozen / name).read_text() for name in copy.segments()] == ["1", "2", "3"]
