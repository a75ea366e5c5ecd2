"""A server's archive of write-ahead log: which segments are there, and up to which commit they reach."""

import os
import re
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from local.postgres import programs
from local.postgres.binaries import binary

SEGMENT_BYTES = 1024 * 1024
"""One megabyte, not PostgreSQL's sixteen: a quiet server archives a whole segment at every archive timeout."""

_SEGMENTS_PER_ID = 2**32 // SEGMENT_BYTES
_SEGMENT_NAME = re.compile(r"[0-9A-F]{24}")
_TRANSACTION_END = re.compile(r"desc: (?:COMMIT|ABORT)\w* .*?(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?) UTC")


@dataclass(frozen=True)
class WalArchive:
    """Segments in a folder, named as PostgreSQL names them (timeline and position in 24 hexadecimal digits)."""

    folder: Path

    def segments(self, since: str = "") -> list[str]:
        """The whole segments in order; with `since`, that one and what follows it on its timeline."""
        return sorted(
            name
            for name in os.listdir(self.folder)
            if _SEGMENT_NAME.fullmatch(name) and name >= since and name.startswith(since[:8])
        )

    def last_commit(self, since: str) -> datetime | None:
        """When the last transaction that the archive holds ended (UTC), looking at segments no older than `since`."""
        for name in reversed(self.segments(since)):
            if last := _last_transaction_end(self.folder / name):
                return last
        return None

    def freeze(self, folder: Path, since: str) -> "WalArchive":
        """What is there now, in a folder of its own: links, so that neither archiving nor pruning changes it."""
        for name in [*self.segments(since), *(path.name for path in self.folder.glob("*.history"))]:
            try:
                (folder / name).hardlink_to(self.folder / name)
            except FileNotFoundError:  # pruned meanwhile: missing, for whoever needs it
                continue
            except OSError:  # another file system
                shutil.copyfile(self.folder / name, folder / name)
        return WalArchive(folder)

    def first_missing(self, since: str) -> str | None:
        """The first segment that is not there though a later one is, or that does not start the row."""
        expected = since
        for name in self.segments(since):
            if name != expected:
                return expected
            expected = following(name)
        return expected if expected == since else None

    def prune(self, oldest: str) -> None:
        """Remove what is older than a segment that is still needed."""
        for name in self.segments():
            if name[8:] < oldest[8:]:
                (self.folder / name).unlink()


def segment_name(timeline: int, position: int) -> str:
    """The segment that ends at or contains the byte before a position of the log."""
    number = (position - 1) // SEGMENT_BYTES
    return f"{timeline:08X}{number // _SEGMENTS_PER_ID:08X}{number % _SEGMENTS_PER_ID:08X}"


def following(name: str) -> str:
    """The name of the next segment."""
    number = int(name[8:16], 16) * _SEGMENTS_PER_ID + int(name[16:], 16) + 1
    return f"{name[:8]}{number // _SEGMENTS_PER_ID:08X}{number % _SEGMENTS_PER_ID:08X}"


def parse_position(text: str) -> int:
    """A log position as a number, from PostgreSQL's own notation `16/B374D848`."""
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


@lru_cache(maxsize=4096)
def _last_transaction_end(segment: Path) -> datetime | None:
    # A record may begin in one segment and end in the next: the last segment's own end is then an error (exit code 1).
    listing = programs.run([binary("pg_waldump"), "--rmgr=Transaction", segment], accept=(0, 1))
    ends = [datetime.fromisoformat(text).replace(tzinfo=UTC) for text in _TRANSACTION_END.findall(listing)]
    return max(ends, default=None)
