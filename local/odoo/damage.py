"""Injuries for tests and for the curious: each does one bad thing to a database and says what it did.

They need the rights of the tables' owner. Where a constraint would forbid an injury, the constraint is dropped first,
as a careless restore would have lost it. `INJURIES` holds them by name.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from psycopg import Connection, sql

from local.odoo.schema import column_types
from shared.blob_container import BlobContainer


@dataclass(frozen=True, slots=True)
class Injury:
    """What was done: a name, the table, the ids of the rows that were touched or lost, and a sentence."""

    name: str
    table: str
    ids: tuple[int, ...]
    done: str


type Injure = Callable[[Connection], Injury]

INJURIES: dict[str, Injure] = {}

_POSTED_SALE = "m.move_type = 'out_invoice' AND m.state = 'posted'"
_UNRECONCILED = "NOT EXISTS (SELECT FROM account_move_line x WHERE x.move_id = m.id AND x.matching_number IS NOT NULL)"


def _injury(function: Injure) -> Injure:
    INJURIES[function.__name__] = function
    return function


def _pick(connection: Connection, query: str, parameters: Any = None) -> tuple[Any, ...]:
    """The row in the middle of the answer: neither the first nor the last of its kind."""
    rows = connection.execute(sql.SQL(query), parameters).fetchall()  # type: ignore[arg-type]
    if not rows:
        raise LookupError(f"nothing to damage: {query}")
    return rows[len(rows) // 2]


def _sealed_move(connection: Connection) -> int:
    """A hashed invoice in the company's own currency: the hash rounds to the invoice's, so a cent more or less of what
    an invoice in yen is worth would not show.
    """
    (move_id,) = _pick(
        connection,
        "SELECT m.id FROM account_move m JOIN res_company c ON c.id = m.company_id AND c.currency_id = m.currency_id"
        f" WHERE m.inalterable_hash IS NOT NULL AND {_POSTED_SALE} ORDER BY m.id",
    )
    return move_id


@_injury
def change_amount(connection: Connection) -> Injury:
    """One line of a sealed entry is a cent larger: the entry no longer balances."""
    (line_id,) = _pick(
        connection,
        "SELECT id FROM account_move_line WHERE move_id = %s AND display_type = 'product' ORDER BY id",
        [_sealed_move(connection)],
    )
    connection.execute(
        "UPDATE account_move_line SET credit = credit + 0.01, balance = balance - 0.01 WHERE id = %s", [line_id]
    )
    return Injury("change_amount", "account_move_line", (line_id,), "a line of a sealed invoice credits one cent more")


@_injury
def shift_amount(connection: Connection) -> Injury:
    """One cent more on both sides of a sealed entry: it balances, but it is not what was sealed."""
    move_id = _sealed_move(connection)
    rows = connection.execute(
        "UPDATE account_move_line SET debit = debit + 0.01 * (debit > 0)::int,"
        " credit = credit + 0.01 * (credit > 0)::int, balance = balance + 0.01 * sign(balance) WHERE id IN ("
        " (SELECT min(id) FROM account_move_line WHERE move_id = %(move)s AND debit > 0),"
        " (SELECT min(id) FROM account_move_line WHERE move_id = %(move)s AND credit > 0)) RETURNING id",
        {"move": move_id},
    ).fetchall()
    ids = tuple(sorted(line_id for (line_id,) in rows))
    return Injury("shift_amount", "account_move_line", ids, "a sealed invoice is one cent larger on both sides")


@_injury
def change_account(connection: Connection) -> Injury:
    """A line of a sealed entry is on another account."""
    (line_id, company_id, account_id) = _pick(
        connection,
        "SELECT id, company_id, account_id FROM account_move_line WHERE move_id = %s AND display_type = 'product'",
        [_sealed_move(connection)],
    )
    (other,) = _pick(
        connection,
        "SELECT DISTINCT l.account_id FROM account_move_line l JOIN account_account a ON a.id = l.account_id"
        " WHERE l.company_id = %s AND l.account_id <> %s AND a.account_type = 'expense'",
        [company_id, account_id],
    )
    connection.execute("UPDATE account_move_line SET account_id = %s WHERE id = %s", [other, line_id])
    return Injury("change_account", "account_move_line", (line_id,), "a line of a sealed invoice is on another account")


@_injury
def change_unsealed_amount(connection: Connection) -> Injury:
    """A vendor bill that no hash protects is one cent larger, on both sides and in its total."""
    (move_id,) = _pick(
        connection,
        "SELECT m.id FROM account_move m WHERE m.move_type = 'in_invoice' AND m.state = 'posted'"
        f" AND m.inalterable_hash IS NULL AND {_UNRECONCILED} ORDER BY m.id",
    )
    [(debit,)] = connection.execute(
        "UPDATE account_move_line SET debit = debit + 0.01, balance = balance + 0.01 WHERE id ="
        " (SELECT min(id) FROM account_move_line WHERE move_id = %s AND debit > 0) RETURNING id",
        [move_id],
    ).fetchall()
    [(credit,)] = connection.execute(
        "UPDATE account_move_line SET credit = credit + 0.01, balance = balance - 0.01, amount_residual ="
        " amount_residual - 0.01 WHERE move_id = %s AND display_type = 'payment_term' RETURNING id",
        [move_id],
    ).fetchall()
    done = "a bill without hash is one cent larger"
    return Injury("change_unsealed_amount", "account_move_line", (debit, credit), done)


@_injury
def delete_line(connection: Connection) -> Injury:
    """A line of a posted entry is gone."""
    (line_id,) = _pick(
        connection,
        "SELECT id FROM account_move_line WHERE move_id = %s AND display_type = 'product' ORDER BY id",
        [_sealed_move(connection)],
    )
    connection.execute("DELETE FROM account_move_line WHERE id = %s", [line_id])
    return Injury("delete_line", "account_move_line", (line_id,), "a line of a sealed invoice is gone")


@_injury
def delete_middle_move(connection: Connection) -> Injury:
    """A posted entry in the middle of its sequence is gone with its lines."""
    (move_id, name) = _pick(
        connection, f"SELECT m.id, m.name FROM account_move m WHERE {_POSTED_SALE} AND {_UNRECONCILED} ORDER BY m.id"
    )
    connection.execute("DELETE FROM account_move WHERE id = %s", [move_id])
    return Injury("delete_middle_move", "account_move", (move_id,), f"{name} is gone")


@_injury
def delete_tail(connection: Connection) -> Injury:
    """The last entries of a chain are gone: no chain shows it, only what was anchored before."""
    rows = connection.execute(
        "WITH tail AS (SELECT journal_id, sequence_prefix FROM account_move m WHERE m.inalterable_hash IS NOT NULL"
        f" AND {_POSTED_SALE} ORDER BY id DESC LIMIT 1)"
        " SELECT m.id FROM account_move m JOIN tail USING (journal_id, sequence_prefix)"
        " WHERE m.state = 'posted' ORDER BY m.sequence_number DESC LIMIT 2"
    ).fetchall()
    ids = tuple(move_id for (move_id,) in rows)
    connection.execute(
        "DELETE FROM account_partial_reconcile p USING account_move_line l"
        " WHERE l.id IN (p.debit_move_id, p.credit_move_id) AND l.move_id = ANY(%s)",
        [list(ids)],
    )
    connection.execute("DELETE FROM account_move WHERE id = ANY(%s)", [list(ids)])
    return Injury("delete_tail", "account_move", ids, "the two newest sealed invoices are gone")


@_injury
def orphan_lines(connection: Connection) -> Injury:
    """An entry is gone, its lines are not: the foreign key was not restored."""
    (move_id, name) = _pick(
        connection, f"SELECT m.id, m.name FROM account_move m WHERE {_POSTED_SALE} AND {_UNRECONCILED} ORDER BY m.id"
    )
    connection.execute("ALTER TABLE account_move_line DROP CONSTRAINT account_move_line_move_id_fkey")
    connection.execute("DELETE FROM account_move WHERE id = %s", [move_id])
    return Injury("orphan_lines", "account_move", (move_id,), f"{name} is gone, its lines are still there")


@_injury
def duplicate_name(connection: Connection) -> Injury:
    """Two posted entries of a journal have one name: the unique index was not restored."""
    (move_id, other) = _pick(
        connection,
        "SELECT id, lag(id) OVER (PARTITION BY journal_id, sequence_prefix ORDER BY sequence_number) FROM account_move"
        " WHERE move_type = 'in_invoice' AND state = 'posted' AND sequence_number > 1 ORDER BY 2 IS NULL DESC, id",
    )
    connection.execute("DROP INDEX account_move_unique_name")
    connection.execute(
        "UPDATE account_move m SET name = o.name, sequence_number = o.sequence_number FROM account_move o"
        " WHERE m.id = %s AND o.id = %s",
        [move_id, other],
    )
    return Injury("duplicate_name", "account_move", (move_id, other), "two posted bills have one name")


@_injury
def unpost(connection: Connection) -> Injury:
    """A posted entry is a draft again, its lines still say posted."""
    (move_id, name) = _pick(
        connection,
        "SELECT m.id, m.name FROM account_move m WHERE m.state = 'posted' AND m.inalterable_hash IS NULL"
        " AND m.move_type = 'in_invoice' ORDER BY m.id",
    )
    connection.execute("UPDATE account_move SET state = 'draft' WHERE id = %s", [move_id])
    return Injury("unpost", "account_move", (move_id,), f"{name} is a draft again")


@_injury
def unbalance_currency(connection: Connection) -> Injury:
    """An entry in a foreign currency balances in the company's currency only."""
    (line_id,) = _pick(
        connection,
        "SELECT min(l.id) FROM account_move_line l JOIN account_move m ON m.id = l.move_id WHERE m.state = 'posted'"
        " AND l.currency_id <> l.company_currency_id AND l.display_type = 'product' AND m.move_type <> 'entry'"
        " GROUP BY l.move_id ORDER BY 1",
    )
    connection.execute(
        "UPDATE account_move_line SET amount_currency = amount_currency + sign(amount_currency) WHERE id = %s",
        [line_id],
    )
    return Injury("unbalance_currency", "account_move_line", (line_id,), "one unit more, in foreign currency only")


