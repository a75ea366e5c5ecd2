"""What is paid, matched and still open: residuals, partial and full reconciliations, payment states, statements."""

from shared.backup_verification.checks.check import Check
from shared.backup_verification.findings import Severity

_PARTIALS = {"account_partial_reconcile": ("id", "debit_move_id", "credit_move_id", "amount")}
_LINES = {"account_move_line": ("id", "move_name", "balance", "amount_residual", "account_id", "company_currency_id")}
_CURRENCY = {"res_currency": ("id", "rounding")}

CHECKS = (
    Check(
        "reconciliations refer to lines",
        Severity.CRITICAL,
        "reconciliations of lines that are not there",
        "Both lines of every partial reconciliation exist.",
        """
        select id, 'reconciliation ' || id from (
            select p.id from account_partial_reconcile p
            where not exists (select from account_move_line l where l.id = p.debit_move_id)
            union
            select p.id from account_partial_reconcile p
            where not exists (select from account_move_line l where l.id = p.credit_move_id)
        ) as lost order by id""",
        {**_PARTIALS, "account_move_line": ("id",)},
    ),
    Check(
        "residuals are what is open",
        Severity.CRITICAL,
        "lines whose residual is not their balance less what is reconciled",
        "On accounts with open items, the residual is the balance less all partial reconciliations, in the company's "
        "currency and in the line's, to half of each rounding; and no more is reconciled than there is.",
        """
        with suspects as materialized (
            select l.id, p.amount, p.in_currency
            from account_move_line l
            join account_account a on a.id = l.account_id
            left join (
                select line, sum(amount) as amount, sum(in_currency) as in_currency from (
                    select debit_move_id as line, amount, debit_amount_currency as in_currency
                    from account_partial_reconcile
                    union all
                    select credit_move_id, -amount, -credit_amount_currency from account_partial_reconcile
                    order by line  -- both columns have an index: sums of so many groups would not fit into memory
                ) as sides group by line
            ) p on p.line = l.id
            where (a.reconcile or a.account_type in ('asset_cash', 'liability_credit_card'))
              and case when p.line is null
                  then l.amount_residual is distinct from l.balance
                    or l.amount_residual_currency is distinct from l.amount_currency
                  else l.amount_residual + p.amount is distinct from l.balance
                    or l.amount_residual_currency + p.in_currency is distinct from l.amount_currency
                    or (l.balance > 0 and p.amount > l.balance) or (l.balance < 0 and p.amount < l.balance)
                  end
        )
        select l.id, coalesce(l.move_name, 'line ' || l.id)
        from suspects s
        join account_move_line l on l.id = s.id
        join res_currency u on u.id = l.company_currency_id
        join res_currency f on f.id = l.currency_id
        where abs(l.amount_residual - l.balance + coalesce(s.amount, 0)) > u.rounding / 2
           or abs(l.amount_residual_currency - l.amount_currency + coalesce(s.in_currency, 0)) > f.rounding / 2
           or (l.balance > 0 and s.amount - l.balance > u.rounding / 2)
           or (l.balance < 0 and l.balance - s.amount > u.rounding / 2)
        order by l.id""",
        {
            "account_partial_reconcile": (
                "debit_move_id",
                "credit_move_id",
                "amount",
                "debit_amount_currency",
                "credit_amount_currency",
            ),
            "account_move_line": (*_LINES["account_move_line"], "amount_residual_currency", "amount_currency"),
            "account_account": ("id", "reconcile", "account_type"),
            **_CURRENCY,
        },
    ),
    Check(
        "full reconciliations leave nothing",
        Severity.ERROR,
        "fully reconciled lines that are not marked as reconciled or still open",
        "A line of a full reconciliation says that it is reconciled and has nothing left.",
        """
        select l.id, coalesce(l.move_name, 'line ' || l.id) from account_move_line l
        join res_currency u on u.id = l.company_currency_id
        where l.full_reconcile_id is not null
          and (l.reconciled is not true or abs(coalesce(l.amount_residual, 0)) > u.rounding / 2)
        order by l.id""",
        {"account_move_line": (*_LINES["account_move_line"], "full_reconcile_id", "reconciled"), **_CURRENCY},
        "bool_or(l.full_reconcile_id is not null and (l.reconciled is not true or l.amount_residual <> 0))",
    ),
    Check(
        "invoices are paid as they say",
        Severity.ERROR,
        "invoices whose payment state contradicts what is open on them",
        "An invoice that says paid, in payment or reversed has nothing open on its receivable or payable lines; one "
        "that says not paid or partial has.",
        """
        with suspects as materialized (
            select m.id, m.name, m.payment_state, m.company_id
            from account_move m
            join (
                select move_id, bool_or(amount_residual <> 0) as open
                from account_move_line where display_type = 'payment_term' group by move_id
            ) t on t.move_id = m.id
            where m.state = 'posted' and m.move_type in ('out_invoice', 'in_invoice', 'out_refund', 'in_refund')
              and t.open is distinct from (m.payment_state in ('not_paid', 'partial'))
        )
        select m.id, m.name from suspects m
        join res_company c on c.id = m.company_id
        join res_currency u on u.id = c.currency_id
        cross join lateral (
            select sum(abs(l.amount_residual)) as open, sum(abs(l.balance)) as owed
            from account_move_line l where l.move_id = m.id and l.display_type = 'payment_term'
        ) t
        where m.payment_state in ('paid', 'in_payment', 'reversed') and t.open > u.rounding / 2
           or m.payment_state in ('not_paid', 'partial') and t.open <= u.rounding / 2 and t.owed > u.rounding / 2
        order by m.id""",
        {
            "account_move": ("id", "name", "state", "company_id", "move_type", "payment_state"),
            "account_move_line": ("move_id", "amount_residual", "balance", "display_type"),
            "res_company": ("id", "currency_id"),
            **_CURRENCY,
        },
        """
        m.state = 'posted' and m.move_type in ('out_invoice', 'in_invoice', 'out_refund', 'in_refund')
        and bool_or(l.amount_residual <> 0) filter (where l.display_type = 'payment_term')
            <> (m.payment_state in ('not_paid', 'partial'))""",
    ),
    Check(
        "payments are reconciled as flagged",
        Severity.ERROR,
        "payments that say reconciled and have something open",
        "A payment that is reconciled has nothing left on the receivable or payable lines of its entry, to half of the "
        "rounding of its currency.",
        """
        select p.id, coalesce(m.name, 'payment ' || p.id) from account_payment p
        join account_move m on m.id = p.move_id
        join res_currency u on u.id = p.currency_id
        join account_move_line l on l.move_id = m.id
        join account_account a on a.id = l.account_id
        where p.is_reconciled and m.state = 'posted' and a.account_type in ('asset_receivable', 'liability_payable')
        group by p.id, m.name, u.rounding
        having abs(sum(coalesce(l.amount_residual_currency, 0))) > u.rounding / 2
        order by p.id""",
        {
            "account_payment": ("id", "move_id", "currency_id", "is_reconciled"),
            "account_move": ("id", "name", "state"),
            "account_move_line": ("move_id", "account_id", "amount_residual_currency"),
            "account_account": ("id", "account_type"),
            "res_currency": ("id", "rounding"),
        },
        """
        m.id in (select p.move_id from account_payment p where p.is_reconciled)
        and bool_or(l.amount_residual_currency <> 0 and l.account_id in (
            select a.id from account_account a where a.account_type in ('asset_receivable', 'liability_payable')))""",
    ),
    Check(
        "statement lines are reconciled as flagged",
        Severity.ERROR,
        "bank statement lines that say reconciled but wait on the suspense account",
        "A reconciled statement line has left its journal's suspense account.",
        """
        select s.id, coalesce(m.name, 'statement line ' || s.id) from account_bank_statement_line s
        join account_move m on m.id = s.move_id
        join account_journal j on j.id = m.journal_id
        join account_account a on a.id = j.suspense_account_id
        where s.is_reconciled and m.state = 'posted' and exists (
            select from account_move_line l where l.move_id = m.id and l.account_id = a.id
              and case when a.reconcile then l.amount_residual else l.balance end <> 0)
        order by s.id""",
        {
            "account_bank_statement_line": ("id", "move_id", "is_reconciled"),
            "account_move": ("id", "name", "journal_id", "state"),
            "account_journal": ("id", "suspense_account_id"),
            "account_account": ("id", "reconcile"),
            "account_move_line": ("move_id", "account_id", "amount_residual", "balance"),
        },
        """
        m.id in (select s.move_id from account_bank_statement_line s where s.is_reconciled)
        and bool_or((l.balance <> 0 or l.amount_residual <> 0)
                    and l.account_id in (select j.suspense_account_id from account_journal j))""",
    ),
    Check(
        "statements add up",
        Severity.ERROR,
        "bank statements whose lines do not lead from their opening to their closing balance",
        "The opening balance of a complete statement plus its lines is its closing balance.",
        """
        select s.id, coalesce(s.name, 'statement ' || s.id) from account_bank_statement s
        join account_bank_statement_line l on l.statement_id = s.id
        where s.is_complete
        group by s.id, s.name, s.balance_start, s.balance_end_real
        having abs(s.balance_start + sum(l.amount) - s.balance_end_real) > 0.0005
        order by s.id""",
        {
            "account_bank_statement": ("id", "name", "is_complete", "balance_start", "balance_end_real"),
            "account_bank_statement_line": ("statement_id", "amount"),
        },
    ),
)
