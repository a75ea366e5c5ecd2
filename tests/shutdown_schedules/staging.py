"""A staging environment that takes its time, with people in it; its plans run on the real executor, step by step."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from local.memory_blobs import MemoryBlobContainer
from shared.changes import executor, planning
from shared.changes.advance import advance, step
from shared.changes.change import Change, State
from shared.changes.freeze import Window
from shared.changes.overrides import Override
from shared.changes.plan import Plan
from shared.changes.policy import BreakerRule, Budget, Limits, Policy
from shared.changes.ports import Act, Acted, Adapters, Entry, Services, Verified
from shared.changes.progress import Answer, Fault, Nothing, Phase, Progress, Sleep
from shared.changes.scheduling import Ended, Moves, next_moves
from shared.changes.state import Store
from shared.changes.throttling import Toll
from shared.shutdown_schedules import tending
from shared.shutdown_schedules.considering import Considered
from shared.shutdown_schedules.considering import Sleep as SleepOf
from shared.shutdown_schedules.habits import BusyWith
from shared.shutdown_schedules.memory import Seen
from tests.shutdown_schedules.declared import CRON, POOL, REPLICAS, SERVER, WEB, WORKER, sleep

TICK = timedelta(minutes=5)
KINDS = ("kubernetes-workload", "kubernetes-cronjob", "aks-node-pool", "postgres-server")
AZURE_STARTS_AFTER = timedelta(days=7)
POLICY = Policy(
    attempts_per_target=Budget(50, timedelta(hours=24)),
    attempts_per_class=Budget(1000, timedelta(hours=24)),
    breaker=BreakerRule(failures=100),
    limits=Limits(per_environment=50, share=1.0),
    freeze_holds=frozenset(),
)


class CrashError(BaseException):
    """The process is gone; what it was doing is delivered again."""


@dataclass
class Effect:
    """One thing that was really done to a target by us."""

    at: datetime
    target: str
    before: dict[str, Any]
    wanted: dict[str, Any]


@dataclass
class Run:
    """One `change_plan`, played by hand."""

    plan: Plan
    owner: str
    terminated: bool = False
    progresses: dict[str, Progress] = field(default_factory=dict)
    ended: dict[str, Ended] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        return not self.progresses and (self.terminated or len(self.ended) == len(self.plan.changes))


class Staging:
    """The world, the app's state in blobs, and time that moves by ticks.

    faults: chance that a process dies right after (or before) an effect. truth: what people want each target to be
    while it is awake. power takes three minutes; `answers` maps a target to faults of its next acts.
    """

    def __init__(self, now: datetime, of: SleepOf | None = None, *, seed: int = 0, crashes: float = 0.0) -> None:
        self.sleep = of or sleep()
        self.now = now
        self.random = random.Random(seed)
        self.crashes = crashes
        self.state: dict[str, dict[str, Any]] = {
            WEB: {"replicas": 3, "autoscaling": "on"},
            WORKER: {"replicas": 2, "autoscaling": "off"},
            CRON: {"suspend": False},
            POOL: {"power": "Running"},
            SERVER: {"power": "Ready"},
            **{replica: {"power": "Ready"} for replica in REPLICAS},
        }
        self.truth = {target: dict(state) for target, state in self.state.items()}
        self.moving: dict[str, tuple[str, datetime]] = {}
        self.stopped_at: dict[str, datetime] = {}
        self.edited: dict[str, datetime] = {}
        self.created: dict[str, datetime] = {}
        self.answers: dict[str, list[Acted]] = {}
        self.effects: list[Effect] = []
        self.acts: list[tuple[datetime, str, str]] = []
        self.entries: list[Entry] = []
        self.events: list[Any] = []
        self.runs: list[Run] = []
        self.ticks = 0
        self.blobs = MemoryBlobContainer()
        adapters = Adapters()
        for kind in KINDS:
            for action in ("sleep", "wake"):
                adapters.register(kind, action, self)
        self.services = Services(
            store=Store(self.blobs, pause=lambda _: None),
            adapters=adapters,
            rules=self,
            recorder=self,
            publisher=self,
            clock=lambda: self.now,
        )
        self.busy: list[BusyWith] = []

    # rules, recorder, publisher

    def policy(self, environment: str) -> Policy:
        return POLICY

    def windows(self, environment: str, now: datetime) -> tuple[Window, ...]:
        return ()

    def targets(self, environment: str, kind: str) -> int:
        return 8

    def record(self, entry: Entry) -> None:
        if entry not in self.entries:
            self.entries.append(entry)

    def publish(self, events: Sequence[Any]) -> None:
        self.events += [event for event in events if event.id not in {each.id for each in self.events}]

    def kinds(self) -> Counter[str]:
        return Counter(entry.kind for entry in self.entries)

    # the adapter

    def tolls(self, change: Change) -> Sequence[Toll]:
        return []

    def read_state(self, change: Change) -> State:
        self.move_power()
        state = dict(self.state[change.target])
        return {} if state.get("power") in ("Stopping", "Starting") else state

    def apply(self, change: Change, wanted: State, key: str) -> Acted:
        self.acts.append((self.now, change.action, change.target))
        if self.answers.get(change.target):
            return self.answers[change.target].pop(0)
        if self.random.random() < self.crashes / 2:
            raise CrashError
        state = self.state[change.target]
        if state.get("power") in ("Stopping", "Starting"):
            return Acted(Act.BUSY, again_after=timedelta(minutes=1), detail=f"it is {state['power']}")
        assert any(state.get(fact) != value for fact, value in wanted.items()), f"{change.target} was so already"
        self._check_order(change)
        self.effects.append(Effect(self.now, change.target, dict(state), dict(wanted)))
        if "power" in wanted:
            self.turn(change.target, str(wanted["power"]))
        else:
            state.update(wanted)
        if self.random.random() < self.crashes / 2:
            raise CrashError
        return Acted(Act.DONE)

    def poll(self, change: Change, operation: str) -> Acted:
        return Acted(Act.DONE)

    def verify(self, change: Change, wanted: State) -> Verified:
        self.move_power()
        state = self.state[change.target]
        return Verified(all(state[fact] == value for fact, value in wanted.items()), f"is {state}")

    def undo(self, change: Change, original: State, key: str) -> Acted:
        raise AssertionError("nothing asks for it")

    def predict(self, change: Change, observed: State) -> str:
        return f"would set {dict(change.after)}"

    def _check_order(self, change: Change) -> None:
        """What is beneath never goes first, whatever happened before."""
        if change.target == POOL and change.action == "sleep":
            assert not self.untouched_workloads(), "the pool stops under running pods"
        if change.target == SERVER and change.action == "wake":
            assert all(
                self.state[each]["power"] == "Ready" for each in REPLICAS if self.truth[each]["power"] == "Ready"
            )

    def untouched_workloads(self) -> list[str]:
        """Workloads that run, and that no person set running lately."""
        return [
            each
            for each in (WEB, WORKER)
            if self.state[each]["replicas"]
            and self.now - self.edited.get(each, self.now - timedelta(days=1)) > TICK * 3
        ]

    # power takes time

    def turn(self, target: str, power: str) -> None:
        self.state[target]["power"] = "Stopping" if power == "Stopped" else "Starting"
        self.moving[target] = (power, self.now + timedelta(minutes=3))

    def move_power(self) -> None:
        for target, (power, at) in list(self.moving.items()):
            if self.now >= at:
                del self.moving[target]
                self.state[target]["power"] = power
                self.stopped_at.pop(target, None)
                if power == "Stopped":
                    self.stopped_at[target] = at
        for target, at in list(self.stopped_at.items()):
            if target != POOL and self.now >= at + AZURE_STARTS_AFTER:
                del self.stopped_at[target]
                self.truth[target]["power"] = "Ready"  # also what a person had stopped: nobody wants that any more
                self.turn(target, "Ready")

    # people

    def edit(self, target: str, **facts: Any) -> None:
        """A person sets it so: from now on that is how it is to be when it is awake."""
        self.move_power()
        self.edited[target] = self.now
        if "power" in facts:
            if target in self.moving:
                return
            self.truth[target]["power"] = facts["power"]
            if self.state[target]["power"] != facts["power"]:
                self.turn(target, facts["power"])
            return
        self.truth[target] |= facts
        self.state[target] |= facts

    def override(self, override: Override) -> None:
        known = {each.id: each for each in tending.overrides(self.services.store)}
        self.services.store.update("overrides", dict[str, Override], lambda _: {**known, override.id: override})

    # the app

    def seen(self) -> dict[str, Seen]:
        self.move_power()
        return {
            target.casefold(): Seen(
                state=dict(state),
                ready=state.get("power", "Ready") in ("Ready", "Running"),
                created=self.created.get(target),
                edited=self.edited.get(target) if "replicas" in state else None,
                costs_by={"Standard_D4ds_v5": 1} if "pg-staging" in target else {},
            )
            for target, state in self.state.items()
        }

    def tick(self, *, requested: bool = False) -> Considered:
        """One tick of the timer, as `functions.shutdown_schedules` does it."""
        self.ticks += 1
        considered = tending.look(
            self.services,
            self.sleep,
            self.seen(),
            self.now,
            busy=lambda: self.busy,
            running=any(not run.over for run in self.runs[-1:]),
            requested=requested,
        )
        if considered.unwanted:
            for run in self.runs:
                run.terminated = True
            tending.withdraw_unwanted(self.services, considered.unwanted)
        if considered.changes:
            self.start(considered.changes)
        tending.tell(self.services, self.sleep.environment)
        return considered

    def start(self, changes: Sequence[Change]) -> None:
        plan = Plan.of(changes)
        if any(run.plan.hash == plan.hash and not run.over for run in self.runs):
            return
        planning.open_plan(self.services, plan.changes, None)
        self.runs.append(Run(plan, f"plan:{plan.hash}@{len(self.runs)}"))

    def work(self) -> None:
        """Let every plan go on as far as it can now."""
        for run in self.runs:
            while self._go_on(run):
                continue
        self.runs = [run for run in self.runs if not run.over] or self.runs[-1:]

    def _go_on(self, run: Run) -> bool:
        opened = tuple(planning.Item(c.id, c.description, c.depends_on) for c in run.plan.changes)
        moves = next_moves(opened, run.progresses.keys(), run.ended, 50)
        if run.terminated:
            moves = Moves((), ())
        for ended in moves.skip:
            run.ended[ended.change_id] = ended
        for item in moves.begin:
            change = run.plan.by_id[item.id]
            run.progresses[item.id] = Progress(
                change_id=item.id, automation=change.automation, environment=change.environment, tenant=change.tenant
            )
        moved = bool(moves.skip or moves.begin)
        for change_id in list(run.progresses):
            moved |= self._step(run, run.plan.by_id[change_id])
        return moved

    def _step(self, run: Run, change: Change) -> bool:
        progress = run.progresses[change.id]
        now = step(progress)
        answer: Answer = Nothing()
        if now is Phase.DONE:
            del run.progresses[change.id]
            assert progress.result is not None
            run.ended[change.id] = Ended(change.id, change.description, progress.result, progress.detail)
            return True
        try:
            match now:
                case Sleep():
                    if now.until > self.now:
                        return False
                case Entry():
                    executor.record(self.services, now)
                case Phase():
                    answer = self._activity(run, change, progress, now)
        except CrashError:
            return False  # the host delivers it again
        except (ConnectionError, executor.AttemptOverError) as error:
            answer = Fault(str(error))
        run.progresses[change.id] = advance(progress, answer, self.now)
        return True

    def _activity(self, run: Run, change: Change, progress: Progress, phase: Phase) -> Answer:
        services, one = self.services, (change.id, progress.run)
        calls: dict[Phase, Callable[[], Answer]] = {
            Phase.ADMIT: lambda: executor.admit(
                services,
                change,
                plan_hash=run.plan.hash,
                owner=run.owner,
                instance=f"change:{change.id}",
                requested_by="shutdown_schedules",
                joined=progress.run,
            ),
            Phase.GATE: lambda: executor.gate(services, *one, progress.attempt),
            Phase.ACT: lambda: executor.act(services, *one, progress.attempt),
            Phase.POLL: lambda: executor.poll(services, *one, progress.operation or ""),
            Phase.VERIFY: lambda: executor.verify(services, *one),
        }
        if phase is Phase.FINISH:
            assert progress.result is not None
            executor.finish(services, *one, progress.result, progress.detail)
            return Nothing()
        return calls[phase]()

    # time

    def pass_to(self, until: datetime, *, lost: Callable[[datetime], bool] = lambda _: False) -> None:
        """Ticks every five minutes until then, without those that are lost."""
        while self.now < until:
            if not lost(self.now):
                self.tick()
            for _ in range(5):
                self.work()
                self.now += timedelta(minutes=1)
            self.move_power()

    def asleep(self) -> set[str]:
        """The targets that are asleep."""
        return {each.target for each in self.sleep.resources if each.is_asleep(self.state[each.target])}

    def done(self, *targets: str) -> list[tuple[str, dict[str, Any]]]:
        """What was done, in order, to all or to these targets."""
        return [(each.target, each.wanted) for each in self.effects if not targets or each.target in targets]
