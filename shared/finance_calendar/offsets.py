"""Where an event's window begins and ends, seen from its anchor day: "-2 business days 06:00", "+1 day", "18:00"."""

from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from shared.finance_calendar.sentences import SentenceError, Words

EXAMPLES = ("-2 business days 06:00", "+1 day 00:00", "18:00", "2027-02-01 08:00")
MIDNIGHT, END_OF_DAY = 0, 24 * 60


@dataclass(frozen=True, slots=True)
class Offset:
    """Days or business days from the anchor day (`day` is None), or a day of its own, and minutes of local time.

    `minutes` is None when no time was said: the beginning of the day for a start, its end for an end.
    """

    amount: int = 0
    business: bool = False
    day: date | None = None
    minutes: int | None = None


@lru_cache(maxsize=4096)
def parse_offset(text: str) -> Offset:
    """Understand a sentence. Raises SentenceError."""
    words = Words(text, EXAMPLES)
    if day := words.date():
        return Offset(day=day, minutes=_time(words))
    sign = words.accept("+", "-")
    if sign or (words.peek().isdigit() and words.peek(1) in ("business", "day", "days", "week", "weeks")):
        number = words.match(r"\d+") or words.fail(["a number"])
        if not sign:
            words.reject(["+ or -"], f'"+{words.text}" is after the anchor day, "-{words.text}" before it')
        unit = words.expect("business days", "business day", "days", "day", "weeks", "week")
        amount = int(number.group()) * (7 if unit.startswith("week") else 1)
        if amount > 400:
            words.reject(["at most 400 days"], "choose an anchor that is nearer to the window")
        amount = -amount if sign == "-" else amount
        return Offset(amount, unit.startswith("business") and amount != 0, None, _time(words))
    if ":" not in words.peek():
        words.fail(["+", "-", "a time such as 18:00", "a date such as 2027-02-01"])
    return Offset(minutes=_time(words))


def minutes_of(text: str) -> int:
    """Minutes since midnight of "HH:MM", 24:00 included. Raises SentenceError."""
    hours, _, minutes = text.partition(":")
    if not (hours.isdigit() and minutes.isdigit() and len(minutes) == 2):
        raise SentenceError(f'"{text}" is not a time of day; write it as "18:00"')
    total = int(hours) * 60 + int(minutes)
    if int(minutes) > 59 or total > END_OF_DAY:
        raise SentenceError(f'"{text}" is not a time of day: they go from "00:00" to "24:00"')
    return total


def _time(words: Words) -> int | None:
    if not words.peek():
        return None
    time = words.match(r"\d{1,2}:\d{2}") or words.fail(["a time such as 18:00", "the end of the sentence"])
    words.end()
    return minutes_of(time.group())


def problem_of_pair(start: Offset, end: Offset) -> str | None:
    """Why a window from `start` to `end` could be empty, with the remedy; None when it never is."""
    first = MIDNIGHT if start.minutes is None else start.minutes
    last = END_OF_DAY if end.minutes is None else end.minutes
    if (start.day is None) != (end.day is None):
        return "one end is a date and the other is relative to `when`; give both ends as dates, or both as offsets"
    if start.day is not None and end.day is not None:
        empty = (start.day, first) >= (end.day, last)
    elif start.business == end.business or 0 in (start.amount, end.amount):
        empty = (start.amount, first) >= (end.amount, last)
    elif start.amount < 0 < end.amount:
        empty = False
    else:
        return "business days and days are mixed on one side of the anchor day; use one of the two for both ends"
    if not empty:
        return None
    if start.amount == end.amount and start.day == end.day:
        return 'the window ends before it begins; if it ends the next day, say so, as in "+1 day 06:00"'
    return "the window ends before it begins"
