"""A database that keeps moving: one more customer invoice, as Odoo would post it, in any version's own columns."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from typing import Any, NamedTuple

from psycopg import Connection, sql

from local.odoo.inserting import insert
from local.odoo.profile import Upload
from local.odoo.schema import column_types
from shared.backup_verification import inalterability

_CANDIDATES = 50


@dataclass(frozen=True, slots=True)
class Written:
    """What was written, and when (aware, UTC)."""

    move_id: int
    name: str
    attachment_id: int
    at: datetime


class _Template(NamedTuple):
    """An invoice of before: the same customer orders the same again."""

    id: int
    name: str
    sequence_prefix: str
    journal_id: int
    company_id: int
    sealed: bool


def write_business(connection: Connection, now: datetime, upload: Upload | None = None) -> Written:
    """Post one customer invoice with a document, and let a cron have run: one transaction, dated `now` (aware).

    It repeats one of the latest invoices under the next number, hashed when its journal is. Writers of one journal
    wait for each other. Raises LookupError when there is no posted customer invoice to repeat.
    """
    moment = now.astimezone(UTC).replace(tzinfo=None)
    with connection.transaction():
        template = _choose_template(connection)
        connection.execute("SELECT FROM account_journal WHERE id = %s FOR UPDATE", [template.journal_id])
        prefix = _prefix_for(template.sequence_prefix, moment)
        number = _one(
            connection,
            "SELECT coalesce(max(sequence_number), 0) + 1 FROM account_move"
            " WHERE journal_id = %s AND sequence_prefix = %s",
            [template.journal_id, prefix],
        )
        name = f"{prefix}{number:0{len(template.name) - len(template.sequence_prefix)}}"
        move_id = _post(connection, template, prefix, number, name, moment)
        attachment_id = _attach(connection, move_id, template.company_id, name, moment, upload)
        connection.execute(
            "UPDATE account_move SET message_main_attachment_id = %s WHERE id = %s", [attachment_id, move_id]
        )
        _run_a_cron(connection, moment)
    return Written(move_id, name, attachment_id, now.astimezone(UTC))


def _choose_template(connection: Connection) -> _Template:
    """One of the latest invoices in the company's own currency, a sealed one where there are any."""
    rows = connection.execute(
        "SELECT m.id, m.name, m.sequence_prefix, m.journal_id, m.company_id, m.inalterable_hash IS NOT NULL"
        " FROM account_move m JOIN res_company c ON c.id = m.company_id AND c.currency_id = m.currency_id"
        " WHERE m.move_type = 'out_invoice' AND m.state = 'posted'"
        " ORDER BY m.inalterable_hash IS NULL, m.id DESC LIMIT %s",
        [_CANDIDATES],
    ).fetchall()
    if not rows:
        raise LookupError("there is no posted customer invoice to repeat: generate the database first")
    return _Template(*rows[rows[0][0] * 7 % len(rows)])


def _prefix_for(prefix: str, moment: datetime) -> str:
    """INV/2025/ becomes INV/2026/, BILL/2025/12/ becomes BILL/2026/01/."""
    code, *periods = prefix.rstrip("/").split("/")
    return "/".join([code, *[f"{moment:%Y}", f"{moment:%m}"][: len(periods)], ""])


def _post(connection: Connection, template: _Template, prefix: str, number: int, name: str, moment: datetime) -> int:
    move_id = _one(connection, "SELECT nextval('account_move_id_seq')")
    day = moment.date()
    stamps = {"create_date": moment, "write_date": moment}
    open_accounts = {
        account
        for (account,) in connection.execute(
            "SELECT id FROM account_account WHERE reconcile OR account_type IN ('asset_cash', 'liability_credit_card')"
        )
    }
    _copy(
        connection,
        "account_move",
        template.id,
        {
            "id": move_id,
            "name": name,
            "sequence_prefix": prefix,
            "sequence_number": number,
            "date": day,
            "invoice_date": day,
            "invoice_date_due": day + timedelta(days=30),
            "payment_reference": name,
            "payment_state": "not_paid",
            "amount_residual": sql.Identifier("amount_total"),
            "amount_residual_signed": sql.Identifier("amount_total_signed"),
            "message_main_attachment_id": None,
            "made_sequence_gap": False,
            "secure_sequence_number": None,
            "inalterable_hash": None,
        }
        | stamps,
    )
    lines = connection.execute(
        "SELECT id, account_id, name FROM account_move_line WHERE move_id = %s ORDER BY id", [template.id]
    ).fetchall()
    for line_id, account_id, label in lines:
        is_open = account_id in open_accounts
        _copy(
            connection,
            "account_move_line",
            line_id,
            {
                "id": _one(connection, "SELECT nextval('account_move_line_id_seq')"),
                "move_id": move_id,
                "move_name": name,
                "name": name if label == template.name else label,
                "date": day,
                "invoice_date": day,
                "date_maturity": day + timedelta(days=30) if is_open else None,
                "amount_residual": sql.Identifier("balance") if is_open else 0,
                "amount_residual_currency": sql.Identifier("amount_currency") if is_open else 0,
                "reconciled": False,
                "full_reconcile_id": None,
                "matching_number": None,
            }
            | stamps,
        )
    if template.sealed:
        _seal(connection, move_id)
    return move_id


