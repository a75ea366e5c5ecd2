"""Run one program and end it when the parent is gone, however the parent ended.

`python -S -E guard.py SIGNAL USER PROGRAM ARG...` (started by `local.processes`, not by hand). The parent keeps the
write end of standard input: a byte on it is a signal number to pass on, its end means that the parent is no more.
PR_SET_PDEATHSIG would do the same only on Linux, and is lost when the program changes its user.
"""

import contextlib
import os
import pwd
import signal
import subprocess
import sys
import threading

GRACE_SECONDS = 10.0


def main() -> None:
    end_signal, user, *argv = sys.argv[1:]
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    child = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        user=int(user) if user else None,
        group=pwd.getpwuid(int(user)).pw_gid if user else None,
        extra_groups=[] if user else None,
        restore_signals=True,
        preexec_fn=_default_signals,
    )

    def exit_with_child() -> None:
        code = child.wait()
        _signal_group(child.pid, signal.SIGKILL)  # what the program left behind in its own session
        os._exit(128 - code if code < 0 else code)

    threading.Thread(target=exit_with_child, daemon=True).start()
    while data := os.read(0, 1):
        _signal(child.pid, data[0])
    _signal(child.pid, int(end_signal))
    try:
        child.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        _signal_group(child.pid, signal.SIGKILL)
    threading.Event().wait(GRACE_SECONDS)  # the other thread ends this process with the child's own code


def _default_signals() -> None:
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_DFL)


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


if __name__ == "__main__":
    main()
