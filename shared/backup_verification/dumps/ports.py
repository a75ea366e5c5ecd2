"""What the verification of dumps needs of the container that they are in."""

from collections.abc import Iterator
from typing import Protocol

from shared.blob_container import BlobFacts, BlobProperties


class DumpContainer(Protocol):
    """A container with dumps, read only."""

    def properties(self, name: str) -> BlobProperties | None:
        """None when there is no such blob."""
        ...

    def list(self, prefix: str = "") -> Iterator[BlobFacts]:
        """The blobs whose name begins with `prefix`, by name."""
        ...

    def stream(self, name: str, etag: str = "", start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The content, or that part of it, a few mebibytes in memory at most. With an `etag`, of that version only.

        Raises BlobNotFoundError, BlobChangedError.
        """
        ...
