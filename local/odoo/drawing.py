"""The items of single entries, drawn by a die: what is on an invoice, in a payroll. Nothing is written here."""

from random import Random

from local.odoo import chart
from local.odoo.chart import Currency
from local.odoo.ledger import Books, Item
from local.odoo.rates import to_company


def invoice_items(die: Random, books: Books, currency: Currency, rate: float, move_type: str) -> list[Item]:
    """Product and tax lines of a customer invoice or a vendor bill; the line that balances them is the caller's."""
    selling = move_type == "out_invoice"
    sign = -1 if selling else 1
    price_scale = currency.per_euro / 100 * 10**currency.decimals
    bases: dict[int, tuple[int, int]] = {}
    items: list[Item] = []
    for _ in range(1 + int(die.random() ** 2 * 5)):
        quantity = 1 + int(die.random() ** 2 * 20)
        price = max(1, round((500 + int(die.random() ** 3 * 90_000)) * price_scale))
        percent = 20 if die.random() < 0.8 else 10
        subtotal = sign * quantity * price
        balance = to_company(subtotal, currency, books.currency, rate)
        if selling:
            of_goods = die.random() < 0.8
            name = die.choice(chart.PRODUCTS if of_goods else chart.SERVICES)
            account = books.accounts["sales" if of_goods else "services"]
        else:
            name = die.choice(chart.PURCHASES)
            account = books.accounts[die.choice(("goods", "expenses", "rent"))]
        with_tax = quantity * price + round(quantity * price * percent / 100)
        items.append(
            Item(account, name, balance, subtotal, quantity=quantity, price_unit=price, price_total=with_tax, due=None)
        )
        base, base_currency = bases.get(percent, (0, 0))
        bases[percent] = (base + balance, base_currency + subtotal)
    for percent, (base, base_currency) in bases.items():
        tax_currency = round(base_currency * percent / 100)
        tax = tax_currency if currency is books.currency else round(base * percent / 100)
        tax_id = books.taxes["sale" if selling else "purchase", percent]
        account = books.accounts["tax_received" if selling else "tax_paid"]
        if tax or tax_currency:
            items.append(Item(account, f"{percent}%", tax, tax_currency, "tax", tax_id=tax_id, tax_base=abs(base)))
    return items


def wages(die: Random, books: Books) -> list[Item]:
    """A payroll: gross salaries against taxes and what the employees get."""
    gross = 1_000_00 + int(die.random() * 60_000_00)
    taxes = round(gross * 0.31)
    net = gross - taxes
    return [
        _plain(books, "salaries", "Gross salaries", gross),
        _plain(books, "payroll_taxes", "Payroll taxes", -taxes),
        Item(books.accounts["salaries_payable"], "Net salaries", -net, -net, residual=-net, residual_currency=-net),
    ]


def depreciation(die: Random, books: Books) -> list[Item]:
    """A month's depreciation."""
    amount = 100_00 + int(die.random() * 9_000_00)
    return [
        _plain(books, "depreciation", "Depreciation of fixed assets", amount),
        _plain(books, "accumulated_depreciation", "Depreciation of fixed assets", -amount),
    ]


def accrual(die: Random, books: Books) -> list[Item]:
    """Expenses of which no bill has come yet."""
    parts = [50_00 + int(die.random() * 2_000_00) for _ in range(1 + int(die.random() * 3))]
    lines = [_plain(books, "expenses", f"Accrual {number}", part) for number, part in enumerate(parts, 1)]
    return [*lines, _plain(books, "accruals", "Accrued expenses", -sum(parts))]


def reversed_items(items: list[Item]) -> list[Item]:
    """The same items with debit and credit exchanged, as a refund books them."""
    return [
        item._replace(
            balance=-item.balance,
            amount_currency=-item.amount_currency,
            residual=-item.residual,
            residual_currency=-item.residual_currency,
        )
        for item in items
    ]


def _plain(books: Books, role: str, name: str, balance: int) -> Item:
    return Item(books.accounts[role], name, balance, balance)
