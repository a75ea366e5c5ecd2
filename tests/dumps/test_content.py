"""What a dump's bytes say: real archives of pg_dump, whole and injured, each injury by its own word."""

import gzip
import hashlib
from pathlib import Path
from random import Random

import pytest

from shared.backup_verification.dumps.archive import read_contents, read_header
from shared.backup_verification.dumps.content import Content, Kind, examine_content
from shared.backup_verification.dumps.damage import Damage
from shared.backup_verification.dumps.levels import Level
from shared.backup_verification.dumps.reading import Reader
from tests.dumps.conftest import Made
from tests.dumps.making import flip
from tests.dumps.memory import Container


def look(files: dict[str, bytes], level: Level = Level.DECODED, database: str = "contoso", key: str = "") -> Content:
    return examine_content(Container(files).open(), level, database, key)


def look_at_file(file: Path, level: Level = Level.DECODED) -> Content:
    return look({file.name: file.read_bytes()}, level)


def end_of_contents(data: bytes) -> int:
    reader = Reader([data])
    read_contents(reader, read_header(reader))
    return reader.position


def with_manifest(data: bytes, name: str = "contoso.dump") -> dict[str, bytes]:
    return {name: data, f"{name}.sha256": f"{hashlib.sha256(data).hexdigest()}  {name}\n".encode()}


@pytest.mark.parametrize("kind", ["custom", "tar", "packed", "uncompressed", "inserts"])
def test_every_format_of_one_file_is_listed_and_decoded(made: Made, kind: str) -> None:
    content = look_at_file(getattr(made, kind))
    assert (content.level, content.damage, content.failures) == (Level.DECODED, None, ())
    assert content.database == "contoso"
    assert content.server_version.startswith("18.")
    assert content.kind is (Kind.TAR if kind in ("tar", "packed") else Kind.CUSTOM)
    assert "dump_reader" in content.roles
    assert content.parts > 25


def test_a_folder_is_listed_and_decoded_as_its_tar_file_is(made: Made) -> None:
    container = Container.with_folder(made.folder, "prod/contoso/")
    content = examine_content(container.open(), Level.DECODED, "contoso", "")
    packed = look_at_file(made.packed)
    assert (content.level, content.kind, content.failures) == (Level.DECODED, Kind.DIRECTORY, ())
    assert content.model_copy(update={"kind": Kind.TAR}) == packed


def test_all_formats_hold_the_same_data(made: Made) -> None:
    sizes = {look_at_file(file).data_bytes for file in (made.custom, made.uncompressed)}
    assert len(sizes) == 1
    assert sizes.pop() > 100_000


def test_a_packed_archive_is_unpacked_on_the_way(made: Made) -> None:
    content = look({"contoso.dump.gz": gzip.compress(made.custom.read_bytes())})
    assert (content.level, content.damage) == (Level.DECODED, None)


def test_a_listing_reads_the_beginning_only(made: Made) -> None:
    class Counting(Container):
        read = 0

        def stream(self, *arguments, **named):  # type: ignore[no-untyped-def]
            for piece in super().stream(*arguments, **named):
                self.read += len(piece)
                yield piece

    padded = made.uncompressed.read_bytes()
    container = Counting({"contoso.dump": padded})
    content = examine_content(container.open(), Level.LISTED, "contoso", "")
    assert (content.level, content.failures) == (Level.LISTED, ())
    assert container.read < end_of_contents(padded) + 110_000 < len(padded)


def test_levels_stop_where_they_say(made: Made) -> None:
    files = with_manifest(made.custom.read_bytes())
    reached = [look(files, level).level for level in (Level.LISTED, Level.CHECKSUM, Level.DECODED)]
    assert reached == [Level.LISTED, Level.CHECKSUM, Level.DECODED]
    assert look(files, Level.CHECKSUM).checksum == ("its manifest",)


