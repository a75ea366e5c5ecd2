"""Point-in-time restore: a base backup and the archived log after it, replayed to an instant."""

import shutil
from collections.abc import Callable
from datetime import datetime
from threading import Event
from typing import TYPE_CHECKING

from local.postgres import places, programs
from local.postgres.base_backups import BaseBackup
from local.postgres.configuration import recovery_settings
from local.postgres.errors import ProgramFailedError, RestoreFailedError, ServerFailedError
from local.postgres.wal_archive import WalArchive

if TYPE_CHECKING:
    from local.postgres.cluster import PostgresCluster


def restore(
    cluster: "PostgresCluster",
    source: "PostgresCluster",
    *,
    target: datetime | None,
    clamp: bool,
    cancel: Event | None,
    report: Callable[[str], None],
) -> None:
    """Fill a laid-out cluster from another one's backups and start it; see `PostgresCluster.restore`."""
    backup = source.backup_store.newest(completed_before=target)
    if backup is None:
        raise RestoreFailedError(
            f"No base backup was complete at {target}; the earliest is {source.earliest_restore_time}"
        )
    wal = source.archive.freeze(places.make_for_server(cluster.home / "incoming"), backup.first_segment)
    if clamp and target is not None and target > (wal.last_commit(backup.first_segment) or backup.completed_at):
        target = None
    missing = wal.first_missing(backup.first_segment)
    if target is None and missing:  # PostgreSQL would take the gap for the end of the log
        raise RestoreFailedError(_missing_segment(missing))

    report(f"Copying base backup {backup.name}")
    _copy(source, backup, cluster, cancel)
    report(f"Replaying {len(wal.segments(backup.first_segment))} segments of archived log")
    try:
        cluster.start(recovery=recovery_settings(wal.folder, target), cancel=cancel)
    except ServerFailedError as error:
        hint = f"\n{_missing_segment(missing)}" if missing else ""
        raise RestoreFailedError(f"{error}{hint}") from error
    if target is None:
        _require_end_of_log(cluster, wal, backup)
    cluster.write_configuration()
    shutil.rmtree(wal.folder)


def _copy(source: "PostgresCluster", backup: BaseBackup, cluster: "PostgresCluster", cancel: Event | None) -> None:
    try:
        programs.run(["cp", "-a", f"{source.backup_store.data(backup.name)}/.", cluster.data], cancel=cancel)
    except ProgramFailedError as error:
        raise RestoreFailedError(f"Base backup {backup.name} could not be copied: {error}") from error
    (cluster.data / "postgresql.auto.conf").write_text("")  # server parameters stay behind, as on Azure
    signal_file = cluster.data / "recovery.signal"
    signal_file.touch()
    places.give_to_server(signal_file)


def _require_end_of_log(cluster: "PostgresCluster", wal: WalArchive, backup: BaseBackup) -> None:
    """Refuse a server that came up before the end of the log: PostgreSQL takes a damaged record for the end, too."""
    [(reached,)] = cluster.run_sql("SELECT pg_walfile_name(redo_lsn) FROM pg_control_checkpoint()")
    last = wal.segments(backup.first_segment)[-1]
    if reached[8:] < last[8:]:
        raise RestoreFailedError(f"Replay ended in segment {reached[8:]}, before the last archived one {last[8:]}")


def _missing_segment(name: str) -> str:
    return f"The write-ahead log segment {name} is missing in the archive"
