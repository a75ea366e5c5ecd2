"""A small world to change: targets kept in a folder, with a count of every effect, and faults on demand."""

import fcntl
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from local.file_blobs import FileBlobContainer
from shared.changes.change import Change, State
from shared.changes.errors import NotKnownError
from shared.changes.freeze import Window
from shared.changes.policy import BreakerRule, Budget, Limits, Policy, RetryRule
from shared.changes.ports import Act, Acted, Adapters, Services, Verified
from shared.changes.recording import EvidenceRecorder
from shared.changes.state import Store, from_data, to_data
from shared.changes.throttling import Rate, Toll
from shared.risk import Risk

FAST = Policy(
    recheck=timedelta(seconds=0.3),
    busy_recheck=timedelta(seconds=0.1),
    verify_every=timedelta(seconds=0.1),
    redelivery_grace=timedelta(seconds=1.5),
    retry=RetryRule(timedelta(seconds=0.05), timedelta(seconds=0.2), 3),
    attempts_per_target=Budget(20, timedelta(hours=1)),
    breaker=BreakerRule(failures=100),
    limits=Limits(per_environment=50, share=1.0),
)


class World:
    """Targets as JSON files in a folder; every process that opens the folder sees the same.

    faults: per target, what goes wrong next, in order: `busy` (refused, nothing happens), `raise` (before the effect),
    `raise-after` (after it), `die` (the process ends after the effect), `never-ready` (verification never succeeds),
    `fail` (refused for good).
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "targets").mkdir(parents=True, exist_ok=True)
        self.state = FileBlobContainer(folder / "state")
        self.evidence = FileBlobContainer(folder / "evidence")

    def target(self, name: str) -> dict[str, Any]:
        path = self._path(name)
        empty: dict[str, Any] = {"facts": {"n": 3}, "effects": [], "faults": []}
        return json.loads(path.read_text()) if path.exists() else empty

    @contextmanager
    def changed(self, name: str) -> Iterator[dict[str, Any]]:
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            target = self.target(name)
            yield target
            new = self._path(name).with_suffix(".new")
            new.write_text(json.dumps(target))
            new.replace(self._path(name))

    def effects(self, name: str) -> list[Any]:
        return self.target(name)["effects"]

    def set_rules(self, policy: Policy, windows: Sequence[Window] = ()) -> None:
        rules = {"policy": to_data(policy), "windows": [to_data(window) for window in windows]}
        (self.folder / "rules.json").write_text(json.dumps(rules))

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(self.evidence.read(facts.name).data) for facts in self.evidence.list()]

    def kinds(self) -> list[str]:
        return [record["kind"] for record in self.records()]

    def services(self, **more: Any) -> Services:
        adapters = Adapters()
        adapters.register("thing", "set", Setter(self))
        adapters.register("thing", "slow-set", SlowSetter(self))
        given = {
            "store": Store(self.state),
            "adapters": adapters,
            "rules": FileRules(self.folder / "rules.json"),
            "recorder": EvidenceRecorder(self.evidence, lambda: "test", "test"),
        }
        return Services(**{**given, **more})

    def _path(self, name: str) -> Path:
        return self.folder / "targets" / f"{name}.json"


class FileRules:
    """The same policy for every environment but `nowhere`, which is not declared."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def policy(self, environment: str) -> Policy:
        if environment == "nowhere":
            raise NotKnownError("environment nowhere is not declared")
        return from_data(Policy, self._read()["policy"]) if self._path.exists() else FAST

    def windows(self, environment: str, now: datetime) -> tuple[Window, ...]:
        return tuple(from_data(Window, one) for one in self._read()["windows"]) if self._path.exists() else ()

    def targets(self, environment: str, kind: str) -> int:
        return 10

    def _read(self) -> dict[str, Any]:
        return json.loads(self._path.read_text())


class Setter:
    """Sets facts at once."""

    def __init__(self, world: World) -> None:
        self.world = world

    def tolls(self, change: Change) -> Sequence[Toll]:
        return [Toll("things", Rate(1000, timedelta(milliseconds=1)))]

    def read_state(self, change: Change) -> State:
        return self.world.target(change.target)["facts"]

    def apply(self, change: Change, wanted: State, key: str) -> Acted:
        with self.world.changed(change.target) as target:
            fault = target["faults"].pop(0) if target["faults"] else ""
            if fault not in ("busy", "raise", "fail"):
                target["effects"].append([key, dict(wanted)])
                self.take_effect(target, wanted, key)
        match fault:
            case "busy":
                return Acted(Act.BUSY, again_after=timedelta(seconds=0.05), detail="409 another operation runs")
            case "fail":
                return Acted(Act.FAILED, detail="400 no such size")
            case "raise" | "raise-after":
                raise ConnectionResetError("connection reset by peer")
            case "die":
                os._exit(9)
            case "slow":
                time.sleep(0.5)
        return self.answer(key)

    def take_effect(self, target: dict[str, Any], wanted: State, key: str) -> None:
        target["facts"] |= wanted

    def answer(self, key: str) -> Acted:
        return Acted(Act.DONE)

    def poll(self, change: Change, operation: str) -> Acted:
        return Acted(Act.DONE)

    def verify(self, change: Change, wanted: State) -> Verified:
        target = self.world.target(change.target)
        if "never-ready" in target:
            return Verified(False, "0 of 3 ready")
        facts = target["facts"]
        return Verified(all(facts.get(name) == value for name, value in wanted.items()), f"is {facts}")

    def undo(self, change: Change, original: State, key: str) -> Acted:
        with self.world.changed(change.target) as target:
            target["effects"].append([key, dict(original)])
            target["facts"] |= original
        return Acted(Act.DONE)

    def predict(self, change: Change, observed: State) -> str:
        return f"would set {dict(change.after)} where {dict(observed)} is"


class SlowSetter(Setter):
    """Sets facts by an operation that is over at its third poll, or while `short` never, for want of capacity."""

    def take_effect(self, target: dict[str, Any], wanted: State, key: str) -> None:
        target["operation"] = {"key": key, "wanted": dict(wanted), "polls": 0}

    def answer(self, key: str) -> Acted:
        return Acted(Act.RUNNING, operation=key, again_after=timedelta(seconds=0.05))

    def poll(self, change: Change, operation: str) -> Acted:
        with self.world.changed(change.target) as target:
            if target.get("short"):
                return Acted(Act.SHORT, detail="no capacity")
            running = target["operation"]
            running["polls"] += 1
            if running["polls"] < 3:
                return Acted(Act.RUNNING, operation=operation, again_after=timedelta(seconds=0.05))
            target["facts"] |= running["wanted"]
        return Acted(Act.DONE)


def a_change(target: str = "a", **more: Any) -> Change:
    """A change that sets n to 0 on a target, unless said otherwise."""
    given: dict[str, Any] = {
        "automation": "test_changes",
        "environment": "staging",
        "kind": "thing",
        "target": target,
        "action": "set",
        "occasion": "1",
        "before": {"n": 3},
        "after": {"n": 0},
        "reason": "a test wants it",
        "risk": Risk.REVERSIBLE,
    }
    return Change(**{**given, **more})
