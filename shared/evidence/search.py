"""Looking through the records by time, for the API and the status page."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import batched

from shared.blob_container import BlobContainer
from shared.evidence.log import in_parallel
from shared.evidence.record import FOLDER, Record, name_prefix

_BATCH = 64


@dataclass(frozen=True, slots=True)
class Query:
    """Records from `start` to before `end` (aware); each further field must be equal when it is given."""

    start: datetime
    end: datetime
    environment: str | None = None
    tenant: str | None = None
    automation: str | None = None
    kind: str | None = None
    subject: str | None = None

    def takes(self, record: Record) -> bool:
        """Whether the record fits, its time apart."""
        wanted = (
            (self.environment, record.environment),
            (self.tenant, record.tenant),
            (self.automation, record.automation),
            (self.kind, record.kind),
            (self.subject, record.subject),
        )
        return all(asked in (None, found) for asked, found in wanted)


@dataclass(frozen=True, slots=True)
class Page:
    """Records with their blob names, oldest first; `continuation` begins the next page, None when there is none."""

    records: tuple[tuple[str, Record], ...]
    continuation: str | None


def find_records(container: BlobContainer, query: Query, *, limit: int, continuation: str | None = None) -> Page:
    """At most `limit` records that fit. Sealed or not; a blob that is no record is passed over.

    Raises ValueError when the continuation is not one of this query's pages.
    """
    start, end = name_prefix(query.start), name_prefix(query.end)
    if continuation is not None and not start <= continuation < end:
        raise ValueError("continuation does not belong to this query: pass the one that its last page gave")
    names = (
        blob.name
        for blob in container.list(FOLDER, start_from=continuation or start)
        if (continuation or start) <= blob.name < end
    )
    found: list[tuple[str, Record]] = []
    for name, record in _records(container, names):
        if query.takes(record):
            if len(found) == limit:
                return Page(tuple(found), name)
            found.append((name, record))
    return Page(tuple(found), None)


def _records(container: BlobContainer, names: Iterator[str]) -> Iterator[tuple[str, Record]]:
    for batch in batched(names, _BATCH, strict=False):
        for name, data in zip(batch, in_parallel(lambda name: container.read(name).data, batch), strict=True):
            try:
                record = Record.parse(data)
            except ValueError:
                continue
            yield name, record
