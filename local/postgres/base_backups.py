"""A server's base backups: each a folder that is whole once its description is there."""

import json
import os
import re
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

_DESCRIPTION = "backup.json"
_FIRST_SEGMENT = re.compile(r"^START WAL LOCATION: \S+ \(file ([0-9A-F]{24})\)", re.MULTILINE)


@dataclass(frozen=True)
class BaseBackup:
    """A physical copy of a server. Times are UTC; the copy is consistent from `completed_at` on."""

    name: str
    started_at: datetime
    completed_at: datetime
    first_segment: str
    """The write-ahead log that a restore starts with."""
    next_transaction: int
    """The first transaction number that was not yet given away: the same one later means that nothing was written."""


@dataclass(frozen=True)
class BackupStore:
    """The folder of base backups, which needs no running server."""

    folder: Path

    def list(self) -> list[BaseBackup]:
        """The whole backups, oldest first."""
        found = [_read(path) for path in self.folder.glob(f"*/{_DESCRIPTION}")]
        return sorted(found, key=lambda backup: backup.completed_at)

    def data(self, name: str) -> Path:
        """Where the copy of a backup is, or is to be made."""
        return self.folder / name / "data"

    def complete(self, name: str, *, started_at: datetime, completed_at: datetime, next_transaction: int) -> BaseBackup:
        """Declare a copy that is now in place a backup."""
        label = (self.data(name) / "backup_label").read_text()
        match = _FIRST_SEGMENT.search(label)
        assert match, f"{name} is no copy of a running server: {label}"
        backup = BaseBackup(name, started_at, completed_at, match[1], next_transaction)
        partial = self.folder / name / "partial"
        partial.write_text(json.dumps(vars(backup), default=datetime.isoformat))
        os.replace(partial, self.folder / name / _DESCRIPTION)
        return backup

    def remove(self, name: str) -> None:
        """Remove a backup, or what an interrupted one left."""
        (self.folder / name / _DESCRIPTION).unlink(missing_ok=True)
        shutil.rmtree(self.folder / name, ignore_errors=True)

    def newest(self, complete_at: datetime | None = None) -> BaseBackup | None:
        """The newest backup, of those that were complete at an instant when one is given."""
        whole = [backup for backup in self.list() if complete_at is None or backup.completed_at <= complete_at]
        return whole[-1] if whole else None

    @property
    def earliest_restore_time(self) -> datetime | None:
        """When the oldest backup was complete (UTC); None without one."""
        return min((backup.completed_at for backup in self.list()), default=None)


def _read(path: Path) -> BaseBackup:
    fields = json.loads(path.read_text())
    return BaseBackup(
        **fields | {name: datetime.fromisoformat(fields[name]) for name in ("started_at", "completed_at")}
    )
