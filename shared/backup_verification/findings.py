"""What a check says: faults by row, findings by check, and the baseline of what is known and accepted."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

_MAX_ROWS_NAMED = 20


class Severity(StrEnum):
    """How bad a finding is. An error or worse fails a drill. A warning may be legal and is for people to judge; a note
    says what could not be looked at."""

    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class Fault(NamedTuple):
    """One row that fails a check: its id where it has one, its name for people, and a key that stays the same from one
    copy to the next, by which a baseline knows it."""

    id: int | None
    label: str
    key: str


class Finding(BaseModel):
    """Something wrong: the check that saw it, a sentence, how many rows, and their ids (the first twenty)."""

    model_config = ConfigDict(frozen=True)

    check: str
    message: str
    rows: tuple[int, ...] = ()
    severity: Severity = Severity.ERROR
    explanation: str = ""
    count: int = 0

    @property
    def fails(self) -> bool:
        """Whether a copy with this finding has not come back whole."""
        return self.severity in {Severity.ERROR, Severity.CRITICAL}


class Baseline(BaseModel):
    """What is known of a database and accepted, as the keys of faults by check: a verdict is about what is new."""

    model_config = ConfigDict(frozen=True)

    accepted: Mapping[str, frozenset[str]] = {}

    def new(self, check: str, faults: Sequence[Fault]) -> list[Fault]:
        """Those of a check's faults that are not accepted."""
        known = self.accepted.get(check, frozenset())
        return [fault for fault in faults if fault.key not in known]


NOTHING_ACCEPTED = Baseline()


def finding(check: str, severity: Severity, complaint: str, explanation: str, faults: Sequence[Fault]) -> Finding:
    """The finding that these faults are. `complaint` says what is wrong with all of them."""
    named = ", ".join(fault.label for fault in faults[:_MAX_ROWS_NAMED])
    more = f" and {len(faults) - _MAX_ROWS_NAMED} more" if len(faults) > _MAX_ROWS_NAMED else ""
    return Finding(
        check=check,
        message=f"{complaint}: {named}{more}",
        rows=tuple(fault.id for fault in faults[:_MAX_ROWS_NAMED] if fault.id is not None),
        severity=severity,
        explanation=explanation,
        count=len(faults),
    )
