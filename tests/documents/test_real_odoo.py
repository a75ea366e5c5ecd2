"""The documents of real Odoo 16, 17 and 18 databases, and the dumps that these were restored from."""

import tarfile
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg import Connection

from shared.backup_verification.documents.layouts import Layout
from shared.backup_verification.documents.places import Place
from shared.backup_verification.documents.verification import verify_documents
from shared.backup_verification.dumps.content import examine_content
from shared.backup_verification.dumps.levels import Level
from shared.platforms.sql import ReadOnlyDatabase
from tests.documents.test_verification import Container, told
from tests.dumps.memory import Container as DumpContainer
from tests.local.odoo.conftest import cluster, new_database, real

__all__ = ["cluster", "new_database", "real"]

FOLDER = Path(__file__).resolve().parents[2] / ".." / "shared" / "odoo"


@pytest.mark.parametrize("version", [16, 17, 18])
def test_every_document_of_a_real_database_is_found_and_proven(real: Callable[[int], Connection], version: int) -> None:
    dsn = real(version).info.dsn
    blobs: dict[str, bytes] = {}
    with tarfile.open(FOLDER / f"odoo{version}_min_filestore.tgz") as archive:
        for member in archive:
            if member.isreg() and (file := archive.extractfile(member)):
                blobs["odoo/" + "/".join(member.name.split("/")[-2:])] = file.read()
    place = Place("sterpdocs", "attachments", "https://x", Layout.FILESTORE, "odoo/", True, False)
    with psycopg.connect(dsn) as connection:
        found = verify_documents(
            ReadOnlyDatabase(connection),
            [place],
            lambda place, secondary: Container(blobs),
            sample_size=None,
            seed="",
            secondary=False,
            seconds=60,
        )
    assert told(found) == {}
    assert (found.files, found.read, found.orphans) == (len(blobs), len(blobs), 0)
    assert found.files > 200


@pytest.mark.parametrize("version", [16, 17, 18])
def test_a_dump_of_a_real_database_is_decoded(version: int) -> None:
    file = FOLDER / f"odoo{version}_min.dump"
    if not file.exists():
        pytest.skip("the real Odoo databases are not beside this checkout")
    container = DumpContainer({file.name: file.read_bytes()})
    content = examine_content(container.open(), Level.DECODED, f"min{version}", "")
    assert (content.level, content.damage, content.failures) == (Level.DECODED, None, ())
    assert (content.archive_version, content.server_version[:5]) == ("1.14.0", "15.18")
