"""What must hold in any healthy Odoo ledger, written without a look at the generator: each query names offenders."""

import hashlib
import json
from collections import defaultdict
from typing import Any, LiteralString

from psycopg import Connection

CHECKS: dict[str, LiteralString] = {
    "posted entries balance": """
        SELECT m.id FROM account_move m JOIN account_move_line l ON l.move_id = m.id
        WHERE m.state = 'posted' AND l.display_type NOT IN ('line_section', 'line_subsection', 'line_note')
        GROUP BY m.id HAVING abs(sum(l.debit) - sum(l.credit)) > 0.0005""",
    "invoices balance in their own currency": """
        SELECT m.id FROM account_move m JOIN account_move_line l ON l.move_id = m.id
        WHERE m.state = 'posted' AND l.display_type NOT IN ('line_section', 'line_subsection', 'line_note')
        GROUP BY m.id HAVING abs(sum(l.amount_currency)) > 0.0005""",
    "balance is debit minus credit": "SELECT id FROM account_move_line WHERE balance <> debit - credit",
    "in the company's currency both amounts are one": """
        SELECT id FROM account_move_line WHERE currency_id = company_currency_id AND amount_currency <> balance""",
    "lines say what their entry says": """
        SELECT l.id FROM account_move_line l JOIN account_move m ON m.id = l.move_id
        WHERE (l.parent_state, l.date, l.journal_id, l.company_id)
              IS DISTINCT FROM (m.state, m.date, m.journal_id, m.company_id)""",
    "lines have the name and currency of their entry, exchange differences apart": """
        SELECT l.id FROM account_move_line l JOIN account_move m ON m.id = l.move_id
        JOIN account_journal j ON j.id = m.journal_id
        WHERE l.move_name IS DISTINCT FROM m.name OR (l.currency_id <> m.currency_id AND j.code <> 'EXCH')""",
    "posted entries have lines": """
        SELECT id FROM account_move m WHERE state = 'posted'
        AND NOT EXISTS (SELECT FROM account_move_line WHERE move_id = m.id)""",
    "posted names are unique": """
        SELECT min(id) FROM account_move WHERE state = 'posted' GROUP BY journal_id, name HAVING count(*) > 1""",
    "names are prefix and number": """
        SELECT id FROM account_move WHERE sequence_number > 0 AND
        (name NOT LIKE sequence_prefix || '%' OR substr(name, length(sequence_prefix) + 1)::int <> sequence_number)""",
    "prefixes are of the entry's period": """
        SELECT id FROM account_move WHERE sequence_number > 0 AND sequence_prefix !~ to_char(date, '/YYYY/(MM/)?$')""",
    "no more is reconciled than there is": """
        SELECT l.id FROM account_move_line l
        JOIN account_partial_reconcile p ON l.id IN (p.debit_move_id, p.credit_move_id)
        GROUP BY l.id, l.balance HAVING sum(p.amount) > abs(l.balance) + 0.0005""",
    "partials join a debit and a credit of one account and company": """
        SELECT p.id FROM account_partial_reconcile p JOIN account_move_line d ON d.id = p.debit_move_id
        JOIN account_move_line c ON c.id = p.credit_move_id
        WHERE d.balance < 0 OR c.balance > 0 OR d.account_id <> c.account_id OR d.company_id <> c.company_id
           OR p.company_id <> d.company_id OR p.debit_currency_id <> d.currency_id
           OR p.credit_currency_id <> c.currency_id OR p.amount <= 0""",
    "residuals are balance minus partials": """
        SELECT l.id FROM account_move_line l JOIN account_account a ON a.id = l.account_id
        WHERE (a.reconcile OR a.account_type IN ('asset_cash', 'liability_credit_card'))
        AND abs(l.amount_residual - l.balance
            + (SELECT coalesce(sum(amount), 0) FROM account_partial_reconcile WHERE debit_move_id = l.id)
            - (SELECT coalesce(sum(amount), 0) FROM account_partial_reconcile WHERE credit_move_id = l.id)) > 0.0005""",
    "residuals in currency are amount minus partials": """
        SELECT l.id FROM account_move_line l JOIN account_account a ON a.id = l.account_id
        WHERE (a.reconcile OR a.account_type IN ('asset_cash', 'liability_credit_card'))
        AND abs(l.amount_residual_currency - l.amount_currency
            + (SELECT coalesce(sum(debit_amount_currency), 0) FROM account_partial_reconcile WHERE debit_move_id = l.id)
            - (SELECT coalesce(sum(credit_amount_currency), 0) FROM account_partial_reconcile
               WHERE credit_move_id = l.id)) > 0.0005""",
    "other lines have no residual": """
        SELECT l.id FROM account_move_line l JOIN account_account a ON a.id = l.account_id
        WHERE NOT a.reconcile AND a.account_type NOT IN ('asset_cash', 'liability_credit_card')
        AND l.amount_residual <> 0""",
    "reconciled means that nothing is left": """
        SELECT l.id FROM account_move_line l JOIN account_account a ON a.id = l.account_id
        WHERE a.reconcile AND l.parent_state = 'posted'
        AND l.reconciled <> (l.amount_residual = 0 AND l.amount_residual_currency = 0)""",
    "full reconciliations leave nothing": """
        SELECT l.id FROM account_move_line l WHERE l.full_reconcile_id IS NOT NULL AND NOT l.reconciled
        UNION ALL SELECT f.id FROM account_full_reconcile f JOIN account_move_line l ON l.full_reconcile_id = f.id
        GROUP BY f.id HAVING sum(l.balance) <> 0 OR sum(l.amount_currency) <> 0""",
    "full reconciliations know their partials": """
        SELECT p.id FROM account_partial_reconcile p JOIN account_move_line d ON d.id = p.debit_move_id
        JOIN account_move_line c ON c.id = p.credit_move_id
        WHERE p.full_reconcile_id IS DISTINCT FROM d.full_reconcile_id
           OR p.full_reconcile_id IS DISTINCT FROM c.full_reconcile_id""",
    "full reconciliations have partials": """
        SELECT id FROM account_full_reconcile f
        WHERE NOT EXISTS (SELECT FROM account_partial_reconcile WHERE full_reconcile_id = f.id)""",
    "payment states are right": """
        SELECT m.id FROM account_move m JOIN account_move_line l ON l.move_id = m.id AND l.display_type = 'payment_term'
        WHERE m.state = 'posted' AND m.payment_state <> CASE
            WHEN l.amount_residual = l.balance THEN 'not_paid'
            WHEN l.amount_residual <> 0 THEN 'partial'
            WHEN EXISTS (SELECT FROM account_move r WHERE r.reversed_entry_id = m.id) THEN 'reversed'
            ELSE 'paid' END""",
    "invoice totals are those of their lines": """
        SELECT m.id FROM account_move m JOIN account_move_line l ON l.move_id = m.id
        WHERE m.move_type <> 'entry' GROUP BY m.id
        HAVING m.amount_total_signed <> sum(l.balance) FILTER (WHERE l.display_type = 'payment_term')
            OR m.amount_total <> abs(sum(l.amount_currency) FILTER (WHERE l.display_type = 'payment_term'))
            OR m.amount_untaxed + m.amount_tax <> m.amount_total
            OR m.amount_residual_signed <> sum(l.amount_residual) FILTER (WHERE l.display_type = 'payment_term')""",
    "statements add up": """
        SELECT s.id FROM account_bank_statement s JOIN account_bank_statement_line l ON l.statement_id = s.id
        GROUP BY s.id HAVING s.balance_start + sum(l.amount) <> s.balance_end_real
        UNION ALL SELECT id FROM (SELECT id, balance_start,
            lag(balance_end_real, 1, 0) OVER (PARTITION BY journal_id ORDER BY date) AS before
            FROM account_bank_statement) x
        WHERE balance_start <> before""",
    "the bank account is what the statements say": """
        SELECT s.company_id FROM (SELECT DISTINCT ON (company_id) company_id, balance_end_real AS balance
            FROM account_bank_statement ORDER BY company_id, date DESC) s
        WHERE s.balance <> (SELECT sum(l.balance) FROM account_move_line l JOIN account_account a ON a.id = l.account_id
            WHERE a.account_type = 'asset_cash' AND l.company_id = s.company_id)""",
    "payments are their entry": """
        SELECT p.id FROM account_payment p JOIN account_move m ON m.id = p.move_id
        WHERE p.amount <> m.amount_total OR p.partner_id <> m.partner_id OR m.state <> 'posted'
        UNION ALL SELECT p.id FROM account_payment p JOIN account_move_line l ON l.payment_id = p.id
        GROUP BY p.id HAVING count(*) <> 2""",
    "documents have a place and a size": """
        SELECT id FROM ir_attachment
        WHERE type = 'binary' AND store_fname IS NULL AND db_datas IS NULL AND file_size > 0
        UNION ALL SELECT id FROM ir_attachment WHERE length(db_datas) <> file_size
        UNION ALL SELECT id FROM ir_attachment
        WHERE store_fname LIKE '__/%' AND store_fname <> left(checksum, 2) || '/' || checksum""",
    "entries are dated when they were made": """
        SELECT id FROM account_move WHERE write_date < create_date OR date <> create_date::date""",
    "ids follow time": """
        SELECT id FROM (SELECT id, create_date, lag(create_date) OVER (ORDER BY id) AS before FROM account_move) x
        WHERE create_date < before""",
    "hashed journals hash what they post": """
        SELECT m.id FROM account_move m JOIN account_journal j ON j.id = m.journal_id
        WHERE (m.inalterable_hash IS NOT NULL) <> (j.restrict_mode_hash_table AND m.state = 'posted')""",
}

