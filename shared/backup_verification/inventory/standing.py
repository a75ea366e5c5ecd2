"""What stands between one look and the next: a finding is told when it comes, when it changes, and when it is gone.

What is to be told is decided once and kept with the time of the look, before anything is told: so a look that dies in
between is told by the next, with the same ids.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict

from shared.backup_verification.findings import Severity
from shared.backup_verification.inventory.finding import BackupFinding, Shown
from shared.blob_container import BlobAlreadyExistsError, BlobContainer, BlobNotFoundError

_FOLDER = "backups/"


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True)


class News(StrEnum):
    """What is to be told."""

    FOUND = "found"
    CHANGED = "changed"
    RESOLVED = "resolved"
    ALL_CLEAR = "all_clear"


class Telling(_Model):
    """One thing to be told, of the look at `at`: a finding, or an all-clear with what was `shown`."""

    news: News
    at: AwareDatetime
    finding: BackupFinding | None = None
    since: AwareDatetime | None = None
    shown: tuple[Shown, ...] = ()


class Open(_Model):
    """A finding that stands, since when."""

    finding: BackupFinding
    since: AwareDatetime


class Standing(_Model):
    """What is known of one environment's backups since the last look, and what of it has still to be told."""

    environment: str
    looked_at: AwareDatetime | None = None
    shown: tuple[Shown, ...] = ()
    open: Mapping[str, Open] = {}
    clear_told_at: AwareDatetime | None = None
    to_tell: tuple[Telling, ...] = ()


def advance(before: Standing, shown: Iterable[Shown], findings: Iterable[BackupFinding], now: datetime) -> Standing:
    """The standing after a look. An all-clear is told when it comes and then once a day (UTC) while it lasts."""
    shown = tuple(shown)
    tell: list[Telling] = []
    standing: dict[str, Open] = {}
    for finding in findings:
        known = before.open.get(finding.key)
        standing[finding.key] = Open(finding=finding, since=known.since if known else now)
        if known is None or (known.finding.severity, known.finding.message) != (finding.severity, finding.message):
            news = News.FOUND if known is None else News.CHANGED
            tell.append(Telling(news=news, at=now, finding=finding, since=standing[finding.key].since))
    for key, gone in before.open.items():
        if key not in standing:
            tell.append(Telling(news=News.RESOLVED, at=now, finding=gone.finding, since=gone.since))
    clear = all(each.finding.severity is Severity.NOTE for each in standing.values())
    told = before.clear_told_at
    if clear and (told is None or told.date() < now.date()):
        tell.append(Telling(news=News.ALL_CLEAR, at=now, shown=shown))
        told = now
    return Standing(
        environment=before.environment,
        looked_at=now,
        shown=shown,
        open=standing,
        clear_told_at=told if clear else None,
        to_tell=(*before.to_tell, *tell),
    )


def read_standing(container: BlobContainer, environment: str) -> tuple[Standing, str]:
    """What is kept of an environment, with the ETag to replace it; an empty one is made where there is none."""
    with suppress(BlobAlreadyExistsError):
        container.create(_name(environment), Standing(environment=environment).model_dump_json().encode())
    blob = container.read(_name(environment))
    return Standing.model_validate_json(blob.data), blob.etag


def find_standing(container: BlobContainer, environment: str) -> Standing | None:
    """What is kept of an environment, None before its first look."""
    try:
        return Standing.model_validate_json(container.read(_name(environment)).data)
    except BlobNotFoundError:
        return None


def keep_standing(container: BlobContainer, standing: Standing, etag: str) -> str:
    """Replace what is kept; returns the new ETag. Raises BlobChangedError when somebody else was faster."""
    return container.replace(_name(standing.environment), standing.model_dump_json().encode(), etag)


def _name(environment: str) -> str:
    return f"{_FOLDER}{environment}.json"
