"""Injuries of the books."""

from psycopg import Connection

from local.odoo.damage.injury import Injury, injury, pick

_POSTED_SALE = "m.move_type = 'out_invoice' AND m.state = 'posted'"
_UNRECONCILED = "NOT EXISTS (SELECT FROM account_move_line x WHERE x.move_id = m.id AND x.matching_number IS NOT NULL)"


def _sealed_move(connection: Connection) -> int:
    """A hashed invoice in the company's own currency: the hash rounds to the invoice's, so a cent more or less of what
    an invoice in yen is worth would not show.
    """
    (move_id,) = pick(
        connection,
        "SELECT m.id FROM account_move m JOIN res_company c ON c.id = m.company_id AND c.currency_id = m.currency_id"
        f" WHERE m.inalterable_hash IS NOT NULL AND {_POSTED_SALE} ORDER BY m.id",
    )
    return move_id


@injury
def change_amount(connection: Connection) -> Injury:
    """One line of a sealed entry is a cent larger: the entry no longer balances."""
    (line_id,) = pick(
        connection,
        "SELECT id FROM account_move_line WHERE move_id = %s AND display_type = 'product' ORDER BY id",
        [_sealed_move(connection)],
    )
    connection.execute(
        "UPDATE account_move_line SET credit = credit + 0.01, balance = balance - 0.01 WHERE id = %s", [line_id]
    )
    return Injury("account_move_line", (line_id,), "a line of a sealed invoice credits one cent more")


@injury
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
    return Injury("account_move_line", ids, "a sealed invoice is one cent larger on both sides")


@injury
def change_account(connection: Connection) -> Injury:
    """A line of a sealed entry is on another account."""
    (line_id, company_id, account_id) = pick(
        connection,
        "SELECT id, company_id, account_id FROM account_move_line WHERE move_id = %s AND display_type = 'product'",
        [_sealed_move(connection)],
    )
    (other,) = pick(
        connection,
        "SELECT DISTINCT l.account_id FROM account_move_line l JOIN account_account a ON a.id = l.account_id"
        " WHERE l.company_id = %s AND l.account_id <> %s AND a.account_type = 'expense'",
        [company_id, account_id],
    )
    connection.execute("UPDATE account_move_line SET account_id = %s WHERE id = %s", [other, line_id])
    return Injury("account_move_line", (line_id,), "a line of a sealed invoice is on another account")


