"""The plan for one account: pure, from a stream of batches, read once.

One definition serves listings and inventory reports: the policy is written once, as expressions over columns. Most
blobs have nothing due; only those that have are looked at further.
"""

# polars names numpy in its annotations, which is not installed.
# pyright: reportUnknownMemberType=false
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

from shared.blob_facts import Tier
from shared.storage_tiering.account import AccountRules
from shared.storage_tiering.ages import MOVES, Ages, is_former
from shared.storage_tiering.classes import document_class
from shared.storage_tiering.decisions import Blocked, Deletion, Move, PlanTotals, Reason, Target
from shared.storage_tiering.frames import (
    ARCHIVE,
    DELETE,
    NO_TIER,
    TIERS,
    by_class,
    compact,
    completed,
    rank_of_tier,
)
from shared.storage_tiering.history import History
from shared.storage_tiering.holds import Holds, first_reason
from shared.storage_tiering.money import Price
from shared.storage_tiering.native_effects import native_effect
from shared.storage_tiering.sums import MONEY, count_blocked, count_deletions, count_moves, count_native, count_seen

_LOT = 50_000
_VERSIONED = {"version", "snapshot"}
KEPT_BY_POLICY = "our policy keeps it"
EARLIER = "our policy does it later"
_TARGET = ["path", "version", "current", "snapshot", "etag", "modified", "size"]
# Reasons against deletion that do not speak against making the blob cooler meanwhile.
_MAY_MOVE = [
    Reason.IMMUTABLE,
    Reason.VERIFIED_BACKUP,
    Reason.NOT_YET_VERIFIED,
    Reason.DOCUMENT,
    Reason.KEPT_BY_LAW,
    Reason.NOT_RECOVERABLE,
    Reason.REPLACED_UNKNOWN,
]


@dataclass(frozen=True, slots=True)
class PlannedBatch:
    """What is decided about the blobs of one batch, as columns; read it as data, or as objects one by one."""

    move_columns: pl.DataFrame
    deletion_columns: pl.DataFrame
    blocked_columns: pl.DataFrame

    def moves(self) -> Iterator[Move]:
        """The moves, in the order of the batch."""
        for row in self.move_columns.iter_rows(named=True):
            yield Move(
                target=_target(row),
                document_class=row["document_class"],
                from_tier=row["tier"],
                to_tier=row["to_tier"],
                saved_a_month=row["saved_a_month"],
                transaction=row["transaction"],
                early_deletion=row["early_deletion"],
                retrieval_risk=row["retrieval_risk"],
                pays_back_after_days=row["pays_back_after_days"],
            )

    def deletions(self) -> Iterator[Deletion]:
        """The deletions, in the order of the batch."""
        for row in self.deletion_columns.iter_rows(named=True):
            yield Deletion(
                target=_target(row),
                document_class=row["document_class"],
                tier=row["tier"],
                rule=row["rule"],
                saved_a_month=row["saved_a_month"],
                early_deletion=row["early_deletion"],
            )

    def blocked(self) -> Iterator[Blocked]:
        """What was due and is not done."""
        for row in self.blocked_columns.iter_rows(named=True):
            yield Blocked(
                _target(row), row["document_class"], row["tier"], wanted=row["wanted"], reason=Reason(row["reason"])
            )


