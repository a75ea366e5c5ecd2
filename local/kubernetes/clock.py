"""The cluster's time: the machine's, shifted by what a test adds, or standing still."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class ClusterClock:
    """Runs with the machine unless it is given an instant to stand at. May be advanced from any thread."""

    def __init__(self, standing_at: datetime | None = None) -> None:
        self._standing_at = standing_at
        self._added = timedelta()
        self._workers: list[Callable[[], datetime | None]] = []
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Aware, UTC."""
        with self._lock:
            return (self._standing_at or datetime.now(UTC)) + self._added

    def works(self, worker: Callable[[], datetime | None]) -> None:
        """Call it as time is advanced: it does what is due, and returns the instant at which it has to work next."""
        self._workers.append(worker)

    def advance(self, by: timedelta) -> None:
        """Let time pass from one due instant to the next; all that falls due has happened when this returns."""
        left = by
        while True:
            dues = [due for worker in self._workers if (due := worker()) is not None]
            step = max(min(dues) - self.now(), timedelta()) if dues else left
            if step >= left:
                break
            self._move(step)
            left -= step
        self._move(left)
        for worker in self._workers:
            worker()

    def _move(self, by: timedelta) -> None:
        with self._lock:
            self._added += by


def written(instant: datetime) -> str:
    """As metav1.Time is written: whole seconds."""
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def read(text: str) -> datetime:
    return datetime.fromisoformat(text)
