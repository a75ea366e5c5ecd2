"""Inventory reports as batches of blob facts: Azure's columns become ours.

Source: Azure documentation, blob-inventory (fields; dates of Parquet reports are milliseconds). The blob's name begins
with its container.
"""

# polars names numpy in its annotations, which is not installed.
# pyright: reportUnknownMemberType=false
from collections.abc import Iterable, Iterator, Sequence

import polars as pl

from shared.storage_tiering.frames import SCHEMA, TIME
from shared.storage_tiering.inventory_manifest import InventoryError, Manifest

REQUIRED = {
    "Name": "path",
    "Creation-Time": "created",
    "Last-Modified": "modified",
    "Content-Length": "size",
    "BlobType": "kind",
    "AccessTier": "tier",
    "AccessTierChangeTime": "tier_changed",
    "LeaseStatus": "leased",
    "LegalHold": "legal_hold",
    "ImmutabilityPolicyUntilDate": "immutable_until",
    "ArchiveStatus": "archive_status",
}
"""What a report must have: without it a hold or a charge would go unseen."""

OPTIONAL = {
    "ETag": "etag",
    "Etag": "etag",
    "LastAccessTime": "accessed",
    "VersionId": "version",
    "IsCurrentVersion": "current",
    "Snapshot": "snapshot",
    "Tags": "tags",
    "Deleted": "deleted",
    "EncryptionScope": "encryption_scope",
    "hdi_isfolder": "folder",
}
_NEVER_NULL = ("path", "created", "modified", "size", "kind")


def wanted(fields: Sequence[str]) -> list[str]:
    """Which of a report's fields are read. Raises InventoryError with the fields that are missing."""
    missing = [name for name in REQUIRED if name not in fields]
    if "VersionId" in fields and "IsCurrentVersion" not in fields:
        missing.append("IsCurrentVersion")
    if missing:
        unknown = [name for name in fields if name not in DOCUMENTED]
        hint = f"; it has the unknown {', '.join(unknown)}" if unknown else ""
        raise InventoryError(f"the report has no {', '.join(missing)}{hint}; add them to the rule's schemaFields")
    return [name for name in fields if name in REQUIRED or name in OPTIONAL]


def batches(raw: Iterable[pl.DataFrame], manifest: Manifest) -> Iterator[pl.DataFrame]:
    """The report's rows as batches of facts.

    Raises InventoryError for a row that cannot be understood, and, at the end, when there were more or fewer rows than
    the manifest says: what was planned by then must not be applied.
    """
    rows = 0
    for frame in raw:
        rows += frame.height
        yield facts_of(frame)
    if rows != manifest.blobs:
        raise InventoryError(
            f"the report of rule {manifest.rule} has {rows:,} rows and its manifest says {manifest.blobs:,};"
            " it is truncated, wait for the next run"
        )


def facts_of(frame: pl.DataFrame) -> pl.DataFrame:
    """One lot of the report's rows, with columns that `wanted` chose, as facts. Raises InventoryError."""
    names = {**REQUIRED, **OPTIONAL}
    facts = frame.select(_column(name, names[name], frame.schema[name]) for name in frame.columns)
    if "folder" in facts.columns:
        facts = facts.filter(~pl.col("folder").fill_null(value=False)).drop("folder")
    _check(facts, frame)
    return facts


def _column(name: str, ours: str, kind: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if ours == "leased":
        return (column != "unlocked").fill_null(value=True).alias(ours)
    wanted_kind = pl.Boolean() if ours == "folder" else SCHEMA[ours]
    if wanted_kind == TIME:
        found = _time(column, kind)
    elif isinstance(wanted_kind, pl.Boolean):
        found = (
            column
            if kind == pl.Boolean
            else column.str.to_lowercase().replace_strict(
                ["true", "false"], [True, False], default=None, return_dtype=pl.Boolean
            )
        )
    elif isinstance(wanted_kind, pl.String) and ours not in _NEVER_NULL:
        found = pl.when(column.cast(pl.String) != "").then(column.cast(pl.String))
    else:
        found = column.cast(wanted_kind, strict=False) if kind != wanted_kind else column
    return found.alias(ours)


def _time(column: pl.Expr, kind: pl.DataType) -> pl.Expr:
    if isinstance(kind, pl.Datetime):
        return column.cast(TIME) if kind.time_zone else column.dt.cast_time_unit("ms").dt.replace_time_zone("UTC")
    if kind.is_integer():
        return column.cast(pl.Datetime("ms")).dt.replace_time_zone("UTC")
    return column.str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="ms", time_zone="UTC", strict=False)


def _check(facts: pl.DataFrame, frame: pl.DataFrame) -> None:
    for name in _NEVER_NULL:
        if facts[name].null_count():
            at = facts[name].is_null().arg_true()[0]
            told = {
                theirs: frame[theirs][at]
                for theirs, ours in REQUIRED.items()
                if theirs in frame.columns and ours in ("path", name)
            }
            raise InventoryError(f"a row cannot be understood: {told}; the report is damaged, wait for the next run")


DOCUMENTED = frozenset(
    (
        *REQUIRED, *OPTIONAL, "Content-Type", "Content-Encoding", "Content-Language", "Content-CRC64", "Content-MD5",
        "Cache-Control", "Cache-Disposition", "Content-Disposition", "LeaseState", "LeaseDuration", "ServerEncrypted",
        "CustomerProvidedKeySHA256", "CustomerProvidedKeySha256", "Metadata", "Expiry-Time", "Owner", "Group",
        "Permissions", "Acl", "DeletedId", "DeletedTime", "RemainingRetentionDays", "TagCount", "CopyId", "CopySource",
        "CopyStatus", "CopyProgress", "CopyCompletionTime", "CopyStatusDescription", "ImmutabilityPolicyMode",
        "RehydratePriority", "IncrementalCopy", "x-ms-blob-sequence-number", "AccessTierInferred",
    )
)  # fmt: skip
"""Every field that the documentation names."""
