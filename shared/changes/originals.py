"""Originals: what a target was before we touched it, so that it can be given back unless a human has decided else.

Several automations may have touched one fact of a target (a peak raised the replicas, then the night set them to
zero), so each fact has layers, oldest first: who found what, and set what.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from shared.changes.change import State
from shared.evidence.canonical import Json


class Verdict(StrEnum):
    """What a three-way comparison says about one fact."""

    GIVE_BACK = "give-back"
    EDITED = "edited"
    ALREADY = "already"
    UNDER_ANOTHER = "under-another"


@dataclass(frozen=True)
class Layer:
    """One automation's hand on one fact: what it found, and all that was set since by it, newest last.

    A value is noted before the act, so the newest may not be real yet and an older one may still be.
    """

    owner: str
    found: Json
    set: tuple[Json, ...]
    at: datetime


@dataclass(frozen=True)
class Originals:
    """The layers of one target, by the name of the fact."""

    target: str
    layers: Mapping[str, tuple[Layer, ...]] = field(default_factory=dict[str, tuple[Layer, ...]])

    def saved(self, owner: str, observed: State, wanted: State, now: datetime) -> "Originals":
        """With what `owner` is about to set noted, and what is there saved if that is news. Twice is once.

        What a human set since our last act is the new original; what we ourselves set is not. A fact that is not
        observed is in motion (a server that is stopping): that is nothing to go back to, so what was saved stands.
        """
        layers = dict(self.layers)
        for fact, wish in wanted.items():
            if fact in observed:
                layers[fact] = _saved(layers.get(fact, ()), Layer(owner, observed[fact], (wish,), now))
        return replace(self, layers=layers)

    def verdicts(self, owner: str, observed: State) -> dict[str, Verdict]:
        """What giving back would do to each fact that `owner` holds.

        A bound cannot go back beyond the other one where a human has set that: it is left alone as well.
        """
        verdicts = {
            fact: _verdict(stack, owner, observed, fact)
            for fact, stack in self.layers.items()
            if any(layer.owner == owner for layer in stack)
        }
        found = self.found_by(owner)
        for fact, edited in (("max", "min"), ("min", "max")):
            bounds = {fact: found.get(fact), edited: observed.get(edited)}
            if (verdicts.get(fact), verdicts.get(edited)) == (Verdict.GIVE_BACK, Verdict.EDITED) and _cross(bounds):
                verdicts[fact] = Verdict.EDITED
        return verdicts

    def to_give_back(self, owner: str, observed: State) -> dict[str, Json]:
        """The facts to set, and to what, so that the target is as `owner` found it. Others are left alone."""
        return {
            fact: _layer(self.layers[fact], owner).found
            for fact, verdict in self.verdicts(owner, observed).items()
            if verdict is Verdict.GIVE_BACK
        }

    def found_by(self, owner: str) -> dict[str, Json]:
        """What `owner` found, by the facts that it holds; empty when it holds none."""
        return {
            fact: _layer(stack, owner).found
            for fact, stack in self.layers.items()
            if any(layer.owner == owner for layer in stack)
        }

    def set_by(self, owner: str) -> dict[str, Json]:
        """What `owner` set last, by the facts that it holds; the act may never have happened."""
        return {
            fact: _layer(stack, owner).set[-1]
            for fact, stack in self.layers.items()
            if any(layer.owner == owner for layer in stack)
        }

    def released(self, owner: str) -> "Originals":
        """Without the owner's layers: given back, or left to the human who edited it.

        Where another automation acted after this one, it inherits the original: it will give back what we found.
        """
        layers: dict[str, tuple[Layer, ...]] = {}
        for fact, stack in self.layers.items():
            rest = _released(stack, owner)
            if rest:
                layers[fact] = rest
        return replace(self, layers=layers)


def _saved(stack: tuple[Layer, ...], new: Layer) -> tuple[Layer, ...]:
    if not stack or stack[-1].owner != new.owner:
        # Acting again above another's layer: that one takes over the original, and we begin anew on top of it.
        return (*_released(stack, new.owner), new)
    mine = stack[-1]
    if not _is_ours(new.found, mine):
        return (*stack[:-1], new)
    others = tuple(value for value in mine.set if not _same(value, new.set[0]))
    return (*stack[:-1], replace(mine, set=(*others, *new.set)))


def _released(stack: tuple[Layer, ...], owner: str) -> tuple[Layer, ...]:
    index = next((i for i, layer in enumerate(stack) if layer.owner == owner), None)
    if index is None:
        return stack
    gone, above = stack[index], stack[index + 1 :]
    if above and _is_ours(above[0].found, gone):
        # Its act may never have happened, so what the gone one set may still be there and is now this one's to undo.
        above = (replace(above[0], found=gone.found, set=(*gone.set, *above[0].set)), *above[1:])
    return (*stack[:index], *above)


def _verdict(stack: tuple[Layer, ...], owner: str, observed: State, fact: str) -> Verdict:
    layer = _layer(stack, owner)
    if layer is not stack[-1]:
        return Verdict.UNDER_ANOTHER
    if fact not in observed:  # in motion: whoever gives back waits until it is not
        return Verdict.GIVE_BACK
    if _same(observed[fact], layer.found):
        return Verdict.ALREADY
    return Verdict.GIVE_BACK if _is_ours(observed[fact], layer) else Verdict.EDITED


def _cross(bounds: State) -> bool:
    least, most = bounds["min"], bounds["max"]
    return isinstance(least, int) and isinstance(most, int) and least > most


def _is_ours(value: Json, layer: Layer) -> bool:
    return any(_same(value, known) for known in (layer.found, *layer.set))


def _layer(stack: tuple[Layer, ...], owner: str) -> Layer:
    return next(layer for layer in stack if layer.owner == owner)


def _same(one: Json, other: Json) -> bool:
    """Equal as JSON: true is not 1, and the order of names in an object does not matter."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
