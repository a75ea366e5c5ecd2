"""What an injury is, and the list of all."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from psycopg import Connection


@dataclass(frozen=True, slots=True)
class Injury:
    """What was done: the table, the ids of the rows that were touched or lost, and a sentence."""

    table: str
    ids: tuple[int, ...]
    done: str


type Injure = Callable[[Connection], Injury]

INJURIES: dict[str, Injure] = {}
"""All injuries of databases, by the name of their function."""


def injury(function: Injure) -> Injure:
    """Put an injury on the list."""
    INJURIES[function.__name__] = function
    return function


def pick(connection: Connection, query: Any, parameters: Any = None) -> tuple[Any, ...]:
    """The row in the middle of the answer: neither the first nor the last of its kind."""
    rows = connection.execute(query, parameters).fetchall()
    if not rows:
        raise LookupError(f"nothing to damage: {query}")
    return rows[len(rows) // 2]
