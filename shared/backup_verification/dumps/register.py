"""The register of verifications: written before a scratch database is created, closed when its absence is proven."""

import heapq
from collections.abc import Callable, Iterator
from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict

from shared.backup_verification.dumps.plan import DumpPlan, DumpReport, Restored, scratch_name
from shared.backup_verification.registry import EntryState, EvidenceReference
from shared.blob_container import BlobContainer
from shared.changes.state import Store

_FOLDER = "dumps/"
_PROOFS = "dump-proofs/"


class DumpEntry(BaseModel):
    """One verification, its scratch database, and what became of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    plan: DumpPlan
    state: EntryState = EntryState.OPEN
    closed_at: AwareDatetime | None = None
    restored: Restored | None = None
    """What the restore said, once it ran to its end."""
    report: DumpReport | None = None
    evidence: EvidenceReference | None = None


class _Proof(BaseModel):
    restored_at: AwareDatetime
    verification: str


def open_entry(container: BlobContainer, plan: DumpPlan) -> DumpEntry:
    """Register the verification, or find it registered: the first plan stands, so that twice is once."""
    return Store(container).open(_name(plan.id), DumpEntry, DumpEntry(plan=plan))


def read_entry(container: BlobContainer, verification: str) -> DumpEntry:
    """Raises BlobNotFoundError."""
    return DumpEntry.model_validate_json(container.read(f"{_name(verification)}.json").data)


def find_entry(container: BlobContainer, verification: str) -> DumpEntry | None:
    """None when there is none."""
    return Store(container).get(_name(verification), DumpEntry)


def find_by_database(container: BlobContainer, scratch_database: str) -> DumpEntry | None:
    """The entry whose scratch database has that name, None when it is nobody's that we know."""
    return Store(container).get(f"{_FOLDER}{scratch_database}", DumpEntry)


def newest_entries(container: BlobContainer, most: int) -> list[DumpEntry]:
    """The entries that changed last, the newest first."""
    changed = heapq.nlargest(most, container.list(_FOLDER), key=lambda facts: facts.last_modified)
    return [DumpEntry.model_validate_json(container.read(facts.name).data) for facts in changed]


def last_restored(container: BlobContainer, environment: str, tenant: str) -> datetime | None:
    """When a dump of that tenant was last proven by a restore, None when never."""
    proof = Store(container).get(_proof_name(environment, tenant), _Proof)
    return proof.restored_at if proof else None


def proven(container: BlobContainer) -> Iterator[DumpEntry]:
    """The verification that last proved a restore, of each tenant that has one."""
    for proof in Store(container).all(_PROOFS, _Proof):
        entry = find_entry(container, proof.verification)
        if entry is not None:
            yield entry


def keep_proof(container: BlobContainer, report: DumpReport) -> None:
    """Remember that the report proves a restore; an older proof never replaces a newer one."""
    proof = _Proof(restored_at=report.requested_at, verification=report.id)
    Store(container).update(
        _proof_name(report.environment, report.tenant),
        _Proof,
        lambda known: known if known is not None and known.restored_at >= proof.restored_at else proof,
    )


def move_entry(container: BlobContainer, verification: str, state: EntryState, now: datetime) -> DumpEntry:
    """Move an entry on; states only go forward, so that the same move twice, or one back, changes nothing."""
    order = list(EntryState)

    def move(entry: DumpEntry) -> DumpEntry:
        if order.index(entry.state) >= order.index(state):
            return entry
        return entry.model_copy(update={"state": state, "closed_at": now if state is EntryState.CLOSED else None})

    return _change(container, verification, move)


def keep_restored(container: BlobContainer, verification: str, restored: Restored) -> Restored:
    """Keep what the restore said, and return what stands: the first."""
    kept = _change(
        container,
        verification,
        lambda entry: entry if entry.restored else entry.model_copy(update={"restored": restored}),
    )
    return kept.restored or restored


def keep_report(container: BlobContainer, report: DumpReport) -> DumpReport:
    """Keep the report, and return the one that stands: the first."""
    kept = _change(
        container, report.id, lambda entry: entry if entry.report else entry.model_copy(update={"report": report})
    )
    return kept.report or report


def keep_evidence(container: BlobContainer, verification: str, evidence: EvidenceReference) -> DumpEntry:
    """Remember where the report is in the evidence, after it was told."""
    return _change(container, verification, lambda entry: entry.model_copy(update={"evidence": evidence}))


def _change(container: BlobContainer, verification: str, change: Callable[[DumpEntry], DumpEntry]) -> DumpEntry:
    return Store(container).change(_name(verification), DumpEntry, change)


def _name(verification: str) -> str:
    return f"{_FOLDER}{scratch_name(verification)}"


def _proof_name(environment: str, tenant: str) -> str:
    return f"{_PROOFS}{environment}/{tenant}"
