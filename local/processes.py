"""Child processes that never outlive us, and addresses that two runs on one machine do not share."""

import contextlib
import os
import pwd
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_GUARD = Path(__file__).with_name("guard.py")


class Child:
    """A program under a guard: it ends when we say so, and also when we are killed."""

    def __init__(self, guard: "subprocess.Popen[bytes]") -> None:
        self._guard = guard

    @property
    def running(self) -> bool:
        return self._guard.poll() is None

    @property
    def returncode(self) -> int | None:
        """The program's exit code, 128 + n when signal n ended it, None while it runs."""
        return self._guard.poll()

    def send_signal(self, number: signal.Signals) -> None:
        assert self._guard.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            os.write(self._guard.stdin.fileno(), bytes([number]))

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; raises subprocess.TimeoutExpired."""
        return self._guard.wait(timeout)

    def stop(self, timeout: float = 30.0) -> int:
        """Ask the program to end (SIGKILL after the guard's grace) and wait for it. Twice is once."""
        assert self._guard.stdin is not None
        with contextlib.suppress(OSError):
            self._guard.stdin.close()
        return self._guard.wait(timeout)

    def kill(self) -> int:
        """End the program at once, as a crash would."""
        self.send_signal(signal.SIGKILL)
        return self._guard.wait(10)


def start(
    argv: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    end_signal: signal.Signals = signal.SIGTERM,
    unprivileged: bool = False,
) -> Child:
    """Start a program; its output is appended to `log`.

    `env` replaces the environment when given. With `unprivileged`, a root parent drops to an ordinary user first
    (PostgreSQL refuses to run as root); any other parent ignores it.
    """
    user = str(unprivileged_uid()) if unprivileged and os.geteuid() == 0 else ""
    with log.open("ab") as output:
        guard = subprocess.Popen(
            [sys.executable, "-S", "-E", _GUARD, str(int(end_signal)), user, *argv],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(env) if env is not None else None,
            cwd=cwd,
            start_new_session=True,
        )
    return Child(guard)


def unprivileged_uid() -> int:
    """The user that programs run as when we are root: `postgres` where it exists, else `nobody`."""
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_uid
    return 65534


def free_port(address: str = "127.0.0.1") -> int:
    """A TCP port that nobody listens on now. Bind it soon: nothing keeps it for us."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])
