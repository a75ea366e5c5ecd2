"""Time for the host: the system's, or one that tests move by hand; and alarms that follow it."""

import asyncio
import heapq
import itertools
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

_LONGEST_WAIT_SECONDS = 30.0  # the system's clock may be set, or the machine sleep, while we wait


class Clock(Protocol):
    """Tells the time (aware, UTC) and says when it was moved."""

    def now(self) -> datetime: ...

    def on_moved(self, callback: Callable[[], None]) -> None: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def on_moved(self, callback: Callable[[], None]) -> None:
        """Nobody moves it, so nobody is told."""


class ManualClock:
    """A clock that stands still until a test moves it; may be moved from any thread."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._callbacks: list[Callable[[], None]] = []

    def now(self) -> datetime:
        return self._now

    def on_moved(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def advance(self, delta: timedelta) -> None:
        self.set(self._now + delta)

    def set(self, now: datetime) -> None:
        self._now = now
        for callback in self._callbacks:
            callback()


class Alarms:
    """Calls back in the event loop when the clock reaches an instant. `at` may be called from any thread."""

    def __init__(self, clock: Clock, loop: asyncio.AbstractEventLoop) -> None:
        self._clock = clock
        self._loop = loop
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._waiting: list[tuple[datetime, int, Callable[[], None]]] = []
        self._changed = asyncio.Event()
        clock.on_moved(self._wake)

    def at(self, when: datetime, callback: Callable[[], None]) -> None:
        with self._lock:
            heapq.heappush(self._waiting, (when, next(self._numbers), callback))
        self._wake()

    async def run(self) -> None:
        while True:
            self._changed.clear()
            for callback in self._due():
                callback()
            with self._lock:
                first = self._waiting[0][0] if self._waiting else None
            wait = _LONGEST_WAIT_SECONDS
            if first is not None:
                wait = min(wait, (first - self._clock.now()).total_seconds())
            if wait <= 0:
                continue
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _due(self) -> list[Callable[[], None]]:
        now = self._clock.now()
        due: list[Callable[[], None]] = []
        with self._lock:
            while self._waiting and self._waiting[0][0] <= now:
                due.append(heapq.heappop(self._waiting)[2])
        return due

    def _wake(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._changed.set)
