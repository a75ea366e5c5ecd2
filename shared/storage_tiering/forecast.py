"""The next twelve months: bytes by tier and what they cost, with the plan and without.

The same plan is made at the end of each month for blobs that stand for many: those of one class, tier, age (by the
week) and size (by the power of two) are one, with their number as its weight. Backups that are kept by series stand
for themselves. What came in the last thirty days comes again every month. Steps are made at most a month late, so that
the plan looks a little dearer than it is; reads are not foreseen; restores go on being proven where any was.
"""

# polars names numpy in its annotations, which is not installed.
# pyright: reportUnknownMemberType=false
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import polars as pl

from shared.blob_facts import Tier
from shared.storage_tiering.account import AccountRules
from shared.storage_tiering.classes import document_class
from shared.storage_tiering.frames import TIERS, completed, instant, rank_of_tier
from shared.storage_tiering.money import MONTH_DAYS, Price
from shared.storage_tiering.plan import Plan
from shared.storage_tiering.retention import series_of

_MONTH = timedelta(days=MONTH_DAYS)
_RECENT = timedelta(days=30)
_WEEKS = ("created", "modified", "accessed", "tier_changed", "immutable_until")
_SAME = (
    "tier",
    "kind",
    "tier_inferred",
    "current",
    "legal_hold",
    "leased",
    "archive_status",
    "encryption_scope",
    "tags",
)
_KEY = ["path", "version", "snapshot"]


@dataclass(frozen=True, slots=True)
class Month:
    """One month: what lies in each tier at its end, and what the month costs, changes of tier included.

    Money is in the currency of the rates; `at` is aware UTC.
    """

    at: datetime
    planned_bytes: Mapping[Tier, int]
    planned_cost: float
    untouched_bytes: Mapping[Tier, int]
    untouched_cost: float


def forecast(
    rules_at: Callable[[datetime], AccountRules], now: datetime, batches: Iterable[pl.DataFrame], months: int = 12
) -> list[Month]:
    """What is to come. `rules_at` gives the rules of a later day, with the audits of that day."""
    rules = rules_at(now)
    state = _condensed(rules, batches)
    arriving = state.filter(pl.col("created") >= instant(now - _RECENT))
    planned, untouched = state, state
    found: list[Month] = []
    for number in range(1, months + 1):
        at = now + number * _MONTH
        new = _arrived(arriving, rules, number)
        untouched = pl.concat([untouched, new])
        planned, steps = _after(pl.concat([planned, new]), _proven(rules_at(at)))
        found.append(
            Month(
                at=at,
                planned_bytes=_bytes(planned),
                planned_cost=_stored(planned, rules) + steps,
                untouched_bytes=_bytes(untouched),
                untouched_cost=_stored(untouched, rules),
            )
        )
    return found


def _condensed(rules: AccountRules, batches: Iterable[pl.DataFrame]) -> pl.DataFrame:
    series = [index for index, policy in enumerate(rules.classes.values()) if policy.keep]
    alone = pl.col("class").is_in(series).fill_null(value=False)
    lots: list[pl.DataFrame] = []
    for batch in batches:
        frame = completed(batch).filter(~pl.col("deleted").fill_null(value=False))
        frame = frame.with_columns(document_class(rules).alias("class"), weight=pl.lit(1, pl.Int64))
        lots += [_grouped(frame.filter(~alone)), frame.filter(alone)]
        if len(lots) > 20:
            lots = [_regrouped(lots, alone)]
    return _regrouped(lots, pl.col("class").is_in(series).fill_null(value=False)).with_columns(
        id=pl.int_range(pl.len())
    )


def _regrouped(lots: list[pl.DataFrame], alone: pl.Expr) -> pl.DataFrame:
    frame = pl.concat(lots, how="diagonal")
    return pl.concat([_grouped(frame.filter(~alone)), frame.filter(alone)], how="diagonal")


