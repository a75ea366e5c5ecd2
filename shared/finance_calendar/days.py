"""Sets of days in a declaration: "2026-12-31", "24 December", "2026-12-24..2027-01-01"; and fiscal year ends."""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from shared.finance_calendar.sentences import MONTHS, WEEKDAYS, SentenceError, Words

EXAMPLES = ("2026-12-31", "24 December", "2026-12-24..2027-01-01")
YEAR_END_EXAMPLES = ("last Saturday of January", "Saturday nearest the end of January")
_LABEL = r"\d{4}(-(0[1-9]|1[0-2])| Q[1-4]|-W\d\d)?|FY\d{4}( P([1-9]|1[0-2])| Q[1-4])?"


@dataclass(frozen=True, slots=True)
class Days:
    """The days from `first` to `last` (both included), or one month and day of every year."""

    first: date | None = None
    last: date | None = None
    yearly: tuple[int, int] | None = None

    def __contains__(self, day: date) -> bool:
        if self.yearly:
            return (day.month, day.day) == self.yearly
        return self.first is not None and self.last is not None and self.first <= day <= self.last


@dataclass(frozen=True, slots=True)
class YearEnd:
    """The end of a 52/53-week year: the last such weekday of the month, or the one nearest to the month's end.

    `weekday`: Monday is 0.
    """

    weekday: int
    month: int
    nearest: bool


@lru_cache(maxsize=4096)
def parse_days(text: str) -> Days:
    """Understand a day, a range or a day of every year. Raises SentenceError."""
    words = Words(text, EXAMPLES)
    if first := words.date():
        last = first
        if words.accept(". ."):
            last = words.date() or words.fail(["the last date of the range"])
            if last < first:
                words.reject([f"a date from {first} on"], "the range ends before it begins")
        words.end("..")
        return Days(first, last)
    month, day = month_and_day(words)
    words.end()
    return Days(yearly=(month, day))


def month_and_day(words: Words) -> tuple[int, int]:
    """Take "24 December", "24th December" or "December 24". Raises SentenceError."""
    name = words.accept(*MONTHS)
    number = words.match(r"(\d{1,2})(?:st|nd|rd|th)?") or words.fail(
        ["a day number"] if name else ["a date such as 2026-12-31", "a day such as 24 December"]
    )
    name = name or words.expect(*MONTHS)
    month, day = MONTHS.index(name) + 1, int(number.group(1))
    longest = monthrange(2024, month)[1]
    if not 1 <= day <= longest:
        words.reject([f"a day of {name.title()}"], f"{name.title()} has {longest} days")
    return month, day


@lru_cache(maxsize=64)
def month_and_day_of(text: str) -> tuple[int, int]:
    """The first day of a fiscal year, "6 April" or "04-06". Raises SentenceError."""
    if found := re.fullmatch(r"(0[1-9]|1[0-2])-(\d\d)", text.strip()):
        month, day = int(found[1]), int(found[2])
    else:
        words = Words(text, ("1 April", "04-01"))
        month, day = month_and_day(words)
        words.end()
    if not 1 <= day <= 28:
        raise SentenceError(f'"{text}": a fiscal year starts on day 1 to 28 of a month, so that every month has it')
    return month, day


@lru_cache(maxsize=64)
def parse_year_end(text: str) -> YearEnd:
    """Understand where a 52/53-week year ends. Raises SentenceError."""
    words = Words(text, YEAR_END_EXAMPLES)
    nearest = not words.accept("last")
    weekday = WEEKDAYS.index(words.expect(*WEEKDAYS))
    if nearest:
        words.expect("nearest")
        words.accept("the")
        words.expect("end")
    words.expect("of")
    month = MONTHS.index(words.expect(*MONTHS)) + 1
    words.end()
    return YearEnd(weekday, month, nearest)


@lru_cache(maxsize=4096)
def parse_exception(text: str) -> Days | str:
    """What to leave out of a rule: days as in `parse_days`, or a period's label. Raises SentenceError."""
    label = " ".join(text.split())
    if re.fullmatch(_LABEL, label):
        return label
    try:
        return parse_days(text)
    except SentenceError as error:
        raise SentenceError(f'{error}; or a period such as "2026-12", "2026 Q4", "FY2026 P12" or "FY2026"') from None
