"""A change: one thing that an automation wants done to one target."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from hashlib import sha256
from typing import cast

import rfc8785

type Json = bool | int | float | str | list[Json] | dict[str, Json] | None
type State = Mapping[str, Json]
"""The facts about a target that a change is about: replica counts, SKU, tier. Only what is compared and restored."""


class Risk(StrEnum):
    """What can go wrong, from the mildest to what touches the books."""

    REVERSIBLE = "reversible"
    DISRUPTIVE = "disruptive"
    IRREVERSIBLE = "irreversible"
    FINANCIAL = "financial"


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
    apply_within: timedelta = timedelta(hours=1)
    """How long applying and verifying may take together, before the change counts as failed."""

    def __post_init__(self) -> None:
        if not self.action_class:
            object.__setattr__(self, "action_class", self.action)
        for name, moment in (("earliest", self.earliest), ("latest", self.latest)):
            if moment is not None and moment.tzinfo is None:
                raise ValueError(f"{name} of the change to {self.target} has no time zone: give an aware datetime")
        if self.earliest and self.latest and self.latest < self.earliest:
            raise ValueError(f"latest of the change to {self.target} is before its earliest: swap or widen them")

    @cached_property
    def id(self) -> str:
        """Of the intent only: not of the reason, the times or what the planner happened to observe."""
        intent = (
            *(self.automation, self.environment, self.tenant, self.kind, self.target, self.action, self.occasion),
            self.after,
        )
        return _digest(intent)[:32]

    @cached_property
    def digest(self) -> str:
        """sha256 of everything that the change says, as an approver saw it."""
        return _digest(canonical(self))

    @property
    def description(self) -> str:
        """For people: `scale staging aks-node-pool/.../users`."""
        return f"{self.action} {self.environment} {self.target}"


def canonical(change: Change) -> dict[str, Json]:
    """The change as plain JSON data, equal for equal changes: times in UTC, durations in seconds, sorted names."""
    data: dict[str, Json] = {name: _plain(value) for name, value in asdict(change).items()}
    data["depends_on"] = list[Json](sorted(change.depends_on))
    return data


def _plain(value: object) -> Json:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return value.total_seconds()
    return cast("Json", value)


def _digest(value: object) -> str:
    return sha256(rfc8785.dumps(cast("dict[str, Json]", value))).hexdigest()


def digest_of(parts: list[str]) -> str:
    """sha256 over an ordered list of texts, without ambiguity between them."""
    return _digest(parts)
