"""The changes that bring a target to the level of a peak, and back. Pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from math import ceil

from shared.changes.change import Change, Originals, State
from shared.peak_scaling.memory import Held
from shared.peak_scaling.needs import Hold
from shared.peak_scaling.targets import ADAPTERS, Kind, Target, shown
from shared.risk import Risk

AUTOMATION = "peak_scaling"
_SHORTEST = timedelta(hours=1)


def up(
    environment: str, target: Target, held: Held, holds: Iterable[Hold], takes: timedelta, after: Iterable[str] = ()
) -> Change:
    """Bring it to the level that it is held at. `after`: ids of changes that have to be done first."""
    needs = list(holds)
    storage = target.kind is Kind.STORAGE
    said = ", ".join(dict.fromkeys(f"{hold.need.title} ({hold.need.event} {hold.need.period})" for hold in needs))
    first = min(needs, key=lambda hold: hold.need.start).need
    return Change(
        automation=AUTOMATION,
        environment=environment,
        kind=ADAPTERS[target.kind],
        target=target.target,
        action="grow" if storage else "scale",
        occasion=f"{held.occasion}; {len(held.stretches)}",
        before=held.before,
        after=held.level,
        reason=(
            f"{target.name} to {shown(held.level)} for {said}, ready by {first.ready_by:%Y-%m-%d %H:%M} UTC"
            + ("; storage never shrinks again" if storage else "")
        ),
        risk=_risk(target),
        originals=Originals.IGNORE if storage else Originals.SAVE,
        latest=max(hold.latest for hold in needs),
        depends_on=tuple(after),
        apply_within=max(_SHORTEST, takes),
    )


def down(environment: str, target: Target, held: Held, level: State, takes: timedelta) -> Change:
    """One step back: a lower level, which is still ours."""
    return Change(
        automation=AUTOMATION,
        environment=environment,
        kind=ADAPTERS[target.kind],
        target=target.target,
        action="scale",
        occasion=f"{held.occasion}; back {held.step + 1}",
        before=held.level,
        after=level,
        reason=f"{target.name} one step back to {shown(level)}: the peak is over",
        risk=_risk(target),
        apply_within=max(_SHORTEST, takes),
    )


def give_back(environment: str, target: Target, held: Held, takes: timedelta) -> Change:
    """As it was found, wherever it still is what we set; what a person edited is left alone."""
    return Change(
        automation=AUTOMATION,
        environment=environment,
        kind=ADAPTERS[target.kind],
        target=target.target,
        action="scale",
        occasion=f"{held.occasion}; given back",
        before=held.level,
        after=held.before,
        reason=f"{target.name} back to {shown(held.before)}: the peak is over",
        risk=_risk(target),
        originals=Originals.GIVE_BACK,
        apply_within=max(_SHORTEST, takes),
    )


def _risk(target: Target) -> Risk:
    if target.kind is Kind.STORAGE:
        return Risk.IRREVERSIBLE
    return Risk.DISRUPTIVE if target.interrupts else Risk.REVERSIBLE


def step_back(before: State, top: State, step: int, steps: int) -> State:
    """The level of the `step`th of `steps` steps: numbers go down evenly; upper bounds stay until the last one."""
    level: dict[str, object] = {}
    for fact, high in top.items():
        low = before.get(fact)
        if fact != "max" and isinstance(low, int) and isinstance(high, int):
            level[fact] = low + ceil((high - low) * (steps - step) / steps)
        else:
            level[fact] = high
    return level  # pyright: ignore[reportReturnType]  # numbers and what was there: facts as before


def patience(times: int) -> timedelta:
    """How long after a vain attempt the next one is made."""
    return min(timedelta(minutes=5) * 2 ** min(times - 1, 6), timedelta(hours=1)) if times else timedelta()


def is_due(held: Held, now: datetime) -> bool:
    """Whether the same change may be asked for again."""
    return held.tried is None or now >= held.tried + patience(held.times)
