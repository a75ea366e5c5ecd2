"""A blob container in memory: the port's other real implementation, exact in ETags and errors, safe among threads."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from threading import Lock

from shared.blob_container import Blob, BlobAlreadyExistsError, BlobChangedError, BlobFacts, BlobNotFoundError


class MemoryBlobContainer:
    """See `shared.blob_container.BlobContainer`. A blob written again, even with the same data, has a new ETag."""

    def __init__(self) -> None:
        self._blobs: dict[str, tuple[bytes, str, datetime]] = {}
        self._versions = count(1)
        self._lock = Lock()

    def create(self, name: str, data: bytes, content_type: str = "application/json") -> str:
        with self._lock:
            if name in self._blobs:
                raise BlobAlreadyExistsError(name)
            return self._put(name, data)

    def read(self, name: str) -> Blob:
        with self._lock:
            if name not in self._blobs:
                raise BlobNotFoundError(name)
            data, etag, _ = self._blobs[name]
            return Blob(data, etag)

    def replace(self, name: str, data: bytes, etag: str, content_type: str = "application/json") -> str:
        with self._lock:
            if name not in self._blobs or self._blobs[name][1] != etag:
                raise BlobChangedError(name)
            return self._put(name, data)

    def list(self, prefix: str = "", start_from: str | None = None) -> Iterator[BlobFacts]:
        with self._lock:
            rows = [
                BlobFacts(name, etag, len(data), modified)
                for name, (data, etag, modified) in sorted(self._blobs.items())
                if name.startswith(prefix) and (start_from is None or name >= start_from)
            ]
        yield from rows

    def delete(self, name: str, etag: str | None = None) -> None:
        with self._lock:
            if name not in self._blobs:
                return
            if etag is not None and self._blobs[name][1] != etag:
                raise BlobChangedError(name)
            del self._blobs[name]

    def _put(self, name: str, data: bytes) -> str:
        etag = f'"0x{next(self._versions):016X}"'
        self._blobs[name] = (bytes(data), etag, datetime.now(UTC))
        return etag
