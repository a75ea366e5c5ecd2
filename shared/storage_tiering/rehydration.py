"""Documents brought back from archive on request: what is asked for, how it stands, and until when it is held warm.

The registry is written before the first blob is asked back, so that the planner knows what is not to be archived again.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from shared.blob_container import BlobContainer
from shared.blob_facts import BlobFacts, Tier
from shared.changes.state import Store
from shared.storage_tiering.account import Selection
from shared.storage_tiering.worklist import Step, WorkList

if TYPE_CHECKING:  # the estate's models are many: whoever has an estate has loaded them
    from shared.estate.policies.rates import StorageRates
    from shared.finance_calendar.periods import FiscalCalendar

_FOLDER = "rehydrations/"
_GB = 2**30
_DAY = timedelta(days=1)
Text = Annotated[str, StringConstraints(min_length=1, max_length=500)]


class RehydrationRequest(BaseModel):
    """What is asked back from archive, and why. Exactly one of `prefix`, `fiscal_year` and `tags` says what; an empty
    `prefix` is the whole container."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    environment: Text
    account: Text
    container: Text
    prefix: Annotated[str, StringConstraints(max_length=1024)] | None = None
    fiscal_year: Annotated[int, Field(ge=1970, le=2200)] | None = None
    """Documents that were created in that fiscal year."""

    tags: dict[Text, Annotated[str, StringConstraints(max_length=256)]] | None = None
    """Blobs that carry all these index tags."""

    purpose: Text
    """Who needs them, for what: it is kept as evidence."""

    until: AwareDatetime
    """Until when they are needed; then the policy may archive them again."""

    priority: Literal["standard", "high"] | None = None
    budget: Annotated[float, Field(ge=0, le=1e9)] | None = None
    """The most that it may cost without an approval, at most that of the policy."""

    @model_validator(mode="after")
    def _says_what(self) -> Self:
        if sum(one is not None for one in (self.prefix, self.fiscal_year, self.tags)) != 1:
            raise ValueError("give exactly one of prefix, fiscal_year and tags")
        if self.tags is not None and not self.tags:
            raise ValueError("tags is empty: name at least one")
        return self

    def selection(self, fiscal: "FiscalCalendar", zone: ZoneInfo) -> Selection:
        """What is selected; a fiscal year's days are those of the zone."""
        if self.fiscal_year is None:
            return Selection(self.container, self.prefix or "", tags=tuple(sorted((self.tags or {}).items())))
        year = fiscal.year(self.fiscal_year)
        first, end = (datetime.combine(day, time.min, zone).astimezone(UTC) for day in (year.first, year.last + _DAY))
        return Selection(self.container, created_from=first, created_until=end)


class Stage(StrEnum):
    """`requested`, `coming` (the service is asked), `ready` (all are at hand), `over` (given back), `failed`."""

    REQUESTED = "requested"
    COMING = "coming"
    READY = "ready"
    OVER = "over"
    FAILED = "failed"


class Count(BaseModel):
    """So many blobs and bytes."""

    model_config = ConfigDict(frozen=True)

    blobs: int = 0
    bytes: int = 0


class Rehydration(BaseModel):
    """One request, and how it stands. `selection` is kept, so that a later calendar does not move it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    request: RehydrationRequest
    requested_by: str
    requested_at: AwareDatetime
    selection: Selection
    priority: Literal["standard", "high"]
    work: WorkList | None = None
    cost: float = 0.0
    currency: str = ""
    stage: Stage = Stage.REQUESTED
    wanted: Count = Count()
    """What was in archive."""

    pending: Count = Count()
    """What is not back yet."""

    ready_at: AwareDatetime | None = None
    over_at: AwareDatetime | None = None
    detail: str = ""

    def holds(self, now: datetime) -> bool:
        """Whether its documents must not be archived now."""
        return self.stage in (Stage.REQUESTED, Stage.COMING, Stage.READY) and now < self.request.until


def is_selected(selection: Selection, facts: BlobFacts) -> bool:
    """Whether the blob is one of those that are selected."""
    return (
        facts.name.startswith(selection.prefix)
        and (selection.created_from is None or facts.created >= selection.created_from)
        and (selection.created_until is None or facts.created < selection.created_until)
        and all(facts.tags.get(name) == value for name, value in selection.tags)
    )


def steps(
    selection: Selection, priority: Literal["standard", "high"], rates: "StorageRates", facts: Iterator[BlobFacts]
) -> Iterator[Step]:
    """A step for each selected blob in archive that is not on its way back yet; into hot, which has no minimum stay."""
    per_gb = rates.archive.retrieve_gb_urgent if priority == "high" else rates.archive.retrieve_gb
    for blob in facts:
        at_rest = blob.tier == Tier.ARCHIVE and blob.archive_status is None and not blob.deleted
        if at_rest and blob.current and blob.snapshot is None and is_selected(selection, blob):
            yield Step(
                name=blob.name,
                version=None,
                snapshot=None,
                etag=blob.etag,
                modified=blob.modified,
                size=blob.size,
                was=Tier.ARCHIVE,
                to=Tier.HOT,
                cost=cost_of(blob, rates, per_gb),
                priority=priority.capitalize(),
            )


def cost_of(blob: BlobFacts, rates: "StorageRates", per_gb: float) -> float:
    """What bringing one blob back costs: its retrieval, and one read operation of archive."""
    return blob.size / _GB * per_gb + rates.archive.read_10k / 10_000


def still_coming(selection: Selection, facts: Iterator[BlobFacts]) -> Count:
    """What of the selection is in archive or on its way back."""
    blobs, size = 0, 0
    for blob in facts:
        away = blob.tier == Tier.ARCHIVE and not blob.deleted and blob.current and blob.snapshot is None
        if away and is_selected(selection, blob):
            blobs, size = blobs + 1, size + blob.size
    return Count(blobs=blobs, bytes=size)


def open_rehydration(state: BlobContainer, new: Rehydration) -> Rehydration:
    """Register it, or find it registered: the first one stands, so that twice is once."""
    return Store(state).open(_name(new.id), Rehydration, new)


def read(state: BlobContainer, rehydration: str) -> Rehydration:
    """Raises BlobNotFoundError."""
    return Rehydration.model_validate_json(state.read(f"{_name(rehydration)}.json").data)


def find(state: BlobContainer, rehydration: str) -> Rehydration | None:
    """The rehydration, None when there is none of that id."""
    return Store(state).get(_name(rehydration), Rehydration)


def every(state: BlobContainer) -> Iterator[Rehydration]:
    """All of them, by id."""
    return Store(state).all(_FOLDER, Rehydration)


def change(state: BlobContainer, rehydration: str, changed: Callable[[Rehydration], Rehydration]) -> Rehydration:
    """Change it, again when somebody was faster; returns it as it then is. Raises BlobNotFoundError."""
    return Store(state).change(_name(rehydration), Rehydration, changed)


def held(state: BlobContainer, environment: str, account: str, now: datetime) -> tuple[Selection, ...]:
    """What must not be archived again in that account now."""
    return tuple(
        one.selection
        for one in every(state)
        if one.holds(now) and (one.request.environment, one.request.account) == (environment, account)
    )


def _name(rehydration: str) -> str:
    return f"{_FOLDER}{rehydration}"
