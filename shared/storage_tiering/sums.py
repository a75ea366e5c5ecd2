"""The sums of a plan, batch by batch."""

# polars names numpy in its annotations, which is not installed.
# pyright: reportUnknownMemberType=false
from typing import Any

import polars as pl

from shared.storage_tiering.decisions import Conflict, PlanTotals, Reason, Sum
from shared.storage_tiering.frames import DELETE, NO_TIER, TIERS
from shared.storage_tiering.native_rules import NativeRule

MONEY = ("saved_a_month", "transaction", "early_deletion", "retrieval_risk")
_EXAMPLES = 5


def count_seen(totals: PlanTotals, frame: pl.DataFrame, classes: list[str]) -> None:
    """Blobs and bytes by class and tier, "" for a tier that is none of the four."""
    for row in _summed(frame, ["class", "rank"]):
        place: int | None = row["class"]
        rank: int = row["rank"]
        _add(totals.seen, ("" if place is None else classes[place], "" if rank < 0 else TIERS[rank].value), row)


def count_moves(totals: PlanTotals, moves: pl.DataFrame) -> None:
    """By class, tier before, tier after."""
    for row in _summed(moves, ["document_class", "tier", "to_tier"]):
        _add(totals.moves, (row["document_class"], row["tier"], row["to_tier"]), row)


def count_deletions(totals: PlanTotals, deletions: pl.DataFrame) -> None:
    """By class and rule."""
    for row in _summed(deletions, ["document_class", "rule"]):
        _add(totals.deletions, (row["document_class"], row["rule"]), row)


def count_blocked(totals: PlanTotals, blocked: pl.DataFrame) -> None:
    """By class, what was wanted, and why not."""
    for row in _summed(blocked, ["document_class", "wanted", "reason"]):
        _add(totals.blocked, (row["document_class"], row["wanted"], Reason(row["reason"])), row)


def count_native(totals: PlanTotals, decided: pl.DataFrame, rules: tuple[NativeRule, ...]) -> None:
    """What the account's own rules will do, and what of it is against us."""
    acted = decided.filter(pl.col("native_rank") > NO_TIER)
    for row in _summed(acted, ["native_rule", "native_rank", "conflict"], pl.col("path").head(_EXAMPLES)):
        place: int = row["native_rule"]
        rank: int = row["native_rank"]
        rule = rules[place].name
        action = "delete" if rank == DELETE else TIERS[rank].value
        _add(totals.native, (rule, action), row)
        if reason := row["conflict"]:
            known = totals.conflicts.get((rule, action, reason), Conflict(rule, action, reason, 0, 0, ()))
            totals.conflicts[rule, action, reason] = Conflict(
                rule,
                action,
                reason,
                known.blobs + row["blobs"],
                known.bytes + row["bytes"],
                (*known.examples, *row["path"])[:_EXAMPLES],
            )


def _summed(frame: pl.DataFrame, by: list[str], *more: pl.Expr) -> list[dict[str, Any]]:
    money = [pl.col(name).sum() for name in MONEY if name in frame.columns and name not in by]
    sums = frame.group_by(by).agg(pl.len().alias("blobs"), pl.col("size").sum().alias("bytes"), *money, *more)
    return sums.to_dicts()


def _add[Key](sums: dict[Key, Sum], key: Key, row: dict[str, Any]) -> None:
    sums.setdefault(key, Sum()).add(Sum(row["blobs"], row["bytes"], **{name: row.get(name) or 0.0 for name in MONEY}))
