"""What a database says of its books: read-only checks on Odoo's ledger, bounded in memory, each finding with its rows.

Sources: Odoo 16 to 19 as described in docs/backup-verification.md. Times in Odoo's tables are UTC without a zone.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, LiteralString

from pydantic import AwareDatetime, BaseModel, ConfigDict

from shared.backup_verification.database import Database
from shared.backup_verification.hash_chain import broken_moves

_MAX_ROWS_NAMED = 20


class Finding(BaseModel):
    """Something wrong: the check that saw it, a sentence, and the rows by id (the first twenty)."""

    model_config = ConfigDict(frozen=True)

    check: str
    message: str
    rows: tuple[int, ...] = ()


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


_NEWEST_WRITE: LiteralString = """
    select max(at) from (
        select max(write_date) as at from account_move where write_date <= %s
        union all select max(write_date) from account_move_line where write_date <= %s
        union all select max(write_date) from ir_attachment where write_date <= %s
    ) as writes"""

_SIZE: LiteralString = """
    select (select count(*) from account_move where state = 'posted'), (select count(*) from account_move_line)"""

_LEDGER_CHECKS: tuple[tuple[str, str, LiteralString], ...] = (
    (
        "posted moves balance",
        "posted entries whose debit and credit differ",
        """
        select m.id, m.name from account_move m
        join account_move_line l on l.move_id = m.id
        join res_company c on c.id = m.company_id
        join res_currency u on u.id = c.currency_id
        where m.state = 'posted'
        group by m.id, m.name, u.rounding
        having abs(sum(coalesce(l.debit, 0)) - sum(coalesce(l.credit, 0))) > u.rounding / 2
        order by m.id""",
    ),
    (
        "lines agree with themselves",
        "lines whose balance is not debit minus credit",
        """
        select l.move_id, coalesce(l.move_name, m.name) from account_move_line l
        join account_move m on m.id = l.move_id
        where abs(coalesce(l.balance, 0) - coalesce(l.debit, 0) + coalesce(l.credit, 0)) > 0.000001
        order by l.id""",
    ),
    (
        "posted moves have lines",
        "posted entries without a line",
        """
        select m.id, m.name from account_move m
        where m.state = 'posted' and not exists (select from account_move_line l where l.move_id = m.id)
        order by m.id""",
    ),
)


def newest_business_write(database: Database, until: datetime) -> datetime | None:
    """The newest business write at or before `until`, None when there is none."""
    naive = until.astimezone(UTC).replace(tzinfo=None)
    ((at,),) = database.rows(_NEWEST_WRITE, [naive] * 3)
    return at.replace(tzinfo=UTC) if at else None


def is_ledger(database: Database) -> bool:
    """Whether the database holds Odoo's accounting tables at all."""
    ((present,),) = database.rows(
        "select to_regclass('account_move') is not null and to_regclass('account_move_line') is not null"
    )
    return bool(present)


def examine(
    database: Database, name: str, tenant: str, target: datetime, source_newest_write: datetime | None
) -> Books:
    """Run every check. `source_newest_write` is what the live database held at the target, if it could be asked."""
    if not is_ledger(database):
        finding = Finding(check="ledger present", message="the accounting tables did not come back")
        return _books(name, tenant, (0, 0, 0), ["ledger present"], [finding], None, source_newest_write, target)
    findings: list[Finding] = []
    for check, complaint, query in _LEDGER_CHECKS:
        if rows := database.rows(query):
            findings.append(_finding(check, complaint, rows))
    hashed, broken = broken_moves(database)
    if broken:
        findings.append(_finding("hash chain", "entries changed after they were sealed by Odoo's hash chain", broken))
    ((moves, lines),) = database.rows(_SIZE)
    checks = ["ledger present", *(check for check, _, _ in _LEDGER_CHECKS), "hash chain", "newest write"]
    newest = newest_business_write(database, target)
    return _books(name, tenant, (moves, lines, hashed), checks, findings, newest, source_newest_write, target)


def _finding(check: str, complaint: str, rows: Sequence[tuple[Any, ...]]) -> Finding:
    named = ", ".join(str(row[1]) for row in rows[:_MAX_ROWS_NAMED])
    more = f" and {len(rows) - _MAX_ROWS_NAMED} more" if len(rows) > _MAX_ROWS_NAMED else ""
    return Finding(
        check=check,
        message=f"{complaint}: {named}{more}",
        rows=tuple(int(row[0]) for row in rows[:_MAX_ROWS_NAMED]),
    )


def _books(
    name: str,
    tenant: str,
    size: tuple[int, int, int],
    checks: Sequence[str],
    findings: Sequence[Finding],
    newest: datetime | None,
    source_newest: datetime | None,
    target: datetime,
) -> Books:
    moves, lines, hashed = size
    return Books(
        database=name,
        tenant=tenant,
        moves=moves,
        lines=lines,
        hashed_moves=hashed,
        checks=tuple(checks),
        findings=tuple(findings),
        newest_write=newest,
        source_newest_write=source_newest,
        write_lag_seconds=(target - newest).total_seconds() if newest else None,
    )
