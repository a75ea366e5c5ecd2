"""What a restored server costs, from declared rates. Azure gives it the source's size, so that only time bounds it."""

import math
from datetime import timedelta
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from shared.estate.policies.rates import Rates

_HOURS_OF_A_MONTH = 730


class Cost(BaseModel):
    """What a drill may cost at most, and what it did cost. Begun hours count whole, so that it is never too little."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    currency: str
    hour: float
    """An hour of the restored server, its storage included."""
    bound: float
    """For the longest life that the server may have."""
    limit: float | None = None
    """The most that one drill may cost, as declared."""
    spent: float | None = None
    """For the life that the server had; None while it has one, and when it never had."""

    def after(self, life: timedelta) -> "Cost":
        """The same, with what that life did cost."""
        return self.model_copy(update={"spent": _charged(self.hour, life)})


def bounded_cost(rates: "Rates", sku: str, storage_gb: int, longest: timedelta, limit: float | None) -> Cost | None:
    """The cost before anything is created; None when the rates name no price of that SKU."""
    price = {name.lower(): each for name, each in rates.postgres_hour.items()}.get(sku.lower())
    if price is None:
        return None
    hour = price + storage_gb * rates.postgres_gb_month / _HOURS_OF_A_MONTH
    return Cost(currency=rates.currency, hour=round(hour, 4), bound=_charged(hour, longest), limit=limit)


def _charged(hour: float, life: timedelta) -> float:
    return round(hour * math.ceil(life / timedelta(hours=1)), 4)
