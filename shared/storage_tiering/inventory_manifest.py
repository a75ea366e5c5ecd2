"""The manifest of a blob inventory run: which files make up the report, and whether it may be relied on.

Source: Azure documentation, blob-inventory. `RULE-manifest.checksum` is written last and holds the MD5 of the
manifest; the documentation does not say in which notation, so that hexadecimal and base64 are understood.
"""

import json
from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import md5
from typing import Any, Literal, cast

OLDEST = timedelta(days=8)
"""Reports are daily or weekly: an older one says that the rule no longer runs."""


class InventoryError(Exception):
    """An inventory report cannot be relied on. Nothing is planned from it; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class InventoryFile:
    """One file of the report: the blob's name in the destination container, and its size in bytes."""

    blob: str
    size: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """A completed run. Times are aware UTC.

    `prefixes` are what the rule is restricted to, `excluded` what it leaves out; both begin with the container's name.
    """

    rule: str
    container: str
    files: tuple[InventoryFile, ...]
    format: Literal["csv", "parquet"]
    started: datetime
    completed: datetime
    blobs: int
    bytes: int
    fields: tuple[str, ...]
    prefixes: tuple[str, ...]
    excluded: tuple[str, ...]
    with_versions: bool
    with_snapshots: bool

    def covers(self, container: str) -> bool:
        """Whether all blobs of the container are in the report."""
        place = f"{container}/"
        return (not self.prefixes or any(place.startswith(prefix) for prefix in self.prefixes)) and not any(
            place.startswith(prefix) or prefix.startswith(place) for prefix in self.excluded
        )


def manifest_of(data: bytes, checksum: bytes) -> Manifest:
    """The manifest, when it is whole and its run succeeded. Raises InventoryError."""
    digest = md5(data, usedforsecurity=False).digest()
    if checksum.strip().decode("ascii", "replace").strip('"') not in (digest.hex(), b64encode(digest).decode()):
        raise InventoryError("the manifest does not have the MD5 of its checksum file; wait for the next run")
    try:
        document = cast("dict[str, Any]", json.loads(data))
        return _manifest(document)
    except KeyError as error:
        raise InventoryError(f"the manifest has no {error.args[0]}; wait for the next run") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise InventoryError(f"the manifest cannot be read: {error}; wait for the next run") from error


def check_age(manifest: Manifest, now: datetime) -> None:
    """Raises InventoryError when the report is so old that it says little of today's blobs."""
    if now - manifest.started > OLDEST:
        raise InventoryError(
            f"the newest report of rule {manifest.rule} is of {manifest.started:%Y-%m-%d};"
            " see in the account why the rule no longer runs"
        )


def _manifest(document: dict[str, Any]) -> Manifest:
    rule: str = document["ruleName"]
    if document["status"] != "Succeeded":
        raise InventoryError(f"the run of rule {rule} ended as {document['status']}; wait for the next run")
    definition: dict[str, Any] = document["ruleDefinition"]
    if definition["objectType"].lower() != "blob":
        raise InventoryError(f"rule {rule} lists {definition['objectType']}s; name a rule with objectType blob")
    kind = definition["format"].lower()
    if kind not in ("csv", "parquet"):
        raise InventoryError(f"rule {rule} writes {kind}; set its format to Parquet or Csv")
    filters: dict[str, Any] = definition.get("filters") or {}
    if filters.get("creationTime"):
        raise InventoryError(f"rule {rule} leaves out blobs by creationTime; a plan needs all of them")
    summary: dict[str, Any] = document["summary"]
    return Manifest(
        rule=rule,
        container=document["destinationContainer"],
        files=tuple(InventoryFile(each["blob"], int(each["size"])) for each in document["files"]),
        format=kind,
        started=_time(document["inventoryStartTime"]),
        completed=_time(document["inventoryCompletionTime"]),
        blobs=int(summary["objectCount"]),
        bytes=int(summary["totalObjectSize"]),
        fields=tuple(definition["schemaFields"]),
        prefixes=tuple(filters.get("prefixMatch") or ()),
        excluded=tuple(filters.get("excludePrefix") or ()),
        with_versions=bool(filters.get("includeBlobVersions")),
        with_snapshots=bool(filters.get("includeSnapshots")),
    )


def _time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return at
