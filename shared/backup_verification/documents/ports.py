"""What the verification of documents needs of the containers that they are in."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Protocol

from shared.backup_verification.documents.places import Place
from shared.blob_container import BlobFacts, BlobProperties


class DocumentContainer(Protocol):
    """A container with documents, read only."""

    def list(self, prefix: str = "") -> Iterator[BlobFacts]:
        """The blobs whose name begins with `prefix`, by name."""
        ...

    def properties(self, name: str) -> BlobProperties | None:
        """None when there is no such blob."""
        ...

    def former(self, name: str) -> Iterator[BlobFacts]:
        """Deleted ones and former versions of that name that are still kept."""
        ...

    def stream(self, name: str) -> Iterator[bytes]:
        """The content. Raises BlobNotFoundError, BlobChangedError."""
        ...

    def last_sync(self) -> datetime | None:
        """For a secondary region: until when it holds every write."""
        ...


type Open = Callable[[Place, bool], DocumentContainer]
"""Opens a place's container, in the secondary region when the flag is set."""
