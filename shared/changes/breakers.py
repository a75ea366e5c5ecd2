"""Circuit breakers: after consecutive failures nothing of a kind acts for a while, then one probe may."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from shared.changes.policy import BreakerRule

_REMEMBERED = 64
"""Results remembered so that a second delivery of one is not a second failure. Deliveries are minutes apart."""


class BreakerState(StrEnum):
    """How a breaker stands at an instant."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True)
class Breaker:
    """One breaker. An entry is one run of one change, however many attempts it makes.

    opened_at: when it last opened; None while closed.
    probe, probe_until: the entry that may try while it is half open, and until when it has to report.
    results: the entries whose result was taken in, newest last.
    """

    failures: int = 0
    opened_at: datetime | None = None
    probe: str | None = None
    probe_until: datetime | None = None
    results: tuple[str, ...] = ()

    def state(self, rule: BreakerRule, now: datetime) -> BreakerState:
        """How it stands."""
        if self.opened_at is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now < self.opened_at + rule.open_for else BreakerState.HALF_OPEN

    def free_at(self, rule: BreakerRule, entry: str, now: datetime) -> datetime:
        """When this entry may try: `now` when it may at once."""
        if self.opened_at is None:
            return now
        if now < self.opened_at + rule.open_for:
            return self.opened_at + rule.open_for
        if self.probe in (None, entry) or self.probe_until is None or now >= self.probe_until:
            return now
        return self.probe_until

    def entered(self, rule: BreakerRule, entry: str, now: datetime) -> "Breaker":
        """With this entry begun; it becomes the probe while half open. The caller has asked `free_at`."""
        if self.state(rule, now) is not BreakerState.HALF_OPEN:
            return self
        return replace(self, probe=entry, probe_until=now + rule.probe_for)

    def reported(self, rule: BreakerRule, entry: str, *, succeeded: bool, now: datetime) -> "Breaker":
        """With the entry's result taken in; the same result twice is one.

        While it is open only the probe's result counts: others began before it opened and prove nothing new.
        """
        if entry in self.results or (self.opened_at is not None and entry != self.probe):
            return self
        results = (*self.results, entry)[-_REMEMBERED:]
        if succeeded:
            return Breaker(results=results)
        failures = self.failures + 1
        opens = self.opened_at is not None or failures >= rule.failures
        return Breaker(failures, now if opens else None, results=results)

    def left(self, entry: str) -> "Breaker":
        """Without the entry, which proved nothing either way: another may be the probe."""
        return self if self.probe != entry else replace(self, probe=None, probe_until=None)
