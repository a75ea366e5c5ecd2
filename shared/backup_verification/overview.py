"""The registry at a glance: what ticks and lists need of every drill, without reading every entry each time.

Drills are kept for good, and hardly any of them changes any more: an entry is read again when its ETag is another.
Times are aware UTC.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Self

from shared.backup_verification.drill import DrillKind, NotDone, Outcome
from shared.backup_verification.registry import FOLDER, Entry, EntryState, load_entry
from shared.blob_container import BlobContainer, BlobNotFoundError


class DrillFacts(NamedTuple):
    """What is shown of a drill in a list, and what the schedule and the reaper go by."""

    id: str
    environment: str
    server: str
    server_id: str
    """The copy's."""
    kind: DrillKind
    requested_at: datetime
    state: EntryState
    closed_at: datetime | None
    held: NotDone | None
    """Why it was not begun, None when it was."""
    outcome: Outcome | None
    """None while it runs."""

    @classmethod
    def of(cls, entry: Entry) -> Self:
        """The same of a registered drill."""
        plan = entry.plan
        return cls(
            plan.id,
            plan.environment,
            plan.server,
            plan.server_id,
            plan.kind,
            plan.requested_at,
            entry.state,
            entry.closed_at,
            entry.held.outcome if entry.held else None,
            entry.report.outcome if entry.report else None,
        )


class Overview:
    """All drills of one container, remembered by this process."""

    def __init__(self, container: BlobContainer) -> None:
        self._container = container
        self._known: dict[str, tuple[str, DrillFacts]] = {}

    def drills(self) -> Sequence[DrillFacts]:
        """All of them as they are now, by id."""
        known: dict[str, tuple[str, DrillFacts]] = {}
        for blob in self._container.list(FOLDER):
            before = self._known.get(blob.name)
            if before is not None and before[0] == blob.etag:
                known[blob.name] = before
                continue
            try:
                known[blob.name] = blob.etag, DrillFacts.of(load_entry(self._container.read(blob.name).data))
            except (BlobNotFoundError, ValueError):
                continue  # gone meanwhile; or what this release cannot read, whose server is then told as a stranger
        self._known = known
        return [facts for _, facts in known.values()]
