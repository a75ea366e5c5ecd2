"""One look at an environment: what every target is to be, what follows, what has to be told. Pure.

Level-triggered: the same facts at the same instant lead to the same changes, and a look that is lost is made up for by
the next one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from shared.changes.change import Change, State
from shared.peak_scaling import alarms
from shared.peak_scaling.changes import up
from shared.peak_scaling.lead_times import noted
from shared.peak_scaling.looking import Facts, Seen, Working, may_interrupt, with_edit
from shared.peak_scaling.memory import Course, Held, Memory, Stretch
from shared.peak_scaling.needs import EARLIEST, Hold, Scaling, wanted_at
from shared.peak_scaling.returning import return_target
from shared.peak_scaling.targets import Kind, Target, at_least, merged, rank


@dataclass(frozen=True)
class Considered:
    """What came of it. over: keys of the peaks whose report is due."""

    memory: Memory
    changes: tuple[Change, ...] = ()
    over: tuple[str, ...] = ()


def consider(scaling: Scaling, memory: Memory, facts: Facts) -> Considered:
    """Look at everything once."""
    now = facts.now
    work = Working(
        scaling=scaling,
        facts=facts,
        holds=scaling.holds(now, now + EARLIEST),
        held=dict(memory.held),
        courses=dict(memory.courses),
        told=dict(memory.told),
        measured=dict(memory.measured),
    )
    if memory.looked_at is None:
        _remember(work)
    for target in scaling.targets.values():
        if holds := work.active(target):
            _hold(work, target, holds)
    for target in reversed(scaling.targets.values()):
        if target.name in work.held and not work.active(target):
            return_target(work, target)
    alarms.watch(work)
    over = tuple(alarms.over(work))
    remembered = replace(
        memory,
        held=work.held,
        courses=work.courses,
        told=work.told,
        measured=work.measured,
        notices=(*memory.notices, *work.notices),
    )
    return Considered(remembered.without_old(now), tuple(work.changes.values()), over)


def wanted_levels(scaling: Scaling, memory: Memory, now: datetime) -> dict[str, State]:
    """What has to be looked at now, and the level that it should be proven to be at, by name of the target."""
    levels = {name: held.level for name, held in memory.held.items() if name in scaling.targets}
    begun = {name: held.needs for name, held in memory.held.items()}
    for name, wanted in wanted_at(scaling.holds(now, now + EARLIEST), now, begun).items():
        known = memory.held.get(name)
        levels[name] = at_least(known.before, wanted) if known else wanted
    return levels


def _remember(work: Working) -> None:
    """Where nothing is remembered, the saved originals tell what was found: what is there may be our own doing."""
    now = work.facts.now
    past = sorted((each for each in work.scaling.needs(now, now) if each.start <= now), key=lambda each: each.over_at)
    for target in work.scaling.targets.values():
        found, level = work.facts.originals(target.target)
        if found and target.kind is not Kind.STORAGE:
            work.held[target.name] = Held(
                occasion=f"found again at {now.isoformat(timespec='seconds')}",
                since=now,
                before=found,
                needs=tuple(need.key for need in past if target.name in need.levels),
                stretches=(Stretch(level, now),),
            )


def _hold(work: Working, target: Target, holds: Sequence[Hold]) -> None:
    """Bring a target to what its peaks want, or leave it where a person has put it."""
    now, seen = work.facts.now, work.facts.seen.get(target.name, Seen(state=None))
    held = work.held.get(target.name)
    wanted: State = {}
    for hold in holds:
        wanted = merged(wanted, hold.level)
    if held is None:
        if seen.state is None or not set(wanted) <= set(seen.state):
            return  # what is there is not known; the alarm tells when that lasts
        found = {fact: seen.state[fact] for fact in wanted}
        first = Stretch(at_least(found, wanted), now)
        occasion = f"{holds[0].need.key} from {now.isoformat(timespec='seconds')}"
        held = Held(occasion=occasion, since=now, before=found, needs=(), stretches=(first,))
    level = at_least(held.before, wanted)
    if level != held.level and _may_move(work, target, holds, held.level, level):
        held = held.at(level, now)
    needs = tuple(dict.fromkeys((*held.needs, *(hold.need.key for hold in holds))))
    held = replace(held, needs=needs, step=0, stepped=None)
    for hold in holds:
        course = work.courses.get(hold.need.key, Course())
        work.courses[hold.need.key] = replace(course, begun=course.begun or now)
    work.held[target.name] = _progress(work, target, holds, held, seen)


def _may_move(work: Working, target: Target, holds: Sequence[Hold], old: State, new: State) -> bool:
    """What interrupts goes down only when it may change."""
    lower = any(rank(new.get(fact)) < rank(value) for fact, value in old.items())
    return not (target.interrupts and lower) or may_interrupt(work, holds[-1].need.event)


def _progress(work: Working, target: Target, holds: Sequence[Hold], held: Held, seen: Seen) -> Held:
    now = work.facts.now
    if held.edited or seen.state is None:
        return held
    change = up(
        work.scaling.environment,
        target,
        held,
        holds,
        work.scaling.takes(target, holds[-1].need.event),
        _beneath(work, target),
    )
    is_so = all(seen.state.get(fact) == value for fact, value in held.level.items())
    if target.kind is Kind.STORAGE:
        is_so = all(rank(seen.state.get(fact)) >= rank(value) for fact, value in held.level.items())
    outcome = work.facts.outcome(change.id)
    if is_so and seen.ready:
        if held.ready is None:
            if outcome.fulfilled and held.tried:
                took = (now - held.stretches[-1].since).total_seconds()
                work.measured = noted(work.measured, target.name, took)
            held = held.proven(now)
        return held
    # What was seen may be older than a change that ended meanwhile, and a fact that is missing is in motion.
    done = outcome.fulfilled and outcome.finished is not None and outcome.finished < now
    other = any(fact in seen.state and seen.state[fact] != value for fact, value in held.level.items())
    if (left := with_edit(work, target, held, fulfilled=done and other)).edited:
        return left
    if outcome.fulfilled or (change.latest is not None and now >= change.latest):
        return held  # done, and waiting to be proven; or the window is over, which the alarm tells
    if target.below and not _stands(work, target):
        return held
    return work.ask(target, held, change)


def _beneath(work: Working, target: Target) -> list[str]:
    """Changes of the same plan that have to be done first: the replicas of a server."""
    if target.kind is not Kind.POSTGRES:
        return []
    return [work.changes[name].id for name in target.below if name in work.changes]


def _stands(work: Working, target: Target) -> bool:
    """Whether a server's replicas are ready, or about to be asked in the same plan."""
    if target.kind is not Kind.POSTGRES:
        return True
    below = [name for name in target.below if name in work.held]
    return all(name in work.changes or work.held[name].ready or work.held[name].edited for name in below)
