"""What a step costs and saves. Money is in the currency of the rates; a GB is 2**30 bytes, as Azure bills it.

    storage a month    GB * rate(tier)
    transaction        a write into the tier that is moved to (Azure documentation, access-tiers-overview)
    early deletion     GB * rate(tier that is left) / month * days that its minimum lacks; none where it was inferred
    retrieval risk     what reading it once costs more in the new tier than in the old one

A move pays back when, within the payback time or until the next step that is foreseen, whichever comes first, it has
saved more than it costs, the early deletion at that next step and the expected reads included.
"""

# polars names numpy in its annotations, which is not installed.
# pyright: reportUnknownMemberType=false
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from shared.blob_facts import MINIMUM_DAYS, Tier
from shared.storage_tiering.account import AccountRules
from shared.storage_tiering.frames import TIERS, by_rank, instant

if TYPE_CHECKING:
    from shared.estate.policies.rates import BlobRates

GB = 2**30
MONTH_DAYS = 365 / 12
_NEVER = 1e9


@dataclass(frozen=True, slots=True)
class Price:
    """The prices of the four tiers, and what follows from them for the blobs of a frame (column `rank`)."""

    rules: AccountRules

    def stored_a_month(self) -> pl.Expr:
        """What storing it where it is costs a month."""
        return _gb() * by_rank(pl.col("rank"), self._of(lambda rates: rates.gb_month))

    def saved_a_month(self, tier: Tier) -> pl.Expr:
        """What storing it there costs less, a month."""
        return self.stored_a_month() - _gb() * self._rates(tier).gb_month

    def transaction(self, tier: Tier) -> float:
        """One change into that tier."""
        return self._rates(tier).write_10k / 10_000

    def early_deletion(self) -> pl.Expr:
        """What leaving the present tier now is charged for the days that its minimum lacks."""
        since = pl.max_horizontal("tier_changed", "modified")
        days = (instant(self.rules.now) - since).dt.total_minutes() / (24 * 60)
        lacking = (by_rank(pl.col("rank"), list(map(float, MINIMUM_DAYS.values()))) - days).clip(lower_bound=0)
        return pl.when(pl.col("tier_inferred")).then(0.0).otherwise(self.stored_a_month() / MONTH_DAYS * lacking)

    def retrieval_risk(self, tier: Tier) -> pl.Expr:
        """What reading it once from there costs more than from where it is."""
        there, rank = self._rates(tier), pl.col("rank")
        gb = there.retrieve_gb - by_rank(rank, self._of(lambda rates: rates.retrieve_gb))
        return _gb() * gb + (there.read_10k - by_rank(rank, self._of(lambda rates: rates.read_10k))) / 10_000

    def gain(self, tier: Tier, days_there: pl.Expr, reads_a_year: pl.Expr) -> pl.Expr:
        """What a move there brings within the payback time, all costs deducted; not above 0: it does not pay back."""
        horizon, costs, a_day = self._flows(tier, days_there, reads_a_year)
        return a_day * horizon - costs

    def pays_back_after_days(self, tier: Tier, days_there: pl.Expr, reads_a_year: pl.Expr) -> pl.Expr:
        """After how many days a move there has earned its costs."""
        _, costs, a_day = self._flows(tier, days_there, reads_a_year)
        return costs / a_day

    def _flows(self, tier: Tier, days_there: pl.Expr, reads_a_year: pl.Expr) -> tuple[pl.Expr, pl.Expr, pl.Expr]:
        payback = self.rules.payback.total_seconds() / 86400
        stays = days_there.fill_null(_NEVER)
        horizon = pl.min_horizontal(stays, pl.lit(payback))
        lacking = (MINIMUM_DAYS[tier] - stays).clip(lower_bound=0)
        leaving = _gb() * self._rates(tier).gb_month / MONTH_DAYS * lacking
        costs = self.early_deletion() + self.transaction(tier) + leaving
        a_day = self.saved_a_month(tier) / MONTH_DAYS - reads_a_year / 365 * self.retrieval_risk(tier)
        return horizon, costs, a_day

    def _rates(self, tier: Tier) -> "BlobRates":
        return getattr(self.rules.rates, tier.name.lower())

    def _of(self, price: "Callable[[BlobRates], float]") -> list[float]:
        return [price(self._rates(tier)) for tier in TIERS]


def _gb() -> pl.Expr:
    return pl.col("size") / GB