def _copy(connection: Connection, table: str, row_id: int, changes: Mapping[str, Any]) -> None:
    """Insert a copy of a row with some columns changed; an Identifier as a value means that column of the old row."""
    columns = list(column_types(connection, table))
    values = [changes.get(column, sql.Identifier(column)) for column in columns]
    statement = sql.SQL("INSERT INTO {table} ({columns}) SELECT {values} FROM {table} WHERE id = {row_id}").format(
        table=sql.Identifier(table),
        columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
        values=sql.SQL(", ").join(
            value if isinstance(value, sql.Identifier) else sql.Literal(value) for value in values
        ),
        row_id=sql.Literal(row_id),
    )
    connection.execute(statement)


def _seal(connection: Connection, move_id: int) -> None:
    """Hash the entry as this version does: until 17 journals are chained by a sequence of their own."""
    name, day, journal_id, company_id, prefix = connection.execute(
        "SELECT name, date, journal_id, company_id, sequence_prefix FROM account_move WHERE id = %s", [move_id]
    ).fetchall()[0]
    secure_number = None
    if "secure_sequence_id" in column_types(connection, "account_journal"):
        version = 3
        secure_number = _one(
            connection,
            "UPDATE ir_sequence SET number_next = number_next + number_increment"
            " WHERE id = (SELECT secure_sequence_id FROM account_journal WHERE id = %s)"
            " RETURNING number_next - number_increment",
            [journal_id],
        )
        previous = connection.execute(
            "SELECT inalterable_hash FROM account_move WHERE journal_id = %s AND secure_sequence_number = %s",
            [journal_id, secure_number - 1],
        ).fetchone()
    else:
        version = inalterability.LATEST_VERSION
        previous = connection.execute(
            "SELECT inalterable_hash FROM account_move WHERE journal_id = %s AND sequence_prefix = %s"
            " AND inalterable_hash IS NOT NULL ORDER BY sequence_number DESC LIMIT 1",
            [journal_id, prefix],
        ).fetchone()
    lines = connection.execute(
        "SELECT l.id, l.name, l.debit, l.credit, l.account_id, l.partner_id, c.decimal_places FROM account_move_line l"
        " JOIN res_currency c ON c.id = l.currency_id WHERE l.move_id = %s",
        [move_id],
    ).fetchall()
    entry = inalterability.Entry(name, day, journal_id, company_id, [inalterability.Line(*line) for line in lines])
    digest = inalterability.digest(entry, version, previous[0] if previous else "")
    connection.execute(
        "UPDATE account_move SET inalterable_hash = %s, secure_sequence_number = %s WHERE id = %s",
        [inalterability.stored_form(digest, version), secure_number, move_id],
    )


def _attach(
    connection: Connection, move_id: int, company_id: int, name: str, moment: datetime, upload: Upload | None
) -> int:
    content = f"%PDF-1.4\n% {name} of {moment.isoformat()}\n%%EOF\n".encode()
    digest = sha1(content, usedforsecurity=False).hexdigest()
    place = f"{digest[:2]}/{digest}"
    if upload is not None:
        upload(f"{connection.info.dbname}/{place}", content)
    attachment_id = _one(connection, "SELECT nextval('ir_attachment_id_seq')")
    stamps = {"create_uid": 1, "create_date": moment, "write_uid": 1, "write_date": moment}
    row = {
        "id": attachment_id,
        "name": name.replace("/", "_") + ".pdf",
        "type": "binary",
        "mimetype": "application/pdf",
        "res_model": "account.move",
        "res_id": move_id,
        "company_id": company_id,
        "store_fname": place,
        "checksum": digest,
        "file_size": len(content),
        "public": False,
    }
    insert(connection, "ir_attachment", [row | stamps])
    return attachment_id


def _run_a_cron(connection: Connection, moment: datetime) -> None:
    """Whichever is next has run: like Odoo's scheduler, without a trace in `write_date`."""
    connection.execute(
        "UPDATE ir_cron SET lastcall = %(now)s,"
        " nextcall = %(now)s + (interval_number || ' ' || interval_type)::interval"
        " WHERE id = (SELECT id FROM ir_cron WHERE active ORDER BY nextcall, id LIMIT 1)",
        {"now": moment},
    )


def _one(connection: Connection, query: Any, parameters: Any = None) -> int:
    [(value,)] = connection.execute(query, parameters).fetchall()
    return value
