"""ARM's token buckets: one for reads, one for writes, one for deletes, per subscription and principal.

Source: "Understand how Azure Resource Manager throttles requests": 250 reads refilled by 25 a second, 200 writes and
200 deletes refilled by 10 a second.
"""

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from local.azure.errors import ArmError


@dataclass(frozen=True, slots=True)
class Bucket:
    """How many calls at once, and how many more each second."""

    size: float
    refill: float


AZURE_BUCKETS: Mapping[str, Bucket] = {
    "reads": Bucket(250, 25),
    "writes": Bucket(200, 10),
    "deletes": Bucket(200, 10),
}


@dataclass(slots=True)
class _Level:
    tokens: float
    at: float


@dataclass
class Throttle:
    """The buckets' state. `buckets` may be replaced at any time; `monotonic` gives seconds."""

    buckets: Mapping[str, Bucket] = field(default_factory=lambda: AZURE_BUCKETS)
    monotonic: Callable[[], float] = time.monotonic
    _levels: dict[tuple[str, str, str], _Level] = field(default_factory=dict[tuple[str, str, str], _Level])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def reset(self) -> None:
        """Azure's sizes again, and full buckets."""
        with self._lock:
            self.buckets = AZURE_BUCKETS
            self._levels.clear()

    def take(self, method: str, subscription: str, principal: str) -> Mapping[str, str]:
        """Pay for one call; returns the headers that tell what is left, raises ArmError 429 with Retry-After."""
        kind = {"GET": "reads", "HEAD": "reads", "DELETE": "deletes"}.get(method, "writes")
        bucket = self.buckets[kind]
        now = self.monotonic()
        with self._lock:
            level = self._levels.setdefault((kind, subscription, principal), _Level(bucket.size, now))
            level.tokens = min(bucket.size, level.tokens + (now - level.at) * bucket.refill)
            level.at = now
            if level.tokens < 1:
                raise _throttled(kind, subscription, principal, (1 - level.tokens) / bucket.refill)
            level.tokens -= 1
            return {f"x-ms-ratelimit-remaining-subscription-{kind}": str(int(level.tokens))}


def _throttled(kind: str, subscription: str, principal: str, wait: float) -> ArmError:
    seconds = max(1, math.ceil(wait))
    return ArmError(
        429,
        "SubscriptionRequestsThrottled",
        f"Number of '{kind.removesuffix('s')}' requests for subscription '{subscription}' actor '{principal}' "
        f"exceeded. Please try again after '{seconds}' seconds.",
        {"Retry-After": str(seconds), f"x-ms-ratelimit-remaining-subscription-{kind}": "0"},
    )
