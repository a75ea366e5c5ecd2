"""Batches of changes to blobs: what is asked of each blob, and what the service says about each. A port."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

MOST_REQUESTS = 256
MOST_BYTES = 4 * 1024 * 1024
"""Azure Storage, "Blob Batch": at most 256 requests and 4 MB in one."""


@dataclass(frozen=True, slots=True)
class SetTier:
    """Set the tier of a blob, a version or a snapshot. The service knows no condition on the ETag here."""

    name: str
    tier: str
    version: str | None = None
    snapshot: str | None = None
    priority: str = ""
    """`Standard` or `High`, where it comes back from archive."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """Delete a blob, a version or a snapshot, if it still is the one that was planned."""

    name: str
    version: str | None = None
    snapshot: str | None = None
    etag: str = ""
    """Without quotation marks; empty where it is not known."""

    unmodified_since: datetime | None = None
    with_snapshots: bool = False


type Deed = SetTier | Deletion


@dataclass(frozen=True, slots=True)
class Said:
    """The answer about one blob: status, the service's error code, and Retry-After in seconds where it gave one."""

    status: int
    code: str = ""
    again_after: float | None = None


class BatchRefusedError(Exception):
    """A batch got no answer, or one answer as a whole. Whether anything was done is then not known.

    `status` is None without any answer; `again_after` in seconds.
    """

    def __init__(self, message: str, status: int | None = None, again_after: float | None = None) -> None:
        super().__init__(message)
        self.status, self.again_after = status, again_after


class Batches(Protocol):
    """Batches on one container. All of one batch are of one kind."""

    def size_of(self, deed: Deed) -> int:
        """How many bytes of a batch it takes."""
        ...

    def send(self, deeds: Sequence[Deed]) -> tuple[Said, ...]:
        """Ask for all of them in one request, once. Returns the answers in the order of the deeds.

        Raises BatchRefusedError; ValueError when they are too many or too large for one request.
        """
        ...
