"""What a tick sees of the register: the faults that are there. What has long been over leaves the register.

A tick comes every minute, and of a year's faults hardly any is there. So only that is read again which was there at the
last survey or was written since, as the listing says; and what nobody has spoken of for a month is forgotten.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.blob_container import BlobChangedError, BlobContainer, BlobNotFoundError
from shared.changes.state import Store, adapter
from shared.job_remediation.register import FAULTS, Known, leave_behind

KEPT = timedelta(days=30)
"""How long what is over stays in the register: as long as Azure keeps an alert, which the poll may find open."""

_WATCH = "remediation/watch"
_MOST_FORGOTTEN = 100
_SAME_MOMENT = timedelta(minutes=1)
"""The storage tells times in seconds, and what is written during a listing may be missed by it."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What the last survey saw. until: the newest write, by the storage's clock. there: fingerprints, in order."""

    until: datetime
    there: tuple[str, ...]


def survey(container: BlobContainer, store: Store, now: datetime) -> list[Known]:
    """The faults that are there, by fingerprint; forgets at most 100 of what is over. `store` is of the container."""
    before = store.get(_WATCH, Watch)
    there: list[Known] = []
    old: list[str] = []
    newest: datetime | None = None
    for facts in container.list(FAULTS):
        newest = max(facts.last_modified, newest or facts.last_modified)
        name = facts.name.removesuffix(".json")
        known_of = before is not None and facts.last_modified < before.until - _SAME_MOMENT
        if before is None or not known_of or name.removeprefix(FAULTS) in before.there:
            known = store.get(name, Known)
            if known is not None and not known.is_over:
                there.append(known)
        elif facts.last_modified < now - KEPT:
            old.append(facts.name)
    for name in old[:_MOST_FORGOTTEN]:
        _forget(container, store, name)
    if newest is not None:
        seen = Watch(newest, tuple(known.fault.fingerprint for known in there))
        store.update(_WATCH, Watch, lambda _: seen)
    return there


def _forget(container: BlobContainer, store: Store, name: str) -> None:
    """Take it out, unless somebody tells of it at this moment. What is left behind comes first: a crash in between, or
    a signal that finds the fault gone, finds that."""
    with suppress(BlobNotFoundError, BlobChangedError):
        blob = container.read(name)
        known: Known = adapter(Known).validate_json(blob.data)
        if known.is_over:
            leave_behind(store, known)
            container.delete(name, blob.etag)
