"""Which processes work in a folder."""

import contextlib
import time
from pathlib import Path

import pytest


def processes_in(folder: Path) -> set[int]:
    """The processes whose working folder is below a folder, or that were started with its path."""
    found: set[int] = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(folder).encode() in (process / "cmdline").read_bytes() or _works_below(process, folder):
                found.add(int(process.name))
    return found


def _works_below(process: Path, folder: Path) -> bool:
    return (process / "cwd").readlink().is_relative_to(folder)


def await_no_process_in(folder: Path, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while left := processes_in(folder):
        if time.monotonic() > deadline:
            pytest.fail(f"still running after {seconds} s: {left}")
        time.sleep(0.05)
