"""One evidence record: what was done or not done, to what, by whom and why, written once and never changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self, cast

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr

from shared.blob_container import BlobAlreadyExistsError, BlobContainer
from shared.evidence.canonical import Json, canonical, instant, plain, sha256
from shared.evidence.redaction import redact, redact_text, redact_user_name

SCHEMA = "closekeeper.evidence.record/1"
FOLDER = "records/"
_LARGEST = 1024 * 1024
_CONFLICT_NOTE = 4096


class Kind(StrEnum):
    """The kinds that all automations share. An automation names further kinds in the same style."""

    PLANNED = "planned"
    GATE_DECISION = "gate_decision"
    APPLIED = "applied"
    VERIFIED = "verified"
    FAILED = "failed"
    UNDONE = "undone"
    REFUSED = "refused"
    FROZEN = "frozen"
    SKIPPED = "skipped"
    DRY_RUN = "dry_run"
    DRIFT = "drift"
    STOPPED = "stopped"
    APPROVAL_REQUESTED = "approval_requested"
    APPROVAL_GRANTED = "approval_granted"
    APPROVAL_DENIED = "approval_denied"
    APPROVAL_EXPIRED = "approval_expired"
    EXCEPTION_REQUESTED = "exception_requested"
    EXCEPTION_GRANTED = "exception_granted"
    EXCEPTION_DENIED = "exception_denied"
    EXCEPTION_REVOKED = "exception_revoked"
    EXCEPTION_USED = "exception_used"
    OVERRIDE_SET = "override_set"
    OVERRIDE_REVOKED = "override_revoked"
    ACCESS_REFUSED = "access_refused"
    DRILL = "drill"
    ANCHOR = "anchor"
    FINDING = "finding"
    ALL_CLEAR = "all_clear"
    CONFLICT = "conflict"


class RecordConflictError(Exception):
    """A record of the same id but other content stands; it was left as it is, and the conflict itself was recorded.

    `standing` is the record that was there first, `conflict` the record of kind `conflict` that keeps what was refused.
    """

    def __init__(self, standing: "RecordReference", conflict: "RecordReference") -> None:
        super().__init__(
            f"record {standing.id} was written before with other content; the later content is kept in "
            f"{conflict.name}. Give what differs another subject or time, or settle it before a step that may run twice"
        )
        self.standing = standing
        self.conflict = conflict


@dataclass(frozen=True, slots=True)
class RecordReference:
    """Where a record is: blob name, id, and the SHA-256 (hexadecimal) of the blob's bytes."""

    name: str
    id: str
    sha256: str


def _plain_object(value: object) -> object:
    return redact(plain(value))


def _text(value: object) -> object:
    return redact_text(cast("str", plain(value))) if isinstance(value, str) else value


def _user_name(value: object) -> object:
    return redact_user_name(cast("str", plain(value))) if isinstance(value, str) else value


type _Word = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
type _Name = Annotated[str, BeforeValidator(_text), Field(min_length=1, max_length=1024)]


