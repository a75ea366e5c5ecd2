"""What executing a change needs from outside: adapters for targets, the rules in force, a place for evidence."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Protocol

from shared.changes.change import Change, State
from shared.changes.freeze import Window
from shared.changes.policy import Policy
from shared.changes.state import Store
from shared.changes.throttling import Toll
from shared.events import EventPublisher


class Act(StrEnum):
    """How an act stands.

    DONE: the outside system has done it; whether the wanted state is real is for verification to say.
    RUNNING: it goes on outside; poll its operation.
    BUSY: refused for now (409, 429, 503) and nothing happened; try again.
    SHORT: it ended for want of capacity, which may be there in a while: nothing goes on outside; ask again then.
    FAILED: refused for good, or ended without success; trying again cannot help.
    """

    DONE = "done"
    RUNNING = "running"
    BUSY = "busy"
    SHORT = "short"
    FAILED = "failed"


@dataclass(frozen=True)
class Acted:
    """What came of applying or polling. `again_after` is the outside system's Retry-After, if it gave one."""

    act: Act
    operation: str | None = None
    again_after: timedelta | None = None
    detail: str = ""


@dataclass(frozen=True)
class Verified:
    """Whether the wanted state is real (nodes Ready, server answers), and what was seen."""

    reached: bool
    detail: str = ""


class Adapter(Protocol):
    """How one action on one kind of target is done. Every call may come twice, and from another process.

    An exception means that the outcome is unknown: the executor looks at the state before it tries again. Answer BUSY
    or FAILED for whatever the outside system has clearly refused.
    """

    def tolls(self, change: Change) -> Sequence[Toll]:
        """The outside rates that one apply draws on."""
        ...

    def read_state(self, change: Change) -> State:
        """The facts that the change is about (at least those of its `after`), as they are now.

        A fact that is in motion is left out, and `apply` answers BUSY until it is not: half of a way is no state to
        save or to give back.
        """
        ...

    def apply(self, change: Change, wanted: State, key: str) -> Acted:
        """Make it so. Idempotent: `key` is the same for every delivery of one attempt."""
        ...

    def poll(self, change: Change, operation: str) -> Acted:
        """How the operation stands."""
        ...

    def verify(self, change: Change, wanted: State) -> Verified:
        """Whether the wanted state is real in the world."""
        ...

    def undo(self, change: Change, original: State, key: str) -> Acted:
        """Take a change back that was applied and cannot be verified. Only asked with `undo_on_failure`.

        It is asked again until it says DONE or FAILED.
        """
        ...

    def predict(self, change: Change, observed: State) -> str:
        """In one sentence, what applying would do. Must change nothing."""
        ...


class UnknownActionError(Exception):
    """No adapter is registered for that action on that kind of target."""


class Adapters:
    """The adapters by kind of target and action."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Adapter] = {}

    def register(self, kind: str, action: str, adapter: Adapter) -> None:
        """Make the adapter known; raises ValueError when another one already is."""
        if self._known.setdefault((kind, action), adapter) is not adapter:
            raise ValueError(f"two adapters for {action} on {kind}: register one")

    def find(self, change: Change) -> Adapter:
        """The adapter for the change; raises UnknownActionError."""
        try:
            return self._known[change.kind, change.action]
        except KeyError:
            known = ", ".join(sorted(f"{action} on {kind}" for kind, action in self._known)) or "none"
            raise UnknownActionError(f"nothing does {change.action} on {change.kind}; registered: {known}") from None


class Rules(Protocol):
    """The declared estate and calendar, as the gate needs them."""

    def policy(self, environment: str) -> Policy:
        """The policy of an environment. Raises NotKnownError for one that is not declared."""
        ...

    def windows(self, environment: str, now: datetime) -> tuple[Window, ...] | None:
        """The windows in force and the maintenance windows to come; None when the calendar cannot be read."""
        ...

    def targets(self, environment: str, kind: str) -> int:
        """How many targets of that kind the environment has."""
        ...


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What is to be recorded. `time` is decided once, so that recording twice is recording once."""

    automation: str
    kind: str
    subject: str
    time: datetime
    environment: str | None = None
    tenant: str | None = None
    actor: str | None = None
    body: Mapping[str, object] = field(default_factory=dict[str, object])


class Recorder(Protocol):
    """Where evidence goes."""

    def record(self, entry: Entry) -> None:
        """Write it; the same entry twice is one record."""
        ...


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Services:
    """All that executing and governing changes needs from outside.

    dry_run: the global switch (DRY_RUN=1). publisher: None tells nobody.
    """

    store: Store
    adapters: Adapters
    rules: Rules
    recorder: Recorder
    publisher: EventPublisher | None = None
    dry_run: bool = False
    clock: Callable[[], datetime] = _utc_now
