"""What stands in for one flexible server: a PostgreSQL server with an archive of its log and base backups."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Lock
from typing import Self

from local.postgres import places, point_in_time, programs, roles
from local.postgres.base_backups import BackupStore, BaseBackup
from local.postgres.binaries import binary
from local.postgres.configuration import ServerCertificate, Sizing, standby_settings
from local.postgres.server import PostgresServer
from local.postgres.wal_archive import SEGMENT_BYTES, WalArchive, parse_position, segment_name

_POLL_SECONDS = 0.01


class PostgresCluster(PostgresServer):
    """A server whose backups and archived log are in its folder, and serve restores also while it is stopped."""

    def __init__(
        self,
        folder: Path,
        *,
        address: str,
        port: int,
        administrator: str,
        certificate: ServerCertificate | None,
        sizing: Sizing,
    ) -> None:
        """Lay out an empty folder. Use `create` or `restore`, which make a server of it."""
        super().__init__(folder, address=address, port=port, certificate=certificate, sizing=sizing)
        self.administrator = administrator
        self.archive = WalArchive(self.home / "archive")
        self.backup_store = BackupStore(self.home / "backups")
        self._backing_up = Lock()

    @classmethod
    def create(
        cls,
        folder: Path,
        *,
        address: str,
        port: int,
        administrator: str,
        password: str,
        certificate: ServerCertificate | None,
        max_connections: int = 100,
        shared_buffers_megabytes: int = 16,
        archive_timeout_seconds: int = 10,
    ) -> Self:
        """Make a new, empty server and start it. When that fails, nothing is left of it.

        The administrator is no superuser, as on Azure; of `max_connections`, 15 are reserved, as on Azure. A quiet
        server archives what it wrote after `archive_timeout_seconds` at the latest. Raises FileExistsError when the
        folder is not empty, ServerFailedError, and psycopg's errors for an administrator's name that is refused.
        """
        sizing = Sizing(max_connections, shared_buffers_megabytes, archive_timeout_seconds)
        cluster = cls(
            folder, address=address, port=port, administrator=administrator, certificate=certificate, sizing=sizing
        )
        try:
            programs.run(_initdb(cluster.data))
            cluster.start()
            with cluster.connect() as connection:
                roles.create_administrator(connection, administrator, password)
        except BaseException:
            cluster.destroy()
            raise
        return cluster

    @classmethod
    def restore(
        cls,
        folder: Path,
        source: "PostgresCluster",
        *,
        target: datetime | None,
        address: str,
        port: int,
        certificate: ServerCertificate | None,
        clamp: bool = False,
        cancel: Event | None = None,
        on_progress: Callable[[str], None] | None = None,
    ) -> Self:
        """Restore a server to a point in time. When that fails or is cancelled, nothing is left of it.

        The newest base backup that was complete at `target` (aware) is replayed up to it, a commit at that very
        instant included; None replays all that is archived. The source may be stopped, and may be destroyed once the
        copy is made. With `clamp`, a target after the last archived commit means all of it too, as Azure treats one;
        otherwise it fails as PostgreSQL fails. Roles and passwords are the source's; what ALTER SYSTEM set there is
        not carried over, nor are its backups. Raises RestoreFailedError, CancelledError, FileExistsError.
        """
        cluster = cls(
            folder,
            address=address,
            port=port,
            administrator=source.administrator,
            certificate=certificate,
            sizing=source.sizing,
        )
        try:
            point_in_time.restore(
                cluster,
                source.backup_store,
                source.archive,
                target=target,
                clamp=clamp,
                cancel=cancel,
                report=on_progress or (lambda _: None),
            )
        except BaseException:
            cluster.destroy()
            raise
        return cluster

    @classmethod
    def create_replica(
        cls,
        folder: Path,
        source: "PostgresCluster",
        *,
        address: str,
        port: int,
        certificate: ServerCertificate | None,
        cancel: Event | None = None,
    ) -> Self:
        """Make a read replica of a running server; it follows by streaming until `promote`.

        While it cannot stream, it reads the source's archive. When the copy fails, nothing is left of it; raises
        ProgramFailedError, ServerFailedError, CancelledError, FileExistsError.
        """
        replica = cls(
            folder,
            address=address,
            port=port,
            administrator=source.administrator,
            certificate=certificate,
            sizing=source.sizing,
        )
        try:
            programs.run(_base_backup(source, replica.data), cancel=cancel)
            point_in_time.leave_server_parameters_behind(replica.data)
            places.touch_for_server(replica.data / "standby.signal")
            replica._standing_settings = standby_settings(source.dsn(), source.archive.folder)
            replica.start_with({}, cancel=cancel)
        except BaseException:
            replica.destroy()
            raise
        return replica

    def promote(self) -> None:
        """Make a replica a server of its own; returns when it takes writes."""
        self.run_sql("SELECT pg_promote()")

    def destroy(self) -> None:
        """End the server and remove its folder with the backups. One that is half made or gone is no error."""
        with self._lifecycle:
            self.kill()
            with self._backing_up:  # which has failed by now, but may not have noticed
                self.discard(self.folder)

    @staticmethod
    def discard(folder: Path) -> None:
        """Remove what a process that was killed left of its cluster; no server may be running in it."""
        places.release(folder)

    def set_password(
        self, role: str, password: str, valid_until: datetime | None = None, *, create: bool = False
    ) -> None:
        """Set a role's password, and until when it lets anybody in (None: for ever); `create` makes a missing role.

        The server gets the SCRAM verifier only, so that no log of it can have the password.
        """
        with self.connect() as connection:
            roles.set_password(connection, role, password, valid_until, create=create)

    @property
    def backups(self) -> list[BaseBackup]:
        """The whole base backups, oldest first."""
        return self.backup_store.list()

    @property
    def earliest_restore_time(self) -> datetime | None:
        """The earliest target that can be restored (UTC), None without a backup."""
        return self.backup_store.earliest_restore_time

    @property
    def archived_until(self) -> datetime | None:
        """When the last transaction in the archive ended (UTC); None without a backup or without one since."""
        backups = self.backups
        return self.archive.last_commit(backups[0].first_segment) if backups else None

    def take_base_backup(self, name: str | None = None, *, archive_timeout: float = 60.0) -> BaseBackup:
        """Copy the running server into its backup store, together with no log: that a restore takes from the archive.

        Returns when the log that the copy needs is archived; raises TimeoutError when that takes longer than
        `archive_timeout` seconds, ProgramFailedError, and FileExistsError for a name that is taken.
        """
        with self._backing_up:
            started_at = datetime.now(UTC)
            name = name or f"backup_{started_at:%Y%m%dT%H%M%S%f}"
            places.make_for_server(self.backup_store.folder / name)
            try:
                next_transaction = self._next_transaction()
                # Copied with its log, then without: else PostgreSQL waits for the archive in steps of a second
                programs.run(_base_backup(self, self.backup_store.data(name)))
                self.archive_now(archive_timeout)
                for segment in (self.backup_store.data(name) / "pg_wal").glob("[0-9A-F]*"):
                    segment.unlink()
                return self.backup_store.complete(
                    name, started_at=started_at, completed_at=datetime.now(UTC), next_transaction=next_transaction
                )
            except BaseException:
                self.backup_store.remove(name)
                raise

    def back_up_when_due(self, now: datetime, *, interval: timedelta, retention: timedelta) -> BaseBackup | None:
        """A tick of the backup schedule: take a backup when the newest is older than `interval`, drop what is too old.

        As on Azure, a stopped server is not backed up, nor one in which nothing was written since.
        """
        taken = None
        newest = self.backup_store.newest()
        if self.running and (
            newest is None
            or (newest.started_at <= now - interval and newest.next_transaction != self._next_transaction())
        ):
            taken = self.take_base_backup()
        self.prune_backups(now - retention)
        return taken

    def prune_backups(self, earliest: datetime) -> None:
        """Remove backups and log that no restore to `earliest` or later needs."""
        needed = self.backup_store.newest(complete_at=earliest)
        if needed is None:
            return
        for backup in self.backups:
            if backup.completed_at < needed.completed_at:
                self.backup_store.remove(backup.name)
        self.archive.prune(needed.first_segment)

    def archive_now(self, timeout: float = 30.0) -> None:
        """Close the log's current segment and wait until all that was committed is archived; raises TimeoutError."""
        [(current, end)] = self.run_sql("SELECT pg_walfile_name(pg_current_wal_lsn()), pg_switch_wal()::text")
        segment = self.archive.folder / segment_name(int(current[:8], 16), parse_position(end))
        deadline = time.monotonic() + timeout
        while not segment.exists():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{segment.name} was not archived within {timeout} s; see {self.log}")
            time.sleep(_POLL_SECONDS)

    def _next_transaction(self) -> int:
        [(number,)] = self.run_sql("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
        return number


def _initdb(data: Path) -> list[str | Path]:
    return [
        binary("initdb"),
        f"--pgdata={data}",
        f"--username={roles.SUPERUSER}",
        "--auth=reject",
        "--encoding=UTF8",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--locale=C",
        "--data-checksums",
        f"--wal-segsize={SEGMENT_BYTES // 2**20}",
        "--no-sync",
        "--no-instructions",
    ]


def _base_backup(source: PostgresServer, data: Path) -> list[str | Path]:
    return [
        binary("pg_basebackup"),
        f"--dbname={source.dsn()}",
        f"--pgdata={data}",
        "--wal-method=stream",
        "--checkpoint=fast",
        "--no-sync",
    ]
