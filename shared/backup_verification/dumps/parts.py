"""The blobs that a dump consists of: one file, or the files of a folder or a tar file."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import override

from shared.backup_verification.dumps.archive import Entry, Header, read_contents, read_header
from shared.backup_verification.dumps.damage import Damage, DamagedDumpError
from shared.backup_verification.dumps.decoding import Members
from shared.backup_verification.dumps.manifests import (
    FOLDER_MANIFEST,
    MAX_MANIFEST_BYTES,
    Digests,
    Expected,
    expected_of,
    parse_manifest,
)
from shared.backup_verification.dumps.ports import DumpContainer
from shared.backup_verification.dumps.reading import Reader
from shared.blob_container import BlobChangedError, BlobNotFoundError

TOC = "toc.dat"
_READ_AHEAD = 64 << 10


@dataclass(frozen=True, slots=True)
class Dump:
    """One dump in a container. A folder's name ends with `/`. `signature` is another when any byte may be another:
    the ETag of the file, or a digest of all ETags of the folder. `manifest` is the blob with its checksums."""

    name: str
    signature: str
    size: int
    last_modified: datetime
    manifest: str = ""
    manifest_etag: str = ""

    @property
    def is_file(self) -> bool:
        """Whether it is one blob."""
        return not self.name.endswith("/")


class OpenedDump:
    """A dump whose content can be read."""

    def __init__(self, container: DumpContainer, dump: Dump) -> None:
        self.dump = dump
        self._container = container

    @cached_property
    def members(self) -> Members | None:
        """The files of a folder or a tar file, None for any other file. Raises DamagedDumpError."""
        if not self.dump.is_file:
            return _Folder(self._container, self.dump.name)
        return _Tar(self._container, self.dump) if _begins_as_tar(self._container, self.dump) else None

    def chunks(self) -> Iterator[bytes]:
        """All bytes of a single file."""
        return _told(self._container.stream(self.dump.name, self.dump.signature), self.dump.name)

    @staticmethod
    def contents(members: Members) -> tuple[Header, tuple[Entry, ...]]:
        """Header and table of contents of a folder or a tar file. Raises DamagedDumpError."""
        if TOC not in members.names:
            raise DamagedDumpError(Damage.MISSING_PART, f"{TOC}, the table of contents, is not in the dump")
        reader = Reader(members.read(TOC))
        if reader.ended:
            raise DamagedDumpError(Damage.EMPTY, f"{TOC}, the table of contents, is empty")
        header = read_header(reader)
        return header, read_contents(reader, header)

    def expected(self) -> list[Expected]:
        """The checksums that were stored with a single file. Raises DamagedDumpError."""
        facts = self._container.properties(self.dump.name)
        if facts is None:
            raise DamagedDumpError(Damage.GONE, f"{self.dump.name} is not there any more")
        return expected_of(self.dump.name, self._manifest(), facts.metadata, facts.content_md5)

    def check_sums(self) -> tuple[list[str], list[Expected]]:
        """What does not fit the stored checksums, and which there are, for a tar file or every file of a folder."""
        if self.dump.is_file:
            expected = self.expected()
            return self._complaints(self.dump.name, self.dump.signature, expected), expected
        manifest = self._manifest()
        complaints: list[str] = []
        known: dict[str, Expected] = {}
        for facts in self._container.list(self.dump.name):
            part = facts.name.removeprefix(self.dump.name)
            if part == FOLDER_MANIFEST:
                continue
            properties = self._container.properties(facts.name)
            if manifest is not None and part not in manifest:
                complaints.append(f"{part} is not in {FOLDER_MANIFEST}")
                continue
            expected = expected_of(
                part,
                None if manifest is None else {part: manifest[part]},
                properties.metadata if properties else {},
                properties.content_md5 if properties else None,
            )
            known.update({each.source: each for each in expected})
            found = self._complaints(facts.name, facts.etag, expected)
            complaints.extend(f"{part}: {complaint}" for complaint in found)
        present = {facts.name.removeprefix(self.dump.name) for facts in self._container.list(self.dump.name)}
        for part in sorted(set(manifest or {}) - present - {""}):
            raise DamagedDumpError(Damage.MISSING_PART, f"{part} is in {FOLDER_MANIFEST} and not in the dump")
        return complaints, list(known.values())

    def _complaints(self, name: str, etag: str, expected: Sequence[Expected]) -> list[str]:
        digests = Digests(expected)
        for chunk in _told(self._container.stream(name, etag), name) if expected else ():
            digests.update(chunk)
        return digests.complaints()

    def _manifest(self) -> dict[str, str] | None:
        if not self.dump.manifest:
            return None
        facts = self._container.properties(self.dump.manifest)
        if facts is None or facts.size > MAX_MANIFEST_BYTES:
            raise DamagedDumpError(Damage.MANIFEST, f"{self.dump.manifest} is gone, or too large for a manifest")
        text = b"".join(_told(self._container.stream(self.dump.manifest), self.dump.manifest))
        return parse_manifest(text.decode("utf-8", "replace"), self.dump.manifest)


class _Folder:
    def __init__(self, container: DumpContainer, prefix: str) -> None:
        self._container, self._prefix = container, prefix
        self._etags = {facts.name.removeprefix(prefix): facts.etag for facts in container.list(prefix)}
        self.names = frozenset(self._etags)

    def read(self, name: str) -> Iterator[bytes]:
        return _told(self._container.stream(self._prefix + name, self._etags[name]), name)


class _Tar:
    """A tar file of which each member is read from its place; only the headers are read to find the places."""

    def __init__(self, container: DumpContainer, dump: Dump) -> None:
        import tarfile

        self._container, self._dump = container, dump
        self._places: dict[str, tuple[int, int]] = {}
        try:
            with tarfile.open(fileobj=_RemoteFile(container, dump), mode="r:") as tar:
                for member in tar:
                    if member.isreg():
                        self._places[member.name.rpartition("/")[2]] = (member.offset_data, member.size)
        except tarfile.TarError as error:
            raise DamagedDumpError(
                Damage.CORRUPT_CONTENTS, f"the tar file's list of members is damaged: {error}"
            ) from error
        self.names = frozenset(self._places)

    def read(self, name: str) -> Iterator[bytes]:
        start, size = self._places[name]
        if start + size > self._dump.size:
            raise DamagedDumpError(Damage.TRUNCATED_DATA, f"the tar file ends within {name}")
        if not size:
            return iter(())
        return _told(self._container.stream(self._dump.name, self._dump.signature, start, size), self._dump.name)


class _RemoteFile(io.RawIOBase):
    """A blob as a file to seek in, with a little read ahead."""

    def __init__(self, container: DumpContainer, dump: Dump) -> None:
        super().__init__()
        self._container, self._dump = container, dump
        self._at = 0
        self._window = (0, b"")

    @override
    def seekable(self) -> bool:
        return True

    @override
    def readable(self) -> bool:
        return True

    @override
    def tell(self) -> int:
        return self._at

    @override
    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._dump.size}[whence]
        self._at = base + offset
        return self._at

    @override
    def read(self, size: int = -1, /) -> bytes:
        size = min(size if size >= 0 else self._dump.size, self._dump.size - self._at)
        if size <= 0:
            return b""
        start, data = self._window
        if not start <= self._at <= self._at + size <= start + len(data):
            length = min(max(size, _READ_AHEAD), self._dump.size - self._at)
            chunks = self._container.stream(self._dump.name, self._dump.signature, self._at, length)
            self._window = start, data = self._at, b"".join(_told(chunks, self._dump.name))
        taken = data[self._at - start : self._at - start + size]
        self._at += len(taken)
        return taken


def _begins_as_tar(container: DumpContainer, dump: Dump) -> bool:
    if dump.size < 512:
        return False
    start = b"".join(_told(container.stream(dump.name, dump.signature, 0, 512), dump.name))
    return start[257:262] == b"ustar"


def _told(chunks: Iterator[bytes], name: str) -> Iterator[bytes]:
    """The chunks; a blob that went away or was replaced meanwhile is told as such."""
    try:
        yield from chunks
    except BlobNotFoundError:
        raise DamagedDumpError(Damage.GONE, f"{name} is not there any more") from None
    except BlobChangedError:
        raise DamagedDumpError(Damage.CHANGED, f"{name} was replaced while it was read") from None
