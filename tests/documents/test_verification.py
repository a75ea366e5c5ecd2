"""Documents of generated databases, in every layout, whole and injured; each injury by its own word."""

import hashlib
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from local.memory_blobs import MemoryBlobContainer
from local.odoo import Profile, generate
from local.postgres import PostgresCluster
from shared.backup_verification.documents.comparison import side_by_side
from shared.backup_verification.documents.layouts import Layout, Reference
from shared.backup_verification.documents.places import Place
from shared.backup_verification.documents.report import Documents, findings
from shared.backup_verification.documents.verification import verify_documents
from shared.backup_verification.findings import Severity
from shared.blob_container import BlobFacts, BlobNotFoundError, BlobProperties
from shared.platforms.sql import ReadOnlyDatabase
from tests.local.odoo.conftest import AS_OF, cluster

__all__ = ["cluster"]

ACCOUNT, CONTAINER = "sterpdocs", "attachments"
URL = f"https://{ACCOUNT}.blob.core.windows.net/{CONTAINER}"
LAYOUTS: dict[Layout, tuple[str, str]] = {
    Layout.FILESTORE: ("file", "books/"),
    Layout.FS_ATTACHMENT: ("fs_attachment", ""),
    Layout.ATTACHMENT_AZURE: ("attachment_azure", ""),
    Layout.CLOUD_STORAGE: ("cloud_storage", ""),
}


class Container:
    """See `DocumentContainer`; what is deleted with `soft_delete` is kept as a former version."""

    def __init__(self, blobs: dict[str, bytes]) -> None:
        self.blobs = MemoryBlobContainer()
        self.kept: set[str] = set()
        self.synced: datetime | None = None
        self.reads = self.asked = 0
        for name, data in blobs.items():
            self.blobs.create(name, data)

    def list(self, prefix: str = "") -> Iterator[BlobFacts]:
        return self.blobs.list(prefix)

    def properties(self, name: str) -> BlobProperties | None:
        self.asked += 1
        found = [facts for facts in self.blobs.list(name) if facts.name == name]
        return BlobProperties(name, found[0].etag, found[0].size, found[0].last_modified) if found else None

    def former(self, name: str) -> Iterator[BlobFacts]:
        if name in self.kept:
            yield BlobFacts(name, '"0x1"', 1, datetime.now(UTC))

    def stream(self, name: str) -> Iterator[bytes]:
        self.reads += 1
        yield from (self.blobs.read(name).data[:100], self.blobs.read(name).data[100:])

    def last_sync(self) -> datetime | None:
        return self.synced

    def change(self, name: str, data: bytes) -> None:
        self.blobs.replace(name, data, self.blobs.read(name).etag)

    def lose(self, name: str, *, soft_delete: bool = False) -> None:
        self.blobs.delete(name)
        self.kept |= {name} if soft_delete else set()


class Documented:
    """A database with its documents in one layout."""

    def __init__(self, dsn: str, layout: Layout, blobs: dict[str, bytes]) -> None:
        self.dsn, self.blobs, self.layout = dsn, blobs, layout
        self.place = Place(ACCOUNT, CONTAINER, URL, layout, LAYOUTS[layout][1] and "books/", True, True)

    def verify(
        self, primary: Container, secondary: Container | None = None, sample_size: int | None = None, **named: Any
    ) -> Documents:
        with psycopg.connect(self.dsn) as connection:
            options = {"seed": "drill:1", "seconds": 60.0} | named
            return verify_documents(
                ReadOnlyDatabase(connection),
                [self.place],
                lambda place, other: secondary if other and secondary else primary,
                sample_size=sample_size,
                secondary=secondary is not None,
                **options,
            )

    def container(self) -> Container:
        return Container(self.blobs)


