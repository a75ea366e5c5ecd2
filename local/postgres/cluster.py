"""One real PostgreSQL server: what stands in for one flexible server."""

import os
import re
import shutil
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Lock, RLock
from typing import TYPE_CHECKING, Any, Self

from local import processes
from local.postgres import places, point_in_time, programs
from local.postgres.base_backups import BackupStore, BaseBackup
from local.postgres.binaries import binary
from local.postgres.configuration import (
    ServerCertificate,
    Settings,
    Sizing,
    render_authentication,
    render_settings,
    server_settings,
)
from local.postgres.errors import CancelledError, ServerFailedError
from local.postgres.roles import SUPERUSER, create_administrator, set_password
from local.postgres.wal_archive import SEGMENT_BYTES, WalArchive, parse_position, segment_name

if TYPE_CHECKING:
    import psycopg

_START_SECONDS = 60.0
_POLL_SECONDS = 0.02
_END_REASON = re.compile(r"(?:FATAL|PANIC):  (.*)")


class PostgresCluster:
    """A server in a folder: its data, configuration, log, socket, archived log and base backups.

    The folder may turn out to be a link (see `local.postgres.places.claim`). Every method may be called from any
    thread; start, stop, restart and destroy wait for each other.
    """

    def __init__(
        self,
        folder: Path,
        home: Path,
        *,
        address: str,
        port: int,
        administrator: str,
        certificate: ServerCertificate | None,
        sizing: Sizing,
    ) -> None:
        """Use `create` or `restore`; they make what this only describes."""
        self.folder = folder
        self.home = home
        self.address = address
        self.port = port
        self.administrator = administrator
        self.certificate = certificate
        self.sizing = sizing
        self.archive = WalArchive(home / "archive")
        self.backup_store = BackupStore(home / "backups")
        self._child: processes.Child | None = None
        self._lifecycle = RLock()
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

        The administrator is no superuser, as on Azure. Raises FileExistsError when the folder is not empty,
        ServerFailedError, and CREATE ROLE's errors for an administrator's name that PostgreSQL refuses.
        """
        sizing = Sizing(max_connections, shared_buffers_megabytes, archive_timeout_seconds)
        cluster = cls(
            folder,
            places.claim(folder),
            address=address,
            port=port,
            administrator=administrator,
            certificate=certificate,
            sizing=sizing,
        )
        try:
            cluster.lay_out()
            programs.run(
                [
                    binary("initdb"),
                    f"--pgdata={cluster.data}",
                    f"--username={SUPERUSER}",
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
            )
            cluster.start()
            with cluster._connect() as connection:
                create_administrator(connection, administrator, password)
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

        The newest base backup that was complete at `target` is replayed up to it, a commit at that very instant
        included; None replays all that is archived. The source may be stopped. With `clamp`, a target after the last
        archived commit means all of it too, as Azure treats one; otherwise it fails as PostgreSQL fails. Roles and
        passwords are the source's; what ALTER SYSTEM set there is not carried over, nor are backups. Raises
        RestoreFailedError, CancelledError, FileExistsError.
        """
        cluster = cls(
            folder,
            places.claim(folder),
            address=address,
            port=port,
            administrator=source.administrator,
            certificate=certificate,
            sizing=source.sizing,
        )
        try:
            cluster.lay_out()
            point_in_time.restore(
                cluster, source, target=target, clamp=clamp, cancel=cancel, report=on_progress or (lambda _: None)
            )
        except BaseException:
            cluster.destroy()
            raise
        return cluster

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.running

    def start(self, *, recovery: Settings | None = None, cancel: Event | None = None) -> None:
        """Start the server and wait until it takes connections. A running one is left as it is."""
        with self._lifecycle:
            if self.running:
                return
            configuration = self.write_configuration(recovery)
            log_start = self.log.stat().st_size if self.log.exists() else 0
            self._child = processes.start(
                [binary("postgres"), "-D", self.data, f"--config-file={configuration}"],
                log=self.log,
                env=programs.environment(),
                cwd=Path("/"),
                end_signal=signal.SIGINT,
                unprivileged=True,
            )
            try:
                self._await_ready(log_start, None if recovery else _START_SECONDS, cancel)
            except BaseException:
                self.kill()
                raise

    def stop(self) -> None:
        """Stop the server (PostgreSQL's fast shutdown: sessions end, what was committed is archived)."""
        with self._lifecycle:
            if self._child is not None:
                self._child.stop()
                self._child = None

    def kill(self) -> None:
        """End the server as a crash would: no checkpoint, nothing more is archived, the next start recovers.

        This is PostgreSQL's immediate shutdown: SIGKILL would leave sessions that work on for a while.
        """
        with self._lifecycle:
            if self._child is not None:
                self._child.send_signal(signal.SIGQUIT)
                self.stop()

    def restart(self) -> None:
        with self._lifecycle:
            self.stop()
            self.start()

    def destroy(self) -> None:
        """Stop the server and remove its folder with the backups. One that is half made or gone is no error."""
        with self._lifecycle:
            self.kill()
            with self._backing_up:  # which has failed by now, but may not have noticed
                places.release(self.folder)

    @property
    def log(self) -> Path:
        return self.home / "log"

    def dsn(self, database: str = "postgres") -> str:
        """A connection string for the local estate's own administration: the superuser, through the socket."""
        import psycopg.conninfo

        return psycopg.conninfo.make_conninfo(
            host=str(self.home / "socket"), port=self.port, user=SUPERUSER, dbname=database
        )

    def run_sql(self, statement: Any, parameters: Any = None, *, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement as superuser, outside of a transaction, and return its rows."""
        with self._connect(database, autocommit=True) as connection:
            cursor = connection.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    def set_password(
        self, role: str, password: str, valid_until: datetime | None = None, *, create: bool = False
    ) -> None:
        """Set a role's password, and until when it lets anybody in (None: for ever); `create` makes a missing role.

        The server gets the SCRAM verifier only, so that no log of it can have the password.
        """
        with self._connect() as connection:
            set_password(connection, role, password, valid_until, create=create)

    @property
    def backups(self) -> list[BaseBackup]:
        """The whole base backups, oldest first."""
        return self.backup_store.list()

    @property
    def earliest_restore_time(self) -> datetime | None:
        return min((backup.completed_at for backup in self.backups), default=None)

    @property
    def archived_until(self) -> datetime | None:
        """When the last transaction in the archive ended (UTC); None without a base backup or without one since."""
        backups = self.backups
        return self.archive.last_commit(backups[0].first_segment) if backups else None

    def take_base_backup(self, name: str | None = None) -> BaseBackup:
        """Copy the running server into its backup store; waits until the log that the copy needs is archived."""
        with self._backing_up:
            started_at = datetime.now(UTC)
            name = name or f"backup_{started_at:%Y%m%dT%H%M%S%f}"
            try:
                places.make_for_server(self.backup_store.folder / name)
                [(next_transaction,)] = self.run_sql("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
                programs.run(
                    [
                        binary("pg_basebackup"),
                        f"--dbname={self.dsn()}",
                        f"--pgdata={self.backup_store.data(name)}",
                        "--wal-method=none",
                        "--checkpoint=fast",
                        "--no-sync",
                    ]
                )
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
        if self.running and (newest is None or (newest.started_at <= now - interval and self._written_since(newest))):
            taken = self.take_base_backup()
        self.prune_backups(now - retention)
        return taken

    def prune_backups(self, earliest: datetime) -> None:
        """Remove backups and log that no restore to `earliest` or later needs."""
        needed = self.backup_store.newest(completed_before=earliest)
        if needed is None:
            return
        for backup in self.backups:
            if backup.completed_at < needed.completed_at:
                self.backup_store.remove(backup.name)
        self.archive.prune(needed.first_segment)

    def archive_now(self, timeout: float = 30.0) -> None:
        """Close the current segment of the log and wait until all that was committed is archived; TimeoutError."""
        [(position, timeline)] = self.run_sql("SELECT pg_switch_wal()::text, timeline_id FROM pg_control_checkpoint()")
        segment = self.archive.folder / segment_name(timeline, parse_position(position))
        deadline = time.monotonic() + timeout
        while not segment.exists():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{segment.name} was not archived within {timeout} s")
            time.sleep(_POLL_SECONDS)

    def lay_out(self) -> None:
        """Make the folders and the files that are not PostgreSQL's own."""
        for name in ("data", "socket", "archive", "backups"):
            places.make_for_server(self.home / name)
        (self.home / "pg_ident.conf").touch()
        (self.home / "pg_hba.conf").write_text(
            render_authentication(superuser=SUPERUSER, tls=self.certificate is not None)
        )
        if self.certificate:
            for name, source in (("server.crt", self.certificate.certificate), ("server.key", self.certificate.key)):
                (self.home / name).touch(mode=0o600)
                shutil.copyfile(source, self.home / name)
                places.give_to_server(self.home / name)

    def last_log_lines(self, since: int = 0, *, severe: bool = False) -> str:
        """The last lines of what the server logged from a byte position on, or the reason it gave for its end."""
        with self.log.open("rb") as log:
            log.seek(since)
            text = log.read().decode(errors="replace")
        reasons = [reason for reason in _END_REASON.findall(text) if not reason.startswith("the database system is")]
        return reasons[-1] if severe and reasons else "\n".join(text.splitlines()[-10:])

    def _connect(self, database: str = "postgres", *, autocommit: bool = False) -> "psycopg.Connection":
        import psycopg

        return psycopg.connect(self.dsn(database), autocommit=autocommit)

    def write_configuration(self, recovery: Settings | None = None) -> Path:
        """Write what the next start reads."""
        settings = server_settings(
            self.home, address=self.address, port=self.port, sizing=self.sizing, tls=self.certificate is not None
        )
        path = self.home / "postgresql.conf"
        path.write_text(render_settings({**settings, **(recovery or {})}))
        return path

    def _await_ready(self, log_start: int, timeout: float | None, cancel: Event | None) -> None:
        from psycopg import pq

        assert self._child is not None
        deadline = time.monotonic() + timeout if timeout else None
        address = os.fsencode(self.dsn())
        pause = _POLL_SECONDS
        while pq.PGconn.ping(address) != pq.Ping.OK:
            if not self._child.running:
                raise ServerFailedError(self.last_log_lines(log_start, severe=True))
            if cancel and cancel.is_set():
                raise CancelledError
            if deadline and time.monotonic() > deadline:
                raise ServerFailedError(f"Not ready within {timeout} s: {self.last_log_lines(log_start)}")
            time.sleep(pause)
            pause = min(pause * 1.2, 0.5)  # each try leaves a line in the server's log

    def _written_since(self, backup: BaseBackup) -> bool:
        [(next_transaction,)] = self.run_sql("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
        return next_transaction != backup.next_transaction
