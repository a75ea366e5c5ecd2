"""Real dumps of real databases, made by pg_dump, and what can happen to them."""

import subprocess
import tarfile
from pathlib import Path

from local.postgres.binaries import binary


def dump(dsn: str, target: Path, *options: str) -> Path:
    """A dump of the database; a custom archive unless the options say otherwise."""
    subprocess.run(
        [binary("pg_dump"), "--format=custom", *options, "--file", target, dsn],
        check=True,
        capture_output=True,
        timeout=120,
    )
    return target


def pack(folder: Path, target: Path, *, toc_last: bool = False) -> Path:
    """A tar file of a directory dump, in any order of its members."""
    files = sorted(folder.iterdir(), key=lambda file: (file.name == "toc.dat") is toc_last)
    with tarfile.open(target, "w") as tar:
        for file in files:
            tar.add(file, arcname=f"./{file.name}")
    return target


def flip(data: bytes, position: int, bit: int = 0) -> bytes:
    """The data with one bit flipped."""
    return data[:position] + bytes([data[position] ^ (1 << bit)]) + data[position + 1 :]
