"""What is there before the first entry: currencies, companies with charts and journals, people, modules, settings."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Any
from uuid import UUID

from psycopg import Connection

from local.odoo import chart
from local.odoo.inserting import insert
from local.odoo.ledger import Books, Instant, Journal, Partner
from local.odoo.profile import Profile
from local.odoo.rates import Rates

_MODULES = {
    "base": "1.3", "web": "1.0", "bus": "1.0", "mail": "1.15", "analytic": "1.1", "product": "1.2", "uom": "1.0",
    "portal": "1.0", "digest": "1.1", "account": "1.2", "account_payment": "2.0", "payment": "2.0", "l10n_fr": "2.1",
    "account_edi_ubl_cii": "1.0", "resource": "1.1", "sms": "3.0", "snailmail": "0.4", "queue_job": "1.5.4",
    "base_import_module": "1.0", "auth_totp": "1.0", "iap": "1.1", "spreadsheet_account": "1.0",
}  # fmt: skip
_NOT_INSTALLED = ("stock", "sale_management", "mrp", "website", "hr")


@dataclass(frozen=True, slots=True)
class Foundation:
    """What the story needs to know of it."""

    database_uuid: str
    books: Sequence[Books]
    customers: Sequence[Partner]
    vendors: Sequence[Partner]


def lay(connection: Connection, profile: Profile, rates: Rates) -> Foundation:
    """Write it all, as of the profile's beginning."""
    die = Random(f"{profile.seed}:foundation")
    when = Instant.of(profile.begin)
    stamp = {"create_uid": 1, "create_date": when.at, "write_uid": 1, "write_date": when.at}
    currencies = {currency.name: currency for currency in chart.CURRENCIES}
    insert(connection, "res_currency", [_currency(currency) | stamp for currency in chart.CURRENCIES])
    customers, vendors = _partners(connection, profile, die, stamp)
    books = [
        _company(connection, profile, number, currencies[company.currency], stamp)
        for number, company in enumerate(profile.companies, 1)
    ]
    _users(connection, profile, stamp)
    insert(
        connection,
        "res_currency_rate",
        [
            {"name": day, "rate": rate, "currency_id": currency.id, "company_id": book.company_id} | stamp
            for book in books
            for currency in chart.CURRENCIES
            if currency.active and currency is not book.currency
            for day, rate in rates.monthly(currency, book.currency)
        ],
    )
    insert(connection, "ir_module_module", [module | stamp for module in _modules(profile.version)])
    database_uuid = str(UUID(bytes=die.randbytes(16), version=1))
    settings = {
        "database.uuid": database_uuid,
        "database.create_date": when.at[:19],
        "database.secret": str(UUID(bytes=die.randbytes(16), version=4)),
        "web.base.url": profile.base_url,
        "ir_attachment.location": "file",
        "base.login_cooldown_after": "10",
        "base.default_max_email_size": "10",
        "account_payment.enable_portal_payment": "True",
    }
    if "cloud_storage" in profile.attachment_layouts:
        settings["cloud_storage_provider"] = "azure"
    insert(connection, "ir_config_parameter", [{"key": key, "value": value} | stamp for key, value in settings.items()])
    return Foundation(database_uuid, books, customers, vendors)


def _currency(currency: chart.Currency) -> dict[str, Any]:
    return {
        "id": currency.id,
        "name": currency.name,
        "symbol": currency.symbol,
        "full_name": currency.full_name,
        "rounding": f"{10**-currency.decimals:.6f}",
        "decimal_places": currency.decimals,
        "position": "after",
        "active": currency.active,
    }


