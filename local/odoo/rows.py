"""The rows of the large tables, in the newest version's words, and their way into the database.

Money is text already and instants are text in UTC, as COPY wants them: a million rows leave no time for objects.
"""

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from psycopg import Connection, sql

from local.odoo.schema import column_types

_FLUSH_AT = 5_000
_FORMER_NAMES = {"origin_payment_id": "payment_id", "checked": "to_check"}


class MoveRow(NamedTuple):
    """A row of account_move."""

    id: int
    name: str | None
    sequence_prefix: str | None
    sequence_number: int
    state: str
    move_type: str
    journal_id: int
    company_id: int
    currency_id: int
    date: str
    partner_id: int | None
    commercial_partner_id: int | None
    partner_shipping_id: int | None
    invoice_partner_display_name: str | None
    invoice_user_id: int | None
    invoice_date: str | None
    invoice_date_due: str | None
    payment_reference: str | None
    ref: str | None
    payment_state: str
    origin_payment_id: int | None
    statement_line_id: int | None
    reversed_entry_id: int | None
    message_main_attachment_id: int | None
    invoice_currency_rate: str
    amount_untaxed: str
    amount_tax: str
    amount_total: str
    amount_residual: str
    amount_untaxed_signed: str
    amount_untaxed_in_currency_signed: str
    amount_tax_signed: str
    amount_total_signed: str
    amount_total_in_currency_signed: str
    amount_residual_signed: str
    secure_sequence_number: int | None
    inalterable_hash: str | None
    posted_before: bool
    made_sequence_gap: bool
    create_date: str
    write_date: str
    checked: bool
    auto_post: str = "no"
    always_tax_exigible: bool = False
    is_storno: bool = False
    is_move_sent: bool = False
    is_manually_modified: bool = False
    create_uid: int = 1
    write_uid: int = 1


class LineRow(NamedTuple):
    """A row of account_move_line."""

    id: int
    move_id: int
    move_name: str | None
    parent_state: str
    journal_id: int
    company_id: int
    company_currency_id: int
    currency_id: int
    account_id: int
    partner_id: int | None
    name: str | None
    ref: str | None
    display_type: str
    sequence: int
    date: str
    invoice_date: str | None
    date_maturity: str | None
    debit: str
    credit: str
    balance: str
    amount_currency: str
    amount_residual: str
    amount_residual_currency: str
    reconciled: bool
    full_reconcile_id: int | None
    matching_number: str | None
    payment_id: int | None
    statement_line_id: int | None
    statement_id: int | None
    tax_line_id: int | None
    tax_base_amount: str | None
    quantity: str
    price_unit: str
    price_subtotal: str
    price_total: str
    create_date: str
    write_date: str
    tax_tag_invert: bool = False
    create_uid: int = 1
    write_uid: int = 1


class PartialRow(NamedTuple):
    """A row of account_partial_reconcile."""

    id: int
    debit_move_id: int
    credit_move_id: int
    full_reconcile_id: int | None
    exchange_move_id: int | None
    debit_currency_id: int
    credit_currency_id: int
    company_id: int
    max_date: str
    amount: str
    debit_amount_currency: str
    credit_amount_currency: str
    create_date: str
    write_date: str
    create_uid: int = 1
    write_uid: int = 1


class FullRow(NamedTuple):
    """A row of account_full_reconcile."""

    id: int
    name: str
    exchange_move_id: int | None
    create_date: str
    write_date: str
    create_uid: int = 1
    write_uid: int = 1


class PaymentRow(NamedTuple):
    """A row of account_payment."""

    id: int
    move_id: int
    name: str
    date: str
    memo: str
    journal_id: int
    company_id: int
    partner_id: int
    currency_id: int
    outstanding_account_id: int
    destination_account_id: int
    payment_type: str
    partner_type: str
    payment_reference: str
    amount: str
    amount_company_currency_signed: str
    is_matched: bool
    create_date: str
    write_date: str
    is_reconciled: bool = True
    state: str = "paid"
    create_uid: int = 1
    write_uid: int = 1


class StatementLineRow(NamedTuple):
    """A row of account_bank_statement_line."""

    id: int
    move_id: int
    statement_id: int
    journal_id: int
    company_id: int
    sequence: int
    partner_id: int
    currency_id: int
    payment_ref: str
    internal_index: str
    amount: str
    create_date: str
    write_date: str
    amount_currency: str = "0.0"
    amount_residual: float = 0.0
    is_reconciled: bool = True
    create_uid: int = 1
    write_uid: int = 1


class StatementRow(NamedTuple):
    """A row of account_bank_statement."""

    id: int
    name: str
    first_line_index: str
    date: str
    journal_id: int
    company_id: int
    balance_start: str
    balance_end: str
    balance_end_real: str
    create_date: str
    write_date: str
    is_complete: bool = True
    create_uid: int = 1
    write_uid: int = 1


class AttachmentRow(NamedTuple):
    """A row of ir_attachment."""

    id: int
    name: str
    type: str
    mimetype: str
    create_date: str
    write_date: str
    res_model: str | None = None
    res_id: int | None = None
    res_field: str | None = None
    company_id: int | None = None
    url: str | None = None
    db_datas: bytes | None = None
    store_fname: str | None = None
    file_size: int | None = None
    checksum: str | None = None
    fs_filename: str | None = None
    fs_storage_code: str | None = None
    fs_storage_id: int | None = None
    fs_url: str | None = None
    public: bool = False
    create_uid: int = 1
    write_uid: int = 1


class MessageRow(NamedTuple):
    """A row of mail_message."""

    id: int
    model: str
    res_id: int
    date: str
    body: str
    author_id: int
    email_from: str
    message_id: str
    create_date: str
    write_date: str
    message_type: str = "notification"
    is_internal: bool = True
    create_uid: int = 1
    write_uid: int = 1


TABLES: dict[type[NamedTuple], str] = {
    MoveRow: "account_move",
    LineRow: "account_move_line",
    PartialRow: "account_partial_reconcile",
    FullRow: "account_full_reconcile",
    PaymentRow: "account_payment",
    StatementLineRow: "account_bank_statement_line",
    StatementRow: "account_bank_statement",
    AttachmentRow: "ir_attachment",
    MessageRow: "mail_message",
}


class RowWriter:
    """Copies rows into the columns that their tables have in this database; what the version lacks is left out.

    Rows wait in memory by the thousand. Nothing is certain to be written before `flush`.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._waiting: dict[type[NamedTuple], list[tuple[Any, ...]]] = {kind: [] for kind in TABLES}
        self._layouts = {kind: self._layout(kind, table) for kind, table in TABLES.items()}

    def add(self, row: NamedTuple) -> None:
        waiting = self._waiting[type(row)]
        waiting.append(row)
        if len(waiting) >= _FLUSH_AT:
            self._copy(type(row))

    def flush(self) -> None:
        for kind in TABLES:
            self._copy(kind)

    def _copy(self, kind: type[NamedTuple]) -> None:
        statement, chosen = self._layouts[kind]
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in self._waiting[kind]:
                copy.write_row(chosen(row))
        self._waiting[kind].clear()

    def _layout(self, kind: type[NamedTuple], table: str) -> tuple[sql.Composed, Callable[[Any], Sequence[Any]]]:
        columns = column_types(self._connection, table)
        places: list[int] = []
        names: list[str] = []
        for place, field in enumerate(kind._fields):
            name = field if field in columns else _FORMER_NAMES.get(field, "")
            if name in columns:
                places.append(place)
                names.append(name)
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
            sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, names))
        )
        return statement, itemgetter(*places)