@pytest.fixture(scope="session")
def documented(cluster: PostgresCluster) -> Callable[[Layout], Documented]:
    known: dict[Layout, Documented] = {}

    def get(layout: Layout) -> Documented:
        if layout not in known:
            name = f"documents_{layout.name.lower()}"
            cluster.run_sql(f"create database {name}")
            blobs: dict[str, bytes] = {}
            with psycopg.connect(cluster.dsn(name)) as connection:
                profile = Profile(
                    database="books",
                    as_of=AS_OF,
                    journal_items=400,
                    attachments=40,
                    attachment_layouts=(LAYOUTS[layout][0],),  # type: ignore[arg-type]
                    cloud_storage_url=URL,
                )
                generate(connection, profile, blobs.__setitem__)
                if layout is not Layout.FILESTORE:  # its web asset and its empty file stay in Odoo's own store
                    connection.execute("delete from ir_attachment where position('://' in store_fname) = 0")
                    blobs = {path: data for path, data in blobs.items() if not path.startswith("books/")}
            known[layout] = Documented(cluster.dsn(name), layout, blobs)
        return known[layout]

    return get


def told(documents: Documents) -> dict[str, tuple[Severity, int]]:
    return {each.message.partition(":")[0]: (each.severity, each.count) for each in findings(documents)}


@pytest.mark.parametrize("layout", list(Layout))
def test_every_document_of_every_layout_is_found_and_read(
    documented: Callable[[Layout], Documented], layout: Layout
) -> None:
    books = documented(layout)
    found = books.verify(books.container())
    assert (found.files, found.orphans, found.undeclared) == (len(books.blobs), 0, 0)
    assert found.bytes == sum(map(len, books.blobs.values()))
    proven = 0 if layout is Layout.CLOUD_STORAGE else found.files
    assert (found.read, found.unproven) == (proven, found.files - proven)
    assert found.rows >= found.files
    assert told(found) == {}


@pytest.mark.parametrize("layout", list(Layout))
def test_each_injury_is_told_by_its_own_word(documented: Callable[[Layout], Documented], layout: Layout) -> None:
    books = documented(layout)
    container = books.container()
    gone, kept, cut, swapped, *_ = sorted(books.blobs)
    container.lose(gone)
    container.lose(kept, soft_delete=True)
    container.change(cut, books.blobs[cut][:-1])
    container.change(swapped, bytes(len(books.blobs[swapped])))
    container.blobs.create(f"{books.place.prefix}zz/nobody's", b"orphan")
    found = books.verify(container)
    assert (found.missing.count, found.recoverable.count, found.orphans) == (1, 1, 1)
    assert found.missing.names == (gone,)
    assert found.recoverable.names == (kept,)
    without_hashes = layout is Layout.CLOUD_STORAGE  # which stores neither size nor hash
    assert (found.wrong_size.count, found.changed.count) == ((0, 0) if without_hashes else (1, 1))
    words = told(found)
    assert words["documents that are gone"] == (Severity.CRITICAL, 1)
    assert words["documents that were deleted since and can be recovered"] == (Severity.WARNING, 1)
    if not without_hashes:
        assert words["documents of another size than the database says"] == (Severity.CRITICAL, 1)
        assert words["documents whose content is another"] == (Severity.CRITICAL, 1)
        assert found.changed.names == (swapped,)


def test_what_is_told_names_attachments_by_id_and_no_document_by_name(
    documented: Callable[[Layout], Documented],
) -> None:
    books = documented(Layout.FS_ATTACHMENT)
    container = books.container()
    gone = sorted(books.blobs)[0]
    container.lose(gone)
    found = books.verify(container)
    ((id,),) = [found.missing.first]
    with psycopg.connect(books.dsn) as connection:
        [(stored,)] = connection.execute("select store_fname from ir_attachment where id = %s", [id]).fetchall()
    assert stored == f"azblob://{gone}"
    (finding,) = findings(found)
    assert (finding.rows, finding.message) == ((id,), f"documents that are gone: attachment {id}")
    assert gone not in found.model_dump_json()


