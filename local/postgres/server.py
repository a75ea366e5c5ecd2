"""One PostgreSQL server process with its folder; what it is used for is `local.postgres.cluster`'s matter."""

import os
import re
import shutil
import signal
import time
from pathlib import Path
from threading import Event, RLock
from typing import TYPE_CHECKING, Any

from local import processes
from local.postgres import places, programs
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
from local.postgres.roles import SUPERUSER

if TYPE_CHECKING:
    import psycopg

_START_SECONDS = 60.0
_FIRST_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 0.5
_END_REASON = re.compile(r"(?:FATAL|PANIC):  (.*)")


class PostgresServer:
    """A server in a folder: its data, configuration, log and socket.

    The folder may turn out to be a link to `home` (see `local.postgres.places.claim`). Every method may be called
    from any thread; those that start or end the process wait for each other.
    """

    def __init__(
        self, folder: Path, *, address: str, port: int, certificate: ServerCertificate | None, sizing: Sizing
    ) -> None:
        """Claim the folder and lay it out; raises FileExistsError when something is in it."""
        self.folder = folder
        self.address = address
        self.port = port
        self.certificate = certificate
        self.sizing = sizing
        self.home = places.claim(folder)
        self._standing_settings: Settings = {}
        self._child: processes.Child | None = None
        self._lifecycle = RLock()
        try:
            self._lay_out()
        except BaseException:
            places.release(folder)
            raise

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def log(self) -> Path:
        return self.home / "log"

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.running

    def start(self) -> None:
        """Start the server and wait until it takes connections. A running one is left as it is."""
        self.start_with({}, timeout=_START_SECONDS)

    def start_with(self, extra: Settings, *, timeout: float | None = None, cancel: Event | None = None) -> None:
        """Start with settings that hold for this start; raises ServerFailedError, CancelledError."""
        with self._lifecycle:
            if self.running:
                return
            self.configure(extra)
            log_start = self.log.stat().st_size if self.log.exists() else 0
            self._child = processes.start(
                [binary("postgres"), "-D", self.data, f"--config-file={self.home / 'postgresql.conf'}"],
                log=self.log,
                env=programs.environment(),
                cwd=Path("/"),
                end_signal=signal.SIGINT,
                unprivileged=True,
            )
            try:
                self._await_ready(self._child, log_start, timeout, cancel)
            except BaseException:
                self.kill()
                raise

    def stop(self) -> None:
        """Stop the server by PostgreSQL's fast shutdown: sessions end, all that was committed is archived."""
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
        """Stop and start; a server that is down is started."""
        with self._lifecycle:
            self.stop()
            self.start()

    def configure(self, extra: Settings) -> None:
        """Write the settings that the next start reads, `extra` ones for that start only."""
        settings = server_settings(
            self.home, address=self.address, port=self.port, sizing=self.sizing, tls=self.certificate is not None
        )
        (self.home / "postgresql.conf").write_text(render_settings({**settings, **self._standing_settings, **extra}))

    def dsn(self, database: str = "postgres") -> str:
        """A connection string for the local estate's own administration: the superuser, through the socket."""
        import psycopg.conninfo

        return psycopg.conninfo.make_conninfo(
            host=str(self.home / "socket"), port=self.port, user=SUPERUSER, dbname=database
        )

    def connect(self, database: str = "postgres", *, autocommit: bool = False) -> "psycopg.Connection":
        """Connect as `dsn` says."""
        import psycopg

        return psycopg.connect(self.dsn(database), autocommit=autocommit)

    def run_sql(self, statement: Any, parameters: Any = None, *, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement as superuser, outside of a transaction, and return its rows."""
        with self.connect(database, autocommit=True) as connection:
            cursor = connection.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    def _lay_out(self) -> None:
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

    def _await_ready(self, child: processes.Child, log_start: int, timeout: float | None, cancel: Event | None) -> None:
        from psycopg import pq

        deadline = time.monotonic() + timeout if timeout else None
        address = os.fsencode(self.dsn())
        pause = _FIRST_PAUSE_SECONDS
        while pq.PGconn.ping(address) != pq.Ping.OK:
            if not child.running:
                raise ServerFailedError(self._why_ended(log_start))
            if cancel and cancel.is_set():
                raise CancelledError
            if deadline and time.monotonic() > deadline:
                raise ServerFailedError(f"Not ready within {timeout} s; see {self.log}")
            time.sleep(pause)
            pause = min(pause * 1.2, _LONGEST_PAUSE_SECONDS)  # each try leaves a line in the server's log

    def _why_ended(self, log_start: int) -> str:
        with self.log.open("rb") as log:
            log.seek(log_start)
            text = log.read().decode(errors="replace")
        reasons = [reason for reason in _END_REASON.findall(text) if not reason.startswith("the database system is")]
        return reasons[-1] if reasons else "\n".join(text.splitlines()[-10:])
