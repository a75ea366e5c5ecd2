"""What stands around the books: companies, people, modules, lock dates, attachments."""

from typing import LiteralString

from shared.backup_verification.checks.check import Check, Situation
from shared.backup_verification.findings import Severity

_LOCK_DATES: tuple[LiteralString, ...] = (
    "period_lock_date",
    "fiscalyear_lock_date",
    "tax_lock_date",
    "sale_lock_date",
    "purchase_lock_date",
    "hard_lock_date",
)


def _lock_dates(situation: Situation) -> LiteralString:
    values: LiteralString = "(null::date)"
    for column in _LOCK_DATES:
        if situation.catalogue.has("res_company", column):
            values = f"{values}, (c.{column})"
    return f"""
        select c.id, c.name from res_company c
        where exists (select from (values {values}) as dates (day)
                      where day > current_date + 366 or day < date '1980-01-01')
        order by c.id"""


CHECKS = (
    Check(
        "lock dates are sane",
        Severity.ERROR,
        "companies whose books are locked until a date that makes no sense",
        "A lock date lies in the past, or at most a year ahead: nobody could post until then.",
        _lock_dates,
        {"res_company": ("id", "name")},
    ),
    Check(
        "companies are complete",
        Severity.CRITICAL,
        "missing: companies, or their currency",
        "There is a company, and every company has a currency that is there.",
        """
        select null::integer, 'no company at all', 'none' where not exists (select from res_company)
        union all
        select c.id, c.name, c.id::text from res_company c
        where not exists (select from res_currency u where u.id = c.currency_id)""",
        {"res_company": ("id", "name", "currency_id"), "res_currency": ("id",)},
    ),
    Check(
        "somebody can log in",
        Severity.CRITICAL,
        "missing",
        "There is an active user who is a person of the company.",
        """
        select null::integer, 'an active internal user', 'none'
        where not exists (select from res_users where active and not coalesce(share, false) and id > 1)""",
        {"res_users": ("id", "active", "share")},
    ),
    Check(
        "modules are settled",
        Severity.ERROR,
        "modules that are half installed, half upgraded or half removed",
        "No module waits for an installation, an upgrade or a removal: Odoo would go on with it when it starts.",
        """
        select id, name || ' (' || state || ')', name from ir_module_module
        where state in ('to install', 'to upgrade', 'to remove') order by id""",
        {"ir_module_module": ("id", "name", "state")},
    ),
    Check(
        "base is installed",
        Severity.CRITICAL,
        "not installed",
        "The module base is installed: without it no Odoo starts on this database.",
        """
        select null::integer, 'base', 'base'
        where not exists (select from ir_module_module where name = 'base' and state in ('installed', 'to upgrade'))""",
        {"ir_module_module": ("id", "name", "state")},
    ),
    Check(
        "attachments say where they are",
        Severity.ERROR,
        "attachments without content, of another size, or stored under another content's name",
        "An attachment with a size has a stored file or its content in the database; in Odoo's own file store, the "
        "file is named by the checksum.",
        """
        select id, name from ir_attachment
        where type = 'binary' and (
              (store_fname is null and db_datas is null and file_size > 0)
              or length(db_datas) <> file_size
              or (store_fname ~ '^[0-9a-f]{2}/[0-9a-f]{40}$' and checksum is not null
                  and store_fname <> left(checksum, 2) || '/' || checksum))
        order by id""",
        {"ir_attachment": ("id", "name", "type", "store_fname", "db_datas", "file_size", "checksum")},
    ),
)
