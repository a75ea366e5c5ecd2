"""The nightly look at a live database as it is kept: when it is due, under which name, and the newest before a target.

The blobs are in the app's state, where they can be deleted once they are too old; the evidence holds the SHA-256 of
each, so that one that was changed is none.
"""

import gzip
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time, timedelta
from hashlib import sha256
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, BaseModel, ConfigDict

from shared.backup_verification.anchors import Anchor
from shared.backup_verification.assertions import Returned
from shared.backup_verification.findings import Baseline, Finding
from shared.blob_container import BlobAlreadyExistsError, BlobContainer

_FOLDER = "anchors/"
_SLOT = "%Y%m%dT%H%M%SZ"


class Nightly(BaseModel):
    """One night's look at one live database. `night` is when it was due, `anchor.taken_at` when it was taken;
    `known` are the faults that a copy may show as well, `new` what the live database has begun to show."""

    model_config = ConfigDict(frozen=True)

    environment: str
    server: str
    database: str
    tenant: str
    night: AwareDatetime
    anchor: Anchor
    known: Baseline
    new: tuple[Finding, ...] = ()
    assertions: Mapping[str, Returned] = {}
    estate_version: str
    app_version: str


class Kept(BaseModel):
    """A nightly look with the name of its blob and the SHA-256 of the blob's bytes."""

    model_config = ConfigDict(frozen=True)

    name: str
    sha256: str
    nightly: Nightly


def night_of(at: str, zone: str, now: datetime) -> datetime:
    """The newest instant (UTC) at or before `now` that is `at` (HH:MM) in that zone: one for each local date.

    A time that the change to summer time leaves out is an hour later then; one that comes twice is the first.
    """
    local = ZoneInfo(zone)
    today = now.astimezone(local).date()
    for days in range(3):
        night = datetime.combine(today - timedelta(days=days), time.fromisoformat(at), local).astimezone(UTC)
        if night <= now:
            return night
    raise AssertionError("one of three days in a row has begun")


def folder(environment: str, server: str, database: str) -> str:
    """Where the looks at one database are; their names sort by night."""
    return f"{_FOLDER}{environment}/{server}/{database}/"


def find(container: BlobContainer, environment: str, server: str, database: str, night: datetime) -> Kept | None:
    """The look of that night, None when it was not taken."""
    name = _name(folder(environment, server, database), night)
    if not any(facts.name == name for facts in container.list(name)):
        return None
    return _read(container, name)


def keep(container: BlobContainer, nightly: Nightly) -> Kept:
    """Keep a look, and return the one that stands: the first of that night."""
    name = _name(folder(nightly.environment, nightly.server, nightly.database), nightly.night)
    data = gzip.compress(nightly.model_dump_json().encode(), mtime=0)
    try:
        container.create(name, data, "application/gzip")
    except BlobAlreadyExistsError:
        return _read(container, name)
    return Kept(name=name, sha256=sha256(data).hexdigest(), nightly=nightly)


def before(container: BlobContainer, environment: str, server: str, database: str, target: datetime) -> Iterator[Kept]:
    """The looks that were taken at or before the target, the newest first. One that was due before it and was made up
    for later is none."""
    place = folder(environment, server, database)
    last = _name(place, target)
    for name in sorted((facts.name for facts in container.list(place) if facts.name <= last), reverse=True):
        kept = _read(container, name)
        if kept.nightly.anchor.taken_at <= target:
            yield kept


def is_anchored_since(container: BlobContainer, environment: str, server: str, database: str, since: datetime) -> bool:
    """Whether there is a look of a night at or after that instant."""
    place = folder(environment, server, database)
    return any(True for _ in container.list(place, start_from=_name(place, since)))


def forget(container: BlobContainer, environment: str, server: str, database: str, older_than: datetime) -> None:
    """Delete the looks at one database that were due before that instant."""
    place = folder(environment, server, database)
    first = _name(place, older_than)
    for name in [facts.name for facts in container.list(place) if facts.name < first]:
        container.delete(name)


def _read(container: BlobContainer, name: str) -> Kept:
    data = container.read(name).data
    return Kept(name=name, sha256=sha256(data).hexdigest(), nightly=Nightly.model_validate_json(gzip.decompress(data)))


def _name(place: str, night: datetime) -> str:
    return f"{place}{night.astimezone(UTC).strftime(_SLOT)}.json.gz"
