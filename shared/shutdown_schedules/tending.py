"""Tending an environment's sleep: looks put into memory, notices into the evidence, unwanted changes withdrawn."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from shared.changes import claims, executor
from shared.changes.change import State
from shared.changes.execution import FINAL, Execution
from shared.changes.overrides import Override
from shared.changes.ports import Entry, Services
from shared.changes.state import Store
from shared.changes.withdrawal import withdraw
from shared.shutdown_schedules.considering import Considered, Facts, Sleep
from shared.shutdown_schedules.habits import BusyWith
from shared.shutdown_schedules.memory import Memory, Notice, Seen
from shared.shutdown_schedules.planning import AUTOMATION


def memory_name(environment: str) -> str:
    """Where what is remembered of an environment is kept."""
    return f"sleep/{environment}"


def remembered(store: Store, environment: str) -> Memory:
    """What is remembered of an environment."""
    return store.get(memory_name(environment), Memory) or Memory()


def overrides(store: Store) -> tuple[Override, ...]:
    """What people set aside."""
    return tuple((store.get(claims.OVERRIDES, dict[str, Override]) or {}).values())


def look(
    services: Services,
    sleep: Sleep,
    seen: Mapping[str, Seen],
    now: datetime,
    *,
    busy: Callable[[], Sequence[BusyWith]] = tuple,
    running: bool = False,
    requested: bool = False,
) -> Considered:
    """Consider what was seen (all of it after `now`), and remember it. Two looks at once are one after the other.

    A look that began before one that is remembered decides nothing: what was declared and asked for when it began is
    old, and what it saw may be the other's doing.
    """
    store = services.store
    asked = overrides(store)
    result: list[Considered] = []

    def fulfilled(change_id: str) -> datetime | None:
        known = store.get(executor.execution_name(change_id), Execution)
        return known.finished_at if known is not None and known.result in FINAL else None

    def original(target: str) -> State:
        return claims.originals_of(store, sleep.environment, target).found_by(AUTOMATION)

    def considered(known: Memory | None) -> Memory:
        if known is not None and known.looked_at is not None and now < known.looked_at:
            result[:] = [Considered(known, ())]
            return known
        facts = Facts(
            now=now,
            seen=seen,
            overrides=asked,
            busy=busy,
            running=running,
            requested=requested,
            fulfilled=fulfilled,
            original=original,
        )
        result[:] = [sleep.consider(known or Memory(), facts)]
        return replace(result[0].memory, looked_at=now)

    store.update(memory_name(sleep.environment), Memory, considered)
    return result[0]


def tell(services: Services, environment: str) -> None:
    """Record what waits to be recorded, then forget that it waits: a crash in between records the same once more."""
    waiting = remembered(services.store, environment).notices
    for notice in waiting:
        entry = _entry(environment, notice)
        if notice.quiet:
            services.recorder.record(entry)
        else:
            executor.record(services, entry)
    if waiting:

        def told(known: Memory | None) -> Memory:
            memory = known or Memory()
            return replace(memory, notices=tuple(each for each in memory.notices if each not in waiting))

        services.store.update(memory_name(environment), Memory, told)


def withdraw_unwanted(services: Services, unwanted: Mapping[str, str]) -> list[str]:
    """Take back what nobody wants any more and has not begun; returns the instances to wake."""
    instances = [withdraw(services, change_id, why) for change_id, why in unwanted.items()]
    return [instance for instance in instances if instance]


def started(store: Store, environment: str, attempted_at: datetime, instance: str) -> None:
    """Remember where the plan of an attempt runs."""

    def noted(known: Memory | None) -> Memory:
        memory = known or Memory()
        if memory.attempt is None or memory.attempt.at != attempted_at:
            return memory
        return replace(memory, attempt=replace(memory.attempt, instance=instance))

    store.update(memory_name(environment), Memory, noted)


def _entry(environment: str, notice: Notice) -> Entry:
    return Entry(
        automation=AUTOMATION,
        kind=notice.kind,
        subject=notice.subject,
        time=notice.time,
        environment=environment,
        tenant=notice.tenant,
        body=notice.body,
    )
