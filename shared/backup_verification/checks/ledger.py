"""Entries and their lines: that they are whole, balance, agree with each other, and are sealed without a hole.

Where roundings and nulls make a comparison dear, a cheap one that lets nothing wrong through comes before it.
"""

from typing import LiteralString

from shared.backup_verification.checks.check import Check, Situation
from shared.backup_verification.findings import Severity

_MOVE = {"account_move": ("id", "name", "state", "company_id", "journal_id", "date")}
_LINE = {"account_move_line": ("id", "move_id", "debit", "credit", "balance", "currency_id", "amount_currency")}
_MONEY = {"res_company": ("id", "currency_id"), "res_currency": ("id", "rounding")}
_NOT_SECTIONS: LiteralString = "coalesce(l.display_type, '') not in ('line_section', 'line_subsection', 'line_note')"
_AMOUNTS_DIFFER: LiteralString = """
    l.balance is distinct from l.debit - l.credit
    or (l.currency_id = l.company_currency_id and l.amount_currency is distinct from l.balance)"""


def _lines_disagree(situation: Situation) -> LiteralString:
    has = situation.catalogue.columns["account_move_line"]
    state: LiteralString = "l.parent_state is distinct from m.state or " if "parent_state" in has else ""
    return f"""
        select l.id, m.name from account_move_line l
        join account_move m on m.id = l.move_id
        where {state}l.date is distinct from m.date
           or l.journal_id is distinct from m.journal_id or l.company_id is distinct from m.company_id
        order by l.id"""


CHECKS = (
    Check(
        "posted moves balance",
        Severity.CRITICAL,
        "posted entries whose debit and credit differ",
        "Debit and credit of every posted entry are equal, to half of the rounding of its company's currency.",
        f"""
        with suspects as materialized (
            select l.move_id as id from account_move_line l group by l.move_id
            having sum(coalesce(l.debit, 0) - coalesce(l.credit, 0)) <> 0
        )
        select m.id, m.name from suspects
        join account_move m on m.id = suspects.id
        join res_company c on c.id = m.company_id
        join res_currency u on u.id = c.currency_id
        where m.state = 'posted' and u.rounding / 2 < (
            select abs(sum(coalesce(l.debit, 0) - coalesce(l.credit, 0))) from account_move_line l
            where l.move_id = m.id and {_NOT_SECTIONS})
        order by m.id""",
        {**_MOVE, **_LINE, **_MONEY},
        "m.state = 'posted' and sum(l.debit) is distinct from sum(l.credit)",
    ),
    Check(
        "invoices balance in their currency",
        Severity.CRITICAL,
        "posted invoices in a foreign currency that do not balance in it",
        "The lines of an invoice sum to nothing in the invoice's own currency too, to half of its rounding. "
        "Other entries may mix currencies and are not judged; the company's own currency is that of the check before.",
        f"""
        select m.id, m.name from account_move m
        join (
            select l.move_id, l.currency_id, sum(coalesce(l.amount_currency, 0)) as difference
            from account_move_line l
            where l.currency_id <> l.company_currency_id and {_NOT_SECTIONS} group by l.move_id, l.currency_id having
                sum(coalesce(l.amount_currency, 0)) <> 0
        ) s on s.move_id = m.id
        join res_currency u on u.id = s.currency_id
        where m.state = 'posted' and m.move_type <> 'entry' and abs(s.difference) > u.rounding / 2
        order by m.id""",
        {
            "account_move": ("id", "name", "state", "move_type"),
            "account_move_line": (*_LINE["account_move_line"], "company_currency_id"),
            "res_currency": ("id", "rounding"),
        },
        f"""
        m.state = 'posted' and m.move_type <> 'entry' and (
            sum(l.amount_currency) filter (where l.currency_id <> l.company_currency_id and {_NOT_SECTIONS}) <> 0
            or min(l.currency_id) filter (where l.currency_id <> l.company_currency_id and {_NOT_SECTIONS})
            <> max(l.currency_id) filter (where l.currency_id <> l.company_currency_id and {_NOT_SECTIONS}))""",
    ),
    Check(
        "lines agree with themselves",
        Severity.CRITICAL,
        "lines whose amounts contradict each other",
        "A line's balance is debit minus credit; in the company's own currency, the amount in currency is the balance.",
        f"""
        select l.id, coalesce(l.move_name, 'line ' || l.id) from account_move_line l
        where ({_AMOUNTS_DIFFER})
          and (abs(coalesce(l.balance, 0) - coalesce(l.debit, 0) + coalesce(l.credit, 0)) > 0.000001
               or (l.currency_id = l.company_currency_id
                   and abs(coalesce(l.amount_currency, 0) - coalesce(l.balance, 0)) > 0.000001))
        order by l.id""",
        _LINE,
        f"bool_or({_AMOUNTS_DIFFER})",
    ),
    Check(
        "lines belong to moves",
        Severity.CRITICAL,
        "lines without their entry",
        "Every line refers to an entry that is there.",
        """
        select l.id, coalesce(l.move_name, 'line ' || l.id) from account_move_line l
        where not exists (select from account_move m where m.id = l.move_id)
        order by l.id""",
        {**_MOVE, **_LINE},
        "false",  # what has no entry is no line of one, and is missed in the count of lines
    ),
    Check(
        "lines agree with their move",
        Severity.CRITICAL,
        "lines whose state, date, journal or company is not that of their entry",
        "Odoo copies state, date, journal and company of an entry to its lines; reports read the copies.",
        _lines_disagree,
        {**_MOVE, "account_move_line": ("id", "move_id", "date", "journal_id", "company_id")},
        """
        bool_or(l.parent_state is distinct from m.state or l.date is distinct from m.date
                or l.journal_id is distinct from m.journal_id or l.company_id is distinct from m.company_id)
        filter (where l.id is not null)""",
    ),
    Check(
        "posted moves have lines",
        Severity.CRITICAL,
        "posted entries without a line",
        "A posted entry has at least one line.",
        """
        select m.id, m.name from account_move m
        where m.state = 'posted' and not exists (select from account_move_line l where l.move_id = m.id)
        order by m.id""",
        {**_MOVE, "account_move_line": ("id", "move_id")},
        "m.state = 'posted' and count(l.id) = 0",
    ),
    Check(
        "seals have no hole",
        Severity.CRITICAL,
        "posted entries without a hash between sealed ones",
        "Within a journal and prefix, Odoo seals every posted entry from the first sealed one to the last.",
        """
        select m.id, m.name from account_move m
        join (
            select journal_id, sequence_prefix, min(sequence_number) as first, max(sequence_number) as last
            from account_move where inalterable_hash <> '' group by journal_id, sequence_prefix
        ) s on s.journal_id = m.journal_id and s.sequence_prefix = m.sequence_prefix
        where m.state = 'posted' and coalesce(m.inalterable_hash, '') = ''
          and m.sequence_number > s.first and m.sequence_number < s.last
        order by m.id""",
        {"account_move": ("id", "name", "journal_id", "sequence_prefix", "sequence_number", "inalterable_hash")},
    ),
    Check(
        "secure numbers have no gap",
        Severity.CRITICAL,
        "sealed entries before which another is missing",
        "Until version 3 of the hash, a gapless sequence numbers the sealed entries of a journal.",
        """
        select id, name from (
            select id, name, secure_sequence_number as number,
                   lag(secure_sequence_number) over (partition by journal_id order by secure_sequence_number) as before
            from account_move where secure_sequence_number > 0
        ) as numbered
        where number <> before + 1 order by id""",
        {"account_move": ("id", "name", "journal_id", "secure_sequence_number")},
    ),
)
