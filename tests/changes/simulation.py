"""Executions played against real state with every delivery out of our hands: interleaved, doubled, late, crashed.

Activities run in threads of which exactly one moves at a time; at each look at the state or the target a seeded
scheduler decides who moves next. So one seed is one exact interleaving, down to single blob operations.
"""

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from local.memory_blobs import MemoryBlobContainer
from shared.blob_container import Blob, BlobFacts
from shared.changes import claims, executor, governance
from shared.changes.advance import advance, step
from shared.changes.approvals import Approval
from shared.changes.budgets import Attempts
from shared.changes.change import Change, State
from shared.changes.errors import ConflictError, NotPermittedError
from shared.changes.execution import FINAL, Execution, Result
from shared.changes.freeze import Window
from shared.changes.plan import Plan
from shared.changes.policy import BreakerRule, Budget, Limits, Policy, RetryRule
from shared.changes.ports import Act, Acted, Adapters, Entry, Services, Verified
from shared.changes.progress import Answer, Fault, Nothing, Phase, Progress, Sleep
from shared.changes.state import Store
from shared.changes.throttling import Rate, Toll
from shared.identity import Person, Role

START = datetime(2026, 12, 1, tzinfo=UTC)
POLICY = Policy(
    attempts_per_target=Budget(4, timedelta(hours=2)),
    attempts_per_class=Budget(12, timedelta(hours=2)),
    limits=Limits(per_environment=2, share=1.0),
    retry=RetryRule(timedelta(seconds=10), timedelta(minutes=1), 3),
    breaker=BreakerRule(failures=3, open_for=timedelta(hours=1)),
    redelivery_grace=timedelta(minutes=10),
)


class CrashError(BaseException):
    """The process that ran the activity is gone: nothing after this line happens, nothing is answered."""