@injury
def change_unsealed_amount(connection: Connection) -> Injury:
    """A vendor bill that no hash protects is one cent larger, on both sides and in its total."""
    (move_id,) = pick(
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
    return Injury("account_move_line", (debit, credit), done)


@injury
def delete_line(connection: Connection) -> Injury:
    """A line of a posted entry is gone."""
    (line_id,) = pick(
        connection,
        "SELECT id FROM account_move_line WHERE move_id = %s AND display_type = 'product' ORDER BY id",
        [_sealed_move(connection)],
    )
    connection.execute("DELETE FROM account_move_line WHERE id = %s", [line_id])
    return Injury("account_move_line", (line_id,), "a line of a sealed invoice is gone")


@injury
def delete_middle_move(connection: Connection) -> Injury:
    """A posted entry in the middle of its sequence is gone with its lines."""
    (move_id, name) = pick(
        connection, f"SELECT m.id, m.name FROM account_move m WHERE {_POSTED_SALE} AND {_UNRECONCILED} ORDER BY m.id"
    )
    connection.execute("DELETE FROM account_move WHERE id = %s", [move_id])
    return Injury("account_move", (move_id,), f"{name} is gone")


@injury
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
    return Injury("account_move", ids, "the two newest sealed invoices are gone")


@injury
def orphan_lines(connection: Connection) -> Injury:
    """An entry is gone, its lines are not: the foreign key was not restored."""
    (move_id, name) = pick(
        connection, f"SELECT m.id, m.name FROM account_move m WHERE {_POSTED_SALE} AND {_UNRECONCILED} ORDER BY m.id"
    )
    connection.execute("ALTER TABLE account_move_line DROP CONSTRAINT account_move_line_move_id_fkey")
    connection.execute("DELETE FROM account_move WHERE id = %s", [move_id])
    return Injury("account_move", (move_id,), f"{name} is gone, its lines are still there")


@injury
def duplicate_name(connection: Connection) -> Injury:
    """Two posted entries of a journal have one name: the unique index was not restored."""
    (move_id, other) = pick(
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
    return Injury("account_move", (move_id, other), "two posted bills have one name")


@injury
def unpost(connection: Connection) -> Injury:
    """A posted entry is a draft again, its lines still say posted."""
    (move_id, name) = pick(
        connection,
        "SELECT m.id, m.name FROM account_move m WHERE m.state = 'posted' AND m.inalterable_hash IS NULL"
        " AND m.move_type = 'in_invoice' ORDER BY m.id",
    )
    connection.execute("UPDATE account_move SET state = 'draft' WHERE id = %s", [move_id])
    return Injury("account_move", (move_id,), f"{name} is a draft again")


@injury
def unbalance_currency(connection: Connection) -> Injury:
    """An entry in a foreign currency balances in the company's currency only."""
    (line_id,) = pick(
        connection,
        "SELECT min(l.id) FROM account_move_line l JOIN account_move m ON m.id = l.move_id WHERE m.state = 'posted'"
        " AND l.currency_id <> l.company_currency_id AND l.display_type = 'product' AND m.move_type <> 'entry'"
        " GROUP BY l.move_id ORDER BY 1",
    )
    connection.execute(
        "UPDATE account_move_line SET amount_currency = amount_currency + sign(amount_currency) WHERE id = %s",
        [line_id],
    )
    return Injury("account_move_line", (line_id,), "one unit more, in foreign currency only")


@injury
def lose_partial(connection: Connection) -> Injury:
    """A reconciliation is gone; the lines still say that they are reconciled."""
    (partial_id,) = pick(connection, "SELECT id FROM account_partial_reconcile ORDER BY id")
    connection.execute("DELETE FROM account_partial_reconcile WHERE id = %s", [partial_id])
    return Injury("account_partial_reconcile", (partial_id,), "a reconciliation is gone")


@injury
def misstate_residual(connection: Connection) -> Injury:
    """An open item says that less is owed than is."""
    (line_id,) = pick(
        connection, "SELECT id FROM account_move_line WHERE display_type = 'payment_term' AND amount_residual > 1"
    )
    connection.execute("UPDATE account_move_line SET amount_residual = amount_residual - 1 WHERE id = %s", [line_id])
    return Injury("account_move_line", (line_id,), "an open item owes one unit less")


@injury
def call_it_paid(connection: Connection) -> Injury:
    """An open invoice says that it is paid."""
    (move_id, name) = pick(
        connection, f"SELECT m.id, m.name FROM account_move m WHERE {_POSTED_SALE} AND m.payment_state = 'not_paid'"
    )
    connection.execute("UPDATE account_move SET payment_state = 'paid' WHERE id = %s", [move_id])
    return Injury("account_move", (move_id,), f"{name} is open but says that it is paid")


@injury
def drop_hash(connection: Connection) -> Injury:
    """A sealed entry has lost its hash."""
    move_id = _sealed_move(connection)
    connection.execute(
        "UPDATE account_move SET inalterable_hash = NULL, secure_sequence_number = NULL WHERE id = %s", [move_id]
    )
    return Injury("account_move", (move_id,), "a sealed invoice has lost its hash")


@injury
def contradict_amounts(connection: Connection) -> Injury:
    """A line that no hash protects says another balance than its debit and credit."""
    (line_id,) = pick(
        connection,
        "SELECT l.id FROM account_move_line l JOIN account_move m ON m.id = l.move_id WHERE m.state = 'posted'"
        " AND m.move_type = 'in_invoice' AND l.balance > 1 ORDER BY l.id",
    )
    connection.execute("UPDATE account_move_line SET balance = balance - 1 WHERE id = %s", [line_id])
    return Injury("account_move_line", (line_id,), "the balance of a line is one unit less than debit minus credit")


@injury
def empty_entry(connection: Connection) -> Injury:
    """A posted entry has lost all its lines."""
    (move_id, name) = pick(
        connection,
        f"SELECT m.id, m.name FROM account_move m WHERE m.state = 'posted' AND m.move_type = 'in_invoice'"
        f" AND {_UNRECONCILED} ORDER BY m.id",
    )
    rows = connection.execute("DELETE FROM account_move_line WHERE move_id = %s RETURNING id", [move_id]).fetchall()
    return Injury("account_move_line", tuple(sorted(line for (line,) in rows)), f"{name} has no lines")


@injury
def lose_reconciled_line(connection: Connection) -> Injury:
    """A line is gone, the reconciliation of it is not: the foreign key was not restored."""
    (line_id,) = pick(connection, "SELECT credit_move_id FROM account_partial_reconcile ORDER BY id")
    connection.execute(
        "ALTER TABLE account_partial_reconcile DROP CONSTRAINT account_partial_reconcile_credit_move_id_fkey"
    )
    connection.execute("DELETE FROM account_move_line WHERE id = %s", [line_id])
    return Injury("account_move_line", (line_id,), "a reconciled line is gone")


@injury
def reopen_reconciled(connection: Connection) -> Injury:
    """A fully reconciled line says that it is open."""
    (line_id,) = pick(connection, "SELECT id FROM account_move_line WHERE full_reconcile_id IS NOT NULL ORDER BY id")
    connection.execute("UPDATE account_move_line SET reconciled = false WHERE id = %s", [line_id])
    return Injury("account_move_line", (line_id,), "a reconciled line says that it is open")


@injury
def misstate_statement(connection: Connection) -> Injury:
    """A bank statement opens with more than it did."""
    (statement_id, name) = pick(
        connection,
        "SELECT s.id, s.name FROM account_bank_statement s WHERE s.is_complete AND EXISTS"
        " (SELECT FROM account_bank_statement_line l WHERE l.statement_id = s.id) ORDER BY s.id",
    )
    connection.execute(
        "UPDATE account_bank_statement SET balance_start = balance_start + 1 WHERE id = %s", [statement_id]
    )
    return Injury("account_bank_statement", (statement_id,), f"statement {name} opens with one unit more")
