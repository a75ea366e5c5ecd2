"""Occurrences for people (a table), for programs (JSON) and for finance's own calendars (ICS)."""

from collections.abc import Sequence
from datetime import UTC, datetime

from shared.finance_calendar.declaration import Kind
from shared.finance_calendar.occurrences import Occurrence

_COLUMNS = ("begins", "ends", "time zone", "event", "period", "region", "kinds", "why")


def as_text(occurrences: Sequence[Occurrence]) -> str:
    """A table with one line for each occurrence, in the local time of its event."""
    rows = [_COLUMNS, *(_row(each) for each in occurrences)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines) + "\n"


def as_json(occurrences: Sequence[Occurrence]) -> list[dict[str, object]]:
    """JSON values; `start` and `end` are RFC 3339 in UTC, `start_local` and `end_local` in the event's zone."""
    return [
        {
            "key": each.key,
            "event": each.event,
            "title": each.title,
            "kinds": _kinds(each),
            "region": each.region,
            "anchor": each.anchor.isoformat(),
            "period": each.period,
            "start": _rfc3339(each.start),
            "end": _rfc3339(each.end),
            "start_local": each.start_local.isoformat(),
            "end_local": each.end_local.isoformat(),
            "time_zone": each.zone.key,
            "why": each.why,
            "keeps_documents_of": list(each.keeps_documents_of),
        }
        for each in occurrences
    ]


def as_ics(occurrences: Sequence[Occurrence], name: str, now: datetime) -> bytes:
    """An iCalendar file to subscribe to. `name` is shown as the calendar's; `now` stamps the events (RFC 5545).

    An occurrence keeps its UID when its window changes, so that subscribers see it moved and not twice.
    """
    from icalendar import TRANSP, Calendar, Event

    events = [
        Event.new(
            uid=f"{each.key}@closekeeper".replace(" ", "-"),
            stamp=now.astimezone(UTC),
            start=each.start,
            end=each.end,
            summary=f"{each.title or each.event} {each.period}",
            categories=_kinds(each),
            description=each.why,
            transparency=TRANSP.TRANSPARENT,
        )
        for each in occurrences
    ]
    return Calendar.new(
        prodid="-//Closekeeper//Finance calendar//EN", uid=f"{name}@closekeeper", name=name, subcomponents=events
    ).to_ical()


def _row(each: Occurrence) -> tuple[str, ...]:
    return (
        f"{each.start_local:%a %Y-%m-%d %H:%M}",
        f"{each.end_local:%a %Y-%m-%d %H:%M}",
        each.zone.key,
        each.event,
        each.period,
        each.region,
        "+".join(_kinds(each)) or "-",
        each.why,
    )


def _kinds(each: Occurrence) -> list[str]:
    return [kind.value for kind in Kind if kind in each.kinds]


def _rfc3339(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