def _partners(
    connection: Connection, profile: Profile, die: Random, stamp: dict[str, Any]
) -> tuple[list[Partner], list[Partner]]:
    """The companies themselves first (so that company n is partner n), two users, then customers and vendors."""
    names = [company.name for company in profile.companies] + ["OdooBot", "Accountant"]
    own = len(names)
    count = max(20, min(5_000, profile.journal_items // 150))
    names += [_trader(die) for _ in range(count)]
    partners = [Partner(number, name) for number, name in enumerate(names, 1)]
    vendors_from = own + count * 2 // 3
    insert(
        connection,
        "res_partner",
        [
            _partner(die, partner, customer=own <= index < vendors_from, vendor=index >= vendors_from) | stamp
            for index, partner in enumerate(partners)
        ],
    )
    return partners[own:vendors_from], partners[vendors_from:]


def _partner(die: Random, partner: Partner, *, customer: bool, vendor: bool) -> dict[str, Any]:
    postcode, city = die.choice(chart.CITIES)
    return {
        "name": partner.name,
        "display_name": partner.name,
        "complete_name": partner.name,
        "commercial_partner_id": partner.id,
        "lang": "en_US",
        "tz": "Europe/Brussels",
        "type": "contact",
        "street": f"Street {die.randrange(1, 200)}",
        "zip": postcode,
        "city": city,
        "email": f"partner{partner.id}@example.com",
        "active": True,
        "is_company": True,
        "partner_share": customer or vendor,
        "customer_rank": int(customer),
        "supplier_rank": int(vendor),
        "autopost_bills": "ask",
    }


def _trader(die: Random) -> str:
    who = f"{die.choice(chart.FIRST_NAMES)} {die.choice(chart.LAST_NAMES)}"
    return f"{who} {die.choice(chart.TRADES)} {die.choice(chart.LEGAL_FORMS)}"


def _users(connection: Connection, profile: Profile, stamp: dict[str, Any]) -> None:
    first_partner = len(profile.companies) + 1
    insert(
        connection,
        "res_users",
        [
            {"login": login, "active": True, "share": False, "company_id": 1, "partner_id": first_partner + index}
            | stamp
            for index, login in enumerate(("__system__", "accountant"))
        ],
    )
    insert(
        connection,
        "res_company_users_rel",
        [{"cid": cid, "user_id": user} for cid in range(1, len(profile.companies) + 1) for user in (1, 2)],
    )


def _company(
    connection: Connection, profile: Profile, number: int, currency: chart.Currency, stamp: dict[str, Any]
) -> Books:
    """A company with its own copy of the chart of accounts, taxes and journals."""
    first_account = (number - 1) * len(chart.ACCOUNTS) + 1
    accounts = {account.role: first_account + index for index, account in enumerate(chart.ACCOUNTS)}
    first_tax = (number - 1) * len(chart.TAXES) + 1
    taxes = {(tax.use, tax.percent): first_tax + index for index, tax in enumerate(chart.TAXES)}
    first_journal = (number - 1) * len(chart.JOURNALS) + 1
    journals = {
        kind.code: Journal(first_journal + index, kind.code, kind.type, kind.code in profile.hashed_journals)
        for index, kind in enumerate(chart.JOURNALS)
    }
    last_year_end = date(profile.as_of.year - 1, 12, 31)
    insert(
        connection,
        "res_company",
        [
            {
                "id": number,
                "name": profile.companies[number - 1].name,
                "partner_id": number,
                "currency_id": currency.id,
                "sequence": 10,
                "parent_path": f"{number}/",
                "active": True,
                "chart_template": "generic_coa",
                "fiscalyear_last_day": 31,
                "fiscalyear_last_month": "12",
                "fiscalyear_lock_date": last_year_end,
                "tax_lock_date": last_year_end,
                "hard_lock_date": last_year_end - timedelta(days=365),
                "account_opening_date": date(profile.begin.year, 1, 1),
                "account_sale_tax_id": taxes["sale", 20],
                "account_purchase_tax_id": taxes["purchase", 20],
                "currency_exchange_journal_id": journals["EXCH"].id,
                "income_currency_exchange_account_id": accounts["exchange_gain"],
                "expense_currency_exchange_account_id": accounts["exchange_loss"],
            }
            | stamp
        ],
    )
    insert(connection, "account_account", [row | stamp for row in _accounts(number, accounts)])
    insert(
        connection,
        "account_account_res_company_rel",
        [{"account_account_id": account, "res_company_id": number} for account in accounts.values()],
    )
    insert(
        connection,
        "account_tax",
        [
            {
                "id": taxes[tax.use, tax.percent],
                "company_id": number,
                "name": f"{tax.percent}%",
                "amount_type": "percent",
                "type_tax_use": tax.use,
                "amount": tax.percent,
                "active": True,
            }
            | stamp
            for tax in chart.TAXES
        ],
    )
    for kind in chart.JOURNALS:
        _journal(connection, profile, number, kind, journals[kind.code], accounts, stamp)
    open_accounts = {accounts[a.role] for a in chart.ACCOUNTS if a.reconcile or a.type == "asset_cash"}
    return Books(number, currency, accounts, frozenset(open_accounts), journals, taxes)


def _accounts(company_id: int, accounts: dict[str, int]) -> Iterator[dict[str, Any]]:
    for account in chart.ACCOUNTS:
        yield {
            "id": accounts[account.role],
            "account_type": account.type,
            "name": account.name,
            "company_id": company_id,
            "code": account.code,
            "code_store": {str(company_id): account.code},
            "internal_group": account.type.split("_")[0],
            "deprecated": False,
            "active": True,
            "reconcile": account.reconcile,
            "non_trade": False,
        }


def _journal(
    connection: Connection,
    profile: Profile,
    company_id: int,
    kind: chart.JournalKind,
    journal: Journal,
    accounts: dict[str, int],
    stamp: dict[str, Any],
) -> None:
    """A journal; before version 18, a hashed one has a gapless sequence of its own that orders its chain."""
    sequence_id = None
    if journal.hashed and profile.version < 18:
        sequence_id = journal.id
        insert(
            connection,
            "ir_sequence",
            [
                {
                    "id": sequence_id,
                    "name": f"Securisation of secure_sequence_id - {kind.name}",
                    "code": f"SECUR{journal.id}-secure_sequence_id",
                    "implementation": "no_gap",
                    "number_next": 1,
                    "number_increment": 1,
                    "padding": 0,
                    "company_id": company_id,
                    "active": True,
                }
                | stamp
            ],
        )
    account = accounts[kind.account_role] if kind.account_role else None
    insert(
        connection,
        "account_journal",
        [
            {
                "id": journal.id,
                "code": kind.code,
                "type": kind.type,
                "name": kind.name,
                "secure_sequence_id": sequence_id,
                "autocheck_on_post": True,
                "active": True,
                "sequence": 10,
                "company_id": company_id,
                "default_account_id": account,
                "suspense_account_id": accounts["suspense"] if kind.type == "bank" else None,
                "invoice_reference_type": "invoice",
                "invoice_reference_model": "odoo",
                "restrict_mode_hash_table": journal.hashed,
                "refund_sequence": kind.type in {"sale", "purchase"},
                "payment_sequence": kind.type == "bank",
                "show_on_dashboard": True,
            }
            | stamp
        ],
    )


def _modules(version: int) -> Iterator[dict[str, Any]]:
    for name, number in _MODULES.items():
        yield {"name": name, "shortdesc": name, "state": "installed", "latest_version": f"{version}.0.{number}"}
    for name in _NOT_INSTALLED:
        yield {"name": name, "shortdesc": name, "state": "uninstalled", "latest_version": None}
