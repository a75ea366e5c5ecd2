"""Odoo's hash chains over a whole database: every sealed entry recomputed, by PostgreSQL where it can, else here."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from hashlib import sha256
from itertools import groupby
from typing import Any, LiteralString

from shared.backup_verification import sealed_text
from shared.backup_verification.database import Database
from shared.backup_verification.findings import Fault
from shared.backup_verification.inalterability import Entry, Line, digest, matching_version

_FEW = sealed_text.FEW  # so many are judged here sooner than PostgreSQL has printed them in one more version
_ENTRIES: LiteralString = """
    select c.id, c.name, c.date, c.journal_id, c.company_id, c.sealed, coalesce(c.previous, ''),
           l.id, l.name, l.debit, l.credit, l.account_id, l.partner_id, u.decimal_places
    from chained c
    left join account_move_line l on l.move_id = c.id
    left join res_currency u on u.id = l.currency_id
    where c.id = any(%s)
    order by c.id"""
_SEALED: LiteralString = f"with {sealed_text.chained(numbered=True)} {_ENTRIES}"
_SEALED_AFTER: LiteralString = f"""
    with chained as (
        select m.id, m.name, m.date, m.journal_id, m.company_id, m.inalterable_hash as sealed, given.previous
        from unnest(%s::integer[], %s::text[]) as given (id, previous) join account_move m on m.id = given.id
    ) {_ENTRIES}"""


def broken_moves(database: Database) -> tuple[int, list[Fault]]:
    """How many entries are sealed, and those whose hash no longer fits what they say.

    An entry after a broken one is judged by the broken one's stored hash, so that one alteration names one entry.
    """
    ((numbered,),) = database.rows(sealed_text.NUMBERED)
    ((sealed, suspects, previous),) = database.rows(sealed_text.mismatches(4, numbered=numbered, among=False))
    for version in (2, 1):
        if len(suspects) > _FEW:
            ((_, suspects, previous),) = database.rows(
                sealed_text.mismatches(version, numbered=numbered, among=True), [suspects, suspects]
            )
    if not suspects:
        return sealed, []
    if len(suspects) > _FEW:
        return sealed, recompute(database, suspects)
    return sealed, _judge(database.stream(_SEALED_AFTER, [suspects, previous, suspects]))


def recompute(database: Database, moves: Sequence[int]) -> list[Fault]:
    """Those of the moves whose hash no version of the recipe yields, judged one by one.

    A fault's key holds what the entry says now: who accepts an entry that cannot be verified accepts no later change.
    """
    return _judge(database.stream(_SEALED, [list(moves)]))


def _judge(entries: Iterable[tuple[Any, ...]]) -> list[Fault]:
    broken: list[Fault] = []
    for (move, name, date, journal, company, stored, previous), rows in groupby(entries, key=lambda row: row[:7]):
        entry = Entry(name, date, journal, company, [_line(*row[7:]) for row in rows if row[7] is not None])
        if matching_version(entry, previous, stored) is None:
            content = sha256((digest(entry, 2) + stored).encode()).hexdigest()
            broken.append(Fault(move, name or f"entry {move}", f"{move}:{content[:16]}"))
    return broken


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