def _grouped(frame: pl.DataFrame) -> pl.DataFrame:
    """One blob for many; its size is their mean, its times are those of one of them."""
    of_size = pl.col("size").clip(lower_bound=1).log(2).cast(pl.Int32).alias("_size")
    weeks = [pl.col(name).dt.truncate("1w").alias(f"_{name}") for name in _WEEKS]
    is_version = pl.col("version").is_not_null() & ~pl.col("current")
    others = [
        name for name in frame.columns if name not in (*_SAME, "class", "size", "weight") and not name.startswith("_")
    ]
    return (
        frame.group_by("class", *_SAME, is_version.alias("_version"), of_size, *weeks)
        .agg(
            *(pl.col(name).first() for name in others),
            ((pl.col("size") * pl.col("weight")).sum() / pl.col("weight").sum()).round().cast(pl.Int64).alias("size"),
            pl.col("weight").sum(),
        )
        .select(frame.columns)
    )


def _arrived(arriving: pl.DataFrame, rules: AccountRules, number: int) -> pl.DataFrame:
    """What came lately, once more, so many months later and under names of that time."""
    times = [pl.col(name) + number * _MONTH for name in _WEEKS]
    stamp = (pl.col("created") + number * _MONTH).dt.strftime("%Y-%m-%dT%H%M%S")
    # A star only stands in a series where a date was; other names just have to differ.
    parts = series_of(pl.col("path")).str.split("*")
    path = (
        pl.when(parts.list.len() > 1)
        .then(parts.list.join(stamp))
        .otherwise(pl.format("{}~{}", pl.col("path"), pl.lit(number)))
    )
    offset = (number + 1) * 10**12
    return arriving.with_columns(*times, path.alias("path"), pl.col("id") + offset)


def _after(state: pl.DataFrame, rules: AccountRules) -> tuple[pl.DataFrame, float]:
    """The state when the plan of that day is applied, and what its steps cost."""
    cost = 0.0
    weights = state.select(*_KEY, "weight", "id")
    for batch in Plan(rules, [state.drop("weight", "id", "class")]):
        moves = _joined(batch.move_columns, weights)
        gone = _joined(batch.deletion_columns, weights)
        cost += float(
            moves.select(((pl.col("transaction") + pl.col("early_deletion")) * pl.col("weight")).sum()).item()
        )
        cost += float(gone.select((pl.col("early_deletion") * pl.col("weight")).sum()).item())
        state = (
            state.join(gone.select("id"), on="id", how="anti")
            .join(moves.select("id", "to_tier"), on="id", how="left")
            .with_columns(
                tier=pl.coalesce("to_tier", "tier"),
                tier_changed=pl.when(pl.col("to_tier").is_not_null())
                .then(instant(rules.now))
                .otherwise("tier_changed"),
                tier_inferred=pl.col("tier_inferred") & pl.col("to_tier").is_null(),
            )
            .drop("to_tier")
        )
    return state, cost


def _joined(decided: pl.DataFrame, weights: pl.DataFrame) -> pl.DataFrame:
    return decided.join(weights, on=_KEY, how="inner", nulls_equal=True)


def _proven(rules: AccountRules) -> AccountRules:
    if not rules.verified:
        return rules
    classes = {name: policy.model_copy(update={"backup": False}) for name, policy in rules.classes.items()}
    return replace(rules, classes=classes, verified=())


def _bytes(state: pl.DataFrame) -> dict[Tier, int]:
    sums = state.group_by("tier").agg((pl.col("size") * pl.col("weight")).sum().alias("bytes"))
    by_tier = {row["tier"]: int(row["bytes"]) for row in sums.to_dicts()}
    return {tier: by_tier.get(tier.value, 0) for tier in TIERS}


def _stored(state: pl.DataFrame, rules: AccountRules) -> float:
    ranked = state.with_columns(rank=rank_of_tier())
    return _sum(ranked, Price(rules).stored_a_month())


def _sum(weighted: pl.DataFrame, amount: pl.Expr) -> float:
    return float(weighted.select((amount * pl.col("weight")).sum()).item())
