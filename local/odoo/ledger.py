"""Posting: numbers, totals, hashes and rows of journal entries, as Odoo would write them.

Amounts are integers in the smallest unit of their currency, positive for debit, so that every entry balances exactly.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import NamedTuple

from local.odoo.chart import Currency
from local.odoo.profile import Gap
from local.odoo.rows import FullRow, LineRow, MoveRow, PartialRow, RowWriter
from shared.backup_verification import inalterability

_DISPLAY_ORDER = {"product": 100, "tax": 10_000, "payment_term": 12_000}
_UNVERIFIABLE_EVERY = 7


@dataclass(frozen=True, slots=True)
class Journal:
    """A journal; the entries of a hashed one are sealed when they are posted."""

    id: int
    code: str
    type: str
    hashed: bool


@dataclass(frozen=True, slots=True)
class Books:
    """One company's books: the ids that its entries refer to, by role or code. Open accounts keep residuals."""

    company_id: int
    currency: Currency
    accounts: Mapping[str, int]
    open_accounts: frozenset[int]
    journals: Mapping[str, Journal]
    taxes: Mapping[tuple[str, int], int]


class Partner(NamedTuple):
    """Somebody we do business with."""

    id: int
    name: str


class Instant(NamedTuple):
    """One moment, in the three forms that rows need."""

    date: date
    day: str
    at: str

    @classmethod
    def of(cls, moment: datetime) -> "Instant":
        utc = moment.astimezone(UTC)
        return cls(utc.date(), utc.date().isoformat(), utc.replace(tzinfo=None).isoformat(" ", "microseconds"))


class Number(NamedTuple):
    """A place in a journal's sequence: INV/2026/00042 is number 42 of prefix INV/2026/."""

    prefix: str
    number: int
    name: str
    after_gap: bool = False


class Item(NamedTuple):
    """A journal item. Amounts as in the module's docstring; `residual` is what is still to be reconciled."""

    account_id: int
    name: str | None
    balance: int
    amount_currency: int
    display_type: str = "product"
    residual: int = 0
    residual_currency: int = 0
    reconciled: bool = False
    full_reconcile_id: int | None = None
    matching_number: str | None = None
    tax_id: int | None = None
    tax_base: int = 0
    quantity: int = 1
    price_unit: int = 0
    price_total: int = 0
    due: str | None = None


class Entry(NamedTuple):
    """A journal entry without its items. `rate` is the currency's rate to the company's own.

    Its items are in the same currency, but for an exchange difference: that is an entry in the company's currency
    whose items are in `items_currency`, in which they amount to nothing.
    """

    books: Books
    journal: Journal
    move_type: str
    when: Instant
    currency: Currency
    number: Number | None
    state: str = "posted"
    rate: float = 1.0
    partner: Partner | None = None
    payment_state: str = "not_paid"
    ref: str | None = None
    due: str | None = None
    payment_id: int | None = None
    statement_line_id: int | None = None
    statement_id: int | None = None
    reversed_entry_id: int | None = None
    attachment_id: int | None = None
    items_currency: Currency | None = None


class Posted(NamedTuple):
    """The ids of a written entry; those of its items follow each other."""

    move_id: int
    first_line_id: int


