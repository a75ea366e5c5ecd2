"""Folders that a server running as another user can work in."""

import contextlib
import os
import pwd
import shutil
import stat
import tempfile
from pathlib import Path

from local.processes import unprivileged_uid

# A socket's path has at most 107 bytes on Linux and 103 on macOS; `/socket/.s.PGSQL.65535.lock` comes after the folder.
_LONGEST_FOLDER = 103 - len("/socket/.s.PGSQL.65535.lock")


def server_uid() -> int:
    """The user that PostgreSQL runs as: ours, unless we are root, which it refuses."""
    return unprivileged_uid() if os.geteuid() == 0 else os.geteuid()


def give_to_server(path: Path) -> None:
    """Hand a file or folder to the user that the server runs as, closed to everyone else."""
    path.chmod(0o700 if path.is_dir() else 0o600)
    if os.geteuid() == 0:
        os.chown(path, server_uid(), pwd.getpwuid(server_uid()).pw_gid)


def make_for_server(folder: Path) -> Path:
    """Make a folder that only the server's user can use."""
    folder.mkdir()
    give_to_server(folder)
    return folder


def touch_for_server(path: Path) -> None:
    """Make an empty file that only the server's user can use."""
    path.touch()
    give_to_server(path)


def claim(folder: Path) -> Path:
    """Make a new folder that PostgreSQL can work in and return where it really is.

    That is elsewhere, with a link in its place, when the server's user cannot reach the folder (below /root, or in
    pytest's own) or when the path is too long for a Unix socket. Raises FileExistsError when something is there.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.is_dir() and not folder.is_symlink():
        with contextlib.suppress(OSError):
            folder.rmdir()
    wanted = folder.parent.resolve() / folder.name
    if len(os.fsencode(wanted)) <= _LONGEST_FOLDER and _reachable(wanted):
        wanted.mkdir(mode=0o755)
        wanted.chmod(0o755)
        return wanted
    shared = _shared_folder()
    _remove_orphans(shared)
    elsewhere = Path(tempfile.mkdtemp(dir=shared))
    try:
        wanted.symlink_to(elsewhere)
    except FileExistsError:
        elsewhere.rmdir()
        raise
    (elsewhere / "owner").symlink_to(wanted)
    elsewhere.chmod(0o755)
    return elsewhere


def release(folder: Path) -> None:
    """Remove a claimed folder with all that is in it. One that is half made or already gone is no error."""
    if folder.is_symlink():
        shutil.rmtree(folder.readlink(), ignore_errors=True)
        folder.unlink(missing_ok=True)
    elif folder.exists():
        shutil.rmtree(folder)


def _reachable(folder: Path) -> bool:
    uid = server_uid()
    return uid == os.geteuid() or all(
        ancestor.stat().st_uid == uid or ancestor.stat().st_mode & stat.S_IXOTH for ancestor in folder.parents
    )


def _shared_folder() -> Path:
    shared = Path(tempfile.gettempdir()).resolve() / f"closekeeper-{os.geteuid()}"
    shared.mkdir(mode=0o711, exist_ok=True)
    state = shared.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid() or state.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(f"{shared} belongs to somebody else; remove it or set TMPDIR")
    shared.chmod(0o711)
    return shared


def _remove_orphans(shared: Path) -> None:
    """Remove what runs left that were killed and whose own folder has since been deleted."""
    for owner in shared.glob("*/owner"):
        with contextlib.suppress(OSError):
            link = owner.readlink()
            if not (link.is_symlink() and link.readlink() == owner.parent):
                shutil.rmtree(owner.parent, ignore_errors=True)
