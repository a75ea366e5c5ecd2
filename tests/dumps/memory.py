"""A container in memory that dumps are read from, exact in ETags and errors."""

from collections.abc import Iterator
from pathlib import Path

from local.memory_blobs import MemoryBlobContainer
from shared.backup_verification.dumps.names import dumps_in
from shared.backup_verification.dumps.parts import Dump, OpenedDump
from shared.blob_container import BlobChangedError, BlobFacts, BlobNotFoundError, BlobProperties

_PIECE = 50_000  # small, so that no boundary of a dump is one of the stream


class Container:
    """See `DumpContainer`. Metadata and Content-MD5 are set beside the content."""

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        self.blobs = MemoryBlobContainer()
        self.metadata: dict[str, dict[str, str]] = {}
        self.md5: dict[str, bytes] = {}
        self.longest = 0
        for name, data in (files or {}).items():
            self.blobs.create(name, data)

    @classmethod
    def with_folder(cls, folder: Path, prefix: str) -> "Container":
        return cls({f"{prefix}{file.name}": file.read_bytes() for file in folder.iterdir()})

    def properties(self, name: str) -> BlobProperties | None:
        for facts in self.blobs.list(name):
            if facts.name == name:
                return BlobProperties(
                    name, facts.etag, facts.size, facts.last_modified, self.md5.get(name), self.metadata.get(name, {})
                )
        return None

    def list(self, prefix: str = "") -> Iterator[BlobFacts]:
        return self.blobs.list(prefix)

    def stream(self, name: str, etag: str = "", start: int = 0, length: int | None = None) -> Iterator[bytes]:
        blob = self.blobs.read(name)
        if etag and blob.etag != etag:
            raise BlobChangedError(name)
        data = blob.data[start:] if length is None else blob.data[start : start + length]
        for at in range(0, len(data), _PIECE):
            if etag and self.blobs.read(name).etag != etag:
                raise BlobChangedError(name)
            yield data[at : at + _PIECE]

    def only_dump(self) -> Dump:
        (dump,) = dumps_in(self.list())
        return dump

    def open(self) -> OpenedDump:
        return OpenedDump(self, self.only_dump())


__all__ = ["BlobNotFoundError", "Container"]