class Record(BaseModel):
    """An evidence record. There is no unredacted one: secrets and personal data go when it is made.

    Its id is derived from automation, kind, subject, environment, tenant and time. So the same occasion recorded twice
    is one record, provided that its time was decided once: in an orchestration take the orchestrator's time, and pass
    what is recorded to the activity that writes it.

    - `automation`, `kind`: lower-case words such as `backup_verification` and `drill`.
    - `subject`: what it is about, precisely enough to be the only one of its kind at that time, such as a change id.
    - `actor`: user name, or None when the automation acted on its own.
    - `time`: when it happened, aware; kept in UTC to the microsecond.
    - `estate_version`: which declaration of the estate was in force; `app_version`: which build acted.
    - `body`: anything that `canonical.plain` takes.

    Raises pydantic.ValidationError (a ValueError) naming the field; canonical JSON above 1 MiB is refused as well.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    automation: _Word
    kind: _Word
    subject: _Name
    time: AwareDatetime
    environment: _Name | None = None
    tenant: _Name | None = None
    actor: Annotated[str, BeforeValidator(_user_name), Field(min_length=1, max_length=256)] | None = None
    estate_version: _Name
    app_version: _Name
    body: Annotated[Mapping[str, object], BeforeValidator(_plain_object)] = {}

    _data: bytes = PrivateAttr(default=b"")

    def model_post_init(self, context: object, /) -> None:
        """Fix the bytes now, so that nothing that is later done to `body` can reach the record."""
        self._data = canonical(self._content())
        if len(self._data) > _LARGEST + _CONFLICT_NOTE * (self.kind == Kind.CONFLICT):
            raise ValueError(
                f"the record of {self.kind} about {self.subject} has {len(self._data)} bytes, at most {_LARGEST} are "
                "allowed: put the detail into a blob of its own and record its name and SHA-256 in body"
            )

    @property
    def id(self) -> str:
        """32 hexadecimal digits, the same for the same occasion."""
        return _id(self.automation, self.kind, self.subject, self.environment, self.tenant, instant(self.time))

    @property
    def name(self) -> str:
        """The blob's name: sorts by time, and no two writers share one unless they record the same."""
        stamp = self.time_text.replace("-", "").replace(":", "")
        return f"{FOLDER}{self.time_text[:10].replace('-', '/')}/{stamp}-{self.id}.json"

    @property
    def time_text(self) -> str:
        """RFC 3339 in UTC, with microseconds."""
        return instant(self.time)

    @property
    def data(self) -> bytes:
        """The record's canonical JSON (RFC 8785)."""
        return self._data

    @property
    def reference(self) -> RecordReference:
        """Where it is once it is written."""
        return RecordReference(self.name, self.id, sha256(self._data))

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """The record that a blob holds. Raises ValueError when it is none, or none of this schema version."""
        from pydantic_core import from_json

        content = cast("dict[str, object]", from_json(data))
        if not isinstance(content, dict) or content.pop("schema", None) != SCHEMA:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ValueError(f"not an evidence record of schema {SCHEMA}: read it with the version that wrote it")
        content.pop("id", None)
        return cls.model_validate(content)

    def _content(self) -> dict[str, Json]:
        return {
            "schema": SCHEMA,
            "id": self.id,
            "automation": self.automation,
            "kind": str(self.kind),
            "subject": self.subject,
            "time": self.time_text,
            "environment": self.environment,
            "tenant": self.tenant,
            "actor": self.actor,
            "estate_version": self.estate_version,
            "app_version": self.app_version,
            "body": cast("dict[str, Json]", self.body),
        }


def write(container: BlobContainer, record: Record) -> RecordReference:
    """Write a record as a blob of its own; the same record again is no second one.

    Raises RecordConflictError when the id stands with other content. The first record is what others have already
    read, and perhaps sealed, so it stays; but that somebody said otherwise is evidence too, so it is stored as a record
    of kind `conflict`, with the refused body and a reference to the standing record, itself written once.
    """
    if _create(container, record):
        return record.reference
    standing = container.read(record.name).data
    reference = RecordReference(record.name, record.id, sha256(standing))
    conflict = Record(
        automation=record.automation,
        kind=Kind.CONFLICT,
        subject=f"{record.kind}:{record.id}:{record.reference.sha256}",
        time=record.time,
        environment=record.environment,
        tenant=record.tenant,
        actor=record.actor,
        estate_version=record.estate_version,
        app_version=record.app_version,
        body={**record.body, "standing_record": reference, "refused_subject": record.subject},
    )
    _create(container, conflict)
    raise RecordConflictError(reference, conflict.reference)


def _create(container: BlobContainer, record: Record) -> bool:
    """Whether the record is there, now or since before. A retried request finds its own blob and that is success."""
    try:
        container.create(record.name, record.data)
    except BlobAlreadyExistsError:
        return container.read(record.name).data == record.data
    return True


def read(container: BlobContainer, name: str) -> Record:
    """The record of that blob name. Raises BlobNotFoundError, ValueError when the blob is no record."""
    return Record.parse(container.read(name).data)


def name_prefix(time: datetime) -> str:
    """Names of records of this time or later sort after this; of earlier ones before."""
    text = instant(time)
    return f"{FOLDER}{text[:10].replace('-', '/')}/{text.replace('-', '').replace(':', '')}"


def _id(*occasion: str | None) -> str:
    return sha256(canonical(["closekeeper.evidence.record", *occasion]))[:32]
