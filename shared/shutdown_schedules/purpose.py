"""What is asleep on purpose, so that nobody is alarmed by it and nothing repairs it. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from shared.shutdown_schedules.considering import Sleep
from shared.shutdown_schedules.memory import Condition, Memory, Sleeper
from shared.shutdown_schedules.resources import Resource, key_of
from shared.shutdown_schedules.wishes import Want

if TYPE_CHECKING:  # whoever has an estate has loaded its models
    from shared.estate.estate import Estate


class Phase(StrEnum):
    """How far it is."""

    GOING = "going-to-sleep"
    ASLEEP = "asleep"
    WAKING = "waking"


@dataclass(frozen=True, slots=True)
class AsleepOnPurpose:
    """Something that does not answer because a schedule says so. until: when the schedules want something else."""

    target: str
    phase: Phase
    reason: str
    since: datetime
    until: datetime | None


def asleep_on_purpose(
    sleep: Sleep,
    memory: Memory,
    now: datetime,
    *,
    target: str | None = None,
    workload: str | None = None,
    among: Iterable[str] | None = None,
) -> AsleepOnPurpose | None:
    """The first thing asked for that sleeps on purpose; see `functions.sleep_state.asleep_on_purpose`.

    A part of something that sleeps, such as a pod of a cluster, sleeps with it. Going to sleep and waking count for as
    long as the schedule allows for them: what takes longer is a fault, and alarms again.
    """
    keys = None if among is None else set(among)
    for resource in sleep.resources:
        if target is not None and not _is_part(target, resource):
            continue
        if workload is not None and resource.name != workload:
            continue
        if keys is not None and resource.key not in keys:
            continue
        sleeper = memory.sleepers.get(resource.key)
        phase = None if sleeper is None else _phase(sleep, memory, resource, sleeper, now)
        if sleeper is not None and phase is not None:
            return AsleepOnPurpose(resource.target, phase, sleeper.sentence, sleeper.since, sleeper.until)
    return None


def needs_of_tenant(estate: "Estate", environment: str, tenant: str) -> list[str]:
    """The keys of the tenant's server and of the workloads that are its own. Raises KeyError."""
    place = estate.environments[environment]
    declared = place.tenants[tenant]
    workloads = [
        f"{place.clusters[each.cluster].id}//{place.clusters[each.cluster].workloads[each.name].object}"
        for each in declared.workloads
    ]
    return [key_of(each) for each in (str(place.postgres[declared.database.server].id), *workloads)]


def _is_part(target: str, resource: Resource) -> bool:
    asked = key_of(target)
    return asked == resource.key or asked.startswith(f"{resource.key}/")


def _phase(sleep: Sleep, memory: Memory, resource: Resource, sleeper: Sleeper, now: datetime) -> Phase | None:
    asleep = sleeper.condition is Condition.ASLEEP
    if sleeper.want is Want.ASLEEP and asleep:
        return Phase.ASLEEP
    limit = sleep.schedules[resource.schedule].time_limit
    attempt, habit = memory.attempt, memory.habits.get(resource.schedule)
    under_way = attempt is not None and now < attempt.at + limit
    if sleeper.want is Want.ASLEEP:
        going = attempt is not None and f"{Want.ASLEEP} {resource.key}" in attempt.intents.values()
        return Phase.GOING if going and under_way else None
    waking = habit is not None and habit.waking is not None and now < habit.waking + limit
    if sleeper.want is Want.AWAKE and (waking or (asleep and sleeper.held and under_way)):
        return Phase.WAKING
    return None
