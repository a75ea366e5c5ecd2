"""When an event happens: the rule language, parsed. `anchors` turns a parsed rule into days.

rule     := base {"," change}
base     := ISO-date | month-name number | number month-name
          | [ordinal] ordinal ["business day" | "day" | weekday] ["of" period]
          | "every" ("day" | "business day" | weekday | ordinal weekday "from" ISO-date
                    | number "weeks" "from" ISO-date)
          | number ("business days" | "days" | "weeks") ("before" | "after") base
period   := ["the" | "each" | "every"] (month | quarter | year | "fiscal" (month | period | quarter | year)
          | month-name {"," | "and" month-name} | ordinal month "of" (quarter | year | fiscal quarter | fiscal year))
change   := convention | "or the business day before" | "or the business day after"
          | "or the nearest business day" | "only where it exists"
"""

from calendar import monthrange
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from typing import Literal

from shared.finance_calendar.sentences import MONTHS, ORDINALS, WEEKDAYS, Words

Unit = Literal["month", "quarter", "year", "fiscal month", "fiscal quarter", "fiscal year"]
Convention = Literal["following", "preceding", "modified following", "modified preceding", "nearest"]
Count = Literal["day", "business day", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]

EXAMPLES = (
    "last business day of month",
    "25th, or the business day before",
    "third Friday of month",
    "15 March",
    "2027-02-01",
)
_CONVENTIONS: dict[str, Convention] = {
    "following": "following",
    "preceding": "preceding",
    "modified following": "modified following",
    "modified preceding": "modified preceding",
    "nearest": "nearest",
    "or the business day before": "preceding",
    "or the business day after": "following",
    "or the nearest business day": "nearest",
}
_COUNTS: tuple[Count, ...] = (
    "business day",
    "day",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
)
# In days; the last period of a 53-week year may have six weeks.
_LONGEST: dict[Unit, int] = {
    "month": 31,
    "quarter": 92,
    "year": 366,
    "fiscal month": 42,
    "fiscal quarter": 98,
    "fiscal year": 371,
}
_MONTHS_OF: dict[str, tuple[Unit, int]] = {
    "quarter": ("month", 3),
    "year": ("month", 12),
    "fiscal quarter": ("fiscal month", 3),
    "fiscal year": ("fiscal month", 12),
}


@dataclass(frozen=True, slots=True)
class Period:
    """Which months, quarters or years. `numbers`: only those of the (fiscal) year; empty for all."""

    unit: Unit
    numbers: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Nth:
    """The `ordinal`th (from the end when negative) day, business day or weekday of each period.

    A day number that a period is too short for is its last day (31st of month: 30 April), unless
    `only_where_it_exists`; a fifth Friday or a 23rd business day that is not there is no occurrence.
    """

    ordinal: int
    count: Count
    period: Period
    only_where_it_exists: bool = False


@dataclass(frozen=True, slots=True)
class Every:
    """Each day, each business day, or one weekday every `weeks` weeks (counted from `since` when more than one)."""

    count: Count
    weeks: int = 1
    since: date | None = None


@dataclass(frozen=True, slots=True)
class On:
    """One day."""

    day: date


@dataclass(frozen=True, slots=True)
class Moved:
    """So many days, weeks (as days) or business days after (before, when negative) another rule's day."""

    rule: "Rule"
    amount: int
    business: bool


@dataclass(frozen=True, slots=True)
class Rolled:
    """Another rule's day, rolled to a business day by an ISDA convention."""

    rule: "Rule"
    convention: Convention


Rule = Nth | Every | On | Moved | Rolled


@lru_cache(maxsize=4096)
def parse_rule(text: str) -> Rule:
    """Understand a sentence. Raises SentenceError."""
    words = Words(text, EXAMPLES)
    rule = _base(words)
    if isinstance(rule, Nth) and words.accept(", only where it exists"):
        rule = replace(rule, only_where_it_exists=True)
    if words.accept(","):
        return _rolled(rule, words)
    words.end(", following", ", or the business day before")
    return rule


def _rolled(rule: Rule, words: Words) -> Rolled:
    convention = _CONVENTIONS[words.expect(*_CONVENTIONS)]
    words.end()
    return Rolled(rule, convention)


def _base(words: Words) -> Rule:
    if day := words.date():
        return On(day)
    if words.accept("every"):
        return _every(words)
    if month := words.accept(*MONTHS):
        day = words.match(r"(\d{1,2})(st|nd|rd|th)?")
        return _annual(words, day.group(1), month) if day else words.fail(["a day number"])
    if number := words.match(r"\d+"):
        if month := words.accept(*MONTHS):
            return _annual(words, number.group(), month)
        return _moved(words, int(number.group()))
    words.accept("the")
    ordinal = words.ordinal()
    if ordinal is None:
        words.fail(
            ["first", "last", "25th", "every", "a date such as 2027-02-01", "a day such as 15 March"],
            near=(*ORDINALS, *MONTHS),
        )
    return _nth(words, ordinal)


