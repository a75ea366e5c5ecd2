"""Giving back after a peak: in steps, only while the queues are empty, in the reverse order of the way up. Pure."""

from dataclasses import replace
from typing import TYPE_CHECKING

from shared.changes.change import State
from shared.peak_scaling.changes import down, give_back, step_back
from shared.peak_scaling.looking import Working, may_interrupt, with_edit
from shared.peak_scaling.memory import Course, Held
from shared.peak_scaling.targets import Kind, Target, shown

if TYPE_CHECKING:
    from shared.estate.policies.peak_scaling import GiveBack


def return_target(work: Working, target: Target) -> None:
    """Bring a target that no peak wants any more one step back, or let it go when it is back."""
    held = work.held[target.name]
    if work.facts.dry_run and _as_found(work, target, held):
        del work.held[target.name]
        return
    if target.kind is Kind.STORAGE:
        _let_go(work, target, held)
        work.tell("storage_stays", f"{held.occasion}/{target.name}", name=target.name, detail="storage never shrinks")
        return
    rules = _rules(work, held)
    held = work.held[target.name] = with_edit(work, target, held)
    if _waits(work, target, held, rules):
        return
    if work.facts.dry_run:
        said = f"{work.facts.dry_run}: {target.name} stays at {shown(held.level)}"
        work.tell("give_back_waits", f"{held.occasion}/{target.name}", name=target.name, detail=said)
    environment, takes = work.scaling.environment, work.scaling.takes(target)
    if target.steps and not held.edited and held.step < rules.steps - 1:
        _one_step(work, target, held, rules)
        return
    change = give_back(environment, target, held, takes)
    if work.facts.outcome(change.id).fulfilled:
        _let_go(work, target, held)
        return
    work.held[target.name] = work.ask(target, held, change)


def _as_found(work: Working, target: Target, held: Held) -> bool:
    """Whether nothing of it was changed: all that a dry run did was to rehearse."""
    seen = work.facts.seen.get(target.name)
    return seen is not None and seen.state is not None and held.before.items() <= seen.state.items()


def _rules(work: Working, held: Held) -> "GiveBack":
    """Those of the last of its peaks that is still declared; else the usual ones."""
    from shared.estate.policies.peak_scaling import GiveBack

    for key in reversed(held.needs):
        peak = work.scaling.policy.peaks.get(key.partition("/")[0])
        if peak is not None:
            return peak.give_back
    return GiveBack()


def _waits(work: Working, target: Target, held: Held, rules: "GiveBack") -> bool:
    now = work.facts.now
    if held.stepped and now < held.stepped + rules.pause:
        return True
    if target.interrupts:
        event = next((key.partition("/")[0] for key in reversed(held.needs)), "")
        if event in work.scaling.policy.peaks and not may_interrupt(work, event):
            return True
    if any(_is_above(work, target, other) for other in work.held):
        return True
    waiting = work.facts.queue()
    if waiting is not None and waiting <= rules.queue_below:
        return False
    said = "cannot be seen" if waiting is None else f"{waiting} wait, {rules.queue_below} may"
    work.tell(
        "give_back_waits", held.occasion, detail=f"nothing is given back while queue jobs wait: {said}", waiting=waiting
    )
    return True


def _is_above(work: Working, target: Target, other: str) -> bool:
    """Whether the other one stands on it on the way down: workloads before their pool, a server before its replicas."""
    above = work.scaling.targets.get(other)
    if above is None or work.active(above):
        return False
    return target.name in above.below


def _one_step(work: Working, target: Target, held: Held, rules: "GiveBack") -> None:
    top = _top(held)
    level = step_back(held.before, top, held.step + 1, rules.steps)
    change = down(work.scaling.environment, target, held, level, work.scaling.takes(target))
    seen = work.facts.seen.get(target.name)
    is_so = seen is not None and seen.state is not None and all(seen.state.get(f) == v for f, v in level.items())
    if is_so or work.facts.outcome(change.id).fulfilled:
        stepped = held.at(level, work.facts.now)
        work.held[target.name] = replace(stepped, step=held.step + 1, stepped=work.facts.now)
        return
    work.held[target.name] = work.ask(target, held, change)


def _top(held: Held) -> State:
    """What it was held at before giving back began."""
    return held.stretches[-1 - held.step].level


def _let_go(work: Working, target: Target, held: Held) -> None:
    """It is back: its peaks get it for their reports."""
    del work.held[target.name]
    for key in held.needs:
        course = work.courses.get(key, Course())
        stays = {**course.stays, target.name: replace(held, stepped=work.facts.now)}
        work.courses[key] = replace(course, stays=stays)
    work.tell("given_back", f"{held.occasion}/{target.name}", name=target.name, target=target.target)
