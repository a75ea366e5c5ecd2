"""Point-in-time restore: a base backup and the archived log after it, replayed to an instant."""

import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from threading import Event

from local.postgres import places, programs
from local.postgres.base_backups import BackupStore, BaseBackup
from local.postgres.configuration import recovery_settings
from local.postgres.errors import ProgramFailedError, RestoreFailedError, ServerFailedError
from local.postgres.server import PostgresServer
from local.postgres.wal_archive import WalArchive, parse_position, segment_name


def restore(
    server: PostgresServer,
    backups: BackupStore,
    archive: WalArchive,
    *,
    target: datetime | None,
    clamp: bool,
    cancel: Event | None,
    report: Callable[[str], None],
) -> None:
    """Fill a laid-out server from another one's backups and archive, and start it; see `PostgresCluster.restore`."""
    backup = backups.newest(complete_at=target)
    if backup is None:
        earliest = backups.earliest_restore_time
        raise RestoreFailedError(
            f"No base backup was complete at {target}; the earliest restore time is {earliest}"
            if earliest
            else "There is no base backup"
        )
    wal = archive.freeze(places.make_for_server(server.home / "incoming"), backup.first_segment)
    if clamp and target is not None and target >= (wal.last_commit(backup.first_segment) or backup.completed_at):
        target = None
    missing = wal.first_missing(backup.first_segment)
    if target is None and missing:  # PostgreSQL would take the gap for the end of the log
        raise RestoreFailedError(_missing_segment(missing))

    report(f"Copying base backup {backup.name}")
    _copy(backups.data(backup.name), server.data, cancel)
    report(f"Replaying {len(wal.segments(backup.first_segment))} segments of archived log")
    try:
        server.start_with(recovery_settings(wal.folder, target), cancel=cancel)
    except ServerFailedError as error:
        raise RestoreFailedError(f"{error}. {_missing_segment(missing)}" if missing else str(error)) from error
    if target is None:
        _require_end_of_log(server, wal, backup)
    server.configure({})
    shutil.rmtree(wal.folder)


def _copy(backup: Path, data: Path, cancel: Event | None) -> None:
    try:
        programs.run(["cp", "-a", f"{backup}/.", data], cancel=cancel)
    except ProgramFailedError as error:
        raise RestoreFailedError(f"The base backup could not be copied: {error}") from error
    leave_server_parameters_behind(data)
    places.touch_for_server(data / "recovery.signal")


def leave_server_parameters_behind(data: Path) -> None:
    """Forget what ALTER SYSTEM set on the source: on Azure, a copy starts with the defaults."""
    (data / "postgresql.auto.conf").write_text("")


def _require_end_of_log(server: PostgresServer, wal: WalArchive, backup: BaseBackup) -> None:
    """Refuse a server that came up before the end of the log: PostgreSQL takes a damaged record for its end, too."""
    newest_history = max((server.data / "pg_wal").glob("*.history"))
    timeline, position, *_ = newest_history.read_text().splitlines()[-1].split("\t")
    reached = segment_name(int(timeline), parse_position(position))
    last = wal.segments(backup.first_segment)[-1]
    if reached < last:
        raise RestoreFailedError(f"Replay ended in the log segment {reached}, before the last archived one, {last}")


def _missing_segment(name: str) -> str:
    return f"The log segment {name} is missing in the archive"
