"""What the account's own lifecycle rules are about to do to blobs. Where several match, the cheapest action wins."""

from datetime import timedelta

# polars names numpy in its annotations, which is not installed.
# pyright: reportUnknownMemberType=false
import polars as pl

from shared.storage_tiering.account import AccountRules
from shared.storage_tiering.classes import has_tags
from shared.storage_tiering.frames import DELETE, NO_TIER, TIERS, TIME, instant, time_named_by
from shared.storage_tiering.native_rules import NativeRule, NativeStep

_KINDS = {"blockBlob": "BlockBlob", "appendBlob": "AppendBlob", "pageBlob": "PageBlob"}


def native_effect(rules: AccountRules) -> tuple[pl.Expr, pl.Expr]:
    """The rank of what will be done (NO_TIER: nothing), and the place of the rule that does it.

    Reads column `rank`. Rules only make blobs cooler.
    """
    effects = [
        (_rank(step), index, _matches(rule) & _age_reached(step, rules, kind) & _applies(step, kind))
        for index, rule in enumerate(rules.native)
        for kind, steps in (("current", rule.steps), ("version", rule.version_steps), ("snapshot", rule.snapshot_steps))
        for step in steps
    ]
    rank, place = pl.lit(NO_TIER, pl.Int8), pl.lit(None, pl.Int16)
    for action, index, condition in sorted(effects, key=lambda effect: effect[0]):
        happens = condition.fill_null(value=False)
        rank = pl.when(happens).then(pl.lit(action, pl.Int8)).otherwise(rank)
        place = pl.when(happens).then(pl.lit(index, pl.Int16)).otherwise(place)
    return rank, place


def _rank(step: NativeStep) -> int:
    return DELETE if step.action == "delete" else [tier.value for tier in TIERS].index(step.action)


def _matches(rule: NativeRule) -> pl.Expr:
    conditions = [pl.col("kind").is_in([_KINDS.get(kind, kind) for kind in rule.blob_types])]
    if rule.prefixes:
        conditions.append(pl.any_horizontal(pl.col("path").str.starts_with(prefix) for prefix in rule.prefixes))
    if rule.tags:
        conditions.append(has_tags(rule.tags))
    return pl.all_horizontal(conditions)


def _age_reached(step: NativeStep, rules: AccountRules, kind: str) -> pl.Expr:
    limit = instant(rules.now - timedelta(days=step.days))
    if kind == "version":
        base = pl.col("modified")
    elif kind == "snapshot":
        base = time_named_by("snapshot").cast(TIME)
    elif step.since == "last access":
        tracked = rules.abilities.access_tracked_since
        base = pl.col("accessed") if tracked is None else pl.coalesce("accessed", instant(tracked))
    else:
        base = pl.col("created" if step.since == "creation" else "modified")
    reached = base < limit
    if step.since_tier_change is not None:
        changed = pl.col("tier_changed") < instant(rules.now - timedelta(days=step.since_tier_change))
        reached = reached & (pl.col("tier_changed").is_null() | changed)
    return reached


def _applies(step: NativeStep, kind: str) -> pl.Expr:
    snapshot = pl.col("snapshot").is_not_null()
    former = ~pl.col("current") & ~snapshot
    concerned = {"current": ~former & ~snapshot, "version": former, "snapshot": snapshot}[kind]
    if step.action == "delete":
        return concerned
    return concerned & (pl.col("kind") == "BlockBlob") & pl.col("rank").is_between(0, _rank(step) - 1)
