"""What the checks need of a database: a port, without a driver. `shared.platforms.sql` implements it."""

from collections.abc import Iterator, Sequence
from typing import Any, LiteralString, Protocol

type Rows = list[tuple[Any, ...]]


class Database(Protocol):
    """A read-only view of one database at one instant."""

    def rows(self, query: LiteralString, parameters: Sequence[object] = ()) -> Rows:
        """All rows of a small answer."""
        ...

    def attempt(self, query: LiteralString, parameters: Sequence[object] = ()) -> Rows | str:
        """All rows of a small answer; or what the server complains of (a corrupt page, a missing right, the statement
        timeout), in which case the view goes on."""
        ...

    def stream(self, query: LiteralString, parameters: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        """The rows of a large answer, few in memory at a time."""
        ...
