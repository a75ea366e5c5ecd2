"""Questions to a database over several connections: each is asked once, of whichever connection is free."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from shared.backup_verification.database import Database


class Spread:
    """As a context: questions that were not begun when it ends in an error are not asked any more.

    The longest questions first: then all connections end at about the same time.
    """

    def __init__(self, databases: Sequence[Database]) -> None:
        """Connections to one database that show the same: to one instant, or to a copy that nobody writes to."""
        self._free: SimpleQueue[Database] = SimpleQueue()
        for database in databases:
            self._free.put(database)
        self._pool = ThreadPoolExecutor(len(databases), thread_name_prefix="question")

    def ask[R](self, question: Callable[[Database], R]) -> Future[R]:
        """The answer to come, or what the question raised."""
        return self._pool.submit(self._asked, question)

    def _asked[R](self, question: Callable[[Database], R]) -> R:
        database = self._free.get()
        try:
            return question(database)
        finally:
            self._free.put(database)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=error is not None)
