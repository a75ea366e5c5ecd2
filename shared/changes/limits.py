"""How many changes act at once in an environment: places that are taken before an act and given back after it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import floor

from shared.changes.change import Change
from shared.changes.policy import Limits
from shared.changes.reasons import Reason, ReasonCode


@dataclass(frozen=True)
class Place:
    """A place taken by a change, until it is given back, or `until` passes without a word from it."""

    kind: str
    target: str
    run: int
    until: datetime


@dataclass(frozen=True)
class Places:
    """The places taken in one environment, by change id."""

    taken: Mapping[str, Place] = field(default_factory=dict[str, Place])

    def hindrances(self, change: Change, limits: Limits, targets: int, now: datetime) -> list[Reason]:
        """Why the change may not take a place now; empty when it may, or has one.

        `targets` is how many targets of this kind the environment has, for the share that may be touched at once.
        """
        held = self._held(now)
        if change.id in held:
            return []
        target = change.target.casefold()
        others = [place.target for place in held.values()]
        touched = {place.target for place in held.values() if place.kind == change.kind}
        found: list[Reason] = []
        if others.count(target) >= limits.per_target:
            found.append(
                Reason(
                    ReasonCode.TARGET_BUSY,
                    f"another change acts on {change.target} (at most {limits.per_target} at once)",
                    {"target": change.target, "limit": limits.per_target},
                )
            )
        if len(others) >= limits.per_environment:
            found.append(
                Reason(
                    ReasonCode.ENVIRONMENT_BUSY,
                    f"{len(others)} changes act in {change.environment} (at most {limits.per_environment} at once)",
                    {"environment": change.environment, "acting": len(others), "limit": limits.per_environment},
                )
            )
        allowed = max(1, floor(limits.share * targets))
        if target not in touched and len(touched) >= allowed:
            found.append(
                Reason(
                    ReasonCode.BLAST_RADIUS,
                    f"{len(touched)} of {targets} {change.kind} of {change.environment} are touched "
                    f"(at most {allowed} at once)",
                    {"kind": change.kind, "touched": len(touched), "targets": targets, "allowed": allowed},
                )
            )
        return found

    def take(self, change: Change, run: int, limits: Limits, now: datetime) -> "Places":
        """With the change's place taken or kept for longer. The caller has asked `hindrances`."""
        return Places(
            {**self._held(now), change.id: Place(change.kind, change.target.casefold(), run, now + limits.lease)}
        )

    def give_back(self, change_id: str, run: int) -> "Places":
        """Without that run's place; the place of another run stays."""
        return Places({key: place for key, place in self.taken.items() if (key, place.run) != (change_id, run)})

    def _held(self, now: datetime) -> dict[str, Place]:
        return {key: place for key, place in self.taken.items() if now < place.until}
