"""When the steps of a document class are due: as instants, so that due, still to come, and how long are one thing.

Columns that are read besides the blob's facts: `class`, `replaced`, `kept`, `keeps_until`.
"""

# polars names numpy in its annotations, which is not installed.
# pyright: reportUnknownMemberType=false
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import polars as pl

from shared.blob_facts import Tier
from shared.storage_tiering.account import AccountRules
from shared.storage_tiering.frames import NO_TIER, TIERS, TIME, by_class, instant

if TYPE_CHECKING:
    from shared.estate.policies.storage_tiering import BlobAge, DocumentClass

_BASES = {"creation": "created", "modification": "modified", "last access": "accessed"}
MOVES = (Tier.COOL, Tier.COLD, Tier.ARCHIVE)


class Ages:
    """The steps of all classes of an account, as expressions."""

    def __init__(self, rules: AccountRules, *, any_former: bool = True) -> None:
        """`any_former` is False when it is known that there are no versions and snapshots: that is quicker."""
        self._rules = rules
        self._classes = list(rules.classes.values())
        self._any_former = any_former
        self.former = is_former() if any_former else pl.lit(value=False)

    def may_be_due(self) -> pl.Expr:
        """Whether anything may be due, from the blob's facts and column `rank` alone; whatever needs more may be."""
        return by_class(self._classes, self._may_be_due, pl.lit(value=False))

    def due_rank(self) -> pl.Expr:
        """The coolest tier whose age is reached, as a rank; NO_TIER when none is."""
        return by_class(self._classes, self._due_rank, pl.lit(NO_TIER, pl.Int8))

    def is_due(self, tier: Tier) -> pl.Expr:
        """Whether the age for that tier is reached."""
        return by_class(self._classes, lambda policy: self._is_due(policy, tier), pl.lit(value=False))

    def is_deletion_due(self) -> pl.Expr:
        """Whether age or retention asks for deletion, whatever holds it."""
        return by_class(self._classes, self._is_deletion_due, pl.lit(value=False))

    def deletion_rule(self) -> pl.Expr:
        """The field of the policy that asks for a deletion."""
        return (
            pl.when(self.former)
            .then(pl.lit("old_versions"))
            .otherwise(
                by_class(
                    self._classes,
                    lambda policy: pl.lit("keep" if policy.keep else "delete_after"),
                    pl.lit("delete_after"),
                )
            )
        )

    def days_in(self, tier: Tier) -> pl.Expr:
        """How many days a blob that moves there now would stay, until the next step; null when none is foreseen."""
        following = by_class(self._classes, lambda policy: self._next(policy, tier), pl.lit(None, TIME))
        return (following - instant(self._rules.now)).dt.total_minutes() / (24 * 60)

    def is_age_unknown(self) -> pl.Expr:
        """Whether a step depends on the last access, which nobody tracked."""
        if self._rules.abilities.access_tracked_since is not None:
            return pl.lit(value=False)
        asked = by_class(
            self._classes,
            lambda policy: pl.lit(any(age.since == "last access" for age in _steps(policy))),
            pl.lit(value=False),
        )
        return asked & pl.col("accessed").is_null() & ~self.former

    def is_replacement_unknown(self) -> pl.Expr:
        """Whether it is a version of which nobody knows since when it is a former one: its blob was deleted."""
        return self.former & pl.col("replaced").is_null()

    def is_kept_by_law(self) -> pl.Expr:
        """Whether the law keeps the document: by the end of the fiscal year in which it was last written."""
        return by_class(
            self._classes,
            lambda policy: (
                pl.col("document_date") >= instant(self._law_from(policy.kept_by_law))
                if policy.kept_by_law and not policy.keep
                else pl.lit(value=False)
            ),
            pl.lit(value=False),
        )

    def _law_from(self, law: timedelta) -> datetime:
        """The beginning of the oldest fiscal year whose documents are still kept."""
        return next(
            start for start, end in fiscal_years(self._rules, self._rules.now - law) if end + law > self._rules.now
        )

    def _law_until(self, law: timedelta) -> pl.Expr:
        until = pl.lit(None, TIME)
        for start, end in fiscal_years(self._rules, self._rules.now - law):
            until = pl.when(pl.col("document_date") >= instant(start)).then(instant(end + law)).otherwise(until)
        return until

    def _may_be_due(self, policy: "DocumentClass") -> pl.Expr:
        if policy.keep:
            return pl.lit(value=True)
        due = self._reached(policy.delete_after)
        for tier in MOVES:
            if age := _age(policy, tier):
                due = due | (self._reached(age) & (pl.col("rank") < TIERS.index(tier)))
        return self._former_or(pl.lit(value=True), due)

    def _due_rank(self, policy: "DocumentClass") -> pl.Expr:
        due = pl.lit(NO_TIER, pl.Int8)
        for tier in MOVES:
            due = pl.when(self._is_due(policy, tier)).then(pl.lit(TIERS.index(tier), pl.Int8)).otherwise(due)
        return due

    def _is_due(self, policy: "DocumentClass", tier: Tier) -> pl.Expr:
        age = _age(policy, tier)
        current = self._reached(age)
        former = policy.old_versions.cool_after if tier == Tier.COOL else None
        return self._former_or(self._replaced(former), current)

    def _is_deletion_due(self, policy: "DocumentClass") -> pl.Expr:
        current = pl.lit(value=False)
        if policy.keep:
            # What was made since the plan began may be missing from what retention has seen.
            current = ~pl.col("kept") & (pl.col("created") < instant(self._rules.now))
        if policy.delete_after:
            current = self._reached(policy.delete_after) & (current if policy.keep else pl.lit(value=True))
        return self._former_or(self._replaced(policy.old_versions.delete_after), current)

    def _former_or(self, former: pl.Expr, current: pl.Expr) -> pl.Expr:
        return pl.when(self.former).then(former).otherwise(current) if self._any_former else current

    def _reached(self, age: "BlobAge | None") -> pl.Expr:
        if age is None:
            return pl.lit(value=False)
        return (self._base(age) <= instant(self._rules.now - age.age)).fill_null(value=False)

    def _replaced(self, age: timedelta | None) -> pl.Expr:
        if age is None:
            return pl.lit(value=False)
        # Of what was replaced nobody knows when, the write is all that is known; it is reported, not acted on.
        since = pl.coalesce("replaced", "modified")
        return (since <= instant(self._rules.now - age)).fill_null(value=False)

    def _base(self, age: "BlobAge") -> pl.Expr:
        base = pl.col(_BASES[age.since])
        if age.since != "last access":
            return base
        tracked = self._rules.abilities.access_tracked_since
        if tracked is None:
            return pl.coalesce(base, "modified")
        return pl.coalesce(base, pl.max_horizontal(pl.col("created"), instant(tracked)))

    def _next(self, policy: "DocumentClass", tier: Tier) -> pl.Expr:
        """The next step after a move into the tier: a cooler one, or deletion, not before the law allows it."""
        cooler = [age for each in MOVES[MOVES.index(tier) + 1 :] if (age := _age(policy, each))]
        steps = [self._base(age) + age.age for age in cooler]
        if policy.keep:
            steps.append(pl.col("keeps_until"))
        elif policy.delete_after:
            deletion = self._base(policy.delete_after) + policy.delete_after.age
            if policy.kept_by_law:
                deletion = pl.max_horizontal(deletion, self._law_until(policy.kept_by_law))
            steps.append(deletion)
        now = instant(self._rules.now)
        current = pl.min_horizontal(pl.when(step > now).then(step) for step in steps) if steps else pl.lit(None, TIME)
        gone = policy.old_versions.delete_after
        former = pl.coalesce("replaced", "modified") + gone if gone else pl.lit(None, TIME)
        return self._former_or(former, current).cast(TIME)


def is_former() -> pl.Expr:
    """Former versions and snapshots: they have their own steps."""
    return ~pl.col("current") | pl.col("snapshot").is_not_null()


def fiscal_years(rules: AccountRules, since: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The fiscal years from the one before `since` until the one after now, as [start, end), in order."""
    first = rules.fiscal.name_of(since.astimezone(rules.zone).date()) - 1
    last = rules.fiscal.name_of(rules.now.astimezone(rules.zone).date()) + 1
    starts = [
        datetime.combine(rules.fiscal.year(name).first, datetime.min.time(), rules.zone)
        for name in range(first, last + 2)
    ]
    yield from pairwise(starts)


def _age(policy: "DocumentClass", tier: Tier) -> "BlobAge | None":
    return {Tier.COOL: policy.cool_after, Tier.COLD: policy.cold_after, Tier.ARCHIVE: policy.archive_after}[tier]


def _steps(policy: "DocumentClass") -> Iterator["BlobAge"]:
    for age in (policy.cool_after, policy.cold_after, policy.archive_after, policy.delete_after):
        if age is not None:
            yield age
