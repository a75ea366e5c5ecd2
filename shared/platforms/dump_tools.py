"""pg_restore as a program beside the app, fed through a pipe.

Which one: the setting PG_RESTORE, else the one on PATH. It must be as new as the newest server that is dumped.
"""

import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterable
from dataclasses import dataclass

from shared.platforms import settings
from shared.platforms.credentials import credential

_SCOPE = "https://ossrdbms-aad.database.windows.net/.default"
_INHERITED = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "PGPORT", "PGSSLROOTCERT", "TMPDIR")
_KEPT_LINES = 20
_ERROR = re.compile(r"pg_restore: error: (.*)")
# What would reach outside of the scratch database, or needs more rights than the app has there.
_LEFT_OUT = (
    "--no-owner",
    "--no-privileges",
    "--no-comments",
    "--no-publications",
    "--no-security-labels",
    "--no-subscriptions",
    "--no-tablespaces",
)


class RestoreToolMissingError(Exception):
    """There is no pg_restore."""


class RestoreTimeoutError(Exception):
    """It took longer than it may, and was ended."""


@dataclass(frozen=True, slots=True)
class RestoreRun:
    """How a run ended: what it complained of, the first lines of it, and how many errors there were."""

    complaints: tuple[str, ...]
    errors: int


@dataclass(frozen=True, slots=True)
class PgRestore:
    """The program, and how many seconds a run may take."""

    program: str
    time_limit: float

    def decode(self, archive: Iterable[bytes]) -> RestoreRun:
        """Read a custom archive to its end and throw it away. Raises RestoreTimeoutError."""
        return self._run(["--file", os.devnull], {}, archive)

    def restore(self, archive: Iterable[bytes], host: str, database: str) -> RestoreRun:
        """Restore a custom archive into an empty database; owners, rights and subscriptions are left out.

        Raises RestoreTimeoutError.
        """
        connection = {
            "PGHOST": host,
            "PGUSER": settings.required("PGUSER", "give the name of the app's PostgreSQL role"),
            "PGPASSWORD": credential().get_token(_SCOPE).token,
            "PGSSLMODE": "verify-full",
            "PGCONNECT_TIMEOUT": "10",
            "PGOPTIONS": "-c synchronous_commit=off -c statement_timeout=0",
        }
        return self._run([*_LEFT_OUT, "--dbname", database], connection, archive)

    def _run(self, arguments: list[str], connection: dict[str, str], archive: Iterable[bytes]) -> RestoreRun:
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        process = subprocess.Popen(
            [self.program, "--format=custom", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**inherited, **connection, "LC_MESSAGES": "C"},
        )
        late = threading.Event()
        watchdog = threading.Timer(self.time_limit, lambda: (late.set(), process.kill()))
        said = _Listener(process.stderr)
        watchdog.start()
        try:
            _feed(process.stdin, archive)
            process.wait()
        finally:
            watchdog.cancel()
            process.kill()  # no harm when it has ended; else feeding it failed
            process.wait()
            said.join()
        if late.is_set():
            raise RestoreTimeoutError(f"pg_restore was not done after {self.time_limit:.0f} s")
        errors = max(said.errors, int(process.returncode != 0))
        return RestoreRun(tuple(said.complaints or ["it ended without a word"] * min(errors, 1)), errors)


class _Listener(threading.Thread):
    """Reads what the program says, so that it never waits for us; the first errors are kept."""

    def __init__(self, stream: Iterable[bytes] | None) -> None:
        super().__init__(daemon=True)
        self._stream = stream or ()
        self.errors = 0
        self.complaints: list[str] = []
        self.start()

    def run(self) -> None:
        for line in self._stream:
            if match := _ERROR.match(line.decode(errors="replace").strip()):
                self.errors += 1
                if len(self.complaints) < _KEPT_LINES:
                    self.complaints.append(match[1])


def _feed(pipe: object, archive: Iterable[bytes]) -> None:
    import contextlib
    import io

    if not isinstance(pipe, io.IOBase):
        raise TypeError("the program has no input")
    with contextlib.suppress(BrokenPipeError):  # it has ended, and says why
        for piece in archive:
            pipe.write(piece)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] - of bytes
    with contextlib.suppress(BrokenPipeError):
        pipe.close()


def pg_restore(time_limit: float) -> PgRestore:
    """The app's pg_restore, each run of which may take so many seconds. Raises RestoreToolMissingError."""
    program = settings.optional("PG_RESTORE", "") or shutil.which("pg_restore") or ""
    if not program or not os.access(program, os.X_OK):
        raise RestoreToolMissingError(
            "there is no pg_restore: put PostgreSQL's client programs beside the app, and their place into PG_RESTORE"
        )
    return PgRestore(program, time_limit)