def injuries(data: bytes) -> dict[str, tuple[bytes, Damage]]:
    """Every injury of one custom archive, with the word that it must be told by."""
    contents = end_of_contents(data)
    return {
        "empty": (b"", Damage.EMPTY),
        "no dump": (b"\x89PNG\r\n\x1a\n" + bytes(2000), Damage.NOT_A_DUMP),
        "html error page": (b"<html><body>503 Service Unavailable</body></html>", Damage.NOT_A_DUMP),
        "cut in the magic": (data[:3], Damage.TRUNCATED_HEADER),
        "cut in the header": (data[:30], Damage.TRUNCATED_HEADER),
        "cut in the contents": (data[: contents // 2], Damage.TRUNCATED_CONTENTS),
        "cut at the end of the contents": (data[:contents], Damage.TRUNCATED_DATA),
        "cut in the data": (data[: (contents + len(data)) // 2], Damage.TRUNCATED_DATA),
        "last byte lost": (data[:-1], Damage.TRUNCATED_DATA),
        "bit in the data": (flip(data, (contents + len(data)) // 2, 3), Damage.CORRUPT_DATA),
        "count of the contents": (flip(data, data.index(b"ENCODING") - 40, 7), Damage.CORRUPT_CONTENTS),
        "kind of an object": (
            flip(data, data.index(b"ENCODING", data.index(b"ENCODING") + 1) + 2, 5),
            Damage.CORRUPT_CONTENTS,
        ),
        "newer archive": (data[:6] + b"\x63" + data[7:], Damage.WRONG_VERSION),
        "older archive": (data[:6] + b"\x02" + data[7:], Damage.WRONG_VERSION),
        "zeros in the data": (data[: contents + 500] + bytes(4096) + data[contents + 4596 :], Damage.CORRUPT_DATA),
        "goes on after its end": (data + b"\0\0\0", Damage.CORRUPT_DATA),
    }


def test_each_injury_of_an_archive_is_told_by_its_own_word(made: Made) -> None:
    told = {name: look({"contoso.dump": data}) for name, (data, _) in injuries(made.custom.read_bytes()).items()}
    wanted = {name: damage for name, (_, damage) in injuries(made.custom.read_bytes()).items()}
    assert {name: content.damage for name, content in told.items()} == wanted
    assert all(content.failures and content.level is not Level.DECODED for content in told.values())


def test_a_dump_of_another_database_is_told(made: Made) -> None:
    content = look({"fabrikam.dump": made.custom.read_bytes()}, database="fabrikam")
    assert content.damage is Damage.WRONG_DATABASE
    assert "of contoso, where one of fabrikam" in content.failures[0]


def test_what_decoding_cannot_see_the_checksum_does(made: Made) -> None:
    data = made.custom.read_bytes()
    place = data.index(b"CREATE TABLE public.account_move ")
    changed = flip(data, place + len(b"CREATE TABLE public.acc"))
    assert look({"contoso.dump": changed}).damage is None
    files = with_manifest(data) | {"contoso.dump": changed}
    content = look(files)
    assert (content.damage, content.level, content.checksum) == (Damage.CHECKSUM, Level.LISTED, ())


@pytest.mark.parametrize("form", ["sidecar", "bare sidecar", "metadata", "md5"])
def test_each_form_of_a_checksum_is_understood(made: Made, form: str) -> None:
    data = made.custom.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    for given, damage in ((data, None), (flip(data, len(data) - 3), Damage.CHECKSUM)):
        container = Container({"contoso.dump": given})
        if form == "sidecar":
            container.blobs.create("contoso.dump.sha256", f"{digest} *./out/contoso.dump\n".encode())
        elif form == "bare sidecar":
            container.blobs.create("contoso.dump.sha256", digest.upper().encode())
        elif form == "metadata":
            container.metadata["contoso.dump"] = {"SHA256": digest}
        else:
            container.md5["contoso.dump"] = hashlib.md5(data, usedforsecurity=False).digest()
        content = examine_content(container.open(), Level.CHECKSUM, "contoso", "")
        assert content.damage is damage
        assert bool(content.checksum) is (damage is None)


def test_a_manifest_that_cannot_be_read_or_is_about_others_is_told(made: Made) -> None:
    for text in (b"", b"no digest at all\n", b"0" * 64 + b"  another.dump\n"):
        content = look({"contoso.dump": made.custom.read_bytes(), "contoso.dump.sha256": text})
        assert content.damage is Damage.MANIFEST


@pytest.mark.parametrize("part", ["toc.dat", "data", "large object"])
def test_a_part_that_a_folder_lacks_is_named(made: Made, part: str) -> None:
    names = sorted(file.name for file in made.folder.iterdir())
    lost = {
        "toc.dat": "toc.dat",
        "data": next(name for name in names if name.endswith(".dat.gz") and name[0].isdigit()),
        "large object": next(name for name in names if name.startswith("blob_")),
    }[part]
    container = Container.with_folder(made.folder, "contoso/")
    dump = container.only_dump()
    container.blobs.delete(f"contoso/{lost}")
    from shared.backup_verification.dumps.parts import OpenedDump

    content = examine_content(OpenedDump(container, dump), Level.DECODED, "contoso", "")
    assert content.damage is Damage.MISSING_PART
    assert lost.removesuffix(".gz") in content.failures[0]


def test_a_folder_is_compared_with_its_list_of_checksums(made: Made) -> None:
    files = {file.name: file.read_bytes() for file in made.folder.iterdir()}
    lines = "".join(f"{hashlib.sha256(data).hexdigest()}  ./{name}\n" for name, data in files.items())
    inside = {f"contoso/{name}": data for name, data in files.items()} | {"contoso/SHA256SUMS": lines.encode()}
    assert look(inside).level is Level.DECODED
    changed = next(name for name in inside if name.endswith(".dat.gz"))
    told = look(inside | {changed: inside[changed][:-1]})
    assert (told.damage, told.level) == (Damage.CHECKSUM, Level.LISTED)
    lacking = {name: data for name, data in inside.items() if name != changed}
    assert look(lacking).damage is Damage.MISSING_PART


def test_a_flipped_bit_and_a_cut_in_a_folder_and_a_tar_file_are_told(made: Made) -> None:
    container = Container.with_folder(made.folder, "contoso/")
    largest = max(container.list(), key=lambda facts: facts.size if facts.name.endswith(".gz") else 0).name
    data = container.blobs.read(largest).data
    for changed, damage in ((flip(data, len(data) // 2), Damage.CORRUPT_DATA), (data[:-9], Damage.TRUNCATED_DATA)):
        folder = Container.with_folder(made.folder, "contoso/")
        folder.blobs.replace(largest, changed, folder.blobs.read(largest).etag)
        assert examine_content(folder.open(), Level.DECODED, "contoso", "").damage is damage
    tar = made.tar.read_bytes()
    told = look({"contoso.tar": tar[: len(tar) * 2 // 3]})
    assert told.damage in (Damage.TRUNCATED_DATA, Damage.MISSING_PART, Damage.CORRUPT_CONTENTS)


def test_rows_that_were_cut_before_they_were_packed_are_told(made: Made) -> None:
    container = Container.with_folder(made.folder, "contoso/")
    largest = max(container.list(), key=lambda facts: facts.size if facts.name.endswith(".gz") else 0).name
    blob = container.blobs.read(largest)
    container.blobs.replace(largest, gzip.compress(gzip.decompress(blob.data)[:-200]), blob.etag)
    content = examine_content(container.open(), Level.DECODED, "contoso", "")
    assert (content.damage, content.level) == (Damage.TRUNCATED_DATA, Level.LISTED)


def test_plain_sql_and_zip_files_are_told_as_such(made: Made) -> None:
    plain = made.plain.read_bytes()
    told = look({"contoso.sql": plain})
    assert (told.kind, told.damage) == (Kind.PLAIN, Damage.UNSUPPORTED)
    assert "never run" in told.failures[0]
    assert look({"contoso.sql": plain}, Level.LISTED).level is Level.LISTED
    assert look({"contoso.sql.gz": gzip.compress(plain)}).damage is Damage.UNSUPPORTED
    assert look({"contoso.sql": plain[: len(plain) // 2]}).damage is Damage.TRUNCATED_DATA
    assert look({"contoso.zip": b"PK\x03\x04" + bytes(600)}).damage is Damage.UNSUPPORTED


def test_a_dump_that_is_replaced_or_removed_while_it_is_read_is_told(made: Made) -> None:
    container = Container({"contoso.dump": made.custom.read_bytes()})
    opened = container.open()
    container.blobs.replace("contoso.dump", b"PGDMP", container.blobs.read("contoso.dump").etag)
    assert examine_content(opened, Level.DECODED, "contoso", "").damage is Damage.CHANGED
    container.blobs.delete("contoso.dump")
    assert examine_content(opened, Level.DECODED, "contoso", "").damage is Damage.GONE


def test_any_flipped_bit_is_found_with_a_checksum_and_none_breaks_the_reader(made: Made) -> None:
    data = made.custom.read_bytes()
    die = Random(5)
    decoded = listed = 0
    flips = 25
    for _ in range(flips):
        changed = flip(data, die.randrange(len(data)), die.randrange(8))
        files = with_manifest(data) | {"contoso.dump": changed}
        assert look(files).damage is not None
        decoded += look({"contoso.dump": changed}).damage is not None
        listed += look({"contoso.dump": changed}, Level.LISTED).damage is not None
    assert listed < decoded < flips


def test_memory_stays_small_whatever_the_dump_weighs(made: Made) -> None:
    import tracemalloc

    data = made.custom.read_bytes()
    start = end_of_contents(data)
    assert start < len(data)

    def peak(times: int) -> int:
        bomb = gzip.compress(bytes(1 << 20) * times)  # a packed file that is a thousand times larger inside
        tracemalloc.start()
        look({"contoso.dump.gz": bomb})
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    assert peak(64) < peak(4) + (8 << 20)
