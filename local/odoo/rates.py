"""Exchange rates that wander from month to month, the same for the same seed."""

from collections.abc import Iterator
from datetime import date, datetime
from random import Random

from local.odoo.chart import CURRENCIES, Currency

_WANDER = 0.02


class Rates:
    """The rate of each currency in each month, as units for one euro."""

    def __init__(self, seed: int, begin: datetime, end: datetime) -> None:
        self._per_euro: dict[tuple[str, int, int], float] = {}
        self._months = list(_months(begin.date(), end.date()))
        for currency in CURRENCIES:
            die = Random(f"{seed}:{currency.name}")
            rate = currency.per_euro
            for month in self._months:
                self._per_euro[currency.name, month.year, month.month] = rate
                if currency.name != "EUR":
                    rate *= 1 + die.uniform(-_WANDER, _WANDER)

    def rate(self, currency: Currency, company_currency: Currency, day: date) -> float:
        """Units of the currency for one unit of the company's, to six decimals as in the database."""
        one = self._per_euro[currency.name, day.year, day.month]
        return round(one / self._per_euro[company_currency.name, day.year, day.month], 6)

    def monthly(self, currency: Currency, company_currency: Currency) -> Iterator[tuple[date, float]]:
        """The first day of each month and the rate from then on."""
        for month in self._months:
            yield month, self.rate(currency, company_currency, month)


def to_company(amount: int, currency: Currency, company_currency: Currency, rate: float) -> int:
    """An amount in the smallest unit of the company's currency."""
    if currency is company_currency:
        return amount
    return round(amount / 10**currency.decimals / rate * 10**company_currency.decimals)


def _months(begin: date, end: date) -> Iterator[date]:
    month = begin.replace(day=1)
    while month <= end:
        yield month
        month = month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)