@_injury
def lose_partial(connection: Connection) -> Injury:
    """A reconciliation is gone; the lines still say that they are reconciled."""
    (partial_id,) = _pick(connection, "SELECT id FROM account_partial_reconcile ORDER BY id")
    connection.execute("DELETE FROM account_partial_reconcile WHERE id = %s", [partial_id])
    return Injury("lose_partial", "account_partial_reconcile", (partial_id,), "a reconciliation is gone")


@_injury
def misstate_residual(connection: Connection) -> Injury:
    """An open item says that less is owed than is."""
    (line_id,) = _pick(
        connection, "SELECT id FROM account_move_line WHERE display_type = 'payment_term' AND amount_residual > 1"
    )
    connection.execute("UPDATE account_move_line SET amount_residual = amount_residual - 1 WHERE id = %s", [line_id])
    return Injury("misstate_residual", "account_move_line", (line_id,), "an open item owes one unit less")


@_injury
def call_it_paid(connection: Connection) -> Injury:
    """An open invoice says that it is paid."""
    (move_id, name) = _pick(
        connection, f"SELECT m.id, m.name FROM account_move m WHERE {_POSTED_SALE} AND m.payment_state = 'not_paid'"
    )
    connection.execute("UPDATE account_move SET payment_state = 'paid' WHERE id = %s", [move_id])
    return Injury("call_it_paid", "account_move", (move_id,), f"{name} is open but says that it is paid")


