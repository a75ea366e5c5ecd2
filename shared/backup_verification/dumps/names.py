"""Which blobs of a container are dumps, and whose. Pure: from a listing, without reading any."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby

from shared.backup_verification.dumps.manifests import FOLDER_MANIFEST, SIDECAR
from shared.backup_verification.dumps.parts import TOC, Dump
from shared.blob_container import BlobFacts

_BESIDE = (SIDECAR, ".md5", ".asc", ".sig", ".json", ".log", ".txt", ".md", ".tmp", ".part")
"""What lies beside dumps and is none."""


def dumps_in(listing: Iterable[BlobFacts]) -> Iterator[Dump]:
    """The dumps of a listing in the order of names: files, and folders with a table of contents (`toc.dat`).

    A folder is in memory at a time, with one directory's files.
    """
    for folder, group in groupby(listing, key=lambda facts: facts.name.rpartition("/")[0]):
        facts = list(group)
        by_name = {each.name: each for each in facts}
        prefix = f"{folder}/" if folder else ""
        if prefix and prefix + TOC in by_name:
            yield _folder(prefix, facts)
            continue
        for each in facts:
            if each.name.endswith(_BESIDE) or each.name == prefix + FOLDER_MANIFEST:
                continue
            manifest = by_name.get(each.name + SIDECAR)
            yield Dump(
                each.name,
                each.etag,
                each.size,
                each.last_modified,
                manifest.name if manifest else "",
                manifest.etag if manifest else "",
            )


def dump_of_blob(name: str) -> str:
    """The file that a new blob belongs to: a manifest to what it is the manifest of. Folders end with `/`; empty for
    what is beside dumps only."""
    folder, _, base = name.rpartition("/")
    if base in (FOLDER_MANIFEST, TOC):
        return f"{folder}/" if folder else ""
    if name.endswith(SIDECAR):
        return name.removesuffix(SIDECAR)
    return "" if name.endswith(_BESIDE) else name


def database_of(name: str, databases: Iterable[str]) -> str:
    """The database whose name is a part of the dump's name, the longest that fits; empty when none does.

    A part is between `/`, `.`, `-`, `_`, or the ends: `prod/contoso-2026-11-30.dump` is one of `contoso`.
    """
    fitting = [
        database
        for database in databases
        if re.search(rf"(?:^|[/._-]){re.escape(database)}(?:$|[/._-])", name, re.IGNORECASE)
    ]
    return max(fitting, key=len, default="")


def owner_of(name: str, tenants: Mapping[str, str]) -> str:
    """The database of `tenants` (database to tenant) that the dump is of, as its name says; the only one when the
    container has one tenant; empty when nobody can know."""
    if len(tenants) == 1:
        return next(iter(tenants))
    return database_of(name, tenants)


def _folder(prefix: str, parts: list[BlobFacts]) -> Dump:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{part.name}\0{part.etag}\n".encode())
    manifest = next((part for part in parts if part.name == prefix + FOLDER_MANIFEST), None)
    return Dump(
        prefix,
        digest.hexdigest()[:32],
        sum(part.size for part in parts),
        max(part.last_modified for part in parts),
        manifest.name if manifest else "",
        manifest.etag if manifest else "",
    )
