"""A plan: changes in an order that respects what depends on what, known by the hash of all they say."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from shared.changes.change import Change
from shared.changes.errors import InvalidPlanError
from shared.evidence.canonical import canonical, sha256


@dataclass(frozen=True)
class PlanDiff:
    """What became of the last plan: by intent, so a change with new content is `altered`, not removed and added."""

    added: tuple[Change, ...]
    removed: tuple[Change, ...]
    altered: tuple[tuple[Change, Change], ...]

    @property
    def empty(self) -> bool:
        """Whether both plans say the same."""
        return not (self.added or self.removed or self.altered)


@dataclass(frozen=True)
class Plan:
    """Changes in executable order. Build it by `Plan.of`, which checks and sorts."""

    changes: tuple[Change, ...]

    @classmethod
    def of(cls, changes: Iterable[Change]) -> "Plan":
        """The plan of these changes, whatever order they come in; the same change twice is one.

        Raises InvalidPlanError when one intent comes with two contents, a dependency is not in the plan, or
        dependencies form a circle (which is named).
        """
        by_id: dict[str, Change] = {}
        for change in changes:
            known = by_id.setdefault(change.id, change)
            if known.digest != change.digest:
                raise InvalidPlanError(
                    f"two different changes have one intent, to {change.description}: give them different occasions"
                )
        for change in by_id.values():
            for wanted in change.depends_on:
                if wanted not in by_id:
                    raise InvalidPlanError(
                        f"{change.description} depends on {wanted}, which is not in the plan: add it, or drop it"
                    )
        return cls(tuple(_in_order(by_id)))

    @cached_property
    def hash(self) -> str:
        """sha256 over every change's content: what an approval is bound to."""
        return sha256(canonical([change.digest for change in self.changes]))

    @cached_property
    def by_id(self) -> dict[str, Change]:
        """The changes by their id."""
        return {change.id: change for change in self.changes}

    def diff(self, previous: "Plan") -> PlanDiff:
        """What this plan says that the previous one did not, and the reverse."""
        old, new = previous.by_id, self.by_id
        return PlanDiff(
            added=tuple(change for change in self.changes if change.id not in old),
            removed=tuple(change for change in previous.changes if change.id not in new),
            altered=tuple(
                (old[change.id], change)
                for change in self.changes
                if change.id in old and old[change.id].digest != change.digest
            ),
        )


def _in_order(by_id: dict[str, Change]) -> list[Change]:
    """Dependencies first, otherwise by environment, target and action, so that equal plans read and hash alike."""
    waiting = sorted(by_id.values(), key=lambda c: (c.environment, c.target, c.action, c.id))
    ordered: list[Change] = []
    placed: set[str] = set()
    while waiting:
        ready = [change for change in waiting if placed.issuperset(change.depends_on)]
        if not ready:
            circle = " -> ".join(change.description for change in _circle(waiting, by_id))
            raise InvalidPlanError(f"changes wait for each other: {circle}: drop one of these dependencies")
        ordered += ready
        placed.update(change.id for change in ready)
        waiting = [change for change in waiting if change.id not in placed]
    return ordered


def _circle(waiting: list[Change], by_id: dict[str, Change]) -> list[Change]:
    stuck = {change.id for change in waiting}
    path = [waiting[0]]
    while True:
        following = by_id[next(wanted for wanted in sorted(path[-1].depends_on) if wanted in stuck)]
        if following in path:
            return [*path[path.index(following) :], following]
        path.append(following)
