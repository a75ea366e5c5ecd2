"""What a database says of its books: read-only checks on Odoo's ledger, bounded in memory, each finding with its rows.

Sources: Odoo 16 to 19 as described in docs/backup-verification.md. Times in Odoo's tables are UTC without a zone.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import LiteralString

from pydantic import AwareDatetime, BaseModel, ConfigDict

from shared.backup_verification import anchor_comparison, checks
from shared.backup_verification.anchors import Anchor, take_anchor
from shared.backup_verification.catalogue import Catalogue, read_catalogue
from shared.backup_verification.checks import Check, Situation
from shared.backup_verification.database import Database
from shared.backup_verification.documents.report import Documents
from shared.backup_verification.entries import Entries, attempt_entries
from shared.backup_verification.findings import NOTHING_ACCEPTED, Accepted, Baseline, Fault, Finding, Severity, finding
from shared.backup_verification.hash_chain import broken_moves
from shared.backup_verification.signed_entries import signed_entries
from shared.backup_verification.spread import Spread

__all__ = ["Books", "Finding", "accept", "examine", "is_ledger", "look_at_live", "newest_business_write"]

HASH_CHAIN = "hash chain"
"""The name of that check, which is no single query."""
_AMCHECK = "extension amcheck"
_UNANSWERED = "could not be looked at"

# Compiling costs more than it gains in queries of a second; sorts of a million lines stay in memory; dates are printed
# as they were sealed.
_TUNING: LiteralString = """
    select set_config('jit', 'off', true), set_config('work_mem', '64MB', true), set_config('datestyle', 'ISO', true)"""

# Where connections share the questions, workers of one would only take the processors from the others.
_ALONE: LiteralString = "select set_config('max_parallel_workers_per_gather', '0', true)"


class Books(BaseModel):
    """The books of one database. `write_lag_seconds` is the target minus the newest write in this copy."""

    model_config = ConfigDict(frozen=True)

    database: str
    tenant: str
    moves: int
    lines: int
    hashed_moves: int
    checks: tuple[str, ...]
    findings: tuple[Finding, ...]
    newest_write: AwareDatetime | None
    source_newest_write: AwareDatetime | None
    write_lag_seconds: float | None
    accepted: tuple[Accepted, ...] = ()
    documents: Documents | None = None


_NEWEST_ATTACHMENT: LiteralString = "select max(write_date) from ir_attachment where write_date <= %s"
_NEWEST_WRITE: LiteralString = """
    select max(at) from (
        select max(write_date) as at from account_move where write_date <= %s
        union all select max(write_date) from account_move_line where write_date <= %s
        union all select max(write_date) from ir_attachment where write_date <= %s
    ) as writes"""

_POSTED: LiteralString = "select count(*) from account_move where state = 'posted'"
_LINES: LiteralString = "select count(*) from account_move_line"


def newest_business_write(database: Database, until: datetime, read: Entries | None = None) -> datetime | None:
    """The newest business write at or before `until`, None when there is none. What was `read` of the same instant is
    not read again, unless it is newer."""
    naive = until.astimezone(UTC).replace(tzinfo=None)
    if read and read.newest_writes and max(read.newest_writes.values()) <= until:
        ((at,),) = database.rows(_NEWEST_ATTACHMENT, [naive])
        return max([*read.newest_writes.values(), *([at.replace(tzinfo=UTC)] if at else [])])
    ((at,),) = database.rows(_NEWEST_WRITE, [naive] * 3)
    return at.replace(tzinfo=UTC) if at else None


def is_ledger(database: Database) -> bool:
    """Whether the database holds Odoo's accounting tables at all."""
    ((present,),) = database.rows(
        "select to_regclass('account_move') is not null and to_regclass('account_move_line') is not null"
    )
    return bool(present)


def examine(
    database: Database,
    name: str,
    tenant: str,
    target: datetime,
    source_newest_write: datetime | None,
    *,
    anchor: Anchor | None = None,
    baseline: Baseline = NOTHING_ACCEPTED,
    beside: Sequence[Database] = (),
) -> Books:
    """Run every check. `source_newest_write` is what the live database held at the target, if it could be asked;
    `anchor` is the last look at the live database before the target; what `baseline` accepts is no finding.
    `beside` are more connections to the same copy, to which nobody writes: the questions are spread over all.
    """
    for connection in (database, *beside):
        connection.rows(_TUNING)
        if beside:
            connection.rows(_ALONE)
    catalogue = read_catalogue(database)
    if not catalogue.is_ledger:
        lost = Finding(
            check="ledger present", message="the accounting tables did not come back", severity=Severity.CRITICAL
        )
        return Books(
            database=name,
            tenant=tenant,
            moves=0,
            lines=0,
            hashed_moves=0,
            checks=("ledger present",),
            findings=(lost,),
            newest_write=None,
            source_newest_write=source_newest_write,
            write_lag_seconds=None,
        )
    looked = Look(baseline)
    sealed, read = looked.at_everything([database, *beside], catalogue, anchor)
    ((moves,),) = database.rows(_POSTED)
    ((lines,),) = [(read.lines,)] if read else database.rows(_LINES)
    newest = newest_business_write(database, target, read)
    return Books(
        database=name,
        tenant=tenant,
        moves=moves,
        lines=lines,
        hashed_moves=sealed,
        checks=("ledger present", *looked.names, "newest write"),
        findings=tuple(looked.findings),
        accepted=tuple(looked.accepted),
        newest_write=newest,
        source_newest_write=source_newest_write,
        write_lag_seconds=(target - newest).total_seconds() if newest else None,
    )