def _nth(words: Words, ordinal: int) -> Rule:
    month = words.accept(*MONTHS) if ordinal > 0 else None
    if month:
        return _annual(words, str(ordinal), month)
    count = _count(words)
    if count is None:
        if ordinal < 0 or words.peek() not in ("of", ",", ""):
            words.fail(["business day", "day", *WEEKDAYS, *(["of"] if ordinal > 0 else [])])
        if not words.peek() or words.peek() == ",":
            if ordinal > _LONGEST["month"]:
                words.reject(["a day of the month"], f"no month has {ordinal} days")
            return Nth(ordinal, "day", Period("month"))
    words.expect("of")
    period = _period(words)
    most = _LONGEST[period.unit] if count in (None, "day", "business day") else -(-_LONGEST[period.unit] // 7)
    if abs(ordinal) > most:
        words.reject(["a longer period"], f"no {period.unit} has {abs(ordinal)} of them")
    return Nth(ordinal, count or "day", period)


def _count(words: Words) -> Count | None:
    if words.accept("business"):
        words.expect("day")
        return "business day"
    for count in _COUNTS:
        if words.accept(count):
            return count
    return None


def _period(words: Words) -> Period:
    words.accept("the", "each", "every")
    units: tuple[Unit, ...] = ("month", "quarter", "year")
    fiscal: dict[str, Unit] = {
        "month": "fiscal month",
        "period": "fiscal month",
        "quarter": "fiscal quarter",
        "year": "fiscal year",
    }
    if words.accept("fiscal"):
        return Period(fiscal[words.expect(*fiscal)])
    for unit in units:
        if words.accept(unit):
            return Period(unit)
    if month := words.accept(*MONTHS):
        numbers = [MONTHS.index(month) + 1]
        while words.peek() == "and" or (words.peek() == "," and words.peek(1) in (*MONTHS, "and")):
            words.accept(", and", ",", "and")
            numbers.append(MONTHS.index(words.expect(*MONTHS)) + 1)
        return Period("month", tuple(sorted(set(numbers))))
    ordinal = words.ordinal()
    if ordinal is None:
        words.fail([*units, "fiscal month", "fiscal quarter", "fiscal year", *MONTHS, "second month of quarter"])
    words.expect("month", "period")
    words.expect("of")
    words.accept("the", "each", "every")
    unit, length = _MONTHS_OF[words.expect(*_MONTHS_OF)]
    if abs(ordinal) > length:
        words.reject(["a shorter period"], f"it has only {length} months")
    first = ordinal if ordinal > 0 else length + 1 + ordinal
    return Period(unit, tuple(range(first, 13, length)))


def _annual(words: Words, day: str, month: str) -> Nth:
    number = MONTHS.index(month) + 1
    longest = monthrange(2024, number)[1]
    if not 1 <= int(day) <= longest:
        words.reject([f"a day of {month.title()}"], f"{month.title()} has {longest} days")
    return Nth(int(day), "day", Period("month", (number,)))


def _every(words: Words) -> Every:
    if found := words.match(r"\d+"):
        weeks = int(found.group())
        words.expect("weeks")
        if not 1 <= weeks <= 52:
            words.reject(["1 to 52 weeks"], "longer cycles are rules of a month, quarter or year")
        words.expect("from")
        since = _since(words)
        return Every(_COUNTS[2 + since.weekday()], weeks, since)
    weeks = words.ordinal() or 1
    count = _count(words)
    if count is None or weeks < 1 or (weeks > 1 and count in ("day", "business day")):
        words.fail(["day", "business day", *WEEKDAYS, "second Friday from 2026-01-09"])
    if weeks == 1:
        return Every(count)
    words.expect("from")
    since = _since(words)
    if since.weekday() != _COUNTS.index(count) - 2:
        words.reject([f"a {count.title()}"], f"{since} is a {WEEKDAYS[since.weekday()].title()}")
    return Every(count, weeks, since)


def _since(words: Words) -> date:
    return words.date() or words.fail(["a date such as 2026-01-09"])


def _moved(words: Words, amount: int) -> Moved:
    units = ("business days", "business day", "days", "day", "weeks", "week")
    unit = words.accept(*units) or words.fail(units, near=MONTHS)
    sign = -1 if words.expect("before", "after") == "before" else 1
    days = amount * 7 if unit.startswith("week") else amount
    if days > 400:
        words.reject(["at most 400 days"], "choose a rule that is nearer to the day")
    return Moved(_base(words), sign * days, unit.startswith("business"))
