"""Business days of one region, and their arithmetic. Dates only: no clock, no time zone."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, date, timedelta
from functools import lru_cache
from typing import assert_never

from shared.finance_calendar.days import Days
from shared.finance_calendar.rules import Convention
from shared.finance_calendar.sentences import SentenceError, nearest_of

DAY = timedelta(days=1)
# A declaration that closes everything must not make us look for ever.
_LONGEST_CLOSURE_YEARS = 1


class NoBusinessDayError(Exception):
    """The declaration leaves no business day for more than a year where one is needed."""


def check_holiday_source(source: str) -> None:
    """Raises SentenceError unless the library `holidays` knows the country, subdivision or financial calendar."""
    import holidays
    from holidays.registry import COUNTRIES, FINANCIAL

    countries = {code for codes in COUNTRIES.values() for code in codes[1:]}
    name, _, subdivision = source.partition("-")
    if name in countries:
        known = holidays.country_holidays(name).subdivisions
        if subdivision and subdivision not in known:
            hint = nearest_of(subdivision, known) or (f"; known: {', '.join(known)}" if known else "; it has none")
            raise SentenceError(f'"{source}": {name} has no subdivision "{subdivision}"{hint}')
        return
    centres = {code for codes in FINANCIAL.values() for code in codes[1:]}
    if source not in centres:
        raise SentenceError(
            f'"{source}" is neither a country (as DE or GB-ENG) nor a financial calendar (as ECB or FED)'
            f"{nearest_of(name, countries | centres)}"
        )


@dataclass(frozen=True, slots=True)
class _SourceYear:
    """What one holiday source says of one year: holidays by name, and its days of rest (moved ones respected)."""

    holidays: dict[date, str]
    weekend: frozenset[date]


@lru_cache(maxsize=4096)
def _source_year(source: str, year: int) -> _SourceYear:
    import holidays
    from holidays.registry import COUNTRIES

    name, _, subdivision = source.partition("-")
    if any(name in codes[1:] for codes in COUNTRIES.values()):
        found = holidays.country_holidays(name, subdiv=subdivision or None, years=year)
    else:
        found = holidays.financial_holidays(name, years=year)
    rest = (day for day in _days_of(year) if found.is_weekend(day) and day not in found.weekend_workdays)
    return _SourceYear({day: title for day, title in found.items() if day.year == year}, frozenset(rest))


@lru_cache(maxsize=256)
def _days_of(year: int) -> list[date]:
    first = date(year, 1, 1).toordinal()
    return [date.fromordinal(first + offset) for offset in range(date(year, 12, 31).toordinal() - first + 1)]


class BusinessDayCalendar:
    """Which days are business days in a region. Immutable; a year is computed when first asked for.

    `weekend`: weekdays of rest, Monday is 0; None takes those of the sources (without sources Saturday and Sunday).
    """

    def __init__(
        self,
        sources: Sequence[str] = (),
        closed: Sequence[Days] = (),
        open_days: Sequence[Days] = (),
        weekend: frozenset[int] | None = None,
    ) -> None:
        self._sources = tuple(sources)
        self._closed = tuple(closed)
        self._open = tuple(open_days)
        self._weekend = frozenset({5, 6}) if weekend is None and not sources else weekend

    def is_business_day(self, day: date) -> bool:
        """Whether business is done that day."""
        days = self._business_days(day.year)
        at = bisect_left(days, day)
        return at < len(days) and days[at] == day

    def closed_because(self, day: date) -> str | None:
        """The holiday's name, "own closing day" or "weekend"; None for a business day."""
        if any(day in days for days in self._open):
            return None
        if any(day in days for days in self._closed):
            return "own closing day"
        for source in self._sources:
            if name := _source_year(source, day.year).holidays.get(day):
                return name
        if self._weekend is not None:
            return "weekend" if day.weekday() in self._weekend else None
        return "weekend" if any(day in _source_year(each, day.year).weekend for each in self._sources) else None

    def add(self, day: date, count: int) -> date:
        """The `count`th business day after the day (before it, when negative); the day itself for 0.

        From a business day on, `add(add(day, n), -n) == day`. Raises NoBusinessDayError.
        """
        if count == 0:
            return day
        days = self._business_days(day.year)
        # The index, in the list of the year, of the wanted day; it may lie in a neighbouring year.
        at = bisect_right(days, day) + count - 1 if count > 0 else bisect_left(days, day) + count
        year, empty = day.year, 0
        while at >= len(days):
            at -= len(days)
            year, empty = year + 1, 0 if days else empty + 1
            days = self._year_for(day, year, empty)
        while at < 0:
            year, empty = year - 1, 0 if days else empty + 1
            days = self._year_for(day, year, empty)
            at += len(days)
        return days[at]

    def between(self, start: date, end: date) -> int:
        """Business days in [start, end); negative when `end` is before `start`.

        `between(day, add(day, n)) == n` for every business day.
        """
        if end < start:
            return -self.between(end, start)
        whole = sum(len(self._business_days(year)) for year in range(start.year, end.year))
        return (
            whole
            - bisect_left(self._business_days(start.year), start)
            + bisect_left(self._business_days(end.year), end)
        )

    def roll(self, day: date, convention: Convention) -> date:
        """A business day by ISDA's conventions; a business day stays.

        following: the next one. preceding: the one before. modified following (preceding): the same, unless that is
        in another month; then the other way. nearest: the next one for a Sunday or Monday, else the one before.
        Source: ISDA 2006 Definitions, section 4.12, as FpML's BusinessDayConventionEnum lists them.
        Raises NoBusinessDayError.
        """
        if self.is_business_day(day):
            return day
        match convention:
            case "following":
                return self.add(day, 1)
            case "preceding":
                return self.add(day, -1)
            case "modified following":
                rolled = self.add(day, 1)
                return rolled if _same_month(rolled, day) else self.add(day, -1)
            case "modified preceding":
                rolled = self.add(day, -1)
                return rolled if _same_month(rolled, day) else self.add(day, 1)
            case "nearest":
                return self.add(day, 1 if day.weekday() in (6, 0) else -1)
            case _:
                assert_never(convention)

    def _year_for(self, day: date, year: int, empty: int) -> list[date]:
        if empty > _LONGEST_CLOSURE_YEARS or not MINYEAR <= year <= MAXYEAR:
            raise NoBusinessDayError(
                f"no business day within a year of {day}; see `closed` and `weekend` of the calendar's business days"
            )
        return self._business_days(year)

    def _business_days(self, year: int) -> list[date]:
        return _business_days(self._sources, self._closed, self._open, self._weekend, year)


@lru_cache(maxsize=4096)
def _business_days(
    sources: tuple[str, ...],
    closed: tuple[Days, ...],
    open_days: tuple[Days, ...],
    weekend: frozenset[int] | None,
    year: int,
) -> list[date]:
    found = [_source_year(source, year) for source in sources]
    shut = set[date]().union(*(source.holidays for source in found))
    if weekend is None:
        shut.update(*(source.weekend for source in found))
    rest = weekend or ()
    days = [day for day in _days_of(year) if day not in shut and day.weekday() not in rest]
    if closed:
        days = [day for day in days if not any(day in each for each in closed)]
    if open_days:
        days = sorted({*days, *(day for day in _days_of(year) if any(day in each for each in open_days))})
    return days


def _same_month(one: date, other: date) -> bool:
    return (one.year, one.month) == (other.year, other.month)