def accept(database: Database) -> Baseline:
    """The baseline that accepts what a live database shows today: its copies are judged by what they show beyond."""
    faults = look_at_live(database).faults
    return Baseline(accepted={check: frozenset(fault.key for fault in found) for check, found in faults.items()})


def look_at_live(database: Database) -> "Look":
    """What the checks find in a live database. Its pages are not walked: that is for copies, which serve nobody."""
    database.rows(_TUNING)
    looked = Look(NOTHING_ACCEPTED)
    catalogue = replace(read_catalogue(database), may_run_amcheck=False)
    if catalogue.is_ledger:
        looked.at_everything([database], catalogue, None)
    return looked


class Look:
    """The checks as they go: their names, what they found, and every new fault by check (of the checks on the copy
    itself; comparisons with an anchor yield findings only)."""

    def __init__(self, baseline: Baseline) -> None:
        self.baseline = baseline
        self.names: list[str] = []
        self.findings: list[Finding] = []
        self.accepted: list[Accepted] = []
        self.faults: dict[str, Sequence[Fault]] = {}

    def at_everything(
        self, databases: Sequence[Database], catalogue: Catalogue, anchor: Anchor | None
    ) -> tuple[int, Entries | None]:
        """Run the checks that apply, and compare with the anchor if there is one. Returns how many entries are sealed,
        and what was read of all."""
        situation = Situation(catalogue, anchor)
        is_sealed = catalogue.has("account_move", "inalterable_hash", "secure_sequence_number", "sequence_prefix")
        screened: dict[str, LiteralString] = {
            each.name: each.suspect for each in checks.ALL if each.suspect and each.applies(situation)
        }
        with Spread(databases) as spread:
            # The longest first: those of the checks that walk all pages are the last on the list.
            chain = spread.ask(lambda database: _chain(database, catalogue)) if is_sealed else None
            entries = spread.ask(lambda database: attempt_entries(database, catalogue, screened))
            now = (
                spread.ask(lambda database: take_anchor(database, up_to=anchor, entries=entries.result))
                if anchor
                else None
            )
            rest = [check for check in reversed(checks.ALL) if check.name not in screened]
            answers = {check.name: spread.ask(_question(check, situation)) for check in rest}
            read = entries.result()
            suspected = [
                check for check in checks.ALL if check.name in screened and not (read and check.name in read.clear)
            ]
            answers |= {check.name: spread.ask(_question(check, situation)) for check in suspected}
            for check in checks.ALL:
                faults = answers[check.name].result() if check.name in answers else []
                if faults is not None:
                    self._judge(check.name, check.severity, check.complaint, check.explanation, faults)
            if not catalogue.may_run_amcheck:
                self._add_note()
            sealed = self._judge_chain(*chain.result()) if chain else 0
            if anchor and now:
                self.names.extend(anchor_comparison.CHECKS)
                self.findings.extend(anchor_comparison.compare(anchor, now.result(), self.baseline))
        return sealed, read

    def _judge_chain(self, sealed: int, broken: Sequence[Fault], signed: frozenset[int]) -> int:
        self._judge(
            HASH_CHAIN,
            Severity.CRITICAL,
            "entries changed after they were sealed by Odoo's hash chain",
            "Every sealed entry still has the hash that Odoo gave it, after the hash of the entry before it.",
            [fault for fault in broken if fault.id not in signed],
        )
        if signed:
            self.findings.append(
                Finding(
                    check=HASH_CHAIN,
                    message=f"{len(signed)} entries are signed, as in Portugal: their signatures were not verified",
                    severity=Severity.NOTE,
                    explanation="A signature is verified with the company's key, which no ledger holds.",
                    count=len(signed),
                )
            )
        return sealed

    def _judge(
        self, check: str, severity: Severity, complaint: str, explanation: str, answer: Sequence[Fault] | str
    ) -> None:
        self.names.append(check)
        if isinstance(answer, str):
            complaint, answer = _UNANSWERED, [Fault(None, answer, "unanswered")]
        if known := self.baseline.known(check, complaint, answer):
            self.accepted.append(known)
        if new := self.baseline.new(check, answer):
            self.faults[check] = new
            self.findings.append(finding(check, severity, complaint, explanation, new))

    def _add_note(self) -> None:
        """What could not be looked at is said, and no fault of the copy."""
        self.findings.append(
            Finding(
                check=_AMCHECK,
                message="pages and indexes were not walked: amcheck is not installed, or may not be run",
                severity=Severity.NOTE,
                explanation="Allow the extension on the server (azure.extensions) and create it in the database.",
            )
        )


def _question(check: Check, situation: Situation) -> Callable[[Database], list[Fault] | str | None]:
    return lambda database: check.faults(database, situation)


def _chain(database: Database, catalogue: Catalogue) -> tuple[int, list[Fault], frozenset[int]]:
    sealed, broken = broken_moves(database)
    return sealed, broken, signed_entries(database, catalogue, broken)
