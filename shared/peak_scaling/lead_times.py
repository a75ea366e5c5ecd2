"""How long scaling takes: as long as it took before, with a margin; what was never measured takes as long as its kind.

Defaults from Microsoft's documents: PostgreSQL's slow path takes 2 to 10 minutes and a replica is scaled before its
primary (concepts-scaling-resources, 2025-11-18); nodes come in minutes, pods in one or two after them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from shared.peak_scaling.targets import Kind, Target

KEPT = 10
"""So many of the newest measurements of a target count."""

_SAID = {
    Kind.REDIS: timedelta(minutes=60),
    Kind.REPLICA: timedelta(minutes=15),
    Kind.POSTGRES: timedelta(minutes=15),
    Kind.STORAGE: timedelta(minutes=15),
    Kind.POOL: timedelta(minutes=20),
    Kind.WORKLOAD: timedelta(minutes=10),
}
_TICK = timedelta(minutes=10)


@dataclass(frozen=True)
class LeadTimes:
    """Lead times of one environment. measured: seconds by name of the target, the newest last."""

    margin: float = 0.5
    measured: Mapping[str, tuple[float, ...]] = field(default_factory=dict[str, tuple[float, ...]])

    def of(self, target: Target, alike: Iterable[Target] = (), rounds: int = 1) -> timedelta:
        """How long before it has to be ready its scaling begins: the longest known, the margin, and two ticks.

        rounds: so many of its kind are scaled after one another, as far as the gate lets fewer at once. A time that was
        measured of the target itself has its waiting in it.
        """
        own = self.measured.get(target.name)
        if own:
            return timedelta(seconds=max(own)) * (1 + self.margin) + _TICK
        others = [
            timedelta(seconds=seconds)
            for other in alike
            if other.kind is target.kind
            for seconds in self.measured.get(other.name, ())
        ]
        return max([_SAID[target.kind] * rounds, *others]) * (1 + self.margin) + _TICK

    def why(self, target: Target) -> str:
        """Where the lead time comes from, for people."""
        known = self.measured.get(target.name)
        if not known:
            return f"not measured yet; as {target.kind} usually takes"
        return f"the longest of {len(known)} times and {self.margin:.0%}"


def noted(measured: Mapping[str, tuple[float, ...]], name: str, seconds: float) -> dict[str, tuple[float, ...]]:
    """With one more measurement."""
    return {**measured, name: (*measured.get(name, ()), seconds)[-KEPT:]}
