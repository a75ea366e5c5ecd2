"""Faults that the host can inject into the delivery of Durable work items, for tests and for the curious."""

import json
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

Kind = Literal["orchestrator", "activity", "entity"]
KINDS: tuple[Kind, ...] = ("orchestrator", "activity", "entity")


@dataclass(frozen=True)
class Faults:
    """What shall go wrong. The default is: nothing.

    Work items are numbered from 1 in the order in which the engine hands them out, over the whole run of the host;
    being delivered again does not change an item's number. Only items of `kinds` are numbered. In the sets of numbers,
    0 stands for every item. Each of these faults strikes an item once; the next delivery of the same item succeeds.

    - deliver_twice: every activity runs twice. "in_turn": one after the other, the second result is the one accepted;
      "together": both at once, the first result is accepted; "late": the second runs `late_seconds` after the
      completion of the first was accepted, as of a worker that hung.
    - kill_before, kill_after: the worker is killed instead of running the item, or after the function returned and
      before its result is known.
    - drop: the function runs, its completion is lost, and the item is delivered again after `redeliver_seconds`.
    - delay: completions that are held back for `delay_seconds`.
    - shuffle_seconds: every delivery waits for a random time up to this, so that items arrive out of order; `seed`
      makes it repeatable.
    """

    deliver_twice: Literal["", "in_turn", "together", "late"] = ""
    late_seconds: float = 0.5
    kill_before: frozenset[int] = frozenset()
    kill_after: frozenset[int] = frozenset()
    drop: frozenset[int] = frozenset()
    redeliver_seconds: float = 0.2
    delay: frozenset[int] = frozenset()
    delay_seconds: float = 0.2
    shuffle_seconds: float = 0.0
    seed: int = 0
    kinds: frozenset[Kind] = frozenset(KINDS)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Faults":
        """Read a JSON object with the fields of this class. Raises ValueError that names the field."""
        data = json.loads(text)
        if not isinstance(data, Mapping):
            raise ValueError("faults: expected a JSON object")
        known = {field.name: field for field in fields(cls)}
        values: dict[str, Any] = {}
        for name, value in data.items():
            if name not in known:
                raise ValueError(f"faults: unknown field {name!r}; use one of {', '.join(known)}")
            values[name] = _checked(name, value)
        return replace(cls(), **values)

    def to_json(self) -> str:
        return json.dumps(asdict(self), default=sorted)


def _checked(name: str, value: Any) -> Any:
    default = getattr(Faults(), name)
    if isinstance(default, frozenset):
        if not isinstance(value, list):
            raise ValueError(f"faults: {name} must be a list")
        if name == "kinds" and not set(value) <= set(KINDS):
            raise ValueError(f"faults: kinds must be of {', '.join(KINDS)}")
        if name != "kinds" and not all(isinstance(number, int) for number in value):
            raise ValueError(f"faults: {name} must be a list of item numbers (0 stands for every item)")
        return frozenset(value)
    if name == "deliver_twice":
        value = "in_turn" if value is True else value or ""
        if value not in ("", "in_turn", "together", "late"):
            raise ValueError("faults: deliver_twice must be in_turn, together, late or empty")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"faults: {name} must be a number")
    return value


class FaultPlan:
    """Decides for one run of the host which fault strikes which delivery."""

    def __init__(self, faults: Faults) -> None:
        self._struck: set[tuple[str, int]] = set()
        self.set(faults)

    def set(self, faults: Faults) -> None:
        self.faults = faults
        self._random = random.Random(faults.seed)

    def strikes(self, fault: Literal["kill_before", "kill_after", "drop", "delay"], number: int | None) -> bool:
        """Whether the fault strikes the item of that number (None: not a numbered kind) now. Asking uses it up."""
        if number is None:
            return False
        numbers: frozenset[int] = getattr(self.faults, fault)
        if number not in numbers and 0 not in numbers:
            return False
        if (fault, number) in self._struck:
            return False
        self._struck.add((fault, number))
        return True

    def shuffle_delay(self) -> float:
        return self._random.uniform(0, self.faults.shuffle_seconds) if self.faults.shuffle_seconds else 0.0
