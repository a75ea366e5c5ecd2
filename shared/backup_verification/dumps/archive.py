"""The archives of pg_dump: header and table of contents of the custom, directory and tar formats.

Read as PostgreSQL's own reader does it (`pg_backup_archiver.c`, archive versions 1.12 to 1.16, that is pg_dump 9.0 to
18). The table of contents carries no checksum of its own: what can be seen of damage is that it makes no sense.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from shared.backup_verification.dumps.damage import Damage, DamagedDumpError
from shared.backup_verification.dumps.reading import EndOfStreamError, Reader

MAGIC = b"PGDMP"
OLDEST, NEWEST = (1, 12), (1, 16)

_MAX_ENTRIES = 5_000_000
_MAX_TEXT = 256 << 20
_SECTIONS = {1, 2, 3, 4}
_MAX_DATABASE_NAME = 1024


class Format(IntEnum):
    """The format that the header names. Tar files are archives too, whose data are further members."""

    CUSTOM = 1
    TAR = 3
    DIRECTORY = 5


class Compression(IntEnum):
    """How the data are compressed."""

    NONE = 0
    GZIP = 1
    LZ4 = 2
    ZSTD = 3


class Header(NamedTuple):
    """What an archive says of itself. The version is the archive's, not PostgreSQL's."""

    version: tuple[int, int, int]
    int_size: int
    offset_size: int
    format: Format
    compression: Compression
    dated: bytes
    """The local time of the dump and the database's name, as they are in the file."""
    database: str
    server_version: str
    dump_version: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One object of the table of contents. `raw` is all of it but the place of its data; `file` is where a directory
    or a tar file keeps them; `has_data` whether there are any."""

    id: int
    kind: str
    tag: str
    namespace: str
    owner: str
    definition: str
    copies: bool
    section: int
    has_data: bool
    file: str
    raw: bytes


def read_header(reader: Reader) -> Header:
    """The header; raises DamagedDumpError."""
    try:
        return _header(reader)
    except EndOfStreamError:
        raise DamagedDumpError(
            Damage.TRUNCATED_HEADER, f"ends in the archive's header, after {reader.position} bytes"
        ) from None


def read_contents(reader: Reader, header: Header) -> tuple[Entry, ...]:
    """The table of contents, which follows the header; raises DamagedDumpError."""
    try:
        return _Contents(reader, header).read()
    except EndOfStreamError:
        raise DamagedDumpError(
            Damage.TRUNCATED_CONTENTS, f"ends in the table of contents, after byte {reader.position}"
        ) from None


def pack_int(value: int, size: int) -> bytes:
    """An integer as archives hold it: a byte for the sign, then the amount."""
    return bytes([value < 0]) + abs(value).to_bytes(size, "little")


def take_int(reader: Reader, header: Header) -> int:
    """An integer of the archive; raises EndOfStreamError, and ValueError for a sign that is none."""
    sign, *amount = reader.take(1 + header.int_size)
    if sign > 1:
        raise ValueError(f"a sign of {sign}")
    return (-1 if sign else 1) * int.from_bytes(bytes(amount), "little")


def _header(reader: Reader) -> Header:
    if reader.take(5) != MAGIC:
        raise DamagedDumpError(Damage.NOT_A_DUMP, "does not begin as an archive of pg_dump does")
    major, minor, revision, int_size, offset_size, format_number = reader.take(6)
    version = (major, minor, revision)
    if not OLDEST <= version[:2] <= NEWEST:
        raise DamagedDumpError(
            Damage.WRONG_VERSION,
            f"is an archive of version {major}.{minor}; versions {_dotted(OLDEST)} to {_dotted(NEWEST)} are known "
            "(pg_dump 9.0 to 18)",
        )
    if int_size not in (4, 8) or offset_size not in (4, 8) or format_number not in set(Format):
        raise _corrupt(reader, f"sizes {int_size} and {offset_size}, format {format_number} are none of pg_dump's")
    draft = Header(version, int_size, offset_size, Format(format_number), Compression.NONE, b"", "", "", "")
    compression = _compression(reader, draft)
    reader.keep()
    for _ in range(7):
        _int(reader, draft)
    database = _text(reader, draft, most=_MAX_DATABASE_NAME) or ""
    dated = reader.kept()
    server = _text(reader, draft, most=_MAX_DATABASE_NAME) or ""
    return draft._replace(
        compression=compression,
        dated=dated,
        database=database,
        server_version=server,
        dump_version=_text(reader, draft, most=_MAX_DATABASE_NAME) or "",
    )


def _compression(reader: Reader, header: Header) -> Compression:
    if header.version[:2] < (1, 15):
        return Compression.GZIP if _int(reader, header) else Compression.NONE
    (algorithm,) = reader.take(1)
    if algorithm not in set(Compression):
        raise _corrupt(reader, f"compression {algorithm} is none of pg_dump's")
    return Compression(algorithm)


class _Contents:
    def __init__(self, reader: Reader, header: Header) -> None:
        self._reader, self._header = reader, header
        self._utf8 = True

    def read(self) -> tuple[Entry, ...]:
        count = _int(self._reader, self._header)
        if not 0 < count <= _MAX_ENTRIES:
            raise _corrupt(self._reader, f"{count} objects")
        entries = [self._entry() for _ in range(count)]
        twice = [number for number, times in Counter(entry.id for entry in entries).items() if times > 1]
        if twice:
            raise _corrupt(self._reader, f"object {twice[0]} is listed twice")
        return tuple(entries)

    def _entry(self) -> Entry:
        reader, header = self._reader, self._header
        reader.keep()
        number, dumper = self._int(), self._int()
        if number <= 0 or dumper not in (0, 1):
            raise _corrupt(reader, f"object {number} with the mark {dumper}")
        if not (self._text().isdecimal() and self._text().isdecimal()):
            raise _corrupt(reader, f"the oid of object {number} is no number")
        tag, kind = self._text(), self._text()
        if not kind or not kind.replace(" ", "").isalpha() or not kind.isupper():
            raise _corrupt(reader, f"object {number} is of no kind that there is")
        section = self._int()
        if section not in _SECTIONS:
            raise _corrupt(reader, f"object {number} is in section {section}")
        definition = self._text()
        if kind == "ENCODING":
            self._utf8 = "'UTF8'" in definition
        self._text()  # how it is dropped
        copies = bool(self._text())
        namespace = self._text()
        self._text()  # tablespace
        if header.version[:2] >= (1, 14):
            self._text()  # access method
        if header.version[:2] >= (1, 16):
            self._int()  # kind of relation
        owner = self._text()
        if self._text() not in ("true", "false"):
            raise _corrupt(reader, f"object {number} does not say whether it has oids")
        while (dependency := _text(reader, header)) is not None:
            if not dependency.isdecimal():
                raise _corrupt(reader, f"object {number} depends on {dependency[:40]!r}")
        raw = reader.kept()
        has_data, file = self._place()
        return Entry(number, kind, tag, namespace, owner, definition, copies, section, has_data, file, raw)

    def _place(self) -> tuple[bool, str]:
        if self._header.format is not Format.CUSTOM:
            file = self._text()
            return bool(file), file
        (flag,) = self._reader.take(1)
        self._reader.take(self._header.offset_size)
        if flag not in (1, 2, 3):
            raise _corrupt(self._reader, f"the place of some data is of kind {flag}")
        return flag != 3, ""

    def _int(self) -> int:
        return _int(self._reader, self._header)

    def _text(self) -> str:
        return _text(self._reader, self._header, utf8=self._utf8) or ""


def _int(reader: Reader, header: Header) -> int:
    try:
        return take_int(reader, header)
    except ValueError as error:
        raise _corrupt(reader, str(error)) from None


def _text(reader: Reader, header: Header, *, most: int = _MAX_TEXT, utf8: bool = True) -> str | None:
    length = _int(reader, header)
    if length < 0:
        return None
    if length > most:
        raise _corrupt(reader, f"a text of {length} bytes")
    data = reader.take(length)
    if b"\0" in data:
        raise _corrupt(reader, "a text with a null byte")
    try:
        return data.decode("utf-8" if utf8 else "latin-1")
    except UnicodeDecodeError:
        raise _corrupt(reader, "a text that is not UTF-8, in a dump that is") from None


def _corrupt(reader: Reader, what: str) -> DamagedDumpError:
    return DamagedDumpError(
        Damage.CORRUPT_CONTENTS, f"the table of contents makes no sense near byte {reader.position}: {what}"
    )


def _dotted(version: Sequence[int]) -> str:
    return ".".join(str(part) for part in version)