class Plan:
    """Iterate it once; `totals` and `conflicts` are complete when it is over.

    `batches` are all blobs of the account, in any order (`frames.batch_of`, or an inventory's).
    """

    def __init__(self, rules: AccountRules, batches: Iterable[pl.DataFrame]) -> None:
        self.rules = rules
        self.totals = PlanTotals()
        self._batches = batches
        self._names = list(rules.classes)
        self._history = History(rules)
        self._holds = Holds(rules, self._history.verified_blobs)
        self._price = Price(rules)
        self._class = document_class(rules)
        self._native_rank, self._native_rule = native_effect(rules)
        self._ages = Ages(rules)
        natively = self._native_rank > NO_TIER if rules.native else pl.lit(value=False)
        classed = pl.col("class").is_not_null()
        self._of_interest = classed & (Ages(rules, any_former=False).may_be_due() | natively)
        self._of_interest_versioned = classed & (self._ages.may_be_due() | natively)

    def __iter__(self) -> Iterator[PlannedBatch]:
        waiting: list[pl.DataFrame] = []
        for batch in self._batches:
            waiting += self._history.ready(self._candidates(batch))
            # Deciding about few costs nearly as much as about many; all at once would need much memory.
            if sum(each.height for each in waiting) >= _LOT:
                yield from self._planned(waiting)
                waiting.clear()
        waiting += self._history.rest()
        yield from self._planned(waiting)

    def _candidates(self, batch: pl.DataFrame) -> pl.DataFrame:
        """The blobs about which anything might be decided; all are counted."""
        frame = completed(batch)
        if "deleted" in batch.columns:
            frame = frame.filter(~pl.col("deleted").fill_null(value=False))
        frame = frame.with_columns(self._class.alias("class"), rank_of_tier().alias("rank"))
        count_seen(self.totals, frame, self._names)
        if "version" in batch.columns:
            self._history.see(frame)
        of_interest = self._of_interest_versioned if _VERSIONED & set(batch.columns) else self._of_interest
        return compact(frame.filter(of_interest))

    def _planned(self, candidates: list[pl.DataFrame]) -> Iterator[PlannedBatch]:
        if candidates:
            yield from map(self._planned_lot, pl.concat(candidates, how="diagonal").iter_slices(_LOT))

    def _planned_lot(self, frame: pl.DataFrame) -> PlannedBatch:
        ages = self._ages
        frame = frame.with_columns(
            due_rank=ages.due_rank(),
            deletion_due=ages.is_deletion_due(),
            native_rank=self._native_rank,
            native_rule=self._native_rule,
        ).filter(pl.col("deletion_due") | (pl.col("due_rank") > pl.col("rank")) | (pl.col("native_rank") > NO_TIER))
        decided = self._decided(frame, ages)
        count_native(self.totals, decided, self.rules.native)
        planned = PlannedBatch(_moves(decided), _deletions(decided), _blocked(decided))
        count_moves(self.totals, planned.move_columns)
        count_deletions(self.totals, planned.deletion_columns)
        count_blocked(self.totals, planned.blocked_columns)
        return planned

    def _decided(self, candidates: pl.DataFrame, ages: Ages) -> pl.DataFrame:
        frame = candidates.with_columns(
            document_class=pl.col("class").replace_strict(
                list(range(len(self._names))), self._names, default="", return_dtype=pl.String
            ),
            document_date=pl.max_horizontal("created", "modified"),
            rule=ages.deletion_rule(),
        ).with_columns(
            held=self._holds.of_everything(),
            held_deep=self._holds.of_archiving(),
            held_deletion=self._holds.of_deletion(),
            law=ages.is_kept_by_law(),
        )
        frame = self._with_deletion(frame, ages)
        frame = self._with_move(frame, ages)
        return frame.with_columns(self._conflict().alias("conflict"))

    def _with_deletion(self, frame: pl.DataFrame, ages: Ages) -> pl.DataFrame:
        native = pl.col("native_rank") == DELETE
        reason = pl.coalesce(
            "held",
            "held_deletion",
            first_reason(
                [
                    (Reason.KEPT_BY_LAW, pl.col("law")),
                    (Reason.REPLACED_UNKNOWN, ages.is_replacement_unknown()),
                    (Reason.AGE_UNKNOWN, ages.is_age_unknown()),
                    (Reason.NOT_RECOVERABLE, self._not_recoverable()),
                    (Reason.NATIVE_RULE, native),
                ]
            ),
        )
        return frame.with_columns(not_deleted=reason).with_columns(
            deletes=pl.col("deletion_due") & pl.col("not_deleted").is_null()
        )

    def _with_move(self, frame: pl.DataFrame, ages: Ages) -> pl.DataFrame:
        reads = by_class(list(self.rules.classes.values()), lambda policy: pl.lit(policy.reads_a_year), pl.lit(0.0))
        archive_is_open = (
            pl.col("held_deep").is_null() & pl.col("encryption_scope").is_null() & pl.lit(self.rules.abilities.archive)
        )
        frame = frame.with_columns(
            is_open.alias(f"open_{tier}")
            for tier in MOVES
            for is_open in [
                ages.is_due(tier)
                & (pl.col("rank") < TIERS.index(tier))
                & (archive_is_open if tier == Tier.ARCHIVE else pl.lit(value=True))
            ]
        ).with_columns(days.alias(f"days_{tier}") for tier in MOVES for days in [ages.days_in(tier)])
        gains = {
            tier: pl.when(pl.col(f"open_{tier}")).then(self._price.gain(tier, pl.col(f"days_{tier}"), reads))
            for tier in MOVES
        }
        frame = frame.with_columns(gain.alias(f"gain_{tier}") for tier, gain in gains.items())
        frame = frame.with_columns(best=pl.max_horizontal(f"gain_{tier}" for tier in MOVES))
        to_rank = pl.coalesce(
            pl.when((pl.col(f"gain_{tier}") == pl.col("best")) & (pl.col("best") > 0)).then(
                pl.lit(TIERS.index(tier), pl.Int8)
            )
            for tier in reversed(MOVES)
        )
        may_move = ~pl.col("deletion_due") | pl.col("not_deleted").is_in([each.value for each in _MAY_MOVE])
        frame = frame.with_columns(
            to_rank=to_rank,
            move_due=(pl.col("due_rank") > pl.col("rank")) & may_move.fill_null(value=False),
        )
        frame = frame.with_columns(not_moved=pl.when("move_due").then(self._why_not_moved(ages)))
        return frame.with_columns(
            moves=pl.col("move_due") & pl.col("not_moved").is_null(),
            to_tier=pl.col("to_rank").replace_strict(
                list(range(len(TIERS))), list(TIERS), default=None, return_dtype=pl.String
            ),
            wanted_tier=pl.col("due_rank").replace_strict(
                list(range(len(TIERS))), list(TIERS), default=None, return_dtype=pl.String
            ),
            early_deletion=self._price.early_deletion(),
            stored_a_month=self._price.stored_a_month(),
            saved_a_month=_of_chosen(self._price.saved_a_month),
            transaction=_of_chosen(lambda tier: pl.lit(self._price.transaction(tier))),
            retrieval_risk=_of_chosen(self._price.retrieval_risk),
            pays_back_after_days=_of_chosen(
                lambda tier: self._price.pays_back_after_days(tier, pl.col(f"days_{tier}"), reads)
            ),
        )

    def _why_not_moved(self, ages: Ages) -> pl.Expr:
        any_open = pl.any_horizontal(f"open_{tier}" for tier in MOVES)
        smallest = by_class(list(self.rules.classes.values()), lambda policy: pl.lit(policy.smallest.bytes), pl.lit(0))
        return pl.coalesce(
            "held",
            first_reason(
                [
                    (Reason.REPLACED_UNKNOWN, ages.is_replacement_unknown()),
                    (Reason.NOT_TIERABLE, (pl.col("kind") != "BlockBlob") | (pl.col("rank") < 0)),
                    (Reason.AGE_UNKNOWN, ages.is_age_unknown()),
                    (Reason.TOO_SMALL, pl.col("size") < smallest),
                ]
            ),
            pl.when(~any_open).then(pl.coalesce("held_deep", pl.lit(Reason.ARCHIVE_NOT_OFFERED.value))),
            first_reason(
                [
                    (Reason.NOT_PAID_BACK, pl.col("to_rank").is_null()),
                    (Reason.NATIVE_RULE, pl.col("native_rank") >= pl.col("to_rank")),
                ]
            ),
        )

    def _not_recoverable(self) -> pl.Expr:
        abilities = self.rules.abilities
        if not self.rules.recoverable_only or abilities.soft_delete:
            return pl.lit(value=False)
        return is_former() if abilities.versioning else pl.lit(value=True)

    def _conflict(self) -> pl.Expr:
        """Why the account's own rule is against us; null when it is not, or when the service will refuse it."""
        native, refused = pl.col("native_rank"), [Reason.LEGAL_HOLD.value, Reason.IMMUTABLE.value]
        deletes = native == DELETE
        found = pl.coalesce(
            pl.when(pl.col("held").is_not_null()).then("held"),
            pl.when(deletes).then("held_deletion"),
            pl.when(native >= ARCHIVE).then("held_deep"),
            pl.when(deletes & pl.col("law")).then(pl.lit(Reason.KEPT_BY_LAW.value)),
            pl.when(deletes & ~pl.col("deletion_due")).then(pl.lit(KEPT_BY_POLICY)),
            pl.when(~deletes & (native > pl.col("due_rank"))).then(pl.lit(EARLIER)),
        )
        return pl.when((native > NO_TIER) & ~(deletes & found.is_in(refused).fill_null(value=False))).then(found)


