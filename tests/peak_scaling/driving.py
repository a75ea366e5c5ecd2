"""Plans run on the real executor, step by step, at a time that tests move: weeks take seconds."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from shared.changes import executor, planning
from shared.changes.advance import advance, step
from shared.changes.change import Change
from shared.changes.plan import Plan
from shared.changes.ports import Entry, Services
from shared.changes.progress import Answer, Fault, Nothing, Phase, Progress, Sleep
from shared.changes.scheduling import Ended, next_moves


@dataclass
class Run:
    """One `change_plan`, played by hand."""

    plan: Plan
    owner: str
    progresses: dict[str, Progress] = field(default_factory=dict[str, Progress])
    ended: dict[str, Ended] = field(default_factory=dict[str, Ended])

    @property
    def over(self) -> bool:
        return not self.progresses and len(self.ended) == len(self.plan.changes)


class Driver:
    """Carries plans out. `clock` tells the time; what sleeps until later is left."""

    def __init__(self, services: Services, clock: Callable[[], datetime]) -> None:
        self.services = services
        self.clock = clock
        self.runs: list[Run] = []
        self.started = 0

    def start(self, changes: tuple[Change, ...]) -> str:
        """As `start_plan`: the same plan is not started twice at a time."""
        plan = Plan.of(changes)
        if not any(run.plan.hash == plan.hash for run in self.runs):
            opened = planning.open_plan(self.services, plan.changes, None)
            self.started += 1
            if len(opened.dry_runs) == len(plan.changes):  # which needs no more than to be rehearsed
                return f"plan:{plan.hash[:32]}"
            self.runs.append(Run(plan, f"plan:{plan.hash}@{self.started}"))
        return f"plan:{plan.hash[:32]}"

    def work(self) -> None:
        """Let every plan go on as far as it can now."""
        for run in self.runs:
            while self._go_on(run):
                continue
        self.runs = [run for run in self.runs if not run.over]

    def _go_on(self, run: Run) -> bool:
        items = tuple(planning.Item(c.id, c.description, c.depends_on) for c in run.plan.changes)
        moves = next_moves(items, run.progresses.keys(), run.ended, 50)
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
                    if now.until > self.clock():
                        return False
                case Entry():
                    executor.record(self.services, now)
                case Phase():
                    answer = self._activity(run, change, progress, now)
        except (ConnectionError, executor.AttemptOverError) as error:
            answer = Fault(str(error))
        run.progresses[change.id] = advance(progress, answer, self.clock())
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
                requested_by="peak_scaling",
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
