"""Decoding all data of an archive, which finds what a listing cannot: each compressed part carries its own checksum."""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from shared.backup_verification.dumps.archive import Compression, Entry, Header, take_int
from shared.backup_verification.dumps.damage import Damage, DamagedDumpError
from shared.backup_verification.dumps.reading import PIECE, EndOfStreamError, Reader

DATA, LARGE_OBJECTS = 1, 3
"""The kinds of block in a custom archive."""

_END_OF_COPY = b"\\.\n\n\n"
_GZIP_WINDOW = zlib.MAX_WBITS | 16


class Decoded(NamedTuple):
    """What was decoded. With lz4 or zstd only the framing of the data was followed: `whole` is False."""

    parts: int
    data_bytes: int
    whole: bool


class Members(Protocol):
    """The files of a directory or a tar file."""

    @property
    def names(self) -> frozenset[str]:
        """All of them."""
        ...

    def read(self, name: str) -> Iterator[bytes]:
        """One file's content."""
        ...


def decode_custom(reader: Reader, header: Header, entries: Sequence[Entry]) -> Decoded:
    """Decode what follows the table of contents of a custom archive, to its end; raises DamagedDumpError."""
    expected = {entry.id: entry for entry in entries if entry.has_data}
    seen: set[int] = set()
    total = 0
    try:
        while not reader.ended:
            kind = reader.take(1)[0]
            if kind not in (DATA, LARGE_OBJECTS):
                raise _corrupt(f"a block of kind {kind}, at byte {reader.position}")
            number = take_int(reader, header)
            entry = expected.get(number)
            if entry is None or number in seen:
                raise _corrupt(f"a block for object {number}, before byte {reader.position}")
            seen.add(number)
            if kind == DATA:
                total += _whole(_chunks(reader, header), header.compression, entry)
                continue
            while take_int(reader, header):
                total += _whole(_chunks(reader, header), header.compression, None)
    except ValueError as error:
        raise _corrupt(f"{error} before byte {reader.position}") from None
    except EndOfStreamError:
        missing = len(expected) - len(seen)
        raise DamagedDumpError(
            Damage.TRUNCATED_DATA, f"ends within the data, after byte {reader.position}; {missing} parts never came"
        ) from None
    lost = [entry for entry in expected.values() if entry.id not in seen]
    if lost:
        raise DamagedDumpError(
            Damage.TRUNCATED_DATA, f"ends before the data of {_listed(lost)}: they are in the table of contents only"
        )
    return Decoded(len(seen), total, header.compression in (Compression.NONE, Compression.GZIP))


def decode_members(members: Members, header: Header, entries: Sequence[Entry]) -> Decoded:
    """Decode every file that the table of contents of a directory or a tar file names; raises DamagedDumpError."""
    total = parts = 0
    whole = True
    for entry in entries:
        if not entry.has_data:
            continue
        parts += 1
        files = [file for _, file in large_objects(members, entry)] if holds_large_objects(entry) else [entry.file]
        for name in (member_name(members, file) for file in files):
            readable = not name.endswith((".lz4", ".zst"))
            whole = whole and readable
            copied = entry if readable and not holds_large_objects(entry) else None
            total += _whole(read_member(members, name), Compression.NONE, copied)
    return Decoded(parts, total, whole)


def holds_large_objects(entry: Entry) -> bool:
    """Whether the entry's data are large objects rather than rows."""
    return entry.kind in ("BLOBS", "LARGE OBJECTS")


def large_objects(members: Members, entry: Entry) -> list[tuple[int, str]]:
    """The large objects that the list of an entry names: oid and file. Raises DamagedDumpError."""
    listed: list[tuple[int, str]] = []
    named_by_tar = (f"blobs_{entry.id}.toc", "blobs.toc")  # whatever the table of contents says
    file = next((name for name in named_by_tar if name in members.names), entry.file)
    for line in b"".join(read_member(members, member_name(members, file))).decode(errors="replace").splitlines():
        oid, _, file = line.partition(" ")
        if not oid.isdecimal() or not file:
            raise _corrupt(f"{entry.file} lists {line[:60]!r}")
        listed.append((int(oid), file))
    return listed


def read_member(members: Members, name: str) -> Iterator[bytes]:
    """A member's content, unpacked when it is compressed with gzip; raises DamagedDumpError."""
    content = members.read(name)
    return unpack_gzip(content, name) if name.endswith(".gz") else content


def unpack_gzip(content: Iterable[bytes], place: str) -> Iterator[bytes]:
    """The content of a gzip file; raises DamagedDumpError, which names the place."""
    return _unpacked(content, _GZIP_WINDOW, place, Damage.TRUNCATED_DATA)


def member_name(members: Members, name: str) -> str:
    """The file's name with what its compression adds; raises DamagedDumpError when it is missing."""
    for candidate in (name, f"{name}.gz", f"{name}.lz4", f"{name}.zst"):
        if candidate in members.names:
            return candidate
    raise DamagedDumpError(Damage.MISSING_PART, f"{name} is in the table of contents and not in the dump")


def _whole(content: Iterable[bytes], compression: Compression, entry: Entry | None) -> int:
    """Read all of one part; what COPY wrote ends with its mark. Returns its size when unpacked."""
    place = f"{entry.namespace}.{entry.tag}" if entry else "a large object"
    if compression is Compression.GZIP:
        content = _unpacked(content, zlib.MAX_WBITS, place, Damage.CORRUPT_DATA)
    size, tail = 0, b""
    for piece in content:
        size += len(piece)
        tail = (tail + piece)[-len(_END_OF_COPY) :] if len(piece) < len(_END_OF_COPY) else piece[-len(_END_OF_COPY) :]
    readable = compression in (Compression.NONE, Compression.GZIP)
    if entry is not None and entry.copies and readable and tail != _END_OF_COPY:
        raise DamagedDumpError(Damage.TRUNCATED_DATA, f"the rows of {place} do not end as COPY ends them")
    return size


def _unpacked(content: Iterable[bytes], window: int, place: str, ends_early: Damage) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(window)
    try:
        for piece in content:
            while piece:
                if unpacker.eof:
                    raise _corrupt(f"{place} goes on after its end")
                yield unpacker.decompress(piece, PIECE)
                piece = unpacker.unconsumed_tail or unpacker.unused_data
        yield unpacker.flush()
    except zlib.error as error:
        raise _corrupt(f"{place}: {str(error).partition(': ')[2] or error}") from None
    if not unpacker.eof:
        raise DamagedDumpError(ends_early, f"{place} ends before its compressed data do")


def _chunks(reader: Reader, header: Header) -> Iterator[bytes]:
    while length := take_int(reader, header):
        if length < 0:
            raise ValueError(f"a chunk of {length} bytes")
        yield from reader.pieces(length)


def _listed(entries: Sequence[Entry]) -> str:
    named = ", ".join(f"{entry.namespace}.{entry.tag}" for entry in entries[:3])
    return named if len(entries) <= 3 else f"{named} and {len(entries) - 3} more"


def _corrupt(what: str) -> DamagedDumpError:
    return DamagedDumpError(Damage.CORRUPT_DATA, what)