def _moves(decided: pl.DataFrame) -> pl.DataFrame:
    return decided.filter("moves").select(*_TARGET, "document_class", "tier", "to_tier", *MONEY, "pays_back_after_days")


def _deletions(decided: pl.DataFrame) -> pl.DataFrame:
    return decided.filter("deletes").select(
        *_TARGET, "document_class", "tier", "rule", "early_deletion", saved_a_month=pl.col("stored_a_month")
    )


def _blocked(decided: pl.DataFrame) -> pl.DataFrame:
    columns = [*_TARGET, "document_class", "tier"]
    return pl.concat(
        [
            decided.filter(pl.col("deletion_due") & ~pl.col("deletes")).select(
                *columns, wanted=pl.lit("delete"), reason="not_deleted"
            ),
            decided.filter(pl.col("move_due") & ~pl.col("moves")).select(
                *columns, wanted="wanted_tier", reason="not_moved"
            ),
        ]
    )


def _of_chosen(value: Callable[[Tier], pl.Expr]) -> pl.Expr:
    return pl.coalesce(pl.when(pl.col("to_rank") == TIERS.index(tier)).then(value(tier)) for tier in MOVES)


def _target(row: dict[str, Any]) -> Target:
    container, _, name = row["path"].partition("/")
    version = None if row["current"] else row["version"]
    return Target(container, name, version, row["snapshot"], row["etag"] or "", row["modified"], row["size"])
