"""How Odoo's attachments name their blobs, layout by layout, as queries whose answers come in the order of the names.

Sources: Odoo 16 to 19 `ir_attachment`, core `cloud_storage_azure`, OCA `fs_attachment`, Camptocamp `attachment_azure`.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import LiteralString, NamedTuple
from urllib.parse import unquote, urlsplit

from shared.backup_verification.database import Database


class Layout(StrEnum):
    """The values are those of the estate's `AttachmentLayout`."""

    FILESTORE = "filestore"
    CLOUD_STORAGE = "cloud-storage"
    FS_ATTACHMENT = "fs-attachment"
    ATTACHMENT_AZURE = "attachment-azure"


class Reference(NamedTuple):
    """One blob that rows of `ir_attachment` refer to: its name below the prefix, the smallest id of the rows, how many
    they are, and what they say of its content; None where they say nothing."""

    name: str
    id: int
    rows: int
    sha1: str | None
    size: int | None


# Many rows share a file. Each answer is in the order of its names as bytes, which is the order of a listing.
_FILESTORE: LiteralString = """
    select store_fname, min(id), count(*), min(checksum), max(file_size) from ir_attachment
    where store_fname is not null and position('://' in store_fname) = 0
    group by store_fname order by store_fname collate "C"
    """
_FS_ATTACHMENT: LiteralString = """
    select blob, min(id), count(*), min(checksum), max(file_size)
    from (select split_part(store_fname, '://', 2) as blob, id, checksum, file_size from ir_attachment
          where position('://' in store_fname) > 0 and store_fname not like 'azure://%') as stored
    group by blob order by blob collate "C"
    """
_ATTACHMENT_AZURE: LiteralString = """
    select blob, min(id), count(*), min(checksum), max(file_size)
    from (select lower(split_part(store_fname, '/', 4)) as blob, id, checksum, file_size from ir_attachment
          where store_fname like 'azure://%') as stored
    group by blob order by blob collate "C"
    """
# The id and the random part come first in these names, so that what is escaped behind them does not change the order.
_CLOUD_STORAGE: LiteralString = """
    select url, id, 1, null, null from ir_attachment where type = 'cloud_storage' and url is not null
    order by split_part(url, '//', 2) collate "C"
    """
_COUNTS: LiteralString = """
    select count(*) filter (where position('://' in store_fname) = 0),
           count(*) filter (where type = 'cloud_storage' and url is not null),
           count(*) filter (where position('://' in store_fname) > 0 and store_fname not like 'azure://%'),
           count(*) filter (where store_fname like 'azure://%')
    from ir_attachment"""


def rows_by_layout(database: Database) -> dict[Layout, int]:
    """How many rows refer to a blob, by layout."""
    (counts,) = database.rows(_COUNTS)
    return dict(zip(Layout, counts, strict=True))


def references(database: Database, layout: Layout, account: str, container: str) -> Iterator[Reference]:
    """The blobs that the database refers to in that container, few in memory at a time, in the order of their names."""
    match layout:
        case Layout.FILESTORE:
            rows = database.stream(_FILESTORE)
        case Layout.FS_ATTACHMENT:
            rows = database.stream(_FS_ATTACHMENT)
        case Layout.ATTACHMENT_AZURE:
            rows = database.stream(_ATTACHMENT_AZURE)
        case Layout.CLOUD_STORAGE:
            yield from _in_cloud(database, account, container)
            return
    for name, number, count, sha1, size in rows:
        yield Reference(name, number, count, sha1, size)


def _in_cloud(database: Database, account: str, container: str) -> Iterator[Reference]:
    for url, number, count, sha1, size in database.stream(_CLOUD_STORAGE):
        parts = urlsplit(str(url))
        host, path = (parts.hostname or "").partition(".")[0].lower(), parts.path.lstrip("/")
        if host != account:  # an address with the account in its path
            first, _, path = path.partition("/")
            if first.lower() != account:
                continue
        named, _, name = path.partition("/")
        if named == container:
            yield Reference(unquote(name), number, count, sha1, size)