@_injury
def set_lock_date_ahead(connection: Connection) -> Injury:
    """A company's books are locked until far in the future."""
    connection.execute("UPDATE res_company SET fiscalyear_lock_date = '2999-12-31' WHERE id = 1")
    return Injury("set_lock_date_ahead", "res_company", (1,), "the books are locked until 2999")


@_injury
def rewind_id_sequence(connection: Connection) -> Injury:
    """New entries would get ids that are taken."""
    connection.execute("SELECT setval('account_move_id_seq', 1)")
    return Injury("rewind_id_sequence", "account_move", (), "the sequence of account_move ids is back at 1")


@_injury
def rewind_business_sequence(connection: Connection) -> Injury:
    """New payments would get references that are taken."""
    (sequence_id,) = _pick(connection, "SELECT id FROM ir_sequence WHERE code = 'account.payment'")
    counter = f"ir_sequence_{sequence_id:03}"
    connection.execute("SELECT setval(%s, 1, false)", [counter])
    return Injury("rewind_business_sequence", counter, (), "payment references begin at 1 again")


@_injury
def drop_foreign_key(connection: Connection) -> Injury:
    """A foreign key was not restored."""
    connection.execute(
        "ALTER TABLE account_partial_reconcile DROP CONSTRAINT account_partial_reconcile_debit_move_id_fkey"
    )
    return Injury("drop_foreign_key", "account_partial_reconcile", (), "the key of debit_move_id is missing")


