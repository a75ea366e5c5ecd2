"""Where the execution of a change stands, what it asks for, and what it may be answered. See `advance`."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from shared.changes.execution import Result, Verdict
from shared.changes.gate import Decision
from shared.changes.policy import RetryRule
from shared.changes.ports import Acted, Entry, Verified
from shared.evidence.canonical import Json


class Phase(StrEnum):
    """Where an execution stands; each but DONE is one activity of the same name."""

    ADMIT = "admit"
    GATE = "gate"
    REHEARSE = "rehearse"
    ACT = "act"
    POLL = "poll"
    VERIFY = "verify"
    UNDO = "undo"
    FINISH = "finish"
    DONE = "done"


@dataclass(frozen=True, kw_only=True)
class Pace:
    """The times that the policy and the change set, told by the gate."""

    retry: RetryRule
    recheck: timedelta
    verify_every: timedelta
    apply_within: timedelta
    undo_on_failure: bool


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The state of one execution, small enough to begin an orchestration anew with.

    change_id, automation, environment, tenant: of the change, for records.
    pause_until: when to repeat what ended with a fault. records: what is to be recorded before going on.
    sleep_until, wakeable: when to go on, and whether being woken ends the sleep.
    uncertain: an act was begun whose outcome nobody knows yet. waited_for: what was last in the way of the act.
    """

    change_id: str
    automation: str
    environment: str
    tenant: str | None
    phase: Phase = Phase.ADMIT
    run: int = 0
    attempt: int = 1
    tries: int = 0
    faults: int = 0
    pause_until: datetime | None = None
    records: tuple[Entry, ...] = ()
    sleep_until: datetime | None = None
    wakeable: bool = False
    last_decision: str = ""
    pace: Pace | None = None
    deadline: datetime | None = None
    operation: str | None = None
    uncertain: bool = False
    changed: bool = False
    result: Result | None = None
    detail: str = ""
    waited_for: str = ""

    def attempt_id(self) -> str:
        """What is counted, reserved and applied under; the same for every delivery of the attempt."""
        return f"{self.change_id}:{self.run}:{self.attempt}"


@dataclass(frozen=True)
class Admitted:
    """The answer to ADMIT."""

    verdict: Verdict
    run: int
    result: Result | None = None
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Gated:
    """The answer to GATE.

    current: this run may still act. error: the change can never be executed as it is. ready_at: when the outside rates
    let it act. requested: the approval that is now open.
    """

    current: bool
    error: str | None = None
    decision: Decision | None = None
    pace: Pace | None = None
    ready_at: datetime | None = None
    requested: str | None = None


@dataclass(frozen=True, kw_only=True)
class ActAnswer:
    """The answer to ACT, POLL and UNDO.

    current: this run may still act. held: the gate no longer allows it. unchanged: it was as wanted before any act.
    body: what to put on record.
    """

    current: bool = True
    held: bool = False
    unchanged: bool = False
    left_alone: bool = False
    acted: Acted | None = None
    body: dict[str, Json] = field(default_factory=dict[str, Json])


@dataclass(frozen=True)
class Checked:
    """The answer to VERIFY. `current`: this run is still the one."""

    current: bool
    verified: Verified


@dataclass(frozen=True)
class Rehearsed:
    """The answer to REHEARSE: what would have happened, and what to put on record."""

    effect: str
    body: dict[str, Json] = field(default_factory=dict[str, Json])


@dataclass(frozen=True)
class Fault:
    """An activity that ended with an exception instead of an answer."""

    message: str


@dataclass(frozen=True)
class Nothing:
    """The answer to FINISH, to a record, and to a sleep that is over."""


@dataclass(frozen=True)
class Sleep:
    """A step: wait until then, or until woken if `wakeable`."""

    until: datetime
    wakeable: bool = False


type Step = Sleep | Entry | Phase
"""What to do: wait, record, or call the activity of a phase (DONE: return)."""

type Answer = Admitted | Gated | ActAnswer | Checked | Rehearsed | Fault | Nothing
