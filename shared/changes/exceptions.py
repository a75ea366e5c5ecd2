"""Freeze exceptions: how a change may pass a freeze, asked for by one person and granted by another."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from shared.changes.approvals import same_user
from shared.changes.change import Change
from shared.changes.errors import ConflictError, InvalidRequestError, NotPermittedError
from shared.changes.policy import Policy
from shared.changes.reasons import spell_duration, spell_moment
from shared.identity import Caller, Person, Role, may


class ExceptionState(StrEnum):
    """Where an exception stands at an instant."""

    REQUESTED = "requested"
    GRANTED = "granted"
    REFUSED = "refused"
    REVOKED = "revoked"
    EXHAUSTED = "exhausted"
    EXPIRED = "expired"


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What an exception is for. The environment is always named; None elsewhere means any."""

    environment: str
    tenant: str | None = None
    automation: str | None = None
    classes: tuple[str, ...] | None = None
    targets: tuple[str, ...] | None = None

    def covers(self, change: Change) -> bool:
        """Whether the change is wholly inside: one that concerns all tenants is not covered by one tenant's."""
        return (
            self.environment == change.environment
            and self.tenant in (None, change.tenant)
            and self.automation in (None, change.automation)
            and (self.classes is None or change.action_class in self.classes)
            and (self.targets is None or change.target in self.targets)
        )


@dataclass(frozen=True)
class Ruling:
    """Granted or refused, or later revoked: by whom (user name), when and why."""

    by: str
    at: datetime
    note: str


@dataclass(frozen=True, kw_only=True)
class FreezeException:
    """One exception. `uses` maps change id to the run that used it; a second run of a change is a second use."""

    id: str
    scope: Scope
    ticket: str
    reason: str
    start: datetime
    end: datetime
    most_uses: int
    role: Role
    requested_by: str
    requested_at: datetime
    granted: Ruling | None = None
    refused: Ruling | None = None
    revoked: Ruling | None = None
    uses: Mapping[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])

    @property
    def use_count(self) -> int:
        """How often it was used."""
        return sum(len(runs) for runs in self.uses.values())

    def state(self, now: datetime) -> ExceptionState:
        """Where it stands."""
        if self.revoked:
            return ExceptionState.REVOKED
        if self.refused:
            return ExceptionState.REFUSED
        if now >= self.end:
            return ExceptionState.EXPIRED
        if not self.granted:
            return ExceptionState.REQUESTED
        return ExceptionState.EXHAUSTED if self.use_count >= self.most_uses else ExceptionState.GRANTED

    def open_to(self, change: Change, run: int, now: datetime) -> bool:
        """Whether that run of the change may pass a freeze by it. A use already counted for this run stays good."""
        state = self.state(now)
        if state is ExceptionState.EXHAUSTED and run in self.uses.get(change.id, ()):
            state = ExceptionState.GRANTED
        return state is ExceptionState.GRANTED and self.start <= now and self.scope.covers(change)


def requested(
    exception_id: str,
    by: Caller,
    scope: Scope,
    *,
    ticket: str,
    reason: str,
    start: datetime,
    end: datetime,
    most_uses: int,
    policy: Policy,
    now: datetime,
) -> FreezeException:
    """A new request. Raises NotPermittedError for callers who cannot ask, InvalidRequestError beyond the policy."""
    person = _person(by)
    if not (may(person, Role.OPERATOR) or may(person, policy.approver_role)):
        raise NotPermittedError("asking for an exception needs the role operator")
    if not ticket.strip() or not re.fullmatch(policy.exception_ticket, ticket.strip()):
        raise InvalidRequestError("ticket", f"must be the ticket that this belongs to, like {policy.exception_ticket}")
    if not reason.strip():
        raise InvalidRequestError("reason", "is empty: say why this cannot wait for the end of the freeze")
    if end <= max(start, now):
        raise InvalidRequestError("end", "is not after the start, or past: choose a later time")
    if end - max(start, now) > policy.exception_longest:
        raise InvalidRequestError("end", f"is more than {spell_duration(policy.exception_longest)} after the start")
    if not 1 <= most_uses <= policy.exception_most_uses:
        raise InvalidRequestError("most_uses", f"must be 1 to {policy.exception_most_uses}")
    return FreezeException(
        id=exception_id,
        scope=scope,
        ticket=ticket.strip(),
        reason=reason.strip(),
        start=start,
        end=end,
        most_uses=most_uses,
        role=policy.approver_role,
        requested_by=person.name,
        requested_at=now,
    )


def ruled(exception: FreezeException, by: Caller, *, granted: bool, note: str, now: datetime) -> FreezeException:
    """The exception granted or refused. The same ruling by the same person twice is one.

    Raises NotPermittedError (machine, no role, the requester) or ConflictError (already ruled, expired, revoked).
    """
    person = _person(by)
    if not may(person, exception.role):
        raise NotPermittedError(f"granting an exception needs the role {exception.role}")
    if same_user(person.name, exception.requested_by):
        raise NotPermittedError("the requester cannot grant: ask another person with the role to do it")
    earlier = exception.granted if granted else exception.refused
    if earlier and same_user(earlier.by, person.name) and not exception.revoked:
        return exception
    state = exception.state(now)
    if state is not ExceptionState.REQUESTED:
        raise ConflictError(f"exception {exception.id} is {state}: only a requested one can be ruled on")
    ruling = Ruling(person.name, now, note)
    return replace(exception, granted=ruling) if granted else replace(exception, refused=ruling)


def revoked(exception: FreezeException, by: Caller, *, note: str, now: datetime) -> FreezeException:
    """The exception taken back: by its requester or by anyone who could have granted it. Twice is once.

    What already began to act under it goes on. Raises NotPermittedError.
    """
    person = _person(by)
    if not may(person, exception.role) and not same_user(person.name, exception.requested_by):
        raise NotPermittedError(f"revoking needs the role {exception.role}, or to be the requester")
    return exception if exception.revoked else replace(exception, revoked=Ruling(person.name, now, note))


def used(exception: FreezeException, change: Change, run: int, now: datetime) -> FreezeException:
    """The exception with that run's use counted, which comes before the act; counted twice it is one use.

    Raises ConflictError when it is not open to it.
    """
    if not exception.open_to(change, run, now):
        raise ConflictError(
            f"exception {exception.id} ({exception.state(now)}, {exception.use_count} of {exception.most_uses} uses, "
            f"until {spell_moment(exception.end)}) does not cover run {run} of {change.description}"
        )
    runs = exception.uses.get(change.id, ())
    return exception if run in runs else replace(exception, uses={**exception.uses, change.id: (*runs, run)})


def _person(caller: Caller) -> Person:
    if not isinstance(caller, Person):
        raise NotPermittedError("exceptions are asked for and granted by people who logged in, never by a machine")
    return caller
