"""Money that moves: payments of invoices, exchange differences, refunds, and the bank's statements."""

from dataclasses import dataclass, field
from typing import NamedTuple

from local.odoo.chart import Currency
from local.odoo.drawing import reversed_items
from local.odoo.ledger import Books, Entry, Instant, Item, Ledger, Number, Partner
from local.odoo.rates import Rates, to_company
from local.odoo.rows import PaymentRow, StatementLineRow, StatementRow


class Settlement(NamedTuple):
    """What settles an invoice, or a part of it: `balance` and `amount_currency` are that part of the invoice's line.

    `full_reconcile_id` is given when the invoice ends up settled, `last` on the settlement that does it.
    """

    books: Books
    partner: Partner
    currency: Currency
    rate: float
    invoice_id: int
    invoice_name: str
    invoice_line_id: int
    balance: int
    amount_currency: int
    partial_id: int
    full_reconcile_id: int | None
    last: bool


class Deposit(NamedTuple):
    """A payment's item on an outstanding account, until the bank's statement shows it."""

    books: Books
    partner: Partner
    reference: str
    account_id: int
    line_id: int
    balance: int
    full_reconcile_id: int


@dataclass(slots=True)
class _Statement:
    id: int
    day: str
    start: int
    end: int
    lines: int = 0
    first_index: str = ""


