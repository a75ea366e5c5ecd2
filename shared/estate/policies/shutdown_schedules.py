"""Policy of shutdown schedules: what sleeps when, in which order, and what keeps it awake."""

from collections.abc import Mapping
from datetime import date, timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from shared.estate.declared import Declared
from shared.estate.inventory.places import ClusterPartReference
from shared.estate.values import Duration
from shared.estate.windows import WeeklyWindows
from shared.finance_calendar.declaration import Name, TimeZone


class Team(Declared):
    """People who share an environment, with hours of their own. It is awake when any team needs it."""

    awake: WeeklyWindows
    """Their working hours."""

    time_zone: TimeZone | None = None
    """Where they work, when it is not the environment's time zone."""

    region: Name | None = None
    """The region of the finance calendar whose holidays are theirs, when it is not the environment's."""


class Covers(Declared):
    """What a schedule is for. With the environment alone it is for everything in it."""

    environment: Name
    """The environment."""

    tenants: tuple[Name, ...] = ()
    """Only what these tenants have for themselves."""

    postgres: tuple[Name, ...] = ()
    """Only these PostgreSQL servers."""

    clusters: tuple[Name, ...] = ()
    """Only these clusters."""

    workloads: tuple[ClusterPartReference, ...] = ()
    """Only these workloads, as CLUSTER/WORKLOAD."""


class DayException(StrEnum):
    """What a single day is like, instead of what its weekday says."""

    ASLEEP = "asleep"
    AWAKE = "awake"


class Busy(StrEnum):
    """What puts sleep off."""

    JOBS = "jobs"
    DUMPS = "dumps"
    DEPLOYMENTS = "deployments"
    MAINTENANCE = "maintenance"


class Deferral(Declared):
    """Sleep waits for what is running."""

    while_running: tuple[Busy, ...] = (Busy.JOBS, Busy.DUMPS, Busy.DEPLOYMENTS, Busy.MAINTENANCE)
    """What it waits for: Odoo and Kubernetes jobs, dumps, rollouts, open maintenance events of Azure."""

    up_to: Duration = timedelta(hours=4)
    """How long it waits. Then it is left awake until the next night, and that is told."""


class Step(StrEnum):
    """A step of going to sleep. Waking goes backwards."""

    WORKERS = "workers"
    WEB = "web"
    CRON_JOBS = "cron-jobs"
    POOLS = "pools"
    CLUSTER = "cluster"
    POSTGRES = "postgres"


_ON_NODES = (Step.WORKERS, Step.WEB, Step.CRON_JOBS)
_STANDS_ON = (
    *((each, Step.POOLS) for each in _ON_NODES),
    *((each, Step.CLUSTER) for each in (*_ON_NODES, Step.POOLS)),
    *((each, Step.POSTGRES) for each in _ON_NODES),
)


def _without_circle(order: tuple[Step, ...]) -> tuple[Step, ...]:
    """What stands on something goes before it; otherwise each would wait for the other."""
    for step in order:
        if order.count(step) > 1:
            raise ValueError(f"has {step} twice, so that it would wait for itself; name each step once")
    for above, below in _STANDS_ON:
        if above in order and below in order and order.index(below) < order.index(above):
            raise ValueError(f"has {below} before {above}, which stands on it; put {above} first")
    return order


class Schedule(Declared):
    """When something sleeps."""

    covers: Covers
    """What it is for."""

    awake: WeeklyWindows | None = None
    """Working hours in the environment's time zone. Without hours and teams it sleeps until it is woken on request."""

    teams: Mapping[Name, Team] = {}
    """Teams with hours of their own."""

    holidays: Literal["asleep", "as any day"] = "asleep"
    """What holidays of the finance calendar are like."""

    exceptions: Mapping[date, DayException] = {}
    """Single days, in the environment's time zone."""

    needed_for: tuple[Name, ...] = ()
    """Calendar events during which it is awake, and from a business day before: a stopped cluster may find no capacity
    in the morning."""

    wake_ahead: Duration = timedelta(minutes=45)
    """How long before people come waking begins, as long as nothing was measured."""

    grace: Duration = timedelta(hours=1)
    """How long what was just created or woken by a person is left alone."""

    warn: Duration = timedelta(minutes=30)
    """How long before sleep a notice with a link to postpone it is sent."""

    defer: Deferral = Deferral()
    """What puts sleep off."""

    clusters: Literal["stop", "stop pools", "zero pools", "leave"] = "stop pools"
    """What becomes of node pools: the whole cluster stops; user pools are stopped; they are scaled to zero; nothing."""

    order: Annotated[tuple[Step, ...], AfterValidator(_without_circle)] = (
        Step.WORKERS,
        Step.WEB,
        Step.CRON_JOBS,
        Step.POOLS,
        Step.CLUSTER,
        Step.POSTGRES,
    )
    """The order of going to sleep; what is left out is left alone. Each step waits for the one before."""

    time_limit: Duration = timedelta(hours=2)
    """How long going to sleep or waking may take until it counts as failed."""

    retire_after: Annotated[int, Field(ge=1, le=520)] | None = None
    """After so many weeks in which nobody woke it, it is proposed for retirement."""

    production_may_sleep: bool = False
    """Said aloud, because a production environment is refused otherwise."""
