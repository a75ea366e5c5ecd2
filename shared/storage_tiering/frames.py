"""Batches of blob facts as columns. Listings and inventory reports become the same frame, so that the policy is
written once.

`path` is container and name, joined by `/`; times are UTC in milliseconds, as inventory reports have them.
"""

# polars names numpy in its annotations, which is not installed.
# pyright: reportUnknownMemberType=false
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import polars as pl

from shared.blob_facts import BlobFacts, Tier

TIME = pl.Datetime("ms", "UTC")
TIERS = tuple(Tier)
"""From the dearest storage to the cheapest; a tier's rank is its place here."""

DELETE = len(TIERS)
"""The rank of deletion: below every tier."""

NO_TIER = -1
ARCHIVE = TIERS.index(Tier.ARCHIVE)

SCHEMA: Mapping[str, pl.DataType] = {
    "path": pl.String(),
    "size": pl.Int64(),
    "created": TIME,
    "modified": TIME,
    "etag": pl.String(),
    "kind": pl.String(),
    "tier": pl.String(),
    "tier_inferred": pl.Boolean(),
    "tier_changed": TIME,
    "accessed": TIME,
    "version": pl.String(),
    "current": pl.Boolean(),
    "snapshot": pl.String(),
    "tags": pl.String(),
    "leased": pl.Boolean(),
    "legal_hold": pl.Boolean(),
    "immutable_until": TIME,
    "archive_status": pl.String(),
    "deleted": pl.Boolean(),
    "encryption_scope": pl.String(),
}
"""Tags are a JSON object of text."""

_ABSENT: Mapping[str, object] = {"etag": "", "tier_inferred": False, "current": True, "deleted": False}
"""What a column is when a source has no such thing: then there are no versions, say. All others become null."""


def batch_of(facts: Iterable[BlobFacts]) -> pl.DataFrame:
    """A batch from a listing; some ten thousand at a time is quick and small."""
    import json

    rows = [
        (
            f"{blob.container}/{blob.name}",
            blob.size,
            blob.created,
            blob.modified,
            blob.etag,
            blob.kind,
            blob.tier,
            blob.tier_inferred,
            blob.tier_changed,
            blob.accessed,
            blob.version,
            blob.current,
            blob.snapshot or None,
            json.dumps(dict(blob.tags)) if blob.tags else None,
            blob.leased,
            blob.legal_hold,
            blob.immutable_until,
            blob.archive_status or None,
            blob.deleted,
            blob.encryption_scope or None,
        )
        for blob in facts
    ]
    return pl.DataFrame(rows, schema=dict(SCHEMA), orient="row")


def completed(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with the columns that its source does not have."""
    missing = [
        pl.lit(_ABSENT.get(name)).cast(kind).alias(name) for name, kind in SCHEMA.items() if name not in frame.columns
    ]
    return frame.with_columns(missing)


def compact(frame: pl.DataFrame) -> pl.DataFrame:
    """The same rows without the memory of those that were filtered out: text refers to the batch that it was in."""
    texts = [name for name, kind in frame.schema.items() if kind == pl.String]
    return frame.with_columns(pl.concat_str(name, pl.lit("")).alias(name) for name in texts)


def instant(at: datetime) -> pl.Expr:
    """A literal instant of the columns' own resolution, so that no column is converted to compare with it."""
    return pl.lit(at).cast(TIME)


def rank_of_tier() -> pl.Expr:
    """The tier's rank; NO_TIER for what is in none of the four."""
    rank = pl.lit(NO_TIER, pl.Int8)
    for place, tier in enumerate(TIERS):  # twice as quick as a look-up
        rank = pl.when(pl.col("tier") == tier.value).then(pl.lit(place, pl.Int8)).otherwise(rank)
    return rank


def by_rank(rank: pl.Expr, values: Sequence[float]) -> pl.Expr:
    """The value that belongs to a rank; 0 where there is none."""
    return rank.replace_strict(
        list(range(len(values))), [float(value) for value in values], default=0.0, return_dtype=pl.Float64
    )


def by_class(classes: Sequence[Any], value: Callable[[Any], pl.Expr], otherwise: pl.Expr) -> pl.Expr:
    """For each blob the value of its class (column `class`: the place in `classes`)."""
    chosen = otherwise
    for index, each in reversed(list(enumerate(classes))):
        chosen = pl.when(pl.col("class") == index).then(value(each)).otherwise(chosen)
    return chosen


def any_of(conditions: Iterable[pl.Expr]) -> pl.Expr:
    """Whether one of them holds; unknown counts as not. False when there are none."""
    every = [each.fill_null(value=False) for each in conditions]
    return pl.any_horizontal(every) if every else pl.lit(value=False)


def time_named_by(column: str) -> pl.Expr:
    """The instant, to the microsecond, that a version or a snapshot is named by; null when it is none."""
    return pl.col(column).str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="us", strict=False, time_zone="UTC")
