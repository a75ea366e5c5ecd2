"""The next twelve months of an account, foreseen from the same reading of its blobs as the plan."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from itertools import chain
from queue import Queue
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import polars as pl

    from shared.storage_tiering.account import AccountRules
    from shared.storage_tiering.forecast import Month

_AHEAD = 4


class Outlook:
    """A forecast beside a plan: what the plan reads is `seeing`, and once that is over there are `months`."""

    def __init__(self, rules_at: "Callable[[datetime], AccountRules]", now: datetime) -> None:
        self._rules_at, self._now = rules_at, now
        self._queue: Queue[pl.DataFrame | None] = Queue(_AHEAD)
        self._pool = ThreadPoolExecutor(1)
        self._ending: Future[list[Month]] | None = None

    def __enter__(self) -> Self:
        self._ending = self._pool.submit(self._foresee)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._queue.put(None)
        self._pool.shutdown()

    def seeing(self, batches: "Iterable[pl.DataFrame]") -> "Iterator[pl.DataFrame]":
        """The same batches."""
        for batch in batches:
            self._queue.put(batch)
            yield batch

    def months(self) -> list[dict[str, Any]]:
        """The months as plain data; none when there are no blobs."""
        return [
            {
                "at": month.at.isoformat(),
                "planned_bytes": {str(tier): size for tier, size in month.planned_bytes.items()},
                "planned_cost": month.planned_cost,
                "untouched_bytes": {str(tier): size for tier, size in month.untouched_bytes.items()},
                "untouched_cost": month.untouched_cost,
            }
            for month in self._months()
        ]

    def plot(self, currency: str) -> str:
        """The months as a picture (SVG), empty when there are no blobs."""
        from shared.storage_tiering.forecast_plot import svg

        months = self._months()
        return svg(months, currency) if months else ""

    def _months(self) -> "list[Month]":
        return self._ending.result() if self._ending is not None else []

    def _foresee(self) -> "list[Month]":
        from shared.storage_tiering.forecast import forecast

        reading = self._reading()
        try:
            first = next(reading, None)
            return [] if first is None else forecast(self._rules_at, self._now, chain([first], reading))
        finally:
            for _ in reading:  # whoever fills the queue must not wait for a forecast that failed
                pass

    def _reading(self) -> "Iterator[pl.DataFrame]":
        while (batch := self._queue.get()) is not None:
            yield batch
