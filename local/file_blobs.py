"""A blob container in a folder: the port for tests whose state is shared by processes and survives them."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote, unquote
from uuid import uuid4

from shared.blob_container import Blob, BlobAlreadyExistsError, BlobChangedError, BlobFacts, BlobNotFoundError


class FileBlobContainer:
    """See `shared.blob_container.BlobContainer`. Each file is an ETag, a line break, and the data."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def create(self, name: str, data: bytes, content_type: str = "application/json") -> str:
        with self._locked(name):
            if self._path(name).exists():
                raise BlobAlreadyExistsError(name)
            return self._put(name, data)

    def read(self, name: str) -> Blob:
        try:
            etag, _, data = self._path(name).read_bytes().partition(b"\n")
        except FileNotFoundError:
            raise BlobNotFoundError(name) from None
        return Blob(data, etag.decode())

    def replace(self, name: str, data: bytes, etag: str, content_type: str = "application/json") -> str:
        with self._locked(name):
            self._check(name, etag)
            return self._put(name, data)

    def list(self, prefix: str = "", start_from: str | None = None) -> Iterator[BlobFacts]:
        names = sorted(unquote(path.name).removeprefix("blob-") for path in self._folder.glob("blob-*"))
        for name in names:
            if not name.startswith(prefix) or (start_from is not None and name < start_from):
                continue
            try:
                blob = self.read(name)
                modified = datetime.fromtimestamp(self._path(name).stat().st_mtime, UTC)
            except (BlobNotFoundError, FileNotFoundError):
                continue  # deleted since the names were listed
            yield BlobFacts(name, blob.etag, len(blob.data), modified)

    def delete(self, name: str, etag: str | None = None) -> None:
        with self._locked(name):
            if not self._path(name).exists():
                return
            if etag is not None:
                self._check(name, etag)
            self._path(name).unlink()

    def _check(self, name: str, etag: str) -> None:
        try:
            if self.read(name).etag != etag:
                raise BlobChangedError(name)
        except BlobNotFoundError:
            raise BlobChangedError(name) from None

    def _put(self, name: str, data: bytes) -> str:
        etag = f'"{uuid4().hex}"'
        new = self._folder / f"new-{uuid4().hex}"
        new.write_bytes(etag.encode() + b"\n" + data)
        new.replace(self._path(name))
        return etag

    def _path(self, name: str) -> Path:
        return self._folder / f"blob-{quote(name, safe='')}"

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        lock = self._folder / f"lock-{sha256(name.encode()).hexdigest()[:2]}"
        with lock.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # released when the file is closed, also by a crash
            yield