@dataclass(slots=True)
class Cashier:
    """Posts settlements. A payment at another rate than its invoice leaves an exchange difference, posted with it."""

    ledger: Ledger
    rates: Rates
    _statements: dict[int, _Statement] = field(default_factory=dict[int, _Statement])

    def pay(self, settlement: Settlement, when: Instant, *, to_statement: bool) -> Deposit | None:
        """Post a payment and reconcile it with its invoice. With `to_statement`, its deposit is returned for later."""
        books, currency = settlement.books, settlement.currency
        rate = self.rates.rate(currency, books.currency, when.date)
        from_customer = settlement.balance > 0
        foreign = currency is not books.currency
        received = (
            to_company(settlement.amount_currency, currency, books.currency, rate) if foreign else settlement.balance
        )
        outstanding = books.accounts["outstanding_receipts" if from_customer else "outstanding_payments"]
        counterpart = books.accounts["receivable" if from_customer else "payable"]
        journal = books.journals["BNK1"]
        number = self.ledger.number(journal, "entry", when.date, payment=True)
        payment_id = self.ledger.next_id("account_payment")
        label = f"Manual Payment: {settlement.invoice_name}"
        deposit_full_id = self.ledger.next_id("account_full_reconcile") if to_statement else None
        entry = Entry(
            books,
            journal,
            "entry",
            when,
            currency,
            number,
            rate=rate,
            partner=settlement.partner,
            ref=settlement.invoice_name,
            due=when.day,
            payment_id=payment_id,
        )
        deposited = Item(outstanding, label, received, settlement.amount_currency)
        if deposit_full_id is None:
            deposited = deposited._replace(residual=received, residual_currency=settlement.amount_currency)
        else:
            deposited = self._matched(deposited, deposit_full_id, None)
        paid = Item(counterpart, label, -received, -settlement.amount_currency)
        posted = self.ledger.post(
            entry, [deposited, self._matched(paid, settlement.full_reconcile_id, settlement.partial_id)]
        )
        self._reconcile(settlement, posted.first_line_id + 1, -received, when)
        self.ledger.counts["payments"] += 1
        self.ledger.writer.add(
            PaymentRow(
                payment_id,
                posted.move_id,
                number.name,
                when.day,
                settlement.invoice_name,
                journal.id,
                books.company_id,
                settlement.partner.id,
                currency.id,
                outstanding,
                counterpart,
                "inbound" if from_customer else "outbound",
                "customer" if from_customer else "supplier",
                f"PAY{payment_id:05}",
                currency.text(abs(settlement.amount_currency)),
                books.currency.text(received),
                to_statement,
                when.at,
                when.at,
            )
        )
        if deposit_full_id is None:
            return None
        return Deposit(
            books, settlement.partner, number.name, outstanding, posted.first_line_id, received, deposit_full_id
        )

    def refund(self, settlement: Settlement, items: list[Item], move_type: str, when: Instant, number: Number) -> None:
        """Post a refund of the whole invoice, at the invoice's own rate, and reconcile the two."""
        mirrored = reversed_items(items)
        mirrored[-1] = self._matched(mirrored[-1]._replace(name=number.name), settlement.full_reconcile_id, None)
        journal = settlement.books.journals["INV" if move_type == "out_refund" else "BILL"]
        entry = Entry(
            settlement.books,
            journal,
            move_type,
            when,
            settlement.currency,
            number,
            rate=settlement.rate,
            partner=settlement.partner,
            payment_state="paid",
            ref=f"Reversal of: {settlement.invoice_name}",
            due=when.day,
            reversed_entry_id=settlement.invoice_id,
        )
        posted = self.ledger.post(entry, mirrored)
        self._reconcile(settlement, posted.first_line_id + len(mirrored) - 1, -settlement.balance, when)

    def deposit(self, deposit: Deposit, when: Instant) -> None:
        """Post the line of the bank's statement that shows a payment."""
        books = deposit.books
        statement = self._statement(books, when)
        journal = books.journals["BNK1"]
        number = self.ledger.number(journal, "entry", when.date)
        line_id = self.ledger.next_id("account_bank_statement_line")
        entry = Entry(
            books,
            journal,
            "entry",
            when,
            books.currency,
            number,
            partner=deposit.partner,
            statement_line_id=line_id,
            statement_id=statement.id,
        )
        in_bank = self.ledger.open_item(
            books, books.accounts["bank"], deposit.reference, deposit.balance, deposit.balance
        )
        cleared = Item(deposit.account_id, deposit.reference, -deposit.balance, -deposit.balance)
        posted = self.ledger.post(entry, [in_bank, self._matched(cleared, deposit.full_reconcile_id, None)])
        self.ledger.reconcile(
            books,
            when,
            books.currency,
            deposit.line_id,
            posted.first_line_id + 1,
            deposit.balance,
            deposit.balance,
            full_reconcile_id=deposit.full_reconcile_id,
        )
        self.ledger.reconcile_fully(deposit.full_reconcile_id, when)
        statement.lines += 1
        statement.end += deposit.balance
        index = f"{when.date:%Y%m%d}{2**31 - 1 - statement.lines:010}{posted.move_id:010}"
        statement.first_index = statement.first_index or index
        self.ledger.writer.add(
            StatementLineRow(
                line_id,
                posted.move_id,
                statement.id,
                journal.id,
                books.company_id,
                statement.lines,
                deposit.partner.id,
                books.currency.id,
                deposit.reference,
                index,
                books.currency.text(deposit.balance),
                when.at,
                when.at,
            )
        )

    def close_statement(self, books: Books, when: Instant) -> int:
        """Write the open statement, if any, and return the balance that the next one starts with."""
        statement = self._statements.pop(books.company_id, None)
        if statement is None:
            return 0
        end = books.currency.text(statement.end)
        self.ledger.writer.add(
            StatementRow(
                statement.id,
                f"BNK1 Statement {statement.day[:7]}",
                statement.first_index,
                statement.day,
                books.journals["BNK1"].id,
                books.company_id,
                books.currency.text(statement.start),
                end,
                end,
                when.at,
                when.at,
            )
        )
        return statement.end

    def _statement(self, books: Books, when: Instant) -> _Statement:
        current = self._statements.get(books.company_id)
        if current is None or current.day[:7] != when.day[:7]:
            start = self.close_statement(books, when)
            current = _Statement(self.ledger.next_id("account_bank_statement"), when.day, start, start)
            self._statements[books.company_id] = current
        current.day = when.day
        return current

    def _matched(self, item: Item, full_reconcile_id: int | None, partial_id: int | None) -> Item:
        if full_reconcile_id is not None:
            number = self.ledger.full_matching_number(full_reconcile_id)
        else:
            assert partial_id is not None
            number = self.ledger.partial_matching_number(partial_id)
        return item._replace(
            reconciled=True,
            full_reconcile_id=full_reconcile_id,
            matching_number=number,
            residual=0,
            residual_currency=0,
        )

    def _reconcile(self, settlement: Settlement, line_id: int, settled: int, when: Instant) -> None:
        """Match a settling line (balance `settled`) with its invoice's; post the exchange difference between them."""
        books, currency, ledger = settlement.books, settlement.currency, self.ledger
        difference = settlement.balance + settled
        exchange_move_id = None
        if difference:
            exchange_move_id = self._post_difference(settlement, line_id, difference, when)
        smaller = min(abs(settlement.balance), abs(settled))
        ledger.reconcile(
            books,
            when,
            currency,
            settlement.invoice_line_id,
            line_id,
            smaller if settlement.balance > 0 else -smaller,
            settlement.amount_currency,
            partial_id=settlement.partial_id,
            full_reconcile_id=settlement.full_reconcile_id,
            exchange_move_id=exchange_move_id,
        )
        if settlement.full_reconcile_id is not None and settlement.last:
            ledger.reconcile_fully(settlement.full_reconcile_id, when, exchange_move_id)

    def _post_difference(self, settlement: Settlement, line_id: int, difference: int, when: Instant) -> int:
        """Post what the rates left over, and match it with the line that still has it (it has the sign of the rest)."""
        books, ledger = settlement.books, self.ledger
        journal = books.journals["EXCH"]
        account = books.accounts["receivable" if settlement.balance > 0 else "payable"]
        result = books.accounts["exchange_loss" if difference > 0 else "exchange_gain"]
        label = "Currency exchange rate difference"
        entry = Entry(
            books,
            journal,
            "entry",
            when,
            books.currency,
            ledger.number(journal, "entry", when.date),
            partner=settlement.partner,
            items_currency=settlement.currency,
        )
        offset = self._matched(
            Item(account, label, -difference, 0), settlement.full_reconcile_id, settlement.partial_id
        )
        posted = ledger.post(entry, [offset, Item(result, label, difference, 0)])
        on_invoice = (difference > 0) == (settlement.balance > 0)
        ledger.reconcile(
            books,
            when,
            settlement.currency,
            settlement.invoice_line_id if on_invoice else line_id,
            posted.first_line_id,
            difference,
            0,
            full_reconcile_id=settlement.full_reconcile_id,
        )
        return posted.move_id
