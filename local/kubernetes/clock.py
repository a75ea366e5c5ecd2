"""The cluster's time: the machine's, shifted by what a test adds, or standing still."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class ClusterClock:
    """Runs with the machine unless it is given an instant to stand at. May be advanced from any thread."""

    def __init__(self, standing_at: datetime | None = None) -> None:
        self._standing_at = standing_at
        self._added = timedelta()
        self._listeners: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Aware, UTC."""
        with self._lock:
            return (self._standing_at or datetime.now(UTC)) + self._added

    def listen(self, listener: Callable[[], None]) -> None:
        self._listeners.append(listener)

    def advance(self, by: timedelta) -> None:
        """Let time pass; what falls due has happened when this returns."""
        with self._lock:
            self._added += by
        for listener in self._listeners:
            listener()


def written(instant: datetime) -> str:
    """As metav1.Time is written: whole seconds."""
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def read(text: str) -> datetime:
    return datetime.fromisoformat(text)
