"""The report of an evidence pack: one HTML page without anything from elsewhere, to be read and printed."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from shared.evidence.canonical import Json, plain
from shared.evidence.log import Seal
from shared.evidence.record import Kind, Record

# What was deliberately not done, or done under an exception: what an auditor looks for first.
_NOT_DONE = (Kind.REFUSED, Kind.FROZEN, Kind.SKIPPED, Kind.STOPPED, Kind.ACCESS_REFUSED, Kind.APPROVAL_DENIED)
_WRONG = (Kind.FAILED, Kind.DRIFT, Kind.CONFLICT, Kind.FINDING)
_LONGEST_FACT = 160


@dataclass(frozen=True, slots=True)
class Entry:
    """A packed record: its name, leaf, seal, and content (None when the blob is no record)."""

    name: str
    index: int
    seal: int
    record: Record | None

    @property
    def tone(self) -> str:
        """How the report marks it."""
        if self.record is None or self.record.kind in _WRONG or self.record.body.get("outcome") == "failed":
            return "wrong"
        return "held" if self.record.kind in _NOT_DONE else "done"

    @property
    def facts(self) -> list[tuple[str, str]]:
        """The body's own short facts; what is nested is in the record."""
        return _facts(self.record.body) if self.record else []


def render(
    start: datetime,
    end: datetime,
    environment: str | None,
    tenant: str | None,
    entries: Sequence[Entry],
    newest: Seal,
) -> str:
    """The page, as HTML text."""
    from jinja2 import Environment, StrictUndefined

    source = Path(__file__).with_name("report.html.j2").read_text(encoding="utf-8")
    template = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    ).from_string(source)
    records = [entry.record for entry in entries if entry.record]
    return template.render(
        start=_minute(start),
        end=_minute(end),
        environment=environment,
        tenant=tenant,
        newest=newest,
        sealed_at=_minute(newest.sealed_at),
        total=len(entries),
        tones=Counter(entry.tone for entry in entries),
        kinds=_table((record.automation, record.kind) for record in records),
        places=_table((record.environment or "—", record.tenant or "—") for record in records),
        people=_table((record.actor, record.kind) for record in records if record.actor),
        estate_versions=sorted({record.estate_version for record in records}),
        app_versions=sorted({record.app_version for record in records}),
        days=[(day, list(group)) for day, group in groupby(entries, key=_day)],
    )


def _table(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str, int]]:
    return [(first, second, count) for (first, second), count in sorted(Counter(pairs).items())]


def _day(entry: Entry) -> str:
    return entry.name.removeprefix("records/")[:10].replace("/", "-")


def _minute(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _facts(body: Mapping[str, object]) -> list[tuple[str, str]]:
    return [(key.replace("_", " "), _short(plain(value))) for key, value in body.items()]


def _short(value: Json) -> str:
    match value:
        case str():
            text = value
        case dict() if not any(isinstance(item, dict | list) for item in value.values()):
            text = ", ".join(f"{key.replace('_', ' ')}: {_short(item)}" for key, item in value.items())
        case _:
            text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_FACT else text[:_LONGEST_FACT] + " …"
