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


class Accepted(BaseModel):
    """What a check found and the baseline accepts: no finding, but shown, with the reason."""

    model_config = ConfigDict(frozen=True)

    check: str
    message: str
    rows: tuple[int, ...] = ()
    count: int = 0
    why: str = ""


class Baseline(BaseModel):
    """What is known of a database and accepted, as the keys of faults by check: a verdict is about what is new.

    `reasons` say why, by check; where there is none, it was so in the live database when the baseline was taken. Of a
    check in `whole` everything is accepted.
    """

    model_config = ConfigDict(frozen=True)

    accepted: Mapping[str, frozenset[str]] = {}
    reasons: Mapping[str, str] = {}
    whole: frozenset[str] = frozenset()

    def new(self, check: str, faults: Sequence[Fault]) -> list[Fault]:
        """Those of a check's faults that are not accepted."""
        return [fault for fault in faults if not self._takes(check, fault)]

    def known(self, check: str, complaint: str, faults: Sequence[Fault]) -> Accepted | None:
        """Those of a check's faults that are accepted, None when none is."""
        if not (known := [fault for fault in faults if self._takes(check, fault)]):
            return None
        return Accepted(
            check=check,
            message=_sentence(complaint, known),
            rows=_ids(known),
            count=len(known),
            why=self.reasons.get(check, _KNOWN_FROM_THE_LIVE_DATABASE),
        )

    def _takes(self, check: str, fault: Fault) -> bool:
        return check in self.whole or fault.key in self.accepted.get(check, frozenset())


_KNOWN_FROM_THE_LIVE_DATABASE = "It is the same in the live database, and was there when the baseline was taken."
NOTHING_ACCEPTED = Baseline()


def finding(check: str, severity: Severity, complaint: str, explanation: str, faults: Sequence[Fault]) -> Finding:
    """The finding that these faults are. `complaint` says what is wrong with all of them."""
    return Finding(
        check=check,
        message=_sentence(complaint, faults),
        rows=_ids(faults),
        severity=severity,
        explanation=explanation,
        count=len(faults),
    )


def _sentence(complaint: str, faults: Sequence[Fault]) -> str:
    named = ", ".join(fault.label for fault in faults[:_MAX_ROWS_NAMED])
    more = f" and {len(faults) - _MAX_ROWS_NAMED} more" if len(faults) > _MAX_ROWS_NAMED else ""
    return f"{complaint}: {named}{more}"


def _ids(faults: Sequence[Fault]) -> tuple[int, ...]:
    return tuple(fault.id for fault in faults[:_MAX_ROWS_NAMED] if fault.id is not None)
