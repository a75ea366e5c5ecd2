"""The days that a rule names."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import assert_never

from shared.finance_calendar.business_days import BusinessDayCalendar
from shared.finance_calendar.periods import FiscalCalendar, Span, spans
from shared.finance_calendar.rules import Every, Moved, Nth, On, Rolled, Rule
from shared.finance_calendar.sentences import WEEKDAYS

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Anchor:
    """A day that a rule names; `unrolled` is what it was before rolling; `label` names the period it stands for."""

    day: date
    unrolled: date
    label: str


def anchors(
    rule: Rule, first: date, last: date, business_days: BusinessDayCalendar, fiscal: FiscalCalendar
) -> Iterator[Anchor]:
    """All anchors in [first, last]. Raises NoBusinessDayError."""
    match rule:
        case On():
            found = [rule.day]
        case Every():
            found = _every(rule, first, last, business_days)
        case Nth():
            yield from _nth(rule, first, last, business_days, fiscal)
            return
        case Rolled() | Moved():
            yield from _from_another(rule, first, last, business_days, fiscal)
            return
        case _:
            assert_never(rule)
    weekly = isinstance(rule, Every) and rule.count in WEEKDAYS
    for day in found:
        if first <= day <= last:
            yield Anchor(day, day, day.strftime("%G-W%V") if weekly else day.isoformat())


def _every(rule: Every, first: date, last: date, business_days: BusinessDayCalendar) -> Iterator[date]:
    if rule.count == "day":
        yield from (first + timedelta(days=offset) for offset in range((last - first).days + 1))
        return
    if rule.count == "business day":
        day = first if business_days.is_business_day(first) else business_days.add(first, 1)
        while day <= last:
            yield day
            day = business_days.add(day, 1)
        return
    if rule.since:
        step = timedelta(weeks=rule.weeks)
        day = rule.since + max(0, -((rule.since - first) // step)) * step
    else:
        step = timedelta(weeks=1)
        day = first + timedelta(days=(WEEKDAYS.index(rule.count) - first.weekday()) % 7)
    while day <= last:
        yield day
        day += step


def _nth(
    rule: Nth, first: date, last: date, business_days: BusinessDayCalendar, fiscal: FiscalCalendar
) -> Iterator[Anchor]:
    for span in spans(rule.period.unit, first, last, fiscal):
        if rule.period.numbers and span.number not in rule.period.numbers:
            continue
        day = _nth_of(rule, span, business_days)
        if day and first <= day <= last:
            yield Anchor(day, day, span.label)


def _nth_of(rule: Nth, span: Span, business_days: BusinessDayCalendar) -> date | None:
    start = span.first - DAY if rule.ordinal > 0 else span.last + DAY
    if rule.count == "business day":
        day = business_days.add(start, rule.ordinal)
    elif rule.count == "day":
        day = start + timedelta(days=rule.ordinal)
        if not rule.only_where_it_exists:
            day = max(span.first, min(day, span.last))
    else:
        weekday = WEEKDAYS.index(rule.count)
        if rule.ordinal > 0:
            day = span.first + timedelta(days=(weekday - span.first.weekday()) % 7, weeks=rule.ordinal - 1)
        else:
            day = span.last - timedelta(days=(span.last.weekday() - weekday) % 7, weeks=-rule.ordinal - 1)
    return day if span.first <= day <= span.last else None


def _from_another(
    rule: Rolled | Moved, first: date, last: date, business_days: BusinessDayCalendar, fiscal: FiscalCalendar
) -> Iterator[Anchor]:
    """A rolled day is between the business days around it, so the range to look at is the given one a step wider."""
    amount = rule.amount if isinstance(rule, Moved) else 0
    if isinstance(rule, Moved) and not rule.business:
        earliest, latest = first - timedelta(days=amount), last - timedelta(days=amount)
    else:
        earliest = business_days.add(business_days.add(first, -amount), -1)
        latest = business_days.add(business_days.add(last, -amount), 1)
    for found in anchors(rule.rule, earliest, latest, business_days, fiscal):
        if isinstance(rule, Rolled):
            day, unrolled = business_days.roll(found.day, rule.convention), found.day
        else:
            day = business_days.add(found.day, amount) if rule.business else found.day + timedelta(days=amount)
            unrolled = day
        if first <= day <= last:
            yield Anchor(day, unrolled, found.label)
