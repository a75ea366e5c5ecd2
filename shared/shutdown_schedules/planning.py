"""The changes that bring an environment to what is wanted, in order. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby

from shared.changes.change import Change, Originals, State
from shared.risk import Risk
from shared.shutdown_schedules.memory import Condition, Seen, Sleeper
from shared.shutdown_schedules.resources import POWER, Resource
from shared.shutdown_schedules.wishes import Want, Wish

AUTOMATION = "shutdown_schedules"


@dataclass(frozen=True)
class Case:
    """A resource with all that decides about it now."""

    resource: Resource
    seen: Seen
    sleeper: Sleeper
    wish: Wish

    @property
    def asleep(self) -> bool:
        """Whether it was found asleep."""
        return self.sleeper.condition is Condition.ASLEEP

    @property
    def intent(self) -> str:
        """What is intended with what, the same at every tick."""
        return f"{self.wish.want} {self.resource.key}"


def sleep_changes(cases: Sequence[Case], production: bool, time_limit: Mapping[str, timedelta]) -> list[Change]:
    """What goes to sleep, step by step; each step waits for the one before."""
    wanted = [case for case in cases if case.wish.want is Want.ASLEEP and not case.asleep]

    def change(case: Case, after: tuple[str, ...]) -> Change:
        return _change(
            case,
            "sleep",
            case.resource.asleep,
            after,
            time_limit[case.resource.schedule],
            risk=Risk.DISRUPTIVE if production else Risk.REVERSIBLE,
        )

    return _in_steps(sorted(wanted, key=lambda case: case.resource.rank), change)


def wake_changes(
    cases: Sequence[Case], time_limit: Mapping[str, timedelta], requested: Callable[[Case], bool]
) -> list[Change]:
    """What wakes, in the reverse order. What we put to sleep is given back as it was found.

    What is asleep though we hold nothing of it, a person put to sleep: it wakes when a person asks for it, as far as it
    has a power of its own.
    """
    awake = [case for case in cases if case.wish.want is Want.AWAKE]
    wanted = [case for case in awake if case.seen.original is not None or _asked(case, requested)]

    def change(case: Case, after: tuple[str, ...]) -> Change:
        resource, original = case.resource, case.seen.original
        return _change(
            case,
            "wake",
            original if original is not None else {"power": POWER[resource.kind]},
            after,
            time_limit[resource.schedule],
            originals=Originals.GIVE_BACK if original is not None else Originals.IGNORE,
        )

    return _in_steps(sorted(wanted, key=lambda case: case.resource.rank, reverse=True), change)


def _asked(case: Case, requested: Callable[[Case], bool]) -> bool:
    return case.asleep and case.resource.kind in POWER and "power" in case.resource.asleep and requested(case)


def _change(
    case: Case,
    action: str,
    wanted: State,
    after: tuple[str, ...],
    time_limit: timedelta,
    *,
    risk: Risk = Risk.REVERSIBLE,
    originals: Originals = Originals.SAVE,
) -> Change:
    resource, wish = case.resource, case.wish
    return Change(
        automation=AUTOMATION,
        environment=resource.environment,
        tenant=resource.tenant,
        kind=resource.kind,
        target=resource.target,
        action=action,
        occasion=f"{wish.occasion}; {case.sleeper.condition} since {case.sleeper.since.isoformat()}",
        before=_shown(case.seen.state, wanted),
        after=wanted,
        reason=wish.sentence,
        risk=risk,
        originals=originals,
        latest=wish.until,  # a sleep that could not begin before waking does not begin any more, and the reverse
        depends_on=after,
        apply_within=time_limit,
    )


def _shown(state: State | None, facts: State) -> State:
    return {fact: state[fact] for fact in facts if fact in state} if state else {}


def _in_steps(cases: Iterable[Case], change: Callable[[Case, tuple[str, ...]], Change]) -> list[Change]:
    changes: list[Change] = []
    before: tuple[str, ...] = ()
    for _, step in groupby(cases, key=lambda case: case.resource.rank):
        made = [change(case, before) for case in step]
        changes += made
        before = tuple(each.id for each in made)
    return changes