@_injury
def unvalidated_foreign_key(connection: Connection) -> Injury:
    """A foreign key is there but was never checked against the rows."""
    connection.execute(
        "ALTER TABLE account_move_line DROP CONSTRAINT account_move_line_partner_id_fkey,"
        " ADD CONSTRAINT account_move_line_partner_id_fkey FOREIGN KEY (partner_id) REFERENCES res_partner NOT VALID"
    )
    return Injury("unvalidated_foreign_key", "account_move_line", (), "the key of partner_id is not validated")


@_injury
def drop_index(connection: Connection) -> Injury:
    """The index that keeps posted names unique was not restored."""
    connection.execute("DROP INDEX account_move_unique_name")
    return Injury("drop_index", "account_move", (), "account_move_unique_name is missing")


@_injury
def lose_attachment_file(connection: Connection) -> Injury:
    """An attachment refers to a document that never was."""
    (attachment_id,) = _pick(connection, "SELECT id FROM ir_attachment WHERE store_fname LIKE '__/%' ORDER BY id")
    nowhere = "0" * 40
    connection.execute(
        "UPDATE ir_attachment SET store_fname = %s, checksum = %s WHERE id = %s",
        [f"00/{nowhere}", nowhere, attachment_id],
    )
    return Injury("lose_attachment_file", "ir_attachment", (attachment_id,), "an attachment refers to no document")


@_injury
def swap_attachments(connection: Connection) -> Injury:
    """Two entries have each other's document."""
    (one, other) = _pick(
        connection,
        "SELECT a.id, lead(a.id) OVER (ORDER BY a.id) FROM ir_attachment a WHERE a.res_model = 'account.move'"
        " AND a.store_fname LIKE '__/%' AND 1 = (SELECT count(*) FROM ir_attachment b WHERE b.checksum = a.checksum)"
        " ORDER BY 2 IS NULL, a.id",
    )
    connection.execute(
        "UPDATE ir_attachment a SET store_fname = b.store_fname FROM ir_attachment b"
        " WHERE (a.id, b.id) IN ((%(one)s, %(other)s), (%(other)s, %(one)s))",
        {"one": one, "other": other},
    )
    return Injury("swap_attachments", "ir_attachment", (one, other), "two attachments refer to each other's document")


@_injury
def deactivate_cron(connection: Connection) -> Injury:
    """A cron gave up after failures: Odoo leaves no other trace of it."""
    (cron_id, name) = _pick(connection, "SELECT id, cron_name::text FROM ir_cron WHERE active ORDER BY id")
    connection.execute("UPDATE ir_cron SET active = false WHERE id = %s", [cron_id])
    return Injury("deactivate_cron", "ir_cron", (cron_id,), f"cron {name} is no longer active")


