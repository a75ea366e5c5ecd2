"""A delivery, read: all of it comes out as signals or as unrecognised. Nothing is lost, nothing raises."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

from shared.job_remediation.intake.alertmanager import is_alertmanager, read_alertmanager
from shared.job_remediation.intake.azure_monitor import is_common_alert, is_legacy_alert, read_common_alert
from shared.job_remediation.intake.event_grid import is_event, is_validation, read_event
from shared.job_remediation.intake.observation import Found, Observation, Unreadable, signal_of
from shared.job_remediation.intake.plain import is_plain, read_plain
from shared.job_remediation.intake.values import Fields, Json
from shared.job_remediation.places import Places
from shared.job_remediation.signal import Signal, Source

LARGEST_BODY = 2 * 1024 * 1024
"""Bytes. Event Grid sends at most 1 MiB, an action group 256 KiB."""

_MOST_ITEMS = 5_000
_MOST_SIGNALS = 5_000
_DEEPEST = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Unrecognised:
    """What could not be read, to be kept and told.

    payload: the whole of it, as it came; of one item of a batch that item as JSON.
    missing: the fields, as paths, that would have made it a signal.
    raw: as in `Signal`.
    """

    reason: str
    missing: tuple[str, ...] = ()
    payload: bytes
    received_at: datetime
    raw: str


@dataclass(frozen=True, slots=True)
class Handshake:
    """Event Grid asks whether we want its events: answer 200 with `{"validationResponse": code}` within 30 s."""

    code: str


@dataclass(frozen=True, slots=True)
class Reading:
    """All that a delivery holds. There is always a signal, something unrecognised or the handshake."""

    signals: tuple[Signal, ...] = ()
    unrecognised: tuple[Unrecognised, ...] = ()
    handshake: Handshake | None = None


def read(body: bytes, received_at: datetime, places: Places, only: Source | None = None) -> Reading:
    """Read a delivery in any of the formats, one item or a batch of them. Raises nothing, whatever the body is.

    only: the format that its sender may send; what is in another is unrecognised.
    """
    raw = f"sha256:{hashlib.sha256(body).hexdigest()}"

    def kept(why: Unreadable, payload: bytes) -> Unrecognised:
        return Unrecognised(reason=why.reason, missing=why.missing, payload=payload, received_at=received_at, raw=raw)

    document = _document(body)
    if isinstance(document, Unreadable):
        return Reading(unrecognised=(kept(document, body),))
    items = document if isinstance(document, list) else [document]
    if not items:
        return Reading(unrecognised=(kept(Unreadable("an empty batch"), body),))

    signals: list[Signal] = []
    unrecognised: list[Unrecognised] = []
    handshake: Handshake | None = None
    for item in items[:_MOST_ITEMS]:
        fields = Fields(item)
        if is_validation(fields) and (code := fields.fields("data").text("validationCode")):
            handshake = Handshake(code)
            continue
        for found in _found(fields):
            if isinstance(found, Observation) and len(signals) >= _MOST_SIGNALS:
                found = Unreadable(f"more than {_MOST_SIGNALS} signals: send smaller batches")
            elif isinstance(found, Observation) and only not in (None, found.source):
                found = Unreadable(f"its sender is declared to send {only}, and this is {found.source}")
            if isinstance(found, Observation):
                signals.append(signal_of(found, places, received_at, raw))
            else:
                unrecognised.append(kept(found, body if len(items) == 1 else json.dumps(item).encode()))
    if rest := items[_MOST_ITEMS:]:
        why = Unreadable(f"{len(rest)} items beyond the first {_MOST_ITEMS}: send smaller batches")
        unrecognised.append(kept(why, json.dumps(rest).encode()))
    return Reading(tuple(signals), tuple(unrecognised), handshake)


def _document(body: bytes) -> Json | Unreadable:
    if len(body) > LARGEST_BODY:
        return Unreadable(f"{len(body)} bytes; at most {LARGEST_BODY} are read")
    try:
        document: Json = json.loads(body, parse_constant=_no_json)
    except (ValueError, RecursionError) as error:
        return Unreadable(f"no JSON: {error}")
    if _is_too_deep(document):
        return Unreadable(f"nested deeper than {_DEEPEST} levels")
    return document


def _found(item: Fields) -> Found:
    if is_common_alert(item):
        return read_common_alert(item)
    if is_alertmanager(item):
        return read_alertmanager(item)
    if is_event(item):
        return read_event(item)
    if is_plain(item):
        return read_plain(item)
    if is_legacy_alert(item):
        why = "an alert in a schema of before: enable the common alert schema in the action group"
        return [Unreadable(why, ("data.essentials",))]
    return [Unreadable("none of the known formats", ("schemaId", "eventType", "specversion", "alerts", "condition"))]


def _no_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")


def _is_too_deep(document: Json) -> bool:
    level = [document]
    for _ in range(_DEEPEST):
        level = [
            item
            for value in level
            if isinstance(value, list | dict)
            for item in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return False
    return True
