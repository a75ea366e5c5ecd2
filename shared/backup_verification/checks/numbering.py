"""Numbers: journals without new gaps or duplicates, sequences ahead of what they number."""

from typing import LiteralString

from shared.backup_verification.checks.check import Check, Situation
from shared.backup_verification.findings import Severity

_NUMBERED = {"account_move": ("id", "name", "state", "journal_id", "sequence_prefix", "sequence_number")}


def _duplicates(situation: Situation) -> LiteralString | None:
    """Localisations allow duplicates in their own ways: they are faults only where Odoo's own index forbids them, or
    forbade them on the live server.
    """
    anchor = situation.anchor
    if not situation.catalogue.names_are_unique and not (anchor and anchor.names_are_unique):
        return None
    return """
        select max(id), name, journal_id || ':' || name from account_move
        where state = 'posted' and name <> '/' group by journal_id, name having count(*) > 1
        order by 1"""


CHECKS = (
    Check(
        "journals have no gap",
        Severity.WARNING,
        "entries before which a number is missing",
        "The numbers of a journal follow each other. A gap may be legal (a draft that had a number was deleted): "
        "accept those of the live database as its baseline; a new one in a copy is a lost entry.",
        """
        select id, name, journal_id || ':' || coalesce(company_id, 0) || ':' || sequence_prefix || ':' || number from (
            select id, name, journal_id, company_id, sequence_prefix, sequence_number as number,
                   lag(sequence_number) over (
                       partition by journal_id, company_id, sequence_prefix collate "C"
                       order by sequence_number) as before
            from account_move where sequence_number > 0 and sequence_prefix is not null and name <> '/'
        ) as numbered
        where number > before + 1 order by id""",
        {"account_move": (*_NUMBERED["account_move"], "company_id")},
    ),
    Check(
        "posted names are unique",
        Severity.ERROR,
        "names that two posted entries of a journal have",
        "Where Odoo's unique index is, or was on the live server, no two posted entries of a journal have one name.",
        _duplicates,
        _NUMBERED,
    ),
    Check(
        "secure sequences are ahead",
        Severity.ERROR,
        "journals whose next secure number is taken",
        "The gapless sequence that numbers sealed entries (until Odoo 17) stands behind the last number that is used.",
        """
        select j.id, j.code from account_journal j
        join ir_sequence s on s.id = j.secure_sequence_id
        where s.number_next <= (select max(m.secure_sequence_number) from account_move m where m.journal_id = j.id)
        order by j.id""",
        {
            "account_journal": ("id", "code", "secure_sequence_id"),
            "ir_sequence": ("id", "number_next"),
            "account_move": ("journal_id", "secure_sequence_number"),
        },
    ),
    Check(
        "business sequences have their counter",
        Severity.ERROR,
        "sequences without the PostgreSQL sequence that counts for them",
        "A sequence of the kind `standard` counts in a PostgreSQL sequence of its own, named after its id.",
        """
        select s.id, s.name from ir_sequence s
        where s.implementation = 'standard' and s.active and coalesce(s.use_date_range, false) = false
          and to_regclass('public.ir_sequence_' || lpad(s.id::text, greatest(3, length(s.id::text)), '0')) is null
        order by s.id""",
        {"ir_sequence": ("id", "name", "implementation", "active", "use_date_range")},
    ),
    Check(
        "sequence ranges have their counter",
        Severity.ERROR,
        "ranges of sequences without the PostgreSQL sequence that counts for them",
        "A sequence that begins anew in every range of dates counts in a PostgreSQL sequence for each of them.",
        """
        select r.id, s.name || ' of ' || r.date_from from ir_sequence_date_range r
        join ir_sequence s on s.id = r.sequence_id
        where s.implementation = 'standard' and s.active and s.use_date_range
          and to_regclass('public.ir_sequence_' || lpad(s.id::text, greatest(3, length(s.id::text)), '0')
                          || '_' || lpad(r.id::text, greatest(3, length(r.id::text)), '0')) is null
        order by r.id""",
        {
            "ir_sequence": ("id", "name", "implementation", "active", "use_date_range"),
            "ir_sequence_date_range": ("id", "sequence_id", "date_from"),
        },
    ),
)
