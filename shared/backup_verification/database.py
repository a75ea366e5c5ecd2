"""What the checks need of a database: a port, without a driver. `shared.platforms.sql` implements it."""

from collections.abc import Iterator, Sequence
from typing import Any, LiteralString, Protocol


class Database(Protocol):
    """A read-only view of one database at one instant."""

    def rows(self, query: LiteralString, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """All rows of a small answer."""
        ...

    def stream(self, query: LiteralString, parameters: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        """The rows of a large answer, few in memory at a time."""
        ...
