"""Approvals: a plan shown to a person, and what that person said about exactly this plan."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from shared.changes.errors import ConflictError, NotPermittedError
from shared.changes.reasons import spell_moment
from shared.identity import Caller, Person, Role, may


class ApprovalState(StrEnum):
    """Where a request stands at an instant."""

    PENDING = "pending"
    GRANTED = "granted"
    REFUSED = "refused"
    EXPIRED = "expired"


@dataclass(frozen=True)
class Answer:
    """What was said, by whom (user name), when and why."""

    granted: bool
    by: str
    at: datetime
    note: str


@dataclass(frozen=True, kw_only=True)
class Approval:
    """A request for approval and its answer.

    plan_hash: what was shown, and so what alone may be executed.
    change_ids: the changes of that plan which the answer covers; each may use it once.
    requested_by: user name, or the name of the automation.
    expires_at: after it the request cannot be answered, and a grant not be used.
    uses: change id -> the run of that change that used the grant.
    """

    id: str
    plan_hash: str
    change_ids: tuple[str, ...]
    environment: str
    requested_by: str
    requested_at: datetime
    expires_at: datetime
    role: Role
    why: tuple[str, ...]
    answer: Answer | None = None
    uses: Mapping[str, int] = field(default_factory=dict[str, int])

    def state(self, now: datetime) -> ApprovalState:
        """Where it stands. A refusal stands until the request would have expired, so nobody is asked again at once."""
        if now >= self.expires_at:
            return ApprovalState.EXPIRED
        if self.answer is None:
            return ApprovalState.PENDING
        return ApprovalState.GRANTED if self.answer.granted else ApprovalState.REFUSED

    def open_to(self, change_id: str, run: int, now: datetime) -> bool:
        """Whether that run of that change may act on it: granted, in time, and not used up by another run."""
        return (
            change_id in self.change_ids
            and self.uses.get(change_id, run) == run
            and self.state(now) is ApprovalState.GRANTED
        )


def answered(approval: Approval, by: Caller, *, granted: bool, note: str, now: datetime) -> Approval:
    """The approval with this answer. The same answer by the same person twice is one answer.

    Raises NotPermittedError for machines, people without the role and the requester; ConflictError when it was
    answered otherwise before, or has expired.
    """
    if not isinstance(by, Person):
        raise NotPermittedError("only a person who logged in can approve: a key or a managed identity never can")
    if not may(by, approval.role):
        raise NotPermittedError(f"answering needs the role {approval.role}")
    if same_user(by.name, approval.requested_by):
        raise NotPermittedError("the requester cannot answer: ask another person with the role to do it")
    if now >= approval.expires_at:
        raise ConflictError(f"the request expired at {spell_moment(approval.expires_at)}: a new one will be made")
    if approval.answer is not None:
        if approval.answer.granted == granted and same_user(approval.answer.by, by.name):
            return approval
        said = "granted" if approval.answer.granted else "refused"
        raise ConflictError(f"it was already {said} by {approval.answer.by}: an answer is final")
    return replace(approval, answer=Answer(granted, by.name, now, note))


def used(approval: Approval, change_id: str, run: int, now: datetime) -> Approval:
    """The approval with its use by that run counted; raises ConflictError when it is not open to it."""
    if not approval.open_to(change_id, run, now):
        raise ConflictError(f"approval {approval.id} is not open to run {run} of change {change_id}")
    return replace(approval, uses={**approval.uses, change_id: run})


def same_user(one: str, other: str) -> bool:
    """Whether two user names are one person: Entra does not tell upper case from lower case in them."""
    return one.strip().casefold() == other.strip().casefold()
