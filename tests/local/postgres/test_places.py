"""Folders that a server running as another user can work in."""

import os
import shutil
import stat
from pathlib import Path

import pytest

from local.postgres import places

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root's servers run as another user")


def test_a_reachable_folder_is_used_as_it_is(reachable_folder: Path) -> None:
    home = places.claim(reachable_folder / "server")
    assert home == reachable_folder / "server"
    assert home.is_dir()
    assert not home.is_symlink()


@as_root
def test_an_unreachable_folder_becomes_a_link_to_a_reachable_one(reachable_folder: Path) -> None:
    closed = reachable_folder / "closed"
    closed.mkdir(mode=0o700)
    folder = closed / "server"

    home = places.claim(folder)

    assert folder.resolve() == home
    assert all(parent.stat().st_mode & stat.S_IXOTH for parent in home.parents)
    (home / "file").touch()
    places.release(folder)
    assert not os.path.lexists(folder)
    assert not home.exists()


def test_a_path_too_long_for_a_socket_becomes_a_link_to_a_short_one(reachable_folder: Path) -> None:
    folder = reachable_folder / ("a" * 60) / "server"
    home = places.claim(folder)
    try:
        assert folder.resolve() == home
        assert len(str(home / "socket" / ".s.PGSQL.65535.lock")) <= 103
    finally:
        places.release(folder)


def test_what_is_there_is_not_claimed(tmp_path: Path) -> None:
    places.claim(tmp_path / "server")
    with pytest.raises(FileExistsError):
        places.claim(tmp_path / "server")
    places.release(tmp_path / "server")


def test_what_a_deleted_folder_linked_to_is_removed(reachable_folder: Path) -> None:
    run = reachable_folder / ("a" * 60)
    orphan = places.claim(run / "orphan")
    kept = places.claim(run / "kept")
    (run / "orphan").unlink()

    other = places.claim(run / "other")

    assert not orphan.exists()
    assert kept.exists()
    assert other.exists()
    for name in ("kept", "other"):
        places.release(run / name)
    shutil.rmtree(run)
