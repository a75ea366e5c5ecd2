"""Overrides: what an operator set aside for a while; and the stop switch, which sets everything aside."""

from dataclasses import dataclass, replace
from datetime import datetime

from shared.changes.change import Change
from shared.changes.errors import InvalidRequestError, NotPermittedError
from shared.changes.policy import OverrideKind, Policy
from shared.changes.reasons import spell_duration
from shared.identity import Caller, Person, Role, may


@dataclass(frozen=True, kw_only=True)
class Override:
    """One override, in force in [start, end) unless revoked.

    KEEP_AWAKE: what the policy calls sleeping does not happen to the environment (or to one target in it).
    PAUSE: an automation does nothing, in one environment or (None) anywhere.
    MUTE: notices about the environment are not told; changes go on, and everything is recorded all the same.
    """

    id: str
    kind: OverrideKind
    environment: str | None
    automation: str | None
    target: str | None
    set_by: str
    set_at: datetime
    reason: str
    start: datetime
    end: datetime
    revoked_by: str | None = None
    revoked_at: datetime | None = None

    def in_force(self, now: datetime) -> bool:
        """Whether it holds at `now`."""
        return self.revoked_at is None and self.start <= now < self.end

    def holds_back(self, change: Change, policy: Policy, now: datetime) -> bool:
        """Whether the change must not act because of it."""
        if not self.in_force(now) or self.environment not in (None, change.environment):
            return False
        match self.kind:
            case OverrideKind.KEEP_AWAKE:
                return change.action_class in policy.keep_awake_blocks and self.target in (None, change.target)
            case OverrideKind.PAUSE:
                return self.automation == change.automation
            case OverrideKind.MUTE:
                return False


def new_override(
    override_id: str,
    by: Caller,
    kind: OverrideKind,
    *,
    environment: str | None,
    automation: str | None = None,
    target: str | None = None,
    reason: str,
    start: datetime,
    end: datetime,
    policy: Policy,
    now: datetime,
) -> Override:
    """A new override. Raises NotPermittedError without the operator role, InvalidRequestError beyond the policy."""
    if not may(by, Role.OPERATOR):
        raise NotPermittedError("setting an override needs the role operator")
    if not reason.strip():
        raise InvalidRequestError("reason", "is empty: say why")
    if kind is OverrideKind.PAUSE and not automation:
        raise InvalidRequestError("automation", "is missing: name the automation to pause")
    if kind is not OverrideKind.PAUSE and not environment:
        raise InvalidRequestError("environment", f"is missing: {kind} is set for one environment")
    if end <= max(start, now):
        raise InvalidRequestError("end", "is not after the start, or past: choose a later time")
    longest = policy.override_longest[kind]
    if end - max(start, now) > longest:
        raise InvalidRequestError("end", f"is too late: {kind} may last {spell_duration(longest)}; set it again then")
    return Override(
        id=override_id,
        kind=kind,
        environment=environment,
        automation=automation,
        target=target,
        set_by=by.name,
        set_at=now,
        reason=reason.strip(),
        start=start,
        end=end,
    )


def revoked(override: Override, by: Caller, now: datetime) -> Override:
    """The override taken back; twice is once. Raises NotPermittedError without the operator role."""
    if not may(by, Role.OPERATOR):
        raise NotPermittedError("revoking an override needs the role operator")
    return override if override.revoked_at else replace(override, revoked_by=by.name, revoked_at=now)


def mutes(overrides: tuple[Override, ...], environment: str, now: datetime) -> bool:
    """Whether notices about the environment are not to be told."""
    return any(o.kind is OverrideKind.MUTE and o.environment == environment and o.in_force(now) for o in overrides)


@dataclass(frozen=True)
class StopSwitch:
    """Pulled: nothing begins to act, anywhere, until somebody releases it. It has no end of its own on purpose."""

    pulled: bool
    by: str
    at: datetime
    reason: str


def pulled(by: Caller, reason: str, now: datetime) -> StopSwitch:
    """The switch, pulled. Anybody who operates may, machines too: stopping is always safe."""
    if not may(by, Role.OPERATOR):
        raise NotPermittedError("pulling the stop switch needs the role operator")
    if not reason.strip():
        raise InvalidRequestError("reason", "is empty: say why everything has to stop")
    return StopSwitch(True, by.name, now, reason.strip())


def released(by: Caller, reason: str, now: datetime) -> StopSwitch:
    """The switch, released: by a person, since to go on is a judgement."""
    if not isinstance(by, Person) or not may(by, Role.OPERATOR):
        raise NotPermittedError("releasing the stop switch needs a person with the role operator")
    if not reason.strip():
        raise InvalidRequestError("reason", "is empty: say why it is safe to go on")
    return StopSwitch(False, by.name, now, reason.strip())
