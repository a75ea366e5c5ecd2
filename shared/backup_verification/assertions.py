"""The estate's own assertions: queries that must hold in a restored database. They only read, within their own time.

What a query returns is digested by the server, so that nothing of it is kept and a large answer costs no memory here.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, LiteralString, cast

from pydantic import BaseModel, ConfigDict

from shared.backup_verification.database import Database, Rows
from shared.backup_verification.findings import NOTHING_ACCEPTED, Accepted, Baseline, Fault, Finding, Severity, finding

if TYPE_CHECKING:
    from shared.estate.policies.backup_verification import BackupVerification

_IDS_NAMED = 20
_QUOTED_OR_SEMICOLON = re.compile(r"""('(?:[^']|'')*'|"[^"]*"|--[^\n]*|/\*.*?\*/)|;""", re.DOTALL)


class Returned(BaseModel):
    """What an assertion's query returned: how many rows, and a digest that does not depend on their order."""

    model_config = ConfigDict(frozen=True)

    query: str
    """The SHA-256 of the query: another query is another result."""
    rows: int
    digest: str


@dataclass(frozen=True, slots=True)
class Assertion:
    """One assertion that is for a database."""

    name: str
    sql: str
    expect: str
    severity: Severity
    seconds: int

    @property
    def check(self) -> str:
        """The check's name in reports."""
        return f"assertion: {self.name}"

    @property
    def query(self) -> str:
        """The SHA-256 of the query."""
        return sha256(self.sql.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Judged:
    """What the assertions say of a copy."""

    checks: tuple[str, ...]
    findings: tuple[Finding, ...]
    accepted: tuple[Accepted, ...]


_SEVERITIES = {
    "information": Severity.NOTE,
    "warning": Severity.WARNING,
    "error": Severity.ERROR,
    "critical": Severity.CRITICAL,
}


def declared_for(policy: "BackupVerification", tenant: str) -> list[Assertion]:
    """The assertions for a tenant's database. One that names tenants is for no other, nor for a database of none."""
    return [
        Assertion(name, each.sql, each.expect, _SEVERITIES[each.severity], max(1, int(each.time_limit.total_seconds())))
        for name, each in policy.assertions.items()
        if not each.tenants or tenant in each.tenants
    ]


def run(database: Database, assertion: Assertion) -> Returned | str:
    """What the query returns, or what the server complains of: invalid, without a right, longer than it may take.

    The transaction must be read-only: then nothing that the query calls can write.
    """
    rows = _within(
        database,
        assertion,
        "select count(*), coalesce(sum(hashtextextended(answer::text, 0)), 0)::text from (\n{}\n) as answer",
    )
    if isinstance(rows, str):
        return rows
    ((count, digest),) = rows
    return Returned(query=assertion.query, rows=count, digest=digest)


def judge(
    database: Database,
    assertions: Sequence[Assertion],
    anchored: Mapping[str, Returned],
    anchored_newest_write: datetime | None,
    copy_newest_write: datetime | None,
    baseline: Baseline = NOTHING_ACCEPTED,
) -> Judged:
    """Run them on a copy and compare with what was anchored.

    An answer that is not the anchored one breaks `same as anchor` when the copy holds no newer write than the anchor;
    when business went on since, that is noted only, for nobody can say which of both is right.
    """
    findings: list[Finding] = []
    accepted: list[Accepted] = []
    went_on = copy_newest_write is not None and (
        anchored_newest_write is None or copy_newest_write > anchored_newest_write
    )
    for assertion in assertions:
        broken = _broken(database, assertion, anchored.get(assertion.name), went_on)
        if broken is None:
            continue
        severity, complaint, faults = broken
        if known := baseline.known(assertion.check, complaint, faults):
            accepted.append(known)
        if new := baseline.new(assertion.check, faults):
            findings.append(finding(assertion.check, severity, complaint, f"Declared: {assertion.expect}.", new))
    return Judged(tuple(each.check for each in assertions), tuple(findings), tuple(accepted))


def _broken(
    database: Database, assertion: Assertion, anchored: Returned | None, went_on: bool
) -> tuple[Severity, str, list[Fault]] | None:
    """How bad it is that the assertion does not hold, and the faults; None when it holds."""
    returned = run(database, assertion)
    if isinstance(returned, str):
        return assertion.severity, "could not be answered", [Fault(None, returned, "unanswered")]
    match assertion.expect:
        case "no rows" if returned.rows:
            return assertion.severity, f"returned {returned.rows} rows", _rows(database, assertion)
        case "rows" if not returned.rows:
            return assertion.severity, "returned", [Fault(None, "no row", "none")]
        case "same as anchor" if anchored is None or anchored.query != returned.query:
            text = "there is no anchor in which this query was answered"
            return Severity.NOTE, "could not be compared", [Fault(None, text, "no anchor")]
        case "same as anchor" if anchored is not None and anchored != returned:
            text = f"{returned.rows} rows, {anchored.rows} on the live database when the anchor was taken"
            if went_on:
                text += "; the copy holds newer writes than the anchor, so it is not judged"
            severity = Severity.NOTE if went_on else assertion.severity
            return severity, "returned something else", [Fault(None, text, returned.digest)]
        case _:
            return None


def _rows(database: Database, assertion: Assertion) -> list[Fault]:
    """The first rows, by their first column where that is an id; else only that there are some."""
    rows = _within(database, assertion, f"select * from (\n{{}}\n) as answer limit {_IDS_NAMED}")
    ids = [row[0] for row in rows if row and isinstance(row[0], int)] if not isinstance(rows, str) else []
    return [Fault(row, str(row), str(row)) for row in ids] or [Fault(None, "without an id in the first column", "rows")]


def _within(database: Database, assertion: Assertion, around: str) -> Rows | str:
    """Run the query, as a part of another, within its own time; afterwards the connection's own limit holds again."""
    # The estate says it, whose models have made sure that it is one select; the transaction only reads.
    sql = _QUOTED_OR_SEMICOLON.sub(lambda found: found[1] or " ", assertion.sql)
    query = cast(LiteralString, around.replace("{}", sql))
    ((limit,),) = database.rows("select current_setting('statement_timeout')")
    database.rows("select set_config('statement_timeout', %s, true)", [f"{assertion.seconds}s"])
    try:
        return database.attempt(query)
    finally:
        database.rows("select set_config('statement_timeout', %s, true)", [limit])
