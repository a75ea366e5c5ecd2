"""All entries with their lines, read once: what is booked by period, and which checks have nothing to look for.

To read a line and put it to its entry costs about as much as any one check. So checks say by an aggregate over an entry
where they may fail (`Check.suspect`), and only those are asked that have an entry to look at.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import LiteralString, NamedTuple, cast

from pydantic import AwareDatetime, BaseModel, ConfigDict

from shared.backup_verification.catalogue import Catalogue
from shared.backup_verification.database import Database, Rows

_NEEDS: Mapping[str, tuple[str, ...]] = {
    "account_move": ("id", "company_id", "journal_id", "date", "state", "write_date"),
    "account_move_line": (
        *("id", "move_id", "company_id", "journal_id", "date", "parent_state", "account_id", "partner_id", "name"),
        *("debit", "credit", "balance", "currency_id", "amount_currency", "write_date"),
        *("amount_residual", "amount_residual_currency", "reconciled", "full_reconcile_id"),
    ),
    "res_company": ("id",),
}
NO_SUSPECTS: Mapping[str, LiteralString] = {}
_LOCKS: tuple[LiteralString, ...] = ("period_lock_date", "fiscalyear_lock_date", "hard_lock_date")
_BOOKED: LiteralString = """
    l.id, l.move_id, l.account_id, l.partner_id, l.date, l.journal_id, l.company_id, l.parent_state, l.name,
    l.currency_id, l.debit, l.credit, l.amount_currency"""
_OPEN: LiteralString = "l.id, l.amount_residual, l.amount_residual_currency, l.reconciled, l.full_reconcile_id"


class Period(BaseModel):
    """A company's entries of one month (YYYY-MM) in one state. `ledger` is the digest of what is booked, `open` of what
    is still to be reconciled; `closed` says that a lock date covered the whole month."""

    model_config = ConfigDict(frozen=True)

    company: int
    month: str
    state: str
    closed: bool
    lines: int
    debit: str
    credit: str
    ledger: str
    open: str


class Entries(NamedTuple):
    """What one pass has seen. `lines` counts all, also those without an entry; `clear` are the checks, of those that
    were asked about, that no entry can fail."""

    periods: tuple[Period, ...]
    lines: int
    newest_writes: Mapping[str, AwareDatetime]
    clear: frozenset[str]


def can_be_read(catalogue: Catalogue) -> bool:
    """Whether the columns are there, as they are from Odoo 16 to 19."""
    return all(catalogue.has(table, *columns) for table, columns in _NEEDS.items())


def read_entries(
    database: Database, catalogue: Catalogue, suspects: Mapping[str, LiteralString] = NO_SUSPECTS
) -> Entries:
    """Read them all. `suspects` are aggregates over one entry `m` and its lines `l` (none: null) by check: true where
    the check may fail."""
    return _entries(database.rows(_query(catalogue, tuple(suspects.values()))), suspects)


def attempt_entries(database: Database, catalogue: Catalogue, suspects: Mapping[str, LiteralString]) -> Entries | None:
    """The same; None when the columns are not there, or when the server could not answer."""
    if not can_be_read(catalogue):
        return None
    rows = database.attempt(_query(catalogue, tuple(suspects.values())))
    return None if isinstance(rows, str) else _entries(rows, suspects)


def _entries(rows: Rows, suspects: Iterable[str]) -> Entries:
    seen: set[str] = set()
    periods: list[Period] = []
    written: dict[str, datetime] = {}
    total = 0
    for company, month, state, closed, lines, debit, credit, ledger, still_open, move_at, line_at, flags, count in rows:
        total = count
        periods.append(
            Period(
                company=company or 0,
                month=month,
                state=state,
                closed=closed,
                lines=lines,
                debit=debit or "0",
                credit=credit or "0",
                ledger=ledger or "0",
                open=still_open or "0",
            )
        )
        for table, at in (("account_move", move_at), ("account_move_line", line_at)):
            if at is not None:
                written[table] = max(at.replace(tzinfo=UTC), written.get(table, at.replace(tzinfo=UTC)))
        seen.update(check for check, suspected in zip(suspects, flags[1:], strict=True) if suspected)
    if total != sum(period.lines for period in periods):
        seen.update(suspects)  # there are lines without an entry
    return Entries(tuple(periods), total, written, frozenset(suspects) - seen)


def _query(catalogue: Catalogue, suspects: Sequence[LiteralString]) -> LiteralString:
    lock: LiteralString = "null::date"  # greatest() passes over nulls
    for name in _LOCKS:
        if catalogue.has("res_company", name):
            lock = f"greatest({lock}, c.{name})"
    flags: list[LiteralString] = [cast(LiteralString, f"suspect_{number}") for number in range(len(suspects))]
    told: LiteralString = "".join(f", {suspect} as {flag}" for suspect, flag in zip(suspects, flags, strict=True))
    united: LiteralString = "".join(f", bool_or({flag})" for flag in flags)
    return f"""
        select p.company_id, to_char(p.month, 'YYYY-MM'), p.state,
               coalesce((p.month + interval '1 month - 1 day')::date <= {lock}, false),
               p.lines, p.debit::text, p.credit::text, p.ledger::text, p.open::text, p.move_at, p.line_at, p.suspects,
               (select count(*) from account_move_line)
        from (
            select company_id, month, state, sum(lines)::bigint as lines, sum(debit) as debit, sum(credit) as credit,
                   sum(ledger) as ledger, sum(open) as open, max(move_at) as move_at, max(line_at) as line_at,
                   array[false{united}] as suspects
            from (
                select m.company_id, date_trunc('month', m.date)::date as month, m.state, m.write_date as move_at,
                       count(l.id) as lines, sum(l.debit) as debit, sum(l.credit) as credit,
                       sum(hash_record_extended(row({_BOOKED}), 0)) filter (where l.id is not null) as ledger,
                       sum(hash_record_extended(row({_OPEN}), 0)) filter (where l.id is not null) as open,
                       max(l.write_date) as line_at{told}
                from account_move m left join account_move_line l on l.move_id = m.id group by m.id
            ) as entries group by 1, 2, 3
        ) as p
        left join res_company c on c.id = p.company_id
        order by 1, 2, 3"""
