"""What a plan decides about blobs: moves, deletions, what is left alone and why, and the sums. Plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Reason(StrEnum):
    """Why a step that age or retention asks for is not made. In the order in which they are looked at."""

    LEGAL_HOLD = "legal hold"
    IMMUTABLE = "immutable"
    LEASED = "leased"
    AUDIT = "audit of its fiscal year"
    AT_HAND = "kept at hand on request"
    REHYDRATING = "being rehydrated"
    VERIFIED_BACKUP = "part of the newest verified backup"
    NOT_YET_VERIFIED = "newer than the newest verified backup"
    DOCUMENT = "restored books refer to it"
    KEPT_BY_LAW = "kept by law"
    NOT_RECOVERABLE = "deletion could not be undone"
    REPLACED_UNKNOWN = "not known since when it is replaced"
    NATIVE_RULE = "the account's own lifecycle rule does it"
    NOT_TIERABLE = "its type or tier cannot be changed"
    ARCHIVE_NOT_OFFERED = "archive is not offered here"
    AGE_UNKNOWN = "last access is not tracked"
    TOO_SMALL = "smaller than the class moves"
    NOT_PAID_BACK = "does not pay back"


HOLDS = frozenset({
    Reason.LEGAL_HOLD, Reason.IMMUTABLE, Reason.LEASED, Reason.AUDIT, Reason.AT_HAND, Reason.REHYDRATING,
    Reason.VERIFIED_BACKUP, Reason.NOT_YET_VERIFIED, Reason.DOCUMENT,
})  # fmt: skip
"""The reasons that always win over what it costs."""


@dataclass(frozen=True, slots=True)
class Target:
    """The one thing that is acted on, and what it was when the act was planned.

    At most one of `version` and `snapshot` is given: both None is the current blob. `etag` is empty where the source
    does not tell it; then `modified` is what must not have changed.
    """

    container: str
    name: str
    version: str | None
    snapshot: str | None
    etag: str
    modified: datetime
    size: int


@dataclass(frozen=True, slots=True)
class Move:
    """A change to a cooler tier. Money is in the currency of the estate's rates."""

    target: Target
    document_class: str
    from_tier: str
    to_tier: str
    saved_a_month: float
    """Storage that is no longer paid for, a month."""

    transaction: float
    early_deletion: float
    """What leaving the present tier before its minimum costs."""

    retrieval_risk: float
    """What reading it once from there costs more than reading it from where it is."""

    pays_back_after_days: float


@dataclass(frozen=True, slots=True)
class Deletion:
    """A deletion, and the rule that asks for it: `delete_after`, `keep` or `old_versions`."""

    target: Target
    document_class: str
    tier: str | None
    rule: str
    saved_a_month: float
    early_deletion: float


@dataclass(frozen=True, slots=True)
class Blocked:
    """A step that was asked for and is not made. `wanted` is a tier, or "delete"."""

    target: Target
    document_class: str
    tier: str | None
    wanted: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class Conflict:
    """What the account's own lifecycle rule will do against our policy or against a hold. Reported, never undone."""

    rule: str
    action: str
    reason: str
    blobs: int
    bytes: int
    examples: tuple[str, ...]


@dataclass(slots=True)
class Sum:
    """So many blobs, so many bytes, and their money."""

    blobs: int = 0
    bytes: int = 0
    saved_a_month: float = 0.0
    transaction: float = 0.0
    early_deletion: float = 0.0
    retrieval_risk: float = 0.0

    def add(self, other: "Sum") -> None:
        """Add another sum to this one."""
        self.blobs += other.blobs
        self.bytes += other.bytes
        self.saved_a_month += other.saved_a_month
        self.transaction += other.transaction
        self.early_deletion += other.early_deletion
        self.retrieval_risk += other.retrieval_risk


@dataclass(slots=True)
class PlanTotals:
    """The sums of a plan; grows while the plan is read."""

    seen: dict[tuple[str, str], Sum] = field(default_factory=dict[tuple[str, str], Sum])
    """By document class ("" where none applies) and tier ("" for any other than the four)."""

    moves: dict[tuple[str, str, str], Sum] = field(default_factory=dict[tuple[str, str, str], Sum])
    """By document class, tier before, tier after."""

    deletions: dict[tuple[str, str], Sum] = field(default_factory=dict[tuple[str, str], Sum])
    """By document class and rule."""

    blocked: dict[tuple[str, str, Reason], Sum] = field(default_factory=dict[tuple[str, str, Reason], Sum])
    """By document class, what was wanted, and why not."""

    native: dict[tuple[str, str], Sum] = field(default_factory=dict[tuple[str, str], Sum])
    """What the account's own rules will do: by rule and action."""

    conflicts: dict[tuple[str, str, str], Conflict] = field(default_factory=dict[tuple[str, str, str], Conflict])
    """By rule, action and reason."""


def total(sums: Mapping[Any, Sum]) -> Sum:
    """The sum of all of them."""
    result = Sum()
    for each in sums.values():
        result.add(each)
    return result
