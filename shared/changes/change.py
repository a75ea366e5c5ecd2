"""A change: one thing that an automation wants done to one target."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property

from shared.evidence.canonical import Json, canonical, plain, sha256
from shared.risk import Risk

type State = Mapping[str, Json]
"""The facts about a target that a change is about: replica counts, SKU, tier. Only what is compared and restored."""


class Originals(StrEnum):
    """What a change does with the target's original state."""

    IGNORE = "ignore"
    SAVE = "save"
    GIVE_BACK = "give-back"


@dataclass(frozen=True, kw_only=True)
class Change:
    """One wanted change. The same intent has the same `id`, so asked for twice it is done once.

    automation: who wants it (`shutdown_schedules`, ...); also the owner of what is saved.
    kind, action: which adapter applies it (`aks-node-pool`, `scale`).
    action_class: what the policy speaks about (`sleep`, `restart-worker`); the action where nothing else is said.
    target: Azure resource id or Kubernetes path.
    occasion: which occurrence of the rule this is (`2026-11-20 night`). The same wish on another day, or after
        somebody undid it, is another occasion and so another intent.
    before, after: the state that the plan was made from, and the state that is wanted.
    earliest, latest: aware times between which it may begin; None is open.
    depends_on: ids of changes in the same plan that must have succeeded first.
    requires_approval: a human must agree whatever the policy says.
    undo_on_failure: take the change back when it was applied and cannot be verified in time.
    emergency_class: what kind of emergency this remedies; the policy says which kinds may act in a freeze.
    """

    automation: str
    environment: str
    tenant: str | None = None
    kind: str
    target: str
    action: str
    action_class: str = ""
    occasion: str
    before: State = field(default_factory=dict[str, Json])
    after: State
    reason: str
    risk: Risk
    originals: Originals = Originals.SAVE
    earliest: datetime | None = None
    latest: datetime | None = None
    depends_on: tuple[str, ...] = ()
    requires_approval: bool = False
    undo_on_failure: bool = False
    emergency_class: str | None = None
    apply_within: timedelta = timedelta(hours=1)
    """How long applying and verifying may take together, before the change counts as failed."""

    def __post_init__(self) -> None:
        if not self.action_class:
            object.__setattr__(self, "action_class", self.action)
        object.__setattr__(self, "depends_on", tuple(sorted(set(self.depends_on))))
        for name, moment in (("earliest", self.earliest), ("latest", self.latest)):
            if moment is not None and moment.tzinfo is None:
                raise ValueError(f"{name} of the change to {self.target} has no time zone: give an aware datetime")
        if self.earliest and self.latest and self.latest < self.earliest:
            raise ValueError(f"latest of the change to {self.target} is before its earliest: swap or widen them")

    @cached_property
    def id(self) -> str:
        """Of the intent only: not of the reason, the times or what the planner happened to observe."""
        intent = [
            *(self.automation, self.environment, self.tenant, self.kind, self.target, self.action, self.occasion),
            plain(self.after),
        ]
        return sha256(canonical(intent))[:32]

    @cached_property
    def digest(self) -> str:
        """sha256 of everything that the change says, as an approver saw it."""
        return sha256(canonical(plain(self)))

    @property
    def description(self) -> str:
        """For people: `scale staging aks-node-pool/.../users`."""
        return f"{self.action} {self.environment} {self.target}"
