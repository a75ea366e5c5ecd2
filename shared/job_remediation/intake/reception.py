"""Deliveries, taken in: kept as they came, byte for byte, and what cannot be read noted. Purged after their time."""

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import Any

from shared.blob_container import BlobAlreadyExistsError, BlobContainer
from shared.changes.state import Store
from shared.job_remediation import register
from shared.job_remediation.collapse import Verdict
from shared.job_remediation.intake.reading import Unrecognised, read
from shared.job_remediation.places import Places
from shared.job_remediation.register import Known
from shared.job_remediation.signal import Signal, Source

RAW = "remediation/raw/"
UNTOLD = "remediation/unrecognised/"
_MOST_PURGED = 2_000
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Received:
    """What came of a delivery.

    raw: the blob that keeps it as it came; empty for a mere handshake, which is not kept. handshake: the code to
    answer with.
    """

    raw: str
    told: Sequence[tuple[Known, Verdict]] = ()
    unrecognised: Sequence[Unrecognised] = ()
    handshake: str | None = None


@dataclass(frozen=True, slots=True)
class Untold:
    """What could not be read, and has not been told yet. `raw` as in `Signal`."""

    reason: str
    missing: tuple[str, ...]
    received_at: datetime
    raw: str


def receive(
    container: BlobContainer,
    store: Store,
    body: bytes,
    now: datetime,
    places: Places,
    by: str = "",
    only: Source | None = None,
) -> Received:
    """Keep a delivery, note what of it cannot be read, and enter its signals into the register.

    Whatever the body is, it raises for the container only. `store` is of the same container. by: as in `register.tell`.
    only: as in `read`.
    """
    reading = read(body, now, places, only)
    code = reading.handshake.code if reading.handshake else None
    if code and not reading.signals and not reading.unrecognised:
        return Received("", handshake=code)
    raw = f"{RAW}{now.date().isoformat()}/{hashlib.sha256(body).hexdigest()}"
    _create(container, raw, body, "application/octet-stream")
    for one in reading.unrecognised:
        _note(container, one)
    return Received(raw, _told(store, reading.signals, by), reading.unrecognised, code)


def _told(store: Store, signals: Sequence[Signal], by: str) -> list[tuple[Known, Verdict]]:
    """Different faults at the same time, since a batch may tell of thousands; those of one fault in their order."""
    of_fault: dict[str, list[int]] = {}
    for number, signal in enumerate(signals):
        of_fault.setdefault(signal.fingerprint, []).append(number)
    told: dict[int, tuple[Known, Verdict]] = {}

    def tell(numbers: Sequence[int]) -> None:
        for number in numbers:
            told[number] = register.tell(store, signals[number], by)

    if len(of_fault) <= 1:
        tell(range(len(signals)))
    else:
        with ThreadPoolExecutor(min(_AT_ONCE, len(of_fault))) as pool:
            list(pool.map(tell, of_fault.values()))
    return [told[number] for number in range(len(signals))]


def untold(container: BlobContainer) -> list[str]:
    """The names of the notes about what could not be read."""
    return [facts.name for facts in container.list(UNTOLD)]


def note_of(container: BlobContainer, name: str) -> Untold:
    """What a note says. Raises BlobNotFoundError."""
    said: dict[str, Any] = json.loads(container.read(name).data)
    at = datetime.fromisoformat(said["received_at"])
    return Untold(said["reason"], tuple(said["missing"]), at, said["raw"])


def purge(container: BlobContainer, keep_for: timedelta, now: datetime) -> int:
    """Delete the deliveries of the days before that time, the oldest first; returns how many, at most 2,000 at once.

    The names begin with the day, so a run without anything to delete reads one page of names. Twice is once.
    """
    first_kept = f"{RAW}{(now - keep_for).date().isoformat()}"
    old = takewhile(lambda name: name < first_kept, (facts.name for facts in container.list(RAW)))
    names = list(islice(old, _MOST_PURGED))
    for name in names:
        container.delete(name)
    return len(names)


def _note(container: BlobContainer, one: Unrecognised) -> None:
    """Leave a note for the tick: garbage may come by the thousand, and is told together."""
    part = hashlib.sha256(one.raw.encode() + one.payload + one.reason.encode("utf-8", "replace")).hexdigest()[:32]
    note = {
        "reason": one.reason.encode("utf-8", "replace").decode(),
        "missing": list(one.missing),
        "received_at": one.received_at.isoformat(),
        "raw": one.raw,
    }
    _create(container, f"{UNTOLD}{part}.json", json.dumps(note).encode(), "application/json")


def _create(container: BlobContainer, name: str, data: bytes, content_type: str) -> None:
    try:
        container.create(name, data, content_type)
    except BlobAlreadyExistsError:
        return
