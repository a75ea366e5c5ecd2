"""Which changes of a plan begin next, and how the plan as a whole ended. Pure."""

from collections.abc import Mapping, Set
from dataclasses import dataclass

from shared.changes.execution import GOOD, Result


@dataclass(frozen=True)
class Item:
    """A change as far as its order is concerned."""

    id: str
    description: str
    depends_on: tuple[str, ...]


@dataclass(frozen=True)
class Ended:
    """How one change of the plan ended."""

    change_id: str
    description: str
    result: Result
    detail: str


@dataclass(frozen=True)
class Moves:
    """What to do now: begin these, and count those as skipped."""

    begin: tuple[Item, ...]
    skip: tuple[Ended, ...]


@dataclass(frozen=True)
class PlanEnded:
    """How the plan ended: a success only when every change did, or was to be a dry run."""

    plan_hash: str
    succeeded: bool
    changes: tuple[Ended, ...]

    @property
    def sentence(self) -> str:
        """For people: what did not happen, each with its reason."""
        bad = [ended for ended in self.changes if ended.result not in GOOD]
        if not bad:
            return f"all {len(self.changes)} changes done"
        lines = "; ".join(f"{ended.description}: {ended.result}: {ended.detail}" for ended in bad)
        return f"{len(bad)} of {len(self.changes)} changes not done: {lines}"


def next_moves(items: tuple[Item, ...], running: Set[str], ended: Mapping[str, Ended], at_once: int) -> Moves:
    """What to do now. Dependents of what did not succeed are skipped, and theirs; everything else goes on."""
    known = dict(ended)
    skipped: list[Ended] = []
    begin: list[Item] = []
    for item in items:
        if item.id in known or item.id in running:
            continue
        bad = next((known[d] for d in item.depends_on if d in known and known[d].result not in GOOD), None)
        if bad is not None:
            skip = Ended(item.id, item.description, Result.SKIPPED, f"depends on {bad.description}: {bad.result}")
            known[item.id] = skip
            skipped.append(skip)
        elif all(d in known for d in item.depends_on) and len(running) + len(begin) < at_once:
            begin.append(item)
    return Moves(tuple(begin), tuple(skipped))


def conclude(plan_hash: str, items: tuple[Item, ...], ended: Mapping[str, Ended]) -> PlanEnded:
    """How the plan ended, once every change has."""
    changes = tuple(ended[item.id] for item in items)
    return PlanEnded(plan_hash, all(change.result in GOOD for change in changes), changes)
