"""Whether the checks still find what they are there for: known faults in a disposable copy, and the checks once more.

All faults are there at once, each on rows of its own that a seed chooses, and the checks run once. A check that finds a
fault names it: by its rows or, in comparison with the anchor, by a finding that the verdict did not have.
"""

from collections.abc import Mapping, Sequence
from random import Random
from typing import LiteralString

from pydantic import BaseModel, ConfigDict, computed_field

from shared.backup_verification.anchors import Anchor
from shared.backup_verification.books import Books, Look
from shared.backup_verification.catalogue import read_catalogue
from shared.backup_verification.database import Database
from shared.backup_verification.findings import Baseline
from shared.backup_verification.known_faults import FAULTS, KnownFault


class Injection(BaseModel):
    """One fault: what was done to which rows (ids, or names where there is no id), and whether `check` named it."""

    model_config = ConfigDict(frozen=True)

    fault: str
    done: str
    check: str
    rows: tuple[int | str, ...]
    found: bool


class SelfTest(BaseModel):
    """What was injected and found. `not_injected` says why, by fault: nothing to injure, or no right to."""

    model_config = ConfigDict(frozen=True)

    seed: int
    injections: tuple[Injection, ...]
    not_injected: Mapping[str, str]

    @computed_field
    @property
    def score(self) -> float | None:
        """The share of the faults that was found; None when there was nothing to find."""
        return sum(injection.found for injection in self.injections) / len(self.injections) if self.injections else None


# Foreign keys are kept by triggers. Who may not switch them off leaves out the faults that they prevent.
_WITHOUT_TRIGGERS: LiteralString = "select set_config('session_replication_role', 'replica', true)"


def run_self_test(
    database: Database, verdict: Books, seed: int, *, anchor: Anchor | None, baseline: Baseline
) -> SelfTest:
    """Injure a disposable copy and examine it again, as it was for its `verdict`: same anchor, same baseline.

    `database` is one writable transaction on what was proven to be a copy. The injuries are in it afterwards: roll it
    back. Needs the right to write all tables (`pg_write_all_data`); what needs more is left out and listed.
    """
    database.attempt(_WITHOUT_TRIGGERS)
    injected: list[tuple[KnownFault, tuple[int | str, ...]]] = []
    not_injected: dict[str, str] = {}
    for number, fault in enumerate(FAULTS):
        answer = _inject(database, fault, verdict, Random(seed + number), anchor)  # noqa: S311  what is drawn can be drawn again
        if isinstance(answer, str):
            not_injected[fault.name] = answer
        else:
            injected.append((fault, answer))
    look = Look(baseline)
    look.at_everything([database], read_catalogue(database), anchor)
    known = set(verdict.findings)
    complaining = {finding.check for finding in look.findings if finding not in known}

    def is_found(fault: KnownFault, rows: Sequence[int | str]) -> bool:
        named = {name for one in look.faults.get(fault.check, ()) for name in (one.id, one.key)}
        return fault.check in complaining and (fault.aim is not None or named.issuperset(rows))

    return SelfTest(
        seed=seed,
        injections=tuple(
            Injection(fault=fault.name, done=fault.done, check=fault.check, rows=rows, found=is_found(fault, rows))
            for fault, rows in injected
        ),
        not_injected=not_injected,
    )


def _inject(
    database: Database, fault: KnownFault, verdict: Books, die: Random, anchor: Anchor | None
) -> tuple[int | str, ...] | str:
    """The rows that the check has to name; or why nothing was injected."""
    if fault.check not in verdict.checks:
        return "the check does not apply to this database"
    parameters: Sequence[object] | None = [die.getrandbits(31)]
    if fault.aim is not None:
        parameters = fault.aim(anchor, die) if anchor else None
    if parameters is None:
        return "the anchor holds nothing of the kind"
    rows = database.attempt(fault.query, parameters)
    if isinstance(rows, str):
        return rows
    return tuple(row for (row,) in rows) or "nothing to injure"
