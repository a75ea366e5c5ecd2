"""Rates that outside systems allow, shared by all running changes: a place in the queue is reserved, not raced for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Rate:
    """A token bucket: `burst` calls at once, then one every `every`."""

    burst: int
    every: timedelta


ARM_READS = Rate(250, timedelta(seconds=1 / 25))
ARM_WRITES = Rate(200, timedelta(seconds=1 / 10))
ARM_DELETES = Rate(200, timedelta(seconds=1 / 10))
"""Per subscription, region and principal: Azure Resource Manager, "Understand how requests are throttled"."""
AKS_AGENT_POOL_WRITES = Rate(20, timedelta(minutes=1))
AKS_CLUSTER_WRITES = Rate(20, timedelta(minutes=1))
"""Per agent pool, per managed cluster: AKS, "Quotas, virtual machine size restrictions, and region availability"."""


@dataclass(frozen=True)
class Toll:
    """A rate that a change has to keep, and whose it is: `Toll("aks-agent-pool/<id>", AKS_AGENT_POOL_WRITES)`."""

    key: str
    rate: Rate


@dataclass(frozen=True)
class Queue:
    """One bucket as a single moment (the generic cell rate algorithm): when it will be full again.

    reserved: attempt id -> when it may call, kept until then so that asking twice reserves once.
    closed_until: the outside system said Retry-After.
    """

    full_at: datetime | None = None
    reserved: Mapping[str, datetime] = field(default_factory=dict[str, datetime])
    closed_until: datetime | None = None

    def reserve(self, rate: Rate, attempt_id: str, now: datetime) -> "Queue":
        """With a call reserved for the attempt; `reserved[attempt_id]` says when. Twice reserves once."""
        kept = {key: at for key, at in self.reserved.items() if at > now - _REMEMBERED}
        if attempt_id in kept:
            return self
        start = max(now, self.full_at or now)
        at = max(now, start - rate.every * (rate.burst - 1), self.closed_until or now)
        return Queue(start + rate.every, {**kept, attempt_id: at}, self.closed_until)

    def close(self, until: datetime) -> "Queue":
        """With no new call before `until`, since the outside system refused one with Retry-After."""
        return Queue(self.full_at, self.reserved, max(until, self.closed_until or until))


_REMEMBERED = timedelta(hours=1)