def test_a_sample_reads_so_many_and_the_same_ones_again(documented: Callable[[Layout], Documented]) -> None:
    books = documented(Layout.FILESTORE)

    class Noting(Container):
        def stream(self, name: str) -> Iterator[bytes]:
            names.add(name)
            return super().stream(name)

    drawn: list[set[str]] = []
    for seed in ("drill:1", "drill:1", "drill:2"):
        names: set[str] = set()
        found = books.verify(Noting(books.blobs), sample_size=10, seed=seed)
        assert (found.read, found.files) == (10, len(books.blobs))
        drawn.append(names)
    assert drawn[0] == drawn[1] != drawn[2]
    assert books.verify(books.container(), sample_size=10_000).read == len(books.blobs)


def test_the_secondary_region_is_told_apart_from_what_is_on_its_way(documented: Callable[[Layout], Documented]) -> None:
    books = documented(Layout.FILESTORE)
    names = sorted(books.blobs)
    primary, secondary = books.container(), books.container()
    primary.lose(names[0])
    for name in names[:3]:
        secondary.lose(name)
    secondary.synced = datetime.now(UTC) + timedelta(hours=1)
    found = books.verify(primary, secondary)
    assert found.missing.count == 1
    assert (found.secondary_missing.count, found.secondary_pending) == (2, 0)
    assert list(found.secondary_missing.names) == names[1:3]
    assert found.secondary_files == len(names) - 3
    secondary.synced = datetime.now(UTC) - timedelta(hours=1)
    found = books.verify(primary, secondary)
    assert (found.secondary_missing.count, found.secondary_pending) == (0, 2)
    assert told(found)["2 documents are newer than the secondary's last synchronisation"] == (Severity.NOTE, 2)


def test_attachments_that_no_declared_container_has_are_told(documented: Callable[[Layout], Documented]) -> None:
    books = documented(Layout.FS_ATTACHMENT)
    with psycopg.connect(books.dsn) as connection:
        empty = Container({})
        found = verify_documents(
            ReadOnlyDatabase(connection),
            [books.place._replace(layout=Layout.FILESTORE)],
            lambda place, other: empty,
            sample_size=10,
            seed="",
            secondary=False,
            seconds=60,
        )
    assert (found.files, found.undeclared) == (0, 40)
    assert told(found)["40 attachments are stored in a way that no declared container is"] == (Severity.ERROR, 40)


def test_a_listing_in_another_order_blames_no_document(documented: Callable[[Layout], Documented]) -> None:
    books = documented(Layout.FILESTORE)

    class Disordered(Container):
        def list(self, prefix: str = "") -> Iterator[BlobFacts]:
            rows = [*super().list(prefix)]
            yield from (*rows[10:20], *rows[:10], *rows[20:])

    found = books.verify(Disordered(books.blobs))
    assert (found.missing.count, found.orphans, found.read) == (0, 0, len(books.blobs))


def test_what_goes_away_while_it_is_read_is_missing_and_time_that_is_up_is_said(
    documented: Callable[[Layout], Documented],
) -> None:
    books = documented(Layout.FILESTORE)
    last = sorted(books.blobs)[-1]

    class Vanishing(Container):
        def stream(self, name: str) -> Iterator[bytes]:
            if name == last:
                raise BlobNotFoundError(name)
            return super().stream(name)

    assert books.verify(Vanishing(books.blobs)).missing.names == (last,)
    late = books.verify(books.container(), seconds=-1)
    assert (late.read, late.unread) == (0, len(books.blobs))
    assert [severity for severity, _ in told(late).values()] == [Severity.WARNING]


def test_memory_does_not_grow_with_the_number_of_documents() -> None:
    def peak(count: int) -> int:
        def names() -> Iterator[str]:
            for number in range(count):
                digest = f"{number:040x}"
                yield f"{digest[:2]}/{digest}"

        def listing() -> Iterator[BlobFacts]:
            for name in names():
                yield BlobFacts(name, "e", 1, AS_OF)

        references = (Reference(name, 1, 1, hashlib.sha1(b"").hexdigest(), 1) for name in names())  # noqa: S324
        tracemalloc.start()
        for reference, facts in side_by_side(references, listing()):
            assert reference is not None
            assert facts is not None
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    # Threads of other tests' servers allocate, too; what kept every document would need megabytes more.
    assert peak(40_000) < peak(4_000) + 1_000_000
