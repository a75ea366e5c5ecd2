"""What a check is: a query for the rows that fail, and the words around it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import LiteralString, NamedTuple

from shared.backup_verification.anchors import Anchor
from shared.backup_verification.catalogue import Catalogue
from shared.backup_verification.database import Database
from shared.backup_verification.findings import Fault, Severity

_MOST_FAULTS: LiteralString = "100000"  # more would change no verdict


class Situation(NamedTuple):
    """What a check may know of the database before it looks, and of the live one at the last anchor."""

    catalogue: Catalogue
    anchor: Anchor | None = None


type Query = Callable[[Situation], LiteralString | None]


@dataclass(frozen=True, slots=True)
class Check:
    """One check. `query` yields a row per fault: id (or null), name for people, and a stable key unless that is the id.

    `needs` are the tables and columns without which the check does not apply; a query that is a function may decline
    too, by None, or word itself by what is there. `suspect` is an aggregate over one entry `m` and its lines `l`, true
    wherever that entry makes the check fail: while no entry is suspected, the query need not be asked.
    """

    name: str
    severity: Severity
    complaint: str
    explanation: str
    query: LiteralString | Query
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    suspect: LiteralString | None = None

    def applies(self, situation: Situation) -> bool:
        """Whether this database has what the check looks at."""
        return all(situation.catalogue.has(table, *columns) for table, columns in self.needs.items())

    def faults(self, database: Database, situation: Situation) -> list[Fault] | str | None:
        """The rows that fail; a text when the server could not answer; None when the check does not apply."""
        if not self.applies(situation):
            return None
        query = self.query(situation) if callable(self.query) else self.query
        if query is None:
            return None
        # Materialized, so that the planner does not expect to be stopped by the limit: as a rule no row fails.
        rows = database.attempt(f"with failing as materialized ({query}) select * from failing limit {_MOST_FAULTS}")
        if isinstance(rows, str):
            return rows
        return [Fault(row, str(label), str(key[0] if key else row)) for row, label, *key in rows]