@dataclass(slots=True)
class Ledger:
    """Everything that the next entry depends on: ids, numbers and chain heads, for all companies of one database."""

    writer: RowWriter
    version: int
    hash_version: int
    unverifiable_wanted: int = 0
    ids: Counter[str] = field(default_factory=Counter[str])
    counts: Counter[str] = field(default_factory=Counter[str])
    gaps: list[Gap] = field(default_factory=list[Gap])
    unverifiable: list[int] = field(default_factory=list[int])
    secured: Counter[int] = field(default_factory=Counter[int])
    _numbers: Counter[tuple[int, str]] = field(default_factory=Counter[tuple[int, str]])
    _journal_heads: dict[int, str] = field(default_factory=dict[int, str])
    _prefix_heads: dict[tuple[int, str], str] = field(default_factory=dict[tuple[int, str], str])

    def next_id(self, table: str) -> int:
        self.ids[table] += 1
        return self.ids[table]

    def number(
        self, journal: Journal, move_type: str, day: date, *, payment: bool = False, leave_gap: bool = False
    ) -> Number:
        """The journal's next number for an entry of that day; with `leave_gap`, one number is lost before it.

        A gap at the start of a prefix could not be seen, so none is left there.
        """
        code = ("P" if payment else "R" if move_type.endswith("refund") else "") + journal.code
        yearly = journal.type in {"sale", "bank"}
        prefix = f"{code}/{day.year}/" if yearly else f"{code}/{day.year}/{day.month:02}/"
        place = (journal.id, prefix)
        after_gap = leave_gap and self._numbers[place] > 0
        self._numbers[place] += 2 if after_gap else 1
        number = self._numbers[place]
        return Number(prefix, number, f"{prefix}{number:0{5 if yearly else 4}}", after_gap)

    def open_item(self, books: Books, account_id: int, name: str | None, balance: int, amount_currency: int) -> Item:
        """An item of which nothing is reconciled yet."""
        if account_id not in books.open_accounts:
            return Item(account_id, name, balance, amount_currency)
        return Item(account_id, name, balance, amount_currency, residual=balance, residual_currency=amount_currency)

    def post(self, entry: Entry, items: Sequence[Item]) -> Posted:
        """Write an entry and its items; the entry is hashed when its journal is. Drafts come here too."""
        assert sum(item.balance for item in items) == 0, f"{entry.number} does not balance"
        move_id = self.next_id("account_move")
        first_line_id = self.ids["account_move_line"] + 1
        self.ids["account_move_line"] += len(items)
        self._write_lines(entry, items, move_id, first_line_id)
        secure_number, stored_hash = None, None
        if entry.state == "posted":
            self.counts["posted"] += 1
            if entry.journal.hashed:
                secure_number, stored_hash = self._seal(entry, items, move_id, first_line_id)
        self._write_move(entry, items, move_id, secure_number, stored_hash)
        if entry.number is not None and entry.number.after_gap:
            self.gaps.append(Gap(entry.journal.id, entry.number.prefix, entry.number.number - 1, move_id))
        return Posted(move_id, first_line_id)

    def full_matching_number(self, full_reconcile_id: int) -> str:
        return f"A{full_reconcile_id}" if self.version == 16 else str(full_reconcile_id)

    def partial_matching_number(self, partial_id: int) -> str:
        return "P" if self.version == 16 else f"P{partial_id}"

    def reconcile_fully(self, full_reconcile_id: int, when: Instant, exchange_move_id: int | None = None) -> None:
        name = self.full_matching_number(full_reconcile_id)
        self.writer.add(FullRow(full_reconcile_id, name, exchange_move_id, when.at, when.at))

    def reconcile(
        self,
        books: Books,
        when: Instant,
        currency: Currency,
        one: int,
        other: int,
        balance: int,
        amount_currency: int,
        *,
        partial_id: int | None = None,
        full_reconcile_id: int | None = None,
        exchange_move_id: int | None = None,
    ) -> None:
        """Match two lines for `balance`, the matched part of line `one`: its sign says which of them is the debit."""
        debit, credit = (one, other) if balance > 0 else (other, one)
        in_currency = currency.text(abs(amount_currency))
        self.writer.add(
            PartialRow(
                partial_id or self.next_id("account_partial_reconcile"),
                debit,
                credit,
                full_reconcile_id,
                exchange_move_id,
                currency.id,
                currency.id,
                books.company_id,
                when.day,
                books.currency.text(abs(balance)),
                in_currency,
                in_currency,
                when.at,
                when.at,
            )
        )

    def _write_lines(self, entry: Entry, items: Sequence[Item], move_id: int, first_line_id: int) -> None:
        currency = entry.items_currency or entry.currency
        money, foreign = entry.books.currency.text, currency.text
        is_invoice = entry.move_type != "entry"
        name = self._name(entry)
        nothing, no_foreign = money(0), foreign(0)
        partner_id = entry.partner.id if entry.partner else None
        for line_id, item in enumerate(items, first_line_id):
            priced = item.display_type == "product" and is_invoice
            balance = money(item.balance)
            self.writer.add(
                LineRow(
                    line_id,
                    move_id,
                    name,
                    entry.state,
                    entry.journal.id,
                    entry.books.company_id,
                    entry.books.currency.id,
                    currency.id,
                    item.account_id,
                    partner_id,
                    item.name,
                    entry.ref,
                    item.display_type,
                    _DISPLAY_ORDER[item.display_type],
                    entry.when.day,
                    entry.when.day if is_invoice else None,
                    item.due,
                    balance if item.balance > 0 else nothing,
                    money(-item.balance) if item.balance < 0 else nothing,
                    balance,
                    foreign(item.amount_currency),
                    money(item.residual) if item.residual else nothing,
                    foreign(item.residual_currency) if item.residual_currency else no_foreign,
                    item.reconciled,
                    item.full_reconcile_id,
                    item.matching_number,
                    entry.payment_id,
                    entry.statement_line_id,
                    entry.statement_id,
                    item.tax_id,
                    money(item.tax_base) if item.tax_id else None,
                    f"{item.quantity if priced else 0}.00",
                    foreign(item.price_unit) if priced else no_foreign,
                    foreign(abs(item.amount_currency)) if priced else no_foreign,
                    foreign(item.price_total) if priced else no_foreign,
                    entry.when.at,
                    entry.when.at,
                )
            )

    def _write_move(
        self, entry: Entry, items: Sequence[Item], move_id: int, secure_number: int | None, stored_hash: str | None
    ) -> None:
        money, foreign = entry.books.currency.text, entry.currency.text
        is_invoice = entry.move_type != "entry"
        if is_invoice:
            untaxed = -sum(item.balance for item in items if item.display_type == "product")
            untaxed_currency = -sum(item.amount_currency for item in items if item.display_type == "product")
            tax = -sum(item.balance for item in items if item.display_type == "tax")
            tax_currency = -sum(item.amount_currency for item in items if item.display_type == "tax")
            residual = sum(item.residual for item in items if item.display_type == "payment_term")
            residual_currency = sum(item.residual_currency for item in items if item.display_type == "payment_term")
            total, total_currency = untaxed + tax, untaxed_currency + tax_currency
        else:
            untaxed = untaxed_currency = tax = tax_currency = residual = residual_currency = 0
            total = sum(item.balance for item in items if item.balance > 0)
            total_currency = sum(item.amount_currency for item in items if item.amount_currency > 0)
        draft = entry.number is None
        self.writer.add(
            MoveRow(
                move_id,
                self._name(entry),
                entry.number.prefix if entry.number else None,
                entry.number.number if entry.number else 0,
                entry.state,
                entry.move_type,
                entry.journal.id,
                entry.books.company_id,
                entry.currency.id,
                entry.when.day,
                entry.partner.id if entry.partner else None,
                entry.partner.id if entry.partner else None,
                entry.partner.id if entry.partner and is_invoice else None,
                entry.partner.name if entry.partner else None,
                2 if is_invoice else None,
                entry.when.day if is_invoice else None,
                entry.due,
                entry.number.name if entry.number and entry.move_type == "out_invoice" else None,
                entry.ref,
                entry.payment_state,
                entry.payment_id,
                entry.statement_line_id,
                entry.reversed_entry_id,
                entry.attachment_id,
                f"{entry.rate:.6f}",
                foreign(abs(untaxed_currency)),
                foreign(abs(tax_currency)),
                foreign(abs(total_currency)),
                foreign(abs(residual_currency)),
                money(untaxed),
                foreign(untaxed_currency),
                money(tax),
                money(total),
                foreign(total_currency),
                money(residual),
                secure_number,
                stored_hash,
                not draft,
                bool(entry.number and entry.number.after_gap),
                entry.when.at,
                entry.when.at,
                (entry.state == "posted") if self.version >= 18 else False,
            )
        )

    def _name(self, entry: Entry) -> str | None:
        if entry.number is not None:
            return entry.number.name
        return None if self.version >= 18 else "/"

    def _seal(self, entry: Entry, items: Sequence[Item], move_id: int, first_line_id: int) -> tuple[int | None, str]:
        assert entry.number is not None
        unit = 10**entry.books.currency.decimals
        partner_id = entry.partner.id if entry.partner else None
        decimals = (entry.items_currency or entry.currency).decimals
        lines = [
            inalterability.Line(
                line_id,
                item.name,
                item.balance / unit if item.balance > 0 else 0.0,
                -item.balance / unit if item.balance < 0 else 0.0,
                item.account_id,
                partner_id,
                decimals,
            )
            for line_id, item in enumerate(items, first_line_id)
        ]
        self.counts["hashed"] += 1
        if (
            self.hash_version == 1
            and len(self.unverifiable) < self.unverifiable_wanted
            and self.counts["hashed"] % _UNVERIFIABLE_EVERY == 0
        ):
            lines = [line._replace(debit=math.nextafter(float(line.debit), math.inf)) for line in lines]
            self.unverifiable.append(move_id)
        journal, place = entry.journal.id, (entry.journal.id, entry.number.prefix)
        by_prefix = self.hash_version >= 4
        previous = self._prefix_heads.get(place, "") if by_prefix else self._journal_heads.get(journal, "")
        digest = inalterability.digest(
            inalterability.Entry(entry.number.name, entry.when.date, journal, entry.books.company_id, lines),
            self.hash_version,
            previous,
        )
        self._prefix_heads[place] = self._journal_heads[journal] = digest
        stored = inalterability.stored_form(digest, self.hash_version)
        if by_prefix:
            return None, stored
        self.secured[journal] += 1
        return self.secured[journal], stored