GAPS: LiteralString = """
    SELECT journal_id, sequence_prefix, before + 1, id FROM (
        SELECT id, journal_id, sequence_prefix, sequence_number, lag(sequence_number, 1, 0)
            OVER (PARTITION BY journal_id, company_id, sequence_prefix ORDER BY sequence_number) AS before
        FROM account_move WHERE sequence_number > 0) x
    WHERE sequence_number <> before + 1 ORDER BY id"""


def offenders(connection: Connection) -> dict[str, list[Any]]:
    """The checks that fail, each with the ids that it names."""
    answers = {name: [row[0] for row in connection.execute(query).fetchall()] for name, query in CHECKS.items()}
    return {name: ids for name, ids in answers.items() if ids}


def broken_hashes(connection: Connection, versions: tuple[int, ...] = (1, 2, 3, 4)) -> tuple[int, list[int]]:
    """How many entries have a hash, and those for which no version of the recipe yields it. Everything in memory."""
    decimals = dict(connection.execute("SELECT id, decimal_places FROM res_currency").fetchall())
    lines: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for move_id, *line in connection.execute(
        "SELECT move_id, id, name, debit, credit, account_id, partner_id, currency_id FROM account_move_line"
    ):
        lines[move_id].append(tuple(line))
    heads: dict[Any, str] = {}
    count, broken = 0, []
    for move_id, name, day, journal, company, prefix, secure, stored in connection.execute(
        "SELECT id, name, date, journal_id, company_id, sequence_prefix, nullif(secure_sequence_number, 0),"
        " inalterable_hash FROM account_move WHERE inalterable_hash IS NOT NULL"
        " ORDER BY journal_id, nullif(secure_sequence_number, 0) NULLS LAST, sequence_prefix, sequence_number"
    ):
        count += 1
        previous = heads.get((journal, prefix) if secure is None else journal, "")
        wanted = stored.split("$")[-1]
        found = False
        for version in versions:
            values = {"date": day, "journal_id": journal, "company_id": company}
            if version > 1:
                values["name"] = name
            for line_id, label, debit, credit, account, partner, currency in lines[move_id]:
                values |= {f"line_{line_id}_account_id": account, f"line_{line_id}_partner_id": partner or False}
                if version > 1:
                    values[f"line_{line_id}_name"] = label if label is not None else False
                for side, amount in (("debit", debit), ("credit", credit)):
                    fixed = "%.*f" % (decimals[currency], float(amount))  # noqa: UP031
                    values[f"line_{line_id}_{side}"] = fixed if version > 2 else float(amount)
            text = json.dumps({key: str(value) for key, value in values.items()}, sort_keys=True, separators=(",", ":"))
            found = found or hashlib.sha256((previous + text).encode()).hexdigest() == wanted
        if not found:
            broken.append(move_id)
        heads[journal, prefix] = wanted
        if secure is not None:
            heads[journal] = wanted
    return count, broken
