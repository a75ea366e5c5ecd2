"""Declarations for the tests, as a controller would write them."""

from datetime import UTC, datetime
from typing import Any

import yaml

from shared.finance_calendar.calendar import FinanceCalendar
from shared.finance_calendar.compilation import compile_calendar
from shared.finance_calendar.declaration import CalendarDeclaration

COMPANY = """
time_zone: Europe/Berlin
business_days: { holidays: DE-BY, closed: [24 December, 31 December] }
events:
  month-end-close:
    title: Monthly close
    when: last business day of month
    from: -2 business days 06:00
    to: +3 business days 20:00
    kinds: [peak, freeze, tighten]
  payroll:
    when: 25th, or the business day before
    from: -1 business day 18:00
    to: "12:00"
    kinds: [peak, tighten]
  vat-return: { when: "10th of month, following", from: "00:00", to: "23:59", kinds: tighten }
  year-end:
    when: last business day of fiscal year
    from: -5 business days
    to: +10 business days
    kinds: [peak, freeze, tighten]
  audit: { from: 2027-02-01, to: 2027-03-15, keeps_documents_of: 2026 }
"""

GROUP = """
time_zone: Europe/London
business_days: { holidays: GB-ENG }
fiscal_year: { pattern: 4-4-5, ends: last Saturday of December }
regions:
  germany: { holidays: DE-HE, time_zone: Europe/Berlin }
  america: { holidays: FED, time_zone: America/New_York }
  india: { holidays: IN-MH, time_zone: Asia/Kolkata, fiscal_year: { starts: 1 April } }
events:
  group-close: { when: last business day of fiscal month, from: -1 business day, to: +4 business days, kinds: [freeze] }
  local-close: { when: last business day of month, to: +2 business days 18:00, region: [germany, america], kinds: peak }
  india-year-end: { when: last day of fiscal year, from: -5 days, to: +5 days, region: india, kinds: [peak, tighten] }
"""


def compiled(text: str, feeds: dict[str, bytes] | None = None) -> FinanceCalendar:
    return compile_calendar(CalendarDeclaration.model_validate(yaml.safe_load(text)), feeds)


def with_events(*events: str, **calendar: Any) -> FinanceCalendar:
    """A calendar in UTC with the named events, each as YAML flow: "name: { ... }"."""
    declared: dict[str, Any] = {"time_zone": "UTC", **calendar, "events": yaml.safe_load("\n".join(events))}
    return compile_calendar(CalendarDeclaration.model_validate(declared))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
