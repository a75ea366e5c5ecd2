"""What a look at an environment has before it, and what it has found so far. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.changes.change import Change, State
from shared.changes.originals import Verdict
from shared.peak_scaling.changes import is_due
from shared.peak_scaling.memory import Course, Held, Notice
from shared.peak_scaling.needs import Hold, Scaling, Span
from shared.peak_scaling.readiness import Look
from shared.peak_scaling.targets import Kind, Target, rank


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was read of a target. state None: it cannot be read now. ready, detail: whether it is proven to be at the
    level that is wanted, as its adapter verifies it; ready None: that could not be seen."""

    state: State | None
    ready: bool | None = None
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a change stands. fulfilled: it was done, once and for all, at `finished`."""

    running: bool = False
    fulfilled: bool = False
    finished: datetime | None = None
    failed: bool = False
    detail: str = ""


NOT_BEGUN = Outcome()


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What was looked at, all of it after `now`. The callables are asked only when their answer is needed.

    outcome: of a change, by its id. verdicts: the three-way comparison of a target's facts. queue: jobs that wait,
    None when that cannot be seen. looks: all other checks for a peak. quotas: whether its capacity may be had at all.
    maintenance: whether Azure's own falls into the times, by name of the target, at which it is scaled. originals: what
    was found of a target and what was set last, as the saved originals have it. dry_run: why nothing is really done.
    """

    now: datetime
    seen: Mapping[str, Seen]
    outcome: Callable[[str], Outcome] = lambda _: NOT_BEGUN
    verdicts: Callable[[str, State], Mapping[str, Verdict]] = lambda _, __: {}
    queue: Callable[[], int | None] = lambda: 0
    looks: Callable[[str], Sequence[Look]] = lambda _: ()
    quotas: Callable[[str], Sequence[Look]] = lambda _: ()
    maintenance: Callable[[Mapping[str, Span]], Sequence[Look]] = lambda _: ()
    originals: Callable[[str], tuple[State, State]] = lambda _: ({}, {})
    dry_run: str = ""


@dataclass
class Working:
    """What a look has found so far."""

    scaling: Scaling
    facts: Facts
    holds: Sequence[Hold]
    held: dict[str, Held]
    courses: dict[str, Course]
    told: dict[str, datetime]
    measured: dict[str, tuple[float, ...]]
    notices: list[Notice] = field(default_factory=list[Notice])
    changes: dict[str, Change] = field(default_factory=dict[str, Change])
    failures: dict[str, str] = field(default_factory=dict[str, str])

    def tell(self, kind: str, about: str, **body: object) -> None:
        """Have something recorded and told, once for what it is about."""
        key = f"{kind}/{about}"
        if key not in self.told:
            self.told[key] = self.facts.now
            environment = self.scaling.environment
            notice = Notice(kind=kind, subject=f"peak:{environment}:{about}", time=self.facts.now, body=body)  # pyright: ignore[reportArgumentType]  # plain values
            self.notices.append(notice)

    def active(self, target: Target) -> list[Hold]:
        """The holds that want something of the target now."""
        held = self.held.get(target.name)
        begun = held.needs if held else ()
        return [
            hold for hold in self.holds if hold.target is target and hold.active(self.facts.now, hold.need.key in begun)
        ]

    def ask(self, target: Target, held: Held, change: Change) -> Held:
        """Ask for a change, unless it runs or was just tried in vain; what failed is remembered for the alarm."""
        outcome = self.facts.outcome(change.id)
        if outcome.failed:
            self.failures[target.name] = outcome.detail
        if outcome.running or not is_due(held, self.facts.now):
            return held
        self.changes[target.name] = change
        return replace(held, tried=self.facts.now, times=held.times + 1)


def may_interrupt(work: Working, event: str) -> bool:
    """Whether PostgreSQL compute may change now."""
    now = work.facts.now
    return any(start <= now < end for start, end in work.scaling.allowed(event, now, now + timedelta(hours=1)))


def with_edit(work: Working, target: Target, held: Held, *, fulfilled: bool = False) -> Held:
    """The hold, left alone from now on when the target is as neither we nor anybody above us has set it.

    fulfilled: what was wanted was done, and is not so any more.
    """
    seen = work.facts.seen.get(target.name)
    if held.edited or target.kind is Kind.STORAGE or seen is None or seen.state is None:
        return held
    state = seen.state
    verdicts = set(work.facts.verdicts(target.target, state).values())
    if Verdict.UNDER_ANOTHER in verdicts or not (Verdict.EDITED in verdicts or fulfilled):
        return held
    below = [fact for fact, value in held.level.items() if rank(state.get(fact)) < rank(value)]
    work.tell(
        "edited_by_person",
        f"{held.occasion}/{target.name}",
        target=target.target,
        name=target.name,
        wanted=dict(held.level),
        found={fact: state.get(fact) for fact in held.level},
        below_need=bool(below),
        detail="left alone until the peak is over" + (f"; {', '.join(below)} is below the need" if below else ""),
    )
    return replace(held, edited=work.facts.now)
