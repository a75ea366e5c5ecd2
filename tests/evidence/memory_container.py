"""A container in memory, with Blob Storage's conditions, for tests that need thousands of blobs or a crash at will."""

from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import md5
from threading import Lock

from shared.blob_container import Blob, BlobAlreadyExistsError, BlobChangedError, BlobFacts, BlobNotFoundError


class MemoryContainer:
    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self._lock = Lock()

    def create(self, name: str, data: bytes, content_type: str = "application/json") -> str:
        with self._lock:
            if name in self.blobs:
                raise BlobAlreadyExistsError(name)
            self.blobs[name] = data
        return _etag(data)

    def read(self, name: str) -> Blob:
        try:
            data = self.blobs[name]
        except KeyError:
            raise BlobNotFoundError(name) from None
        return Blob(data, _etag(data))

    def replace(self, name: str, data: bytes, etag: str, content_type: str = "application/json") -> str:
        with self._lock:
            if name not in self.blobs or _etag(self.blobs[name]) != etag:
                raise BlobChangedError(name)
            self.blobs[name] = data
        return _etag(data)

    def list(self, prefix: str = "", start_from: str | None = None) -> Iterator[BlobFacts]:
        for name in sorted(self.blobs):
            if name.startswith(prefix) and (start_from is None or name >= start_from):
                yield BlobFacts(name, _etag(self.blobs[name]), len(self.blobs[name]), datetime.now(UTC))

    def delete(self, name: str, etag: str | None = None) -> None:
        with self._lock:
            if etag is not None and name in self.blobs and _etag(self.blobs[name]) != etag:
                raise BlobChangedError(name)
            self.blobs.pop(name, None)


def _etag(data: bytes) -> str:
    return f'"{md5(data, usedforsecurity=False).hexdigest()}"'
