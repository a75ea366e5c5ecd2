"""Changes carried out in this process: the executor's own steps in their order, on a clock that jumps over waits."""

import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from shared.changes import executor
from shared.changes.advance import advance, step
from shared.changes.change import Change
from shared.changes.execution import Result
from shared.changes.policy import RetryRule
from shared.changes.ports import Adapters, Entry
from shared.changes.progress import Answer, Fault, Nothing, Phase, Progress, Sleep
from tests.changes.world import FAST, World

_MOST_STEPS = 400
_LOOK_SECONDS = 0.02
_UNHURRIED = replace(
    FAST,
    retry=RetryRule(timedelta(seconds=5), timedelta(seconds=60), 3),
    verify_every=timedelta(seconds=1),
    busy_recheck=timedelta(seconds=5),
)


@dataclass(frozen=True)
class Outcome:
    """How a change ended, how long it waited for on its own clock, and its records by kind."""

    result: Result
    detail: str
    waits: list[timedelta] = field(default_factory=list[timedelta])
    kinds: list[str] = field(default_factory=list[str])


class Driver:
    """One world of changes. `now` is its clock, which jumps; what it waits for outside takes a moment as well."""

    def __init__(self, world: World, adapters: Adapters) -> None:
        self.world = world
        world.set_rules(_UNHURRIED)
        self.now = datetime(2026, 11, 20, 18, tzinfo=UTC)
        self.services = world.services(adapters=adapters, clock=lambda: self.now)

    def run(self, change: Change) -> Outcome:
        progress = Progress(
            change_id=change.id, automation=change.automation, environment=change.environment, tenant=change.tenant
        )
        waits: list[timedelta] = []
        kinds: list[str] = []
        for _ in range(_MOST_STEPS):
            now = step(progress)
            answer: Answer = Nothing()
            match now:
                case Phase.DONE:
                    assert progress.result is not None
                    return Outcome(progress.result, progress.detail, waits, kinds)
                case Sleep():
                    waits.append(max(now.until - self.now, timedelta()))
                    self.now = max(self.now, now.until)
                    time.sleep(_LOOK_SECONDS)
                case Entry():
                    kinds.append(now.kind)
                    executor.record(self.services, now)
                case Phase():
                    answer = self._take(change, progress, now)
            progress = advance(progress, answer, self.now)
        raise AssertionError(f"not over after {_MOST_STEPS} steps: {progress}")

    def _take(self, change: Change, progress: Progress, phase: Phase) -> Answer:
        services, key = self.services, (progress.change_id, progress.run)
        try:
            match phase:
                case Phase.ADMIT:
                    return executor.admit(
                        services,
                        change,
                        plan_hash="p",
                        owner=f"o-{self.now.isoformat()}",
                        instance="i",
                        requested_by="test",
                        joined=progress.run,
                    )
                case Phase.GATE:
                    return executor.gate(services, *key, progress.attempt)
                case Phase.ACT:
                    return executor.act(services, *key, progress.attempt)
                case Phase.POLL:
                    return executor.poll(services, *key, progress.operation or "")
                case Phase.VERIFY:
                    return executor.verify(services, *key)
                case Phase.UNDO:
                    return executor.undo(services, *key, progress.attempt)
                case Phase.FINISH:
                    assert progress.result is not None
                    executor.finish(services, *key, progress.result, progress.detail)
                    return Nothing()
                case _:
                    raise AssertionError(phase)
        except Exception as error:  # noqa: BLE001 - what an activity raises is an answer to the orchestration
            return Fault(f"{type(error).__name__}: {error}")
