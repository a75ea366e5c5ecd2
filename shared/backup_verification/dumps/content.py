"""What a dump's bytes say: kind, table of contents, checksum, all data. Read once from front to end, memory flat."""

import re
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from shared.backup_verification.dumps import age
from shared.backup_verification.dumps.archive import MAGIC, Entry, Header, read_contents, read_header
from shared.backup_verification.dumps.damage import Damage, DamagedDumpError
from shared.backup_verification.dumps.decoding import Members, decode_custom, decode_members, unpack_gzip
from shared.backup_verification.dumps.levels import Level
from shared.backup_verification.dumps.manifests import Digests, Expected
from shared.backup_verification.dumps.parts import OpenedDump
from shared.backup_verification.dumps.reading import Reader
from shared.backup_verification.dumps.rewriting import as_custom

_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"
_SNIFFED = 512
_PLAIN_END = b"-- PostgreSQL database dump complete"
_GRANTED = re.compile(r'\bTO\s+("(?:[^"]|"")+"|[A-Za-z_]\w*)')


class Kind(StrEnum):
    """How a database was dumped."""

    CUSTOM = "custom"
    DIRECTORY = "directory"
    TAR = "tar"
    PLAIN = "plain SQL"
    UNKNOWN = "unknown"


class Content(BaseModel):
    """What was found out about the bytes. `level` is what was reached, None when not even a listing was.

    `checksum` says what the content was compared with; empty when nothing was stored with the dump, or it was not read
    wholly. `roles` and `extensions` are those that the dump names.
    """

    model_config = ConfigDict(frozen=True)

    kind: Kind = Kind.UNKNOWN
    encrypted: bool = False
    level: Level | None = None
    damage: Damage | None = None
    failures: tuple[str, ...] = ()
    checksum: tuple[str, ...] = ()
    database: str = ""
    server_version: str = ""
    dump_version: str = ""
    archive_version: str = ""
    compression: str = ""
    objects: int = 0
    parts: int = 0
    data_bytes: int = 0
    needs_program: bool = False
    """Whether its data are packed in a way that only pg_restore can unpack here (lz4, zstd)."""
    roles: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()


def examine_content(opened: OpenedDump, wanted: Level, database: str, key: str) -> Content:
    """Read the dump as far as `wanted` asks for, and tell what is wrong by its own word.

    `database` is whose dump it should be, empty when nobody knows; `key` the identity that opens it.
    """
    look = _Look(opened, wanted, database, key)
    try:
        look.run()
    except DamagedDumpError as damaged:
        look.fail(damaged.damage, str(damaged))
    return look.content


def custom_stream(opened: OpenedDump, key: str) -> Iterator[bytes]:
    """The dump as one custom archive, for a pipe: decrypted and unpacked on the way, or put together from its parts."""
    if opened.members is None:
        _, reader = _bare(Reader(opened.chunks()), key)
        return reader.rest()
    header, entries = opened.contents(opened.members)
    return as_custom(header, entries, opened.members)