@_injury
def lose_queue(connection: Connection) -> Injury:
    """The job queue came back empty."""
    rows = connection.execute("DELETE FROM queue_job RETURNING id").fetchall()
    return Injury("lose_queue", "queue_job", tuple(sorted(job for (job,) in rows)), "the job queue is empty")


@_injury
def requeue_done_jobs(connection: Connection) -> Injury:
    """Jobs that are done would run once more."""
    rows = connection.execute(
        "UPDATE queue_job SET state = 'pending', date_done = NULL WHERE state = 'done' RETURNING id"
    ).fetchall()
    return Injury("requeue_done_jobs", "queue_job", tuple(sorted(job for (job,) in rows)), "done jobs are pending")


@_injury
def lose_messages(connection: Connection) -> Injury:
    """The newest messages are gone."""
    rows = connection.execute(
        "DELETE FROM mail_message WHERE id > (SELECT max(id) * 9 / 10 FROM mail_message) RETURNING id"
    ).fetchall()
    return Injury(
        "lose_messages", "mail_message", tuple(sorted(row for (row,) in rows)), "the newest messages are gone"
    )


@_injury
def garble_names(connection: Connection) -> Injury:
    """Names were read in the wrong encoding."""
    rows = connection.execute(
        "UPDATE res_partner SET name = convert_from(convert_to(name, 'UTF8'), 'LATIN1')"
        " WHERE name ~ '[^[:ascii:]]' RETURNING id"
    ).fetchall()
    return Injury("garble_names", "res_partner", tuple(sorted(row for (row,) in rows)), "accents in names are garbled")


@_injury
def half_upgrade(connection: Connection) -> Injury:
    """A module's upgrade was never finished."""
    (module_id,) = _pick(connection, "SELECT id FROM ir_module_module WHERE name = 'account'")
    connection.execute("UPDATE ir_module_module SET state = 'to upgrade' WHERE id = %s", [module_id])
    return Injury("half_upgrade", "ir_module_module", (module_id,), "module account is to be upgraded")


@_injury
def lose_user(connection: Connection) -> Injury:
    """A user may no longer log in."""
    (user_id,) = _pick(connection, "SELECT max(id) FROM res_users WHERE active")
    connection.execute("UPDATE res_users SET active = false WHERE id = %s", [user_id])
    return Injury("lose_user", "res_users", (user_id,), "a user is no longer active")


@_injury
def change_identity(connection: Connection) -> Injury:
    """It is another database that came back."""
    (row_id,) = _pick(connection, "SELECT id FROM ir_config_parameter WHERE key = 'database.uuid'")
    connection.execute(
        "UPDATE ir_config_parameter SET value = '00000000-0000-4000-8000-000000000000' WHERE id = %s", [row_id]
    )
    return Injury("change_identity", "ir_config_parameter", (row_id,), "database.uuid is another one")


@_injury
def drop_hash(connection: Connection) -> Injury:
    """A sealed entry has lost its hash."""
    move_id = _sealed_move(connection)
    secure = (
        ", secure_sequence_number = NULL"
        if "secure_sequence_number" in column_types(connection, "account_move")
        else ""
    )
    connection.execute(
        sql.SQL("UPDATE account_move SET inalterable_hash = NULL" + secure + " WHERE id = %s"), [move_id]
    )
    return Injury("drop_hash", "account_move", (move_id,), "a sealed invoice has lost its hash")


def delete_document(container: BlobContainer, path: str) -> None:
    """A document is gone."""
    container.delete(path)


def corrupt_document(container: BlobContainer, path: str) -> None:
    """A document is another one of the same size: one bit is turned over."""
    blob = container.read(path)
    changed = bytearray(blob.data)
    changed[len(changed) // 2] ^= 1
    container.replace(path, bytes(changed), blob.etag, "application/pdf")


def truncate_document(container: BlobContainer, path: str) -> None:
    """Half of a document is gone."""
    blob = container.read(path)
    container.replace(path, blob.data[: len(blob.data) // 2], blob.etag, "application/pdf")
