"""Injuries below the database: of documents in their container, and of a server's own files."""

from pathlib import Path

from psycopg import Connection

from local.odoo.damage.injury import Injury
from shared.blob_container import BlobContainer

_PAGE_BYTES = 8192


def delete_document(container: BlobContainer, path: str) -> None:
    """A document is gone."""
    container.delete(path)


def corrupt_document(container: BlobContainer, path: str) -> None:
    """A document is another one of the same size: one bit is turned over."""
    blob = container.read(path)
    changed = bytearray(blob.data)
    changed[len(changed) // 2] ^= 1
    container.replace(path, bytes(changed), blob.etag, "application/pdf")


def truncate_document(container: BlobContainer, path: str) -> None:
    """Half of a document is gone."""
    blob = container.read(path)
    container.replace(path, blob.data[: len(blob.data) // 2], blob.etag, "application/pdf")


def corrupt_page(connection: Connection, data: Path, relation: str, page: int = 1) -> Injury:
    """A page of a table or index is overwritten on disk. A server that still has it in memory sees it after a restart.

    Needs a superuser's connection to the relation's database, and its server's data folder.
    """
    connection.execute("CHECKPOINT")
    [(file,)] = connection.execute("SELECT pg_relation_filepath(%s::regclass)", [relation]).fetchall()
    with (data / file).open("r+b") as pages:
        pages.seek(page * _PAGE_BYTES + _PAGE_BYTES // 2)
        pages.write(b"\xff" * 64)
    return Injury(relation, (), f"page {page} of {relation} is overwritten")
