"""Odoo's hash chain over a whole database: every sealed entry recomputed in chain order, few in memory at a time."""

from decimal import Decimal
from itertools import groupby
from typing import LiteralString

from shared.backup_verification.database import Database
from shared.backup_verification.inalterability import Entry, Line, matching_version

# Entries of versions 1 to 3 have a secure sequence number and come first; 0 means none (Odoo leaves both).
_SEALED: LiteralString = """
    select m.id, m.name, m.date, m.journal_id, m.company_id, m.inalterable_hash,
           nullif(m.secure_sequence_number, 0), m.sequence_prefix,
           l.id, l.name, l.debit, l.credit, l.account_id, l.partner_id, c.decimal_places
    from account_move m
    left join account_move_line l on l.move_id = m.id
    left join res_currency c on c.id = l.currency_id
    where m.inalterable_hash is not null and m.inalterable_hash <> ''
    order by m.journal_id, nullif(m.secure_sequence_number, 0) nulls last, m.sequence_prefix, m.sequence_number, m.id"""


def broken_moves(database: Database) -> tuple[int, list[tuple[int, str]]]:
    """How many entries are sealed, and those (id, name) whose hash no longer fits what they say.

    An entry after a broken one is judged by the broken one's stored hash, so that one alteration names one entry.
    """
    sealed = 0
    broken: list[tuple[int, str]] = []
    numbered: dict[int, str] = {}  # journal -> hash of its last entry with a secure sequence number
    prefixed: dict[tuple[int, str], str] = {}  # journal and sequence prefix -> hash of its last entry
    for (move, name, date, journal, company, stored, number, prefix), rows in groupby(
        database.stream(_SEALED), key=lambda row: row[:8]
    ):
        sealed += 1
        entry = Entry(name, date, journal, company, [_line(*row[8:]) for row in rows if row[8] is not None])
        chain = (journal, prefix)
        previous = numbered.get(journal, "") if number is not None else prefixed.get(chain, "")
        if matching_version(entry, previous, stored) is None:
            broken.append((move, name or f"entry {move}"))
        prefixed[chain] = stored
        if number is not None:
            numbered[journal] = stored
    return sealed, broken


def _line(
    line: int,
    name: str | None,
    debit: Decimal | None,
    credit: Decimal | None,
    account: int | None,
    partner: int | None,
    currency_decimals: int | None,
) -> Line:
    return Line(line, name, debit or Decimal(), credit or Decimal(), account, partner, currency_decimals or 0)
