"""What every generated company starts with: currencies, accounts, journals, taxes; and the words of its business."""

from collections.abc import Callable
from typing import NamedTuple

_TEXTS: dict[int, Callable[[int], str]] = {
    0: str,
    2: lambda amount: f"{amount / 100:.2f}",
    3: lambda amount: f"{amount / 1000:.3f}",
}


class Currency(NamedTuple):
    """A currency; amounts are kept in its smallest unit. `per_euro` is where its rate wanders around."""

    id: int
    name: str
    symbol: str
    full_name: str
    decimals: int
    per_euro: float
    active: bool = True

    @property
    def text(self) -> Callable[[int], str]:
        """Makes an amount the text that PostgreSQL and people write."""
        return _TEXTS[self.decimals]


CURRENCIES = (
    Currency(1, "EUR", "€", "Euro", 2, 1.0),
    Currency(2, "USD", "$", "United States dollar", 2, 1.09),
    Currency(25, "JPY", "¥", "Japanese yen", 0, 161.0),
    Currency(93, "KWD", "KD", "Kuwaiti dinar", 3, 0.334),
    Currency(145, "GBP", "£", "Pound sterling", 2, 0.85, active=False),
    Currency(147, "CHF", "CHF", "Swiss franc", 2, 0.96, active=False),
)


class Account(NamedTuple):
    """An account; one that is reconciled keeps open items."""

    role: str
    code: str
    name: str
    type: str
    reconcile: bool = False


ACCOUNTS = (
    Account("bank", "101401", "Bank", "asset_cash"),
    Account("suspense", "101402", "Bank Suspense Account", "asset_current"),
    Account("outstanding_receipts", "101403", "Outstanding Receipts", "asset_current", True),
    Account("outstanding_payments", "101404", "Outstanding Payments", "asset_current", True),
    Account("receivable", "121000", "Account Receivable", "asset_receivable", True),
    Account("tax_paid", "131000", "Tax Paid", "asset_current"),
    Account("fixed_assets", "151000", "Fixed Assets", "asset_fixed"),
    Account("accumulated_depreciation", "151100", "Accumulated Depreciation", "asset_fixed"),
    Account("accruals", "201000", "Accrued Expenses", "liability_current"),
    Account("payable", "211000", "Account Payable", "liability_payable", True),
    Account("salaries_payable", "230000", "Salary Payable", "liability_current", True),
    Account("payroll_taxes", "230100", "Employee Payroll Taxes", "liability_current"),
    Account("tax_received", "251000", "Tax Received", "liability_current"),
    Account("capital", "301000", "Capital", "equity"),
    Account("sales", "400000", "Product Sales", "income"),
    Account("services", "401000", "Services", "income"),
    Account("exchange_gain", "441000", "Foreign Exchange Gain", "income"),
    Account("goods", "500000", "Cost of Goods Sold", "expense_direct_cost"),
    Account("expenses", "600000", "Expenses", "expense"),
    Account("rent", "612000", "Rent", "expense"),
    Account("salaries", "630000", "Salary Expenses", "expense"),
    Account("exchange_loss", "641000", "Foreign Exchange Loss", "expense"),
    Account("depreciation", "650000", "Depreciation", "expense_depreciation"),
    Account("result", "999999", "Undistributed Profits/Losses", "equity_unaffected"),
)


class JournalKind(NamedTuple):
    """A journal that every company has."""

    code: str
    type: str
    name: str
    account_role: str | None = None


JOURNALS = (
    JournalKind("INV", "sale", "Customer Invoices", "sales"),
    JournalKind("BILL", "purchase", "Vendor Bills", "expenses"),
    JournalKind("MISC", "general", "Miscellaneous Operations"),
    JournalKind("EXCH", "general", "Exchange Difference"),
    JournalKind("BNK1", "bank", "Bank", "bank"),
)


class Tax(NamedTuple):
    """A tax and the account that its amounts go to."""

    use: str
    percent: int
    account_role: str


TAXES = (
    Tax("sale", 20, "tax_received"),
    Tax("sale", 10, "tax_received"),
    Tax("purchase", 20, "tax_paid"),
    Tax("purchase", 10, "tax_paid"),
)

PRODUCTS = (
    "[DESK-02] Height adjustable desk, oak",
    "[CHAIR-1] Office chair\nwith armrests and lumbar support",
    "[LAMP-09] Desk lamp «Lumière»",
    "[SHELF-3] Shelf 80 x 180 cm, «hêtre»",
    "[BOARD-1] Whiteboard, magnetic",
    '[CABLE-7] Cable duct 19" rack',
    "[SOFA-04] Two-seater sofa, grey",
    "[PART-11] Acoustic partition wall",
    "[TABLE-6] Conference table, 12 seats",
    "[LOCK-02] Locker with 4 doors",
)
SERVICES = ("Installation on site", "Space planning, per hour", "Wartungsvertrag, monatlich", "Delivery and assembly")
PURCHASES = (
    "Oak panels 40 mm",
    "Steel frames",
    "Freight",
    "Cleaning",
    "Energy",
    "IT services, mois précédent",
    "Fabric, 100 m",
    "Packaging",
)
FIRST_NAMES = (
    "Ana",
    "Björn",
    "Chloé",
    "Dmitri",
    "Ewa",
    "Farid",
    "Giulia",
    "Hiro",
    "Inês",
    "Jonas",
    "Keiko",
    "Łukasz",
    "María",
    "Noël",
)
LAST_NAMES = (
    "Almeida",
    "Bauer",
    "Conti",
    "Dupont",
    "Eriksen",
    "Fontaine",
    "García",
    "Haas",
    "Ivanova",
    "Jansen",
    "Kowalska",
    "Müller",
)
TRADES = ("Logistics", "Atelier", "Systems", "Foods", "Textile", "Bau", "Électricité", "Consulting", "Medical", "Print")
LEGAL_FORMS = ("GmbH", "SARL", "B.V.", "S.p.A.", "Ltd", "AG", "SAS", "Oy")
CITIES = (
    ("10115", "Berlin"),
    ("75011", "Paris"),
    ("1012", "Amsterdam"),
    ("20121", "Milano"),
    ("00100", "Helsinki"),
    ("8001", "Zürich"),
)
