"""Months, quarters and years: those of the calendar, and those of a fiscal year, 52/53-week years included."""

from calendar import monthrange
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

from shared.finance_calendar.days import YearEnd
from shared.finance_calendar.rules import Unit

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Span:
    """A month, quarter or year from `first` to `last`, both included. `number` counts from 1 within the year."""

    label: str
    year: int
    number: int
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class FiscalPosition:
    """Where a day lies: its fiscal year, quarter and period (month), and the number of the week in a weekly year."""

    year: Span
    quarter: Span
    period: Span
    week: int


@dataclass(frozen=True)
class FiscalCalendar:
    """Fiscal years of twelve months from `start` (month, day), or of `pattern` weeks until `end`.

    The 53rd week of a weekly year belongs to its last period.
    """

    start: tuple[int, int] = (1, 1)
    pattern: tuple[int, int, int] | None = None
    end: YearEnd | None = None
    named_after_start: bool = False

    def year(self, name: int) -> Span:
        """The fiscal year of that name."""
        return Span(f"FY{name}", name, 1, self._first_day(name), self._first_day(name + 1) - DAY)

    def quarters(self, name: int) -> list[Span]:
        """The four quarters of a fiscal year."""
        months = self.months(name)
        return [
            Span(f"FY{name} Q{number}", name, number, months[number * 3 - 3].first, months[number * 3 - 1].last)
            for number in range(1, 5)
        ]

    def months(self, name: int) -> list[Span]:
        """The twelve periods of a fiscal year."""
        starts = [self._period_start(name, index) for index in range(12)] + [self._first_day(name + 1)]
        return [
            Span(f"FY{name} P{index + 1}", name, index + 1, starts[index], starts[index + 1] - DAY)
            for index in range(12)
        ]

    def position(self, day: date) -> FiscalPosition:
        """Fiscal year, quarter, period and week of a day."""
        name = self.name_of(day)
        first = self._first_day(name)
        return FiscalPosition(
            self.year(name),
            next(span for span in self.quarters(name) if day <= span.last),
            next(span for span in self.months(name) if day <= span.last),
            (day - first).days // 7 + 1,
        )

    def name_of(self, day: date) -> int:
        """The name of the fiscal year that the day is in."""
        # A year's name differs by at most one from the calendar year of any of its days.
        return next(name for name in range(day.year + 1, day.year - 3, -1) if self._first_day(name) <= day)

    def _first_day(self, name: int) -> date:
        if self.end is None:
            month, day = self.start
            return date(name if self.named_after_start or self.start == (1, 1) else name - 1, month, day)
        ends_in = name + 1 if self.named_after_start and self.end.month < 12 else name
        return _year_end(self.end, ends_in - 1) + DAY

    def _period_start(self, name: int, index: int) -> date:
        first = self._first_day(name)
        if self.pattern is None:
            month = first.month - 1 + index
            return date(first.year + month // 12, month % 12 + 1, first.day)
        quarter, month = divmod(index, 3)
        return first + timedelta(weeks=13 * quarter + sum(self.pattern[:month]))


def spans(unit: Unit, first: date, last: date, fiscal: FiscalCalendar) -> Iterator[Span]:
    """The periods of that unit which have a day in [first, last], in order."""
    if unit.startswith("fiscal"):
        found = (span for name in _fiscal_names(first, last, fiscal) for span in _fiscal(unit, name, fiscal))
    else:
        found = (span for year in range(first.year, last.year + 1) for span in _calendar(unit, year))
    return (span for span in found if span.first <= last and first <= span.last)


def _fiscal_names(first: date, last: date, fiscal: FiscalCalendar) -> range:
    return range(fiscal.name_of(first), fiscal.name_of(last) + 1)


@lru_cache(maxsize=1024)
def _fiscal(unit: Unit, name: int, fiscal: FiscalCalendar) -> Sequence[Span]:
    if unit == "fiscal year":
        return [fiscal.year(name)]
    return fiscal.quarters(name) if unit == "fiscal quarter" else fiscal.months(name)


@lru_cache(maxsize=1024)
def _calendar(unit: Unit, year: int) -> Sequence[Span]:
    length = {"month": 1, "quarter": 3, "year": 12}[unit]
    found: list[Span] = []
    for number in range(1, 12 // length + 1):
        month = number * length
        label = {"month": f"{year}-{month:02}", "quarter": f"{year} Q{number}", "year": f"{year}"}[unit]
        first = date(year, month - length + 1, 1)
        found.append(Span(label, year, number, first, date(year, month, monthrange(year, month)[1])))
    return found


def _year_end(rule: YearEnd, year: int) -> date:
    month_end = date(year, rule.month, monthrange(year, rule.month)[1])
    back = (month_end.weekday() - rule.weekday) % 7
    return month_end + timedelta(days=7 - back if rule.nearest and back > 3 else -back)
