"""Policy of peak scaling: the capacity that must be ready before a peak, and how it is given back."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from shared.estate.azure_ids import ComponentId
from shared.estate.declared import Declared
from shared.estate.inventory.places import ClusterPartReference
from shared.estate.policies.rates import Sku
from shared.estate.values import Duration, Fraction, Percent, Size
from shared.estate.windows import WeeklyWindows
from shared.finance_calendar.declaration import Name

Nodes = Annotated[int, Field(ge=0, le=1000)]
Replicas = Annotated[int, Field(ge=0, le=5000)]


class _Bounds(Declared):
    """Either a fixed number, or the bounds that an autoscaler keeps to."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        fixed = getattr(self, "count", None)
        least, most = getattr(self, "min", None), getattr(self, "max", None)
        if fixed is None and least is None and most is None:
            raise ValueError("says nothing; give `count`, or `min` and `max`")
        if fixed is not None and (least is not None or most is not None):
            raise ValueError("says two things; give `count` alone, or `min` and `max` for an autoscaler")
        if least is not None and most is not None and least > most:
            raise ValueError("`min` is more than `max`")
        return self


class PoolTarget(_Bounds):
    """A node pool."""

    count: Nodes | None = None
    """A fixed number of nodes, for a pool without autoscaler."""

    min: Nodes | None = None
    """The least number that the cluster autoscaler keeps: the peak's capacity stands ready."""

    max: Nodes | None = None
    """The largest number that the cluster autoscaler goes to."""


class WorkloadTarget(_Bounds):
    """A workload."""

    count: Replicas | None = None
    """A fixed number of replicas, for a workload without autoscaler."""

    min: Replicas | None = None
    """The least number that its autoscaler keeps."""

    max: Replicas | None = None
    """The largest number that its autoscaler goes to."""


class PostgresTarget(Declared):
    """A PostgreSQL server."""

    sku: Sku | None = None
    """Compute, such as Standard_D16ds_v5. Replicas follow."""

    iops: Annotated[int, Field(ge=100, le=200_000)] | None = None
    """Provisioned IOPS."""

    throughput: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Provisioned throughput in MB/s, for storage that has it."""

    storage: Size | None = None
    """Storage. It never shrinks again: this is said before it is done, and not given back."""


class RedisTarget(Declared):
    """A Redis cache."""

    sku: Sku
    """Size, such as Balanced_B20."""


class Capacity(Declared):
    """Capacity of an environment. What is not named is left as it is."""

    pools: Mapping[ClusterPartReference, PoolTarget] = {}
    """Node pools, as CLUSTER/POOL."""

    workloads: Mapping[ClusterPartReference, WorkloadTarget] = {}
    """Workloads, as CLUSTER/WORKLOAD."""

    postgres: Mapping[Name, PostgresTarget] = {}
    """PostgreSQL servers."""

    redis: Mapping[Name, RedisTarget] = {}
    """Redis caches."""


class GiveBack(Declared):
    """How the capacity of a peak is given back."""

    after: Duration = timedelta(hours=12)
    """How long after the peak it begins."""

    steps: Annotated[int, Field(ge=1, le=20)] = 2
    """In how many steps."""

    pause: Duration = timedelta(hours=1)
    """How long between two steps."""

    queue_below: Annotated[int, Field(ge=0, le=1_000_000)] = 10
    """Nothing is given back while more queue jobs than this wait."""


class Peak(Capacity):
    """What a peak of the calendar needs, on top of what is there."""

    ready_before: Duration = timedelta(hours=2)
    """How long before the peak begins everything must be proven ready."""

    postgres_within: WeeklyWindows | None = None
    """When PostgreSQL compute may change before the peak: it costs a minute of connections, or ten. Without it, at any
    time outside of freezes."""

    give_back: GiveBack = GiveBack()
    """How it is given back."""


class Readiness(Declared):
    """What else must be true for a go before a peak."""

    backup_verified_within: Duration = timedelta(days=35)
    """How old the last passed drill of each server may be."""

    certificate_left: Duration = timedelta(days=7)
    """How long certificates must be valid beyond the peak."""

    connections_free: Percent = Fraction(0.15)
    """The share of max_connections that must remain when every replica holds all that it may."""


class Forecast(Declared):
    """Targets recommended from earlier peaks of the same kind."""

    apply: bool = False
    """Whether a recommendation within `bounds` is used without asking."""

    bounds: Capacity = Capacity()
    """The most that a recommendation may be without an approval."""

    headroom: Percent = Fraction(0.2)
    """What is added to the highest need that was measured."""


class ServiceTargets(Declared):
    """What users are to feel during a peak, as the 95th percentile; the report says whether it was kept."""

    latency: Duration | None = None
    """How long an answer takes, by the averages of five minutes (of peaks beyond two days, fifteen)."""

    latency_of: ComponentId | None = None
    """The Application Insights component that the web tier sends its requests to. Without it, latency is not
    measured."""

    queue_delay: Duration | None = None
    """How long a queue job waits before it begins."""

    job_duration: Duration | None = None
    """How long a queue job runs."""

    @model_validator(mode="after")
    def _judged(self) -> Self:
        if self.latency_of is not None and self.latency is None:
            raise ValueError("says where latency is measured, but not what is to be kept; give `latency`, such as 2s")
        return self


class PeakScaling(Declared):
    """Peak scaling of one environment."""

    baseline: Capacity = Capacity()
    """The capacity outside of peaks, for the report: what is above it is the cost of peaks. Without it, what was found
    before the first peak."""

    peaks: Mapping[Name, Peak]
    """What is needed, by the calendar event that is the peak. Where peaks overlap the larger need wins."""

    margin: Percent = Fraction(0.5)
    """What is added to the time that scaling took before, when its beginning is computed."""

    readiness: Readiness = Readiness()
    """What else must be true for a go."""

    keeps: ServiceTargets = ServiceTargets()
    """What is judged after the peak: keep, reduce or raise the targets next time."""

    forecast: Forecast = Forecast()
    """Recommendations from earlier peaks."""
