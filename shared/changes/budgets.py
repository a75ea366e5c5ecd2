"""Budgets of attempts: counted before the act, once per attempt however often it is delivered."""

from dataclasses import dataclass
from datetime import datetime

from shared.changes.policy import Budget


@dataclass(frozen=True)
class Attempt:
    """One attempt that was counted."""

    id: str
    at: datetime


@dataclass(frozen=True)
class Attempts:
    """What was counted under one key within the last window."""

    counted: tuple[Attempt, ...] = ()

    def free_at(self, budget: Budget, attempt_id: str, now: datetime) -> datetime:
        """When this attempt may be counted: `now` when it may at once, or already is."""
        recent = self._recent(budget, now)
        if len(recent) < budget.limit or any(attempt.id == attempt_id for attempt in recent):
            return now
        # Of a budget of none, nothing ever becomes free: a window from now on is as good an answer as any.
        leaving = recent[len(recent) - budget.limit].at if budget.limit else now
        return leaving + budget.window

    def count(self, budget: Budget, attempt_id: str, now: datetime) -> "Attempts":
        """With this attempt counted. The caller has asked `free_at` about the same state."""
        recent = self._recent(budget, now)
        if any(attempt.id == attempt_id for attempt in recent):
            return self
        return Attempts(tuple(sorted((*recent, Attempt(attempt_id, now)), key=lambda attempt: attempt.at)))

    def _recent(self, budget: Budget, now: datetime) -> list[Attempt]:
        return [attempt for attempt in self.counted if attempt.at > now - budget.window]