class _Look:
    def __init__(self, opened: OpenedDump, wanted: Level, database: str, key: str) -> None:
        self._opened, self._wanted, self._database, self._key = opened, wanted, database, key
        self.content = Content()

    def run(self) -> None:
        if self._opened.dump.size == 0:
            raise DamagedDumpError(Damage.EMPTY, "the dump has no byte")
        if self._opened.members is not None:
            self._look_at_members(self._opened.members)
        else:
            self._look_at_file()

    def fail(self, damage: Damage, message: str) -> None:
        """The first damage gives the word; what else is wrong is said too."""
        self._note(damage=self.content.damage or damage, failures=(*self.content.failures, message))

    def _look_at_members(self, members: Members) -> None:
        opened = self._opened
        header, entries = opened.contents(members)
        self._note(kind=Kind.TAR if opened.dump.is_file else Kind.DIRECTORY)
        self._list(header, entries)
        if self._wanted is Level.LISTED:
            return
        complaints, sources = opened.check_sums()
        self._conclude_checksum(complaints, sources)
        if not complaints and self._wanted.reaches(Level.DECODED):
            decoded = decode_members(members, header, entries)
            self._note(parts=decoded.parts, data_bytes=decoded.data_bytes, needs_program=not decoded.whole)
            self._note(level=Level.DECODED if decoded.whole else self.content.level)

    def _look_at_file(self) -> None:
        expected = self._opened.expected()
        digests = Digests(expected)
        raw = Reader(_through(digests, self._opened.chunks()))
        damaged: DamagedDumpError | None = None
        try:
            self._decode(raw)
        except DamagedDumpError as error:
            damaged = error
        if damaged is not None:
            self.fail(damaged.damage, str(damaged))
        if self._wanted is Level.LISTED:
            return
        for _ in raw.rest():  # so that the checksum is of all bytes, whatever came of them
            pass
        self._conclude_checksum(digests.complaints(), expected)

    def _decode(self, raw: Reader) -> None:
        encrypted, reader = _bare(raw, self._key)
        self._note(encrypted=encrypted)
        start = reader.peek(_SNIFFED)
        if not start.startswith(MAGIC):
            self._look_at_other(reader, start)
            return
        self._note(kind=Kind.CUSTOM)
        header = read_header(reader)
        entries = read_contents(reader, header)
        self._list(header, entries)
        if self._wanted.reaches(Level.DECODED):
            decoded = decode_custom(reader, header, entries)
            self._note(parts=decoded.parts, data_bytes=decoded.data_bytes, needs_program=not decoded.whole)
            self._note(level=Level.DECODED if decoded.whole else self.content.level)
        if self._wanted is not Level.LISTED:
            for _ in reader.rest():
                pass

    def _look_at_other(self, reader: Reader, start: bytes) -> None:
        if not start:
            raise DamagedDumpError(Damage.EMPTY, "nothing is left of the dump when it is unpacked")
        if MAGIC.startswith(start):
            raise DamagedDumpError(Damage.TRUNCATED_HEADER, f"ends after {len(start)} bytes, in the archive's header")
        if _is_tar(start):
            raise DamagedDumpError(
                Damage.UNSUPPORTED,
                "is a tar file that is packed or encrypted as a whole, whose parts cannot be read one by one: "
                "dump with --format=custom, or store the tar or the folder as it is",
            )
        if start.startswith(_ZIP):
            raise DamagedDumpError(
                Damage.UNSUPPORTED, "is a zip file, as Odoo's database manager writes: dump with --format=custom"
            )
        if not _is_plain(start):
            raise DamagedDumpError(Damage.NOT_A_DUMP, "is neither an archive of pg_dump nor plain SQL")
        self._note(kind=Kind.PLAIN)
        tail = b""
        for piece in reader.rest():
            tail = (tail + piece)[-4096:]
        if _PLAIN_END not in tail:
            raise DamagedDumpError(Damage.TRUNCATED_DATA, "is plain SQL, without the line that pg_dump ends it with")
        if self._wanted is not Level.LISTED:
            raise DamagedDumpError(
                Damage.UNSUPPORTED,
                "is plain SQL: its end is there, and no more can be proven. It is never run, since what psql reads "
                "may start programs: dump with --format=custom",
            )
        self._note(level=Level.LISTED)

    def _list(self, header: Header, entries: Sequence[Entry]) -> None:
        self._note(
            level=Level.LISTED,
            database=header.database,
            server_version=header.server_version,
            dump_version=header.dump_version,
            archive_version=".".join(str(part) for part in header.version),
            compression=header.compression.name.lower(),
            objects=len(entries),
            roles=tuple(sorted(_roles(entries))),
            extensions=tuple(sorted(entry.tag for entry in entries if entry.kind == "EXTENSION")),
        )
        if self._database and header.database != self._database:
            raise DamagedDumpError(
                Damage.WRONG_DATABASE, f"is a dump of {header.database}, where one of {self._database} should be"
            )

    def _conclude_checksum(self, complaints: Sequence[str], expected: Sequence[Expected]) -> None:
        for complaint in complaints:
            self.fail(Damage.CHECKSUM, complaint)
        if complaints:
            self._note(level=self.content.level and Level.LISTED)
            return
        self._note(checksum=tuple(each.source for each in expected))
        if expected and self.content.level is Level.LISTED:
            self._note(level=Level.CHECKSUM)

    def _note(self, **found: object) -> None:
        self.content = self.content.model_copy(update=found)


def _bare(reader: Reader, key: str) -> tuple[bool, Reader]:
    """The dump without encryption and a packing around it, and whether it was encrypted."""
    encrypted = reader.peek(len(age.MAGIC)) == age.MAGIC
    if encrypted:
        if not key:
            raise DamagedDumpError(
                Damage.NO_KEY, "is encrypted, and there is no key: declare dumps.key and let the app read it"
            )
        reader = Reader(age.decrypt(reader.rest(), key))
    if reader.peek(len(_GZIP)) == _GZIP:
        reader = Reader(unpack_gzip(reader.rest(), "the packed dump"))
    return encrypted, reader


def _through(digests: Digests, chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        digests.update(chunk)
        yield chunk


def _is_tar(start: bytes) -> bool:
    return start[257:262] == b"ustar"


def _is_plain(start: bytes) -> bool:
    if b"\0" in start:
        return False
    text = start.decode("utf-8", "replace").lstrip("\ufeff \r\n")
    return text.startswith(("--", "SET ", "CREATE ", "\\"))


def _roles(entries: Sequence[Entry]) -> set[str]:
    named = {entry.owner for entry in entries if entry.owner}
    for entry in entries:
        if entry.kind in ("ACL", "DEFAULT ACL"):
            named |= {role.strip('"').replace('""', '"') for role in _GRANTED.findall(entry.definition)}
    return named - {"PUBLIC"}
