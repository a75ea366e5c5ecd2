"""Some companies' business, told by a seeded die: invoices, bills, wages, payments, bank statements, a few mistakes.

What will happen to an invoice is decided when it is written, so that its row is final and the ledger can be streamed.
What is to be paid waits in a queue, ordered by how many journal items will have been written by then: time passes
evenly with the items.
"""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from random import Random
from typing import Literal

from local.odoo import drawing
from local.odoo.chart import CURRENCIES, Currency
from local.odoo.documents import Documents
from local.odoo.ledger import Books, Entry, Instant, Item, Ledger, Number, Partner
from local.odoo.profile import Profile
from local.odoo.rates import Rates
from local.odoo.rows import MessageRow
from local.odoo.settling import Cashier, Deposit, Settlement

_LAST_SETTLEMENT = 0.97
_FOREIGN_SHARE = 0.14
_ON_STATEMENT_SHARE = 0.8
_FIRST_PART = 40  # percent of an invoice that is paid in parts
_MESSAGE_EVERY = 25

type Fate = Literal["draft", "cancelled", "withdrawn"]
type Queued = tuple[int, int, Callable[[], None]]
_FATES: tuple[Fate, ...] = ("draft", "cancelled", "withdrawn")


@dataclass(slots=True)
class Story:
    """Tells the business from the first instant to the last."""

    profile: Profile
    ledger: Ledger
    books: Sequence[Books]
    customers: Sequence[Partner]
    vendors: Sequence[Partner]
    documents: Documents
    rates: Rates
    cashier: Cashier
    die: Random
    _queue: list[Queued] = field(default_factory=list[Queued])
    _queued: int = 0
    _written: int = 0
    _when: Instant = field(init=False)
    _foreign: dict[int, list[Currency]] = field(init=False)

    def __post_init__(self) -> None:
        active = [currency for currency in CURRENCIES if currency.active]
        self._foreign = {
            books.company_id: [currency for currency in active if currency is not books.currency]
            for books in self.books
        }

    def tell(self) -> None:
        """Write everything. The last entry's instant is the profile's `as_of`."""
        while self.ledger.ids["account_move_line"] < self.profile.journal_items or self._queue:
            self._move_clock()
            if self._queue and self._queue[0][0] <= self._written:
                heapq.heappop(self._queue)[2]()
            else:
                self._new_business()
        for fate in _FATES:
            self._never_posted(self.books[0], fate)
        self._when = Instant.of(self.profile.as_of)
        self._misc(self.books[0], drawing.wages(self.die, self.books[0]))
        for books in self.books:
            self.cashier.close_statement(books, self._when)

    def _move_clock(self) -> None:
        self._written = self.ledger.ids["account_move_line"]
        progress = min(self._written / self.profile.journal_items, 1.0)
        history = self.profile.hash_history
        self.ledger.hash_version = history[min(int(progress * len(history)), len(history) - 1)]
        self._when = Instant.of(self.profile.begin + timedelta(days=self.profile.days * progress))
        self.documents.progress(progress)

    def _new_business(self) -> None:
        books = self.books[int(self.die.random() ** 2 * len(self.books))]
        choice = self.die.random()
        if choice < 0.56:
            self._invoice(books, "out_invoice")
        elif choice < 0.90:
            self._invoice(books, "in_invoice")
        elif choice < 0.93:
            self._misc(books, drawing.wages(self.die, books))
        elif choice < 0.96:
            self._misc(books, drawing.depreciation(self.die, books))
        elif choice < 0.985:
            self._misc(books, drawing.accrual(self.die, books))
        else:
            self._never_posted(books, self.die.choice(_FATES))

    def _invoice(self, books: Books, move_type: str) -> None:
        """Post an invoice or a bill, and queue what settles it."""
        partner, currency, rate, items = self._draw(books, move_type)
        journal = books.journals["INV" if move_type == "out_invoice" else "BILL"]
        number = self.ledger.number(journal, move_type, self._when.date, leave_gap=self._gap_is_due(journal.code))
        term = self._term(books, move_type, number, items)
        invoice_id = self.ledger.ids["account_move"] + 1
        settlements, when_due, reverses = self._plan(
            books, partner, currency, rate, number, invoice_id, len(items), term
        )
        state = "not_paid"
        if settlements:
            full_id = settlements[0].full_reconcile_id
            settled = sum(part.balance for part in settlements)
            residual = term.balance - settled if full_id is None else 0
            state = "reversed" if reverses else "partial" if full_id is None else "paid"
            if full_id is None:
                matching = self.ledger.partial_matching_number(settlements[0].partial_id)
            else:
                matching = self.ledger.full_matching_number(full_id)
            term = term._replace(
                residual=residual,
                residual_currency=residual,
                reconciled=full_id is not None,
                full_reconcile_id=full_id,
                matching_number=matching,
            )
        items = [*items, term]
        self.ledger.post(
            Entry(
                books,
                journal,
                move_type,
                self._when,
                currency,
                number,
                rate=rate,
                partner=partner,
                payment_state=state,
                ref=None if move_type == "out_invoice" else f"VB-{invoice_id}",
                due=term.due,
                attachment_id=self.documents.attach(
                    number.name.replace("/", "_") + ".pdf", books.company_id, self._when
                ),
            ),
            items,
        )
        for settlement, position in zip(settlements, when_due, strict=True):
            action = partial(self._refund, settlement, items) if reverses else partial(self._pay, settlement)
            self._enqueue(position, action)
        self._tell_followers(invoice_id, partner)

    def _plan(
        self,
        books: Books,
        partner: Partner,
        currency: Currency,
        rate: float,
        number: Number,
        invoice_id: int,
        term_index: int,
        term: Item,
    ) -> tuple[list[Settlement], list[int], bool]:
        """What settles an invoice, at which positions of the queue, and whether that is a refund."""
        choice = self.die.random()
        first = self._position(self.die.uniform(3, 45))
        second = self._position(self.die.uniform(46, 75))
        domestic = currency is books.currency
        part = round(term.balance * _FIRST_PART / 100)
        if choice < 0.60:
            shares, closes = [(first, term.balance, term.amount_currency)], True
        elif choice < 0.68 and domestic and part:
            shares, closes = [(first, part, part)], False
        elif choice < 0.74 and domestic and part:
            rest = term.balance - part
            shares, closes = [(first, part, part), (second, rest, rest)], True
        elif choice < 0.78:
            shares, closes = [(first, term.balance, term.amount_currency)], True
        else:
            return [], [], False
        if any(position is None for position, _, _ in shares) or not term.balance:
            return [], [], False
        full_id = self.ledger.next_id("account_full_reconcile") if closes else None
        line_id = self.ledger.ids["account_move_line"] + 1 + term_index
        settlements = [
            Settlement(
                books,
                partner,
                currency,
                rate,
                invoice_id,
                number.name,
                line_id,
                balance,
                amount_currency,
                self.ledger.next_id("account_partial_reconcile"),
                full_id,
                last=index == len(shares),
            )
            for index, (_, balance, amount_currency) in enumerate(shares, 1)
        ]
        return settlements, [position for position, _, _ in shares if position is not None], choice >= 0.74

    def _pay(self, settlement: Settlement) -> None:
        domestic = settlement.currency is settlement.books.currency
        position = self._position(self.die.uniform(0.5, 4)) if domestic else None
        to_statement = position is not None and self.die.random() < _ON_STATEMENT_SHARE
        deposit = self.cashier.pay(settlement, self._when, to_statement=to_statement)
        if deposit is not None and position is not None:
            self._enqueue(position, partial(self._deposit, deposit))

    def _refund(self, settlement: Settlement, items: list[Item]) -> None:
        move_type = "out_refund" if settlement.balance > 0 else "in_refund"
        journal = settlement.books.journals["INV" if move_type == "out_refund" else "BILL"]
        number = self.ledger.number(journal, move_type, self._when.date)
        self.cashier.refund(settlement, items, move_type, self._when, number)

    def _deposit(self, deposit: Deposit) -> None:
        self.cashier.deposit(deposit, self._when)

    def _misc(self, books: Books, items: list[Item]) -> None:
        journal = books.journals["MISC"]
        number = self.ledger.number(journal, "entry", self._when.date)
        self.ledger.post(Entry(books, journal, "entry", self._when, books.currency, number), items)

    def _never_posted(self, books: Books, fate: Fate) -> None:
        """A draft, a cancelled draft, or a bill that was cancelled after it had its number (where none is sealed)."""
        journal = books.journals["INV" if fate == "draft" else "BILL"]
        move_type = "out_invoice" if fate == "draft" else "in_invoice"
        partner, currency, rate, items = self._draw(books, move_type)
        keeps_number = fate == "withdrawn" and not journal.hashed
        number = self.ledger.number(journal, move_type, self._when.date) if keeps_number else None
        items.append(self._term(books, move_type, number, items))
        state = "draft" if fate == "draft" else "cancel"
        self.ledger.post(
            Entry(books, journal, move_type, self._when, currency, number, state=state, rate=rate, partner=partner),
            items,
        )

    def _draw(self, books: Books, move_type: str) -> tuple[Partner, Currency, float, list[Item]]:
        partners = self.customers if move_type == "out_invoice" else self.vendors
        partner = partners[int(self.die.random() * len(partners))]
        abroad = self.die.random() < _FOREIGN_SHARE
        currency = self.die.choice(self._foreign[books.company_id]) if abroad else books.currency
        rate = self.rates.rate(currency, books.currency, self._when.date)
        return partner, currency, rate, drawing.invoice_items(self.die, books, currency, rate, move_type)

    def _term(self, books: Books, move_type: str, number: Number | None, items: Sequence[Item]) -> Item:
        """The line that the partner owes, or is owed."""
        selling = move_type == "out_invoice"
        balance = -sum(item.balance for item in items)
        amount_currency = -sum(item.amount_currency for item in items)
        due = self._when.date + timedelta(days=self.die.choice((0, 14, 30, 60)))
        return Item(
            books.accounts["receivable" if selling else "payable"],
            number.name if number and selling else None,
            balance,
            amount_currency,
            "payment_term",
            residual=balance,
            residual_currency=amount_currency,
            due=due.isoformat(),
        )

    def _gap_is_due(self, journal_code: str) -> bool:
        gaps = self.profile.legal_gaps
        share = (len(self.ledger.gaps) + 1) / (gaps + 1)
        due = len(self.ledger.gaps) < gaps and self._written > share * self.profile.journal_items
        return due and journal_code not in self.profile.hashed_journals

    def _position(self, after_days: float) -> int | None:
        """Where in the story an instant some days on is; None when it is too near the end to be sure of it."""
        position = self._written + int(after_days / self.profile.days * self.profile.journal_items)
        return position if position <= self.profile.journal_items * _LAST_SETTLEMENT else None

    def _enqueue(self, position: int, action: Callable[[], None]) -> None:
        self._queued += 1
        heapq.heappush(self._queue, (position, self._queued, action))

    def _tell_followers(self, move_id: int, partner: Partner) -> None:
        if move_id % _MESSAGE_EVERY:
            return
        message_id = self.ledger.next_id("mail_message")
        self.ledger.writer.add(
            MessageRow(
                message_id,
                "account.move",
                move_id,
                self._when.at,
                f"<p>Invoice created for {partner.name}</p>",
                partner.id,
                "accounting@example.com",
                f"<{message_id}.{move_id}-openerp-private@{self.profile.database}>",
                self._when.at,
                self._when.at,
            )
        )