class Baton:
    """Lets one thread move at a time, chosen by the seed at every switch."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self._turn: dict[threading.Thread, threading.Semaphore] = {}
        self._back = threading.Semaphore(0)
        self.crash_next = 0.0

    def begin(self, work: Callable[[], None]) -> None:
        def run() -> None:
            self._turn[threading.current_thread()].acquire()
            try:
                work()
            finally:
                del self._turn[threading.current_thread()]
                self._back.release()

        thread = threading.Thread(target=run, daemon=True)
        self._turn[thread] = threading.Semaphore(0)
        thread.start()

    def switch(self) -> None:
        """Called by a thread wherever another one may get in between, or the process may die."""
        mine = self._turn.get(threading.current_thread())
        if mine is None:
            return
        self._back.release()
        mine.acquire()
        if self.crash_next and self.random.random() < self.crash_next:
            raise CrashError

    @property
    def busy(self) -> int:
        return len(self._turn)

    def move(self) -> None:
        """Let one thread go on to its next switch."""
        self.random.choice(list(self._turn.values())).release()
        self._back.acquire()


class SwitchingContainer(MemoryBlobContainer):
    """Blobs at which others may get in between, before and after each operation."""

    def __init__(self, baton: Baton) -> None:
        super().__init__()
        self._baton = baton

    def create(self, name: str, data: bytes, content_type: str = "application/json") -> str:
        self._baton.switch()
        etag = super().create(name, data, content_type)
        self._baton.switch()
        return etag

    def replace(self, name: str, data: bytes, etag: str, content_type: str = "application/json") -> str:
        self._baton.switch()
        new = super().replace(name, data, etag, content_type)
        self._baton.switch()
        return new

    def read(self, name: str) -> Blob:
        self._baton.switch()
        return super().read(name)

    def list(self, prefix: str = "", start_from: str | None = None) -> Iterator[BlobFacts]:
        self._baton.switch()
        return super().list(prefix, start_from)


@dataclass
class Job:
    """One activity that an execution waits for; deliveries of it may still run when it is answered."""

    call: Callable[[], Answer]
    answer: Answer | None = None
    started: int = 0


@dataclass
class Run:
    """One orchestration of a change."""

    progress: Progress
    plan_hash: str
    owner: str
    change: Change
    job: Job | None = None
    wakes: int = 0


@dataclass
class World:
    """What happened, for the invariants."""

    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    effects: list[tuple[str, str]] = field(default_factory=list)
    acting: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


class Simulation:
    """Several plans that share changes, run to their ends under everything that can go wrong with delivery."""

    def __init__(
        self, seed: int, plans: Sequence[Plan], *, crashes: float = 0.0, faults: float = 0.0, policy: Policy = POLICY
    ) -> None:
        self._policy = policy
        self.baton = Baton(seed)
        self.random = self.baton.random
        self.baton.crash_next = crashes
        self.faults = faults
        self.now = START
        self.world = World()
        self.container = SwitchingContainer(self.baton)
        self.store = Store(self.container, pause=lambda _: None)
        self.entries: list[Entry] = []
        self.changes = {change.id: change for plan in plans for change in plan.changes}
        self.late: list[Callable[[], Answer]] = []
        self.frozen: tuple[Window, ...] = ()
        adapters = Adapters()
        adapters.register("thing", "set", self)
        self.services = Services(store=self.store, adapters=adapters, rules=self, recorder=self, clock=lambda: self.now)
        self.runs = [_run(change, plan.hash, str(n)) for n, plan in enumerate(plans) for change in plan.changes]
        for plan in plans:
            self.store.create(executor.plan_name(plan.hash), Plan, plan)

    # The rules and the recorder

    def policy(self, environment: str) -> Policy:
        return self._policy

    def windows(self, environment: str, now: datetime) -> tuple[Window, ...]:
        return self.frozen

    def targets(self, environment: str, kind: str) -> int:
        return 8

    def record(self, entry: Entry) -> None:
        self.entries.append(entry)

    # The adapter: notes every effect, and checks at that very moment what has to be true then

    def tolls(self, change: Change) -> Sequence[Toll]:
        return [Toll("things", Rate(5, timedelta(seconds=1)))]

    def read_state(self, change: Change) -> State:
        self.baton.switch()
        return dict(self._facts(change.target))

    def apply(self, change: Change, wanted: State, key: str) -> Acted:
        self.baton.switch()
        draw = self.random.random()
        if draw < self.faults:
            if draw < self.faults / 2:
                return Acted(Act.BUSY, again_after=timedelta(seconds=30))
            raise ConnectionResetError("before the effect")
        self.world.acting.append(change.target)
        self._check(change, key)
        self.world.effects.append((change.id, key))
        self._facts(change.target).update(wanted)
        try:
            for _ in range(6):  # others may get in between the effect and our knowing of it, or we may die
                self.baton.switch()
        finally:
            self.world.acting.remove(change.target)
        if self.random.random() < self.faults:
            raise ConnectionResetError("after the effect")
        return Acted(Act.DONE)

    def poll(self, change: Change, operation: str) -> Acted:
        return Acted(Act.DONE)

    def verify(self, change: Change, wanted: State) -> Verified:
        facts = self._facts(change.target)
        return Verified(all(facts[name] == value for name, value in wanted.items()))

    def undo(self, change: Change, original: State, key: str) -> Acted:
        raise AssertionError("nothing asks for it")

    def predict(self, change: Change, observed: State) -> str:
        return ""

    def _facts(self, target: str) -> dict[str, Any]:
        return self.world.facts.setdefault(target, {"n": 3})

    def _check(self, change: Change, key: str) -> None:
        quiet = Store(self._quiet(), pause=lambda _: None)
        broken = self.world.broken
        if len(self.world.acting) > len(set(self.world.acting)):
            broken.append(f"two at once act on {change.target}")
        if len(self.world.acting) > self._policy.limits.per_environment:
            broken.append(f"{len(self.world.acting)} act at once")
        counted = [a.id for attempts in quiet.all("attempts/", Attempts) for a in attempts.counted]
        in_class = max((attempts.counted for attempts in quiet.all("attempts/", Attempts)), key=len)
        if len([a for a in in_class if a.at > self.now - self._policy.attempts_per_class.window]) > (
            self._policy.attempts_per_class.limit
        ):
            broken.append(f"more attempts than the budget has: {in_class}")
        if counted.count(key) != 2:
            broken.append(f"{key} acts, counted {counted.count(key)} times of 2")
        layers = claims.get_originals(quiet, change).layers.get("n", ())
        if not layers or layers[0].found != 3:
            broken.append(f"the original of {change.target} is not saved: {layers}")
        known = quiet.get(executor.execution_name(change.id), Execution)
        if claims.always_needs_approval(change, self._policy) and known is not None:
            grants = quiet.get(claims.APPROVALS, dict[str, Approval]) or {}
            good = [
                a
                for a in grants.values()
                if a.plan_hash == known.plan_hash
                and a.answer
                and a.answer.granted
                and a.uses.get(change.id) == known.run
            ]
            if len(good) != 1:
                broken.append(f"{change.target} acts with {len(good)} approvals")

    def _quiet(self) -> MemoryBlobContainer:
        """The same blobs without switches."""
        quiet = MemoryBlobContainer()
        quiet.__dict__.update({k: v for k, v in self.container.__dict__.items() if k != "_baton"})
        return quiet

    # Time and delivery

    def play(self, moves: int = 4000, *, human: Callable[["Simulation"], None] | None = None) -> None:
        """Until every run is over; AssertionError when that does not come."""
        for _ in range(moves):
            if all(step(run.progress) is Phase.DONE for run in self.runs) and not self.baton.busy:
                return
            choice = self.random.random()
            if self.baton.busy and choice < 0.75:
                self.baton.move()
            elif self.late and choice < 0.78:
                self._deliver(Job(self.random.choice(self.late)))
            elif human is not None and choice < 0.82:
                human(self)
            else:
                self._orchestrate(self.random.choice(self.runs))
                if self._quiet_moment() and self.random.random() < 0.3:
                    self.now += timedelta(seconds=self.random.choice([1, 10, 60, 300, 900]))
        raise AssertionError(f"not over: {[(step(r.progress), r.progress) for r in self.runs]}")

    def aftermath(self) -> None:
        """Long after: people have edited everything, all old deliveries come once more, and the plans are run again."""
        self.now += timedelta(hours=5)
        self.baton.crash_next = self.faults = 0.0
        for facts in self.world.facts.values():
            facts["n"] = 9
        for call in dict.fromkeys(self.late):
            self._deliver(Job(call))
            while self.baton.busy:
                self.baton.move()
        over = [run for run in self.runs if run.progress.result in FINAL]
        self.runs = [_run(run.change, run.plan_hash, f"again {run.owner}") for run in over]
        self.play()

    def _quiet_moment(self) -> bool:
        """Whether time may pass. The host delivers again at once what a process that died has left, and no outage of
        the app, in which sleepers oversleep, is as long as the time for which a silent run is taken to be alive."""
        overslept = self.now - timedelta(minutes=40)
        sleeps = [now.until for now in (step(run.progress) for run in self.runs) if isinstance(now, Sleep)]
        answered = all(run.job is None or run.job.answer is not None for run in self.runs)
        return not self.baton.busy and answered and all(until > overslept for until in sleeps)

    def wake(self, instances: Sequence[str]) -> None:
        for run in self.runs:
            if self._instance(run) in instances:
                run.wakes += 1

    def _orchestrate(self, run: Run) -> None:
        """Let one orchestration take its next step, if what it waits for is there."""
        if run.job is not None:
            if run.job.answer is None:
                if run.job.started == 0 or self.random.random() < 0.1:
                    self._deliver(run.job)
                return
            answer, run.job = run.job.answer, None
            run.progress = advance(run.progress, answer, self.now)
            return
        now = step(run.progress)
        match now:
            case Phase.DONE:
                return
            case Sleep():
                if self.now >= now.until or (now.wakeable and run.wakes > 0):
                    run.wakes = 0
                    run.progress = advance(run.progress, Nothing(), self.now)
                elif self._quiet_moment() and self.random.random() < 0.2:
                    self.now = now.until
            case Entry():
                self.record(now)
                run.progress = advance(run.progress, Nothing(), self.now)
            case Phase():
                run.job = Job(self._activity(run, now))

    def _deliver(self, job: Job) -> None:
        job.started += 1
        self.late.append(job.call)

        def work() -> None:
            try:
                answer = job.call()
            except CrashError:
                job.started -= 1
                return
            except Exception as error:  # noqa: BLE001 (the host turns every exception into an answer)
                answer = Fault(f"{type(error).__name__}: {error}")
            if job.answer is None:
                job.answer = answer

        self.baton.begin(work)

    def _activity(self, run: Run, phase: Phase) -> Callable[[], Answer]:
        services, p = self.services, run.progress
        match phase:
            case Phase.ADMIT:
                return lambda: executor.admit(
                    services,
                    run.change,
                    plan_hash=run.plan_hash,
                    owner=run.owner,
                    instance=self._instance(run),
                    requested_by="peak_scaling",
                    joined=p.run,
                )
            case Phase.GATE:
                return lambda: executor.gate(services, p.change_id, p.run, p.attempt)
            case Phase.ACT:
                return lambda: executor.act(services, p.change_id, p.run, p.attempt)
            case Phase.VERIFY:
                return lambda: executor.verify(services, p.change_id, p.run)
            case Phase.FINISH:

                def finish() -> Answer:
                    executor.finish(services, p.change_id, p.run, p.result or Result.FAILED, p.detail)
                    return Nothing()

                return finish
            case _:
                raise AssertionError(f"nothing leads to {phase}")

    def _instance(self, run: Run) -> str:
        return f"change:{run.change.id}:{run.owner}"


def _run(change: Change, plan_hash: str, owner: str) -> Run:
    progress = Progress(
        change_id=change.id, automation=change.automation, environment=change.environment, tenant=change.tenant
    )
    return Run(progress, plan_hash, owner, change)


def approver(simulation: Simulation) -> None:
    """A person who answers what is open, sometimes twice; and one who tries to approve what is theirs."""
    anna = Person("anna@example.org", frozenset({Role.APPROVER}))
    for approval in governance.list_approvals(simulation.services):
        with suppress(ConflictError, NotPermittedError):
            _, instances = governance.answer_approval(
                simulation.services,
                anna,
                approval.id,
                plan_hash=approval.plan_hash,
                granted=True,
                note="",
                now=simulation.now,
            )
            if simulation.random.random() < 0.5:
                simulation.wake(instances)
