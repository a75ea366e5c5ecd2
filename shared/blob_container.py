"""What the domains need of a blob container: a port, without an SDK. `shared.platforms.blobs` implements it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


class BlobAlreadyExistsError(Exception):
    """A blob of that name is there; it was left as it is."""


class BlobNotFoundError(Exception):
    """There is no blob of that name."""


class BlobChangedError(Exception):
    """The blob is no longer the one whose ETag was given; nothing was written."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob's content and the ETag it had when it was read."""

    data: bytes
    etag: str


@dataclass(frozen=True, slots=True)
class BlobFacts:
    """One row of a listing. `last_modified` is UTC; `size` in bytes."""

    name: str
    etag: str
    size: int
    last_modified: datetime


@dataclass(frozen=True, slots=True)
class BlobProperties:
    """What is known of a blob without its content. `last_modified` is UTC; `size` in bytes; `content_md5` is there when
    its uploader, or a put of the whole blob, set it."""

    name: str
    etag: str
    size: int
    last_modified: datetime
    content_md5: bytes | None = None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])


class BlobContainer(Protocol):
    """One container. Names use `/` as the folder mark."""

    def create(self, name: str, data: bytes, content_type: str = "application/json") -> str:
        """Write once (If-None-Match: *). Returns the ETag; raises BlobAlreadyExistsError."""
        ...

    def read(self, name: str) -> Blob:
        """Raises BlobNotFoundError."""
        ...

    def replace(self, name: str, data: bytes, etag: str, content_type: str = "application/json") -> str:
        """Write over the version with that ETag (If-Match). Returns the new ETag; raises BlobChangedError."""
        ...

    def list(self, prefix: str = "", start_from: str | None = None) -> Iterator[BlobFacts]:
        """The blobs whose name begins with `prefix`, by name; from `start_from` (included) on when given."""
        ...

    def delete(self, name: str, etag: str | None = None) -> None:
        """Delete; a missing blob is no error. Raises BlobChangedError when `etag` no longer fits."""
        ...
