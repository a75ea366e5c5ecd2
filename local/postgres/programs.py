"""PostgreSQL's one-shot programs: as the server's user, ended with us, cancellable."""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from threading import Event

from local import processes
from local.postgres.errors import CancelledError, ProgramFailedError

_POLL_SECONDS = 0.05


def environment() -> dict[str, str]:
    """Ours without libpq's variables, which belong to the app, and with English messages, which we read."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return inherited | {"LC_ALL": "C", "TZ": "UTC"}


def run(argv: Sequence[str | Path], *, cancel: Event | None = None, accept: Sequence[int] = (0,)) -> str:
    """Run a program to its end and return what it wrote; raises ProgramFailedError, CancelledError."""
    with tempfile.TemporaryFile() as log:  # without a name, so that it is gone also when we are killed
        log_path = Path(f"/dev/fd/{log.fileno()}")
        child = processes.start(argv, log=log_path, env=environment(), cwd=Path("/"), unprivileged=True)
        wait(child, cancel)
        log.seek(0)
        output = log.read().decode(errors="replace")
        if child.returncode not in accept:
            raise ProgramFailedError(f"{Path(argv[0]).name} ended with {child.returncode}: {output.strip()}")
        return output


def wait(child: processes.Child, cancel: Event | None) -> None:
    """Wait until a program has ended by itself; ends it at once when `cancel` is set, and raises CancelledError."""
    try:
        while child.running:
            if cancel and cancel.is_set():
                raise CancelledError
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_POLL_SECONDS if cancel else None)
    except BaseException:
        child.stop()
        raise
