"""The token buckets of AKS itself, beside those of ARM.

Source: "Quotas, virtual machine size restrictions, and region availability in AKS".
"""

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from local.azure.managed_clusters import refusals
from local.azure.throttling import Bucket

AKS_RATES: Mapping[str, Bucket] = {
    "PUT AgentPool": Bucket(20, 1 / 60),
    "PUT ManagedCluster": Bucket(20, 1 / 60),
    "GET ManagedCluster": Bucket(60, 1),
    "LIST ManagedClusters": Bucket(60, 1),
    "GET Operation": Bucket(200, 2),
    "other": Bucket(60, 1),
}


@dataclass
class Rates:
    """The buckets' state, by what is asked and of which resource. `monotonic` gives seconds."""

    buckets: Mapping[str, Bucket] = field(default_factory=lambda: AKS_RATES)
    monotonic: Callable[[], float] = time.monotonic
    _levels: dict[tuple[str, str], tuple[float, float]] = field(
        default_factory=dict[tuple[str, str], tuple[float, float]]
    )
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def reset(self) -> None:
        """AKS's sizes again, and full buckets."""
        with self._lock:
            self.buckets = AKS_RATES
            self._levels.clear()

    def take(self, what: str, resource: str) -> None:
        """Pay for one call; raises ArmError 429 with Retry-After."""
        bucket, now = self.buckets[what], self.monotonic()
        key = (what, resource.lower())
        with self._lock:
            level, at = self._levels.get(key, (bucket.size, now))
            level = min(bucket.size, level + (now - at) * bucket.refill)
            if level < 1:
                self._levels[key] = (level, now)
                raise refusals.throttled(what, max(1, math.ceil((1 - level) / bucket.refill)))
            self._levels[key] = (level - 1, now)
