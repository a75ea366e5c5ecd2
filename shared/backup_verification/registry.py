"""The registry of temporary servers: written before a server is asked for, closed when its absence is proven.

What is not in here is never removed, whatever its tags say: a source's tags can be inherited.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict

from shared.backup_verification.cost import Cost
from shared.backup_verification.drill import DrillPlan, DrillReport, Held, drill_prefix
from shared.backup_verification.preflight import PreflightCheck
from shared.blob_container import BlobContainer
from shared.changes.state import Store

FOLDER = "drills/"
"""Where the entries are."""


class EntryState(StrEnum):
    """`open`: the server may be created. `kept`: it is there for people, until `kept_until`. `removing`: it may not be
    there any more. `closed`: it was seen to be gone."""

    OPEN = "open"
    KEPT = "kept"
    REMOVING = "removing"
    CLOSED = "closed"


class EvidenceReference(BaseModel):
    """A record in the evidence: the blob's name and the SHA-256 of its bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    sha256: str


class Entry(BaseModel):
    """One drill's temporary server, and what became of the drill."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    plan: DrillPlan
    state: EntryState = EntryState.OPEN
    configured: bool = False
    """Whether the server has what a restore does not carry: from then on its configuration stays."""
    closed_at: AwareDatetime | None = None
    kept_until: AwareDatetime | None = None
    held: Held | None = None
    """Why nothing was begun, None when it was."""
    preflight: tuple[PreflightCheck, ...] = ()
    cost: Cost | None = None
    report: DrillReport | None = None
    evidence: EvidenceReference | None = None
    """Where the report is in the evidence, once it is there and was told."""


def open_entry(
    container: BlobContainer,
    plan: DrillPlan,
    held: Held | None = None,
    preflight: tuple[PreflightCheck, ...] = (),
    cost: Cost | None = None,
) -> Entry:
    """Register the drill's server, or find it registered: the first plan stands, so that twice is once.

    A drill that is `held` is registered as closed: its server may never be created.
    """
    entry = Entry(plan=plan, preflight=preflight, cost=cost)
    if held is not None:
        entry = entry.model_copy(update={"state": EntryState.CLOSED, "closed_at": plan.requested_at, "held": held})
    return Store(container).open(_name(plan.id), Entry, entry)


def read_entry(container: BlobContainer, drill: str) -> Entry:
    """The entry of a drill; raises BlobNotFoundError."""
    return load_entry(container.read(f"{_name(drill)}.json").data)


def find_entry(container: BlobContainer, drill: str) -> Entry | None:
    """The entry of a drill, None when there is none."""
    return Store(container).get(_name(drill), Entry)


def entries(container: BlobContainer, environment: str, server: str) -> Iterator[Entry]:
    """Every entry of one server, by drill id."""
    for facts in container.list(FOLDER + drill_prefix(environment, server)):
        entry = load_entry(container.read(facts.name).data)
        if (entry.plan.environment, entry.plan.server) == (environment, server):
            yield entry


def move_entry(container: BlobContainer, drill: str, state: EntryState, now: datetime) -> Entry:
    """Move an entry on; states only go forward, so that the same move twice, or one back, changes nothing."""
    order = list(EntryState)

    def move(entry: Entry) -> Entry:
        if order.index(entry.state) >= order.index(state):
            return entry
        return entry.model_copy(update={"state": state, "closed_at": now if state is EntryState.CLOSED else None})

    return _change(container, drill, move)


def end_configuration(container: BlobContainer, drill: str) -> Entry:
    """Remember that the server lacks nothing any more; twice is once."""
    return _change(container, drill, lambda entry: entry.model_copy(update={"configured": True}))


def keep_copy(container: BlobContainer, drill: str, until: datetime) -> Entry:
    """Keep the server for people; the first word on how long counts. Not when it is being removed already."""

    def keep(entry: Entry) -> Entry:
        if entry.state is not EntryState.OPEN:
            return entry
        return entry.model_copy(update={"state": EntryState.KEPT, "kept_until": until})

    return _change(container, drill, keep)


def keep_report(container: BlobContainer, report: DrillReport) -> DrillReport:
    """Keep the drill's report, and return the one that stands: the first. There is one verdict on a drill."""
    kept = _change(
        container, report.id, lambda entry: entry if entry.report else entry.model_copy(update={"report": report})
    )
    return kept.report or report


def keep_evidence(container: BlobContainer, drill: str, evidence: EvidenceReference) -> Entry:
    """Remember where the report is in the evidence, after it was told."""
    return _change(container, drill, lambda entry: entry.model_copy(update={"evidence": evidence}))


def _change(container: BlobContainer, drill: str, change: Callable[[Entry], Entry]) -> Entry:
    """Apply a change to what is there now, again when somebody was faster. Raises BlobNotFoundError."""
    return Store(container).change(_name(drill), Entry, change)


def load_entry(data: bytes) -> Entry:
    """The entry that a blob of the registry holds."""
    return Entry.model_validate_json(data)


def _name(drill: str) -> str:
    return f"{FOLDER}{drill}"
