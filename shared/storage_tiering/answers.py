"""How a step ended, judged by what the service said about its blob, or by what the blob is now. Pure."""

from enum import StrEnum

from shared.blob_batches import Said
from shared.blob_facts import BlobFacts
from shared.storage_tiering.worklist import Step


class Outcome(StrEnum):
    """How a step ended.

    DONE: by this run. ALREADY: it was so, or an earlier delivery of this run did it. CHANGED: somebody changed the
    blob since it was planned, so it was left alone. GONE: there is no such blob any more. HELD: the service protects
    it (lease, legal hold, immutability, archive, snapshots). REFUSED: for any other reason. UNANSWERED: the service
    was busy to the end, or gave no answer; the next run looks again.
    """

    DONE = "done"
    ALREADY = "already so"
    CHANGED = "changed since"
    GONE = "gone"
    HELD = "held"
    REFUSED = "refused"
    UNANSWERED = "not answered"


GOOD = frozenset({Outcome.DONE, Outcome.ALREADY})

_BUSY = frozenset({408, 429, 500, 502, 503, 504})
_HOLDS = frozenset({
    "BlobArchived", "BlobBeingRehydrated", "BlobImmutableDueToLegalHold", "BlobImmutableDueToPolicy",
    "LeaseIdMissing", "LeaseIdMismatchWithBlobOperation", "SnapshotsPresent",
})  # fmt: skip
"""Azure Storage, "Blob service error codes"."""


def is_busy(status: int | None) -> bool:
    """Whether to ask again later; no answer at all counts as busy."""
    return status is None or status in _BUSY


def outcome_of(said: Said) -> Outcome | None:
    """How the step ended by the service's answer; None when it is to be asked again."""
    if said.status < 300:
        return Outcome.DONE
    if is_busy(said.status):
        return None
    if said.code in _HOLDS:
        return Outcome.HELD
    if said.status == 404:
        return Outcome.GONE
    if said.status == 412:
        return Outcome.CHANGED
    return Outcome.HELD if said.status == 409 else Outcome.REFUSED


def outcome_of_facts(step: Step, now: BlobFacts | None) -> Outcome | None:
    """Why the step is not to be made, looking at what the blob is now; None when it is to be made."""
    if now is None or now.deleted:
        return Outcome.GONE
    changed = now.etag != step.etag if step.etag and now.etag else now.modified != step.modified
    held = now.leased or now.legal_hold
    if not step.is_deletion:
        pending = (now.archive_status or "").lower()
        if now.tier == step.to or pending == f"rehydrate-pending-to-{step.to.lower()}":
            return Outcome.ALREADY
        changed = changed or bool(step.was and now.tier != step.was)
        held = held or bool(pending)
    if changed:
        return Outcome.CHANGED
    return Outcome.HELD if held else None


def addressable(name: str) -> bool:
    """Whether a request reaches the blob of that name and no other.

    A path with the segments `.` or `..` may be shortened on its way: it would then mean another blob.
    """
    return not {".", ".."}.intersection(name.replace("\\", "/").split("/"))
