"""A directory or tar dump as one custom archive, on the fly: pg_restore reads it from a pipe, and nothing is copied."""

from collections.abc import Iterable, Iterator, Sequence

from shared.backup_verification.dumps.archive import MAGIC, Compression, Entry, Format, Header, pack_int
from shared.backup_verification.dumps.decoding import (
    DATA,
    LARGE_OBJECTS,
    Members,
    holds_large_objects,
    large_objects,
    member_name,
    read_member,
)

_UNKNOWN_PLACE, _NO_DATA = 1, 3


def as_custom(header: Header, entries: Sequence[Entry], members: Members) -> Iterator[bytes]:
    """The archive, uncompressed, with its data in the order in which a restore asks for them.

    Raises DamagedDumpError while it goes on, when a part is missing or damaged.
    """
    yield _header(header)
    yield pack_int(len(entries), header.int_size)
    for entry in entries:
        place = _UNKNOWN_PLACE if entry.has_data else _NO_DATA
        yield entry.raw + bytes([place]) + bytes(header.offset_size)
    for entry in entries:
        if not entry.has_data:
            continue
        if holds_large_objects(entry):
            yield bytes([LARGE_OBJECTS]) + pack_int(entry.id, header.int_size)
            for oid, file in large_objects(members, entry):
                yield pack_int(oid, header.int_size)
                yield from _chunks(header, read_member(members, member_name(members, file)))
            yield pack_int(0, header.int_size)
        else:
            yield bytes([DATA]) + pack_int(entry.id, header.int_size)
            yield from _chunks(header, read_member(members, member_name(members, entry.file)))


def _header(header: Header) -> bytes:
    archive = MAGIC + bytes([*header.version, header.int_size, header.offset_size, Format.CUSTOM])
    if header.version[:2] < (1, 15):
        archive += pack_int(0, header.int_size)
    else:
        archive += bytes([Compression.NONE])
    archive += header.dated
    for text in (header.server_version, header.dump_version):
        archive += pack_int(len(text.encode()), header.int_size) + text.encode()
    return archive


def _chunks(header: Header, content: Iterable[bytes]) -> Iterator[bytes]:
    for piece in content:
        if piece:
            yield pack_int(len(piece), header.int_size)
            yield piece
    yield pack_int(0, header.int_size)
