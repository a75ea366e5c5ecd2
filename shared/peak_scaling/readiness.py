"""Whether an environment is ready for a peak: what was looked at, and go or no-go with the reasons. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Look:
    """One thing that was looked at.

    check: what about, such as `room`, `connections`, `backup`. subject: of what, as the estate calls it. ok: None when
    it could not be seen, which is no good news.
    """

    check: str
    subject: str
    ok: bool | None
    detail: str


class Readiness(StrEnum):
    """The answer."""

    GO = "go"
    NO_GO = "no-go"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class ReadinessReport:
    """The answer for one peak at one instant, with everything that was looked at.

    ready_by: when everything has to be proven. left: how long until then; negative when it is over.
    """

    environment: str
    peak: str
    at: datetime
    ready_by: datetime
    start: datetime
    looks: tuple[Look, ...]

    @property
    def answer(self) -> Readiness:
        """No-go by whatever is not good; unknown while something could not be seen."""
        if any(look.ok is False for look in self.looks):
            return Readiness.NO_GO
        if not self.looks or any(look.ok is None for look in self.looks):
            return Readiness.UNKNOWN
        return Readiness.GO

    @property
    def left(self) -> timedelta:
        """The time left to make it good."""
        return self.ready_by - self.at

    @property
    def reasons(self) -> list[str]:
        """What keeps it from a go, what is bad first."""
        open_ones = sorted((look for look in self.looks if not look.ok), key=lambda look: look.ok is None)
        return [f"{look.subject}: {look.detail}" for look in open_ones]

    @property
    def sentence(self) -> str:
        """For people."""
        if self.answer is Readiness.GO:
            return f"go: {len(self.looks)} checks are good, {spell(self.left)} before it has to be"
        when = f"{spell(self.left)} left" if self.left > timedelta() else f"late by {spell(-self.left)}"
        return f"{self.answer}, {when}: {'; '.join(self.reasons)}"


def spell(span: timedelta) -> str:
    """A span of time for people, to the minute."""
    minutes = int(span.total_seconds()) // 60
    days, hours = divmod(minutes // 60, 24)
    parts = [(days, "d"), (hours, "h"), (minutes % 60, "min")]
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or "0 min"


def connections(
    server: str, wanted: Sequence[tuple[str, int, int]], limit: int | None, reserved: int, free_share: float
) -> Look:
    """Whether all replicas of the workloads that use a server fit into its connections, each holding all it may.

    wanted: name, replicas and connections of a replica. limit: `max_connections`, which does not follow the SKU.
    reserved: those that Azure keeps (15; concepts-limits, 2025-11-13). free_share: what has to remain of the limit.
    """
    used = sum(replicas * each for _, replicas, each in wanted)
    sums = " + ".join(f"{name} {replicas} x {each}" for name, replicas, each in wanted if replicas * each)
    if limit is None:
        return Look("connections", server, None, f"max_connections cannot be read; {used} may be held ({sums})")
    most = int(limit * (1 - free_share)) - reserved
    said = f"{used} of {limit} connections may be held ({sums or 'none counted'}), {most} is the most"
    if used <= most:
        return Look("connections", server, True, said)
    needed = int((used + reserved) / (1 - free_share)) + 1
    remedy = f"raise max_connections to {needed} (a restart), lower the replicas, or pool connections"
    return Look("connections", server, False, f"{said}: {remedy}")
