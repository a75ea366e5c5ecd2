"""The faults of the self-test: plain SQL on rows that a seed chooses, each with the check that has to name it.

They write rows only, since the app owns no table of a copy: what only an owner can break (an index, the validity of a
constraint) is not among them.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import LiteralString, NamedTuple

from shared.backup_verification.anchors import Anchor

type Aim = Callable[[Anchor, Random], Sequence[object] | None]


class KnownFault(NamedTuple):
    """`query` injures what is chosen by its parameters, the seed or what `aim` takes from the anchor, and returns the
    ids or the keys of the rows that `check` has to name."""

    name: str
    done: str
    check: str
    query: LiteralString
    aim: Aim | None = None


_CLASSES: LiteralString = "13"


def _entries(number: LiteralString) -> LiteralString:
    """Posted entries that are this fault's own, so that no fault hides another."""
    return f"m.state = 'posted' and m.id %% {_CLASSES} = {number}"


_BY_SEED: LiteralString = "order by hashint8extended(m.id, %s) limit 1"
_UNRECONCILED: LiteralString = """not exists (
    select from account_move_line x join account_partial_reconcile p on x.id in (p.debit_move_id, p.credit_move_id)
    where x.move_id = m.id)"""


def _active_cron(anchor: Anchor, die: Random) -> Sequence[object] | None:
    return [die.choice(sorted(anchor.active_crons))] if anchor.active_crons else None


def _active_user(anchor: Anchor, die: Random) -> Sequence[object] | None:
    return [die.choice(anchor.active_users)] if anchor.active_users else None


def _module(anchor: Anchor, die: Random) -> Sequence[object] | None:
    return [die.choice(sorted(anchor.modules))] if anchor.modules else None


def _chain(anchor: Anchor, die: Random) -> Sequence[object] | None:
    if not anchor.chains:
        return None
    chain = die.choice(anchor.chains)
    return [chain.journal, chain.prefix, chain.number]


def _closed_period(anchor: Anchor, die: Random) -> Sequence[object] | None:
    closed = [period for period in anchor.periods if period.closed and period.state == "posted"]
    if not closed:
        return None
    period = die.choice(closed)
    return [period.company, period.month, die.getrandbits(31)]


def _newest_attachment(anchor: Anchor, die: Random) -> Sequence[object] | None:
    newest = anchor.newest_writes.get("ir_attachment")
    return [newest.replace(tzinfo=None)] if newest else None


def _no_parameters(anchor: Anchor, die: Random) -> Sequence[object] | None:
    return []


FAULTS: tuple[KnownFault, ...] = (
    KnownFault(
        "slipped decimal point",
        "a line of a posted entry is ten times as large",
        "posted moves balance",
        f"""
        update account_move_line set debit = debit * 10, credit = credit * 10, balance = balance * 10
        where id = (select min(l.id) from account_move_line l where l.balance <> 0 and l.move_id = (
            select m.id from account_move m where {_entries("0")} and exists (
                select from account_move_line x where x.move_id = m.id and x.balance <> 0) {_BY_SEED}))
        returning move_id""",
    ),
    KnownFault(
        "swapped accounts",
        "two lines of a sealed entry have each other's account",
        "hash chain",
        f"""
        with pair as (
            select min(l.id) as one, max(l.id) as other from account_move_line l where l.move_id = (
                select m.id from account_move m where {_entries("1")} and m.inalterable_hash <> '' and 1 < (
                    select count(distinct x.account_id) from account_move_line x where x.move_id = m.id) {_BY_SEED})
            group by l.account_id = (select account_id from account_move_line y where y.move_id = l.move_id
                                     and y.account_id is not null order by y.id limit 1)
        ), swap as (select min(one) as one, max(one) as other from pair)
        update account_move_line l set account_id = x.account_id from swap, account_move_line x
        where l.id in (swap.one, swap.other) and x.id in (swap.one, swap.other) and x.id <> l.id
        returning l.move_id""",
    ),
    KnownFault(
        "another hash",
        "one digit of the hash of a sealed entry is another",
        "hash chain",
        f"""
        update account_move set inalterable_hash = left(inalterable_hash, -1)
            || case right(inalterable_hash, 1) when '0' then '1' else '0' end
        where id = (select m.id from account_move m where {_entries("2")} and m.inalterable_hash <> '' {_BY_SEED})
        returning id""",
    ),
    KnownFault(
        "lost seal inside a chain",
        "a sealed entry has no hash, the ones before and after it have",
        "seals have no hole",
        f"""
        update account_move set inalterable_hash = null where id = (
            select m.id from account_move m
            join (
                select journal_id, sequence_prefix, min(sequence_number) as first, max(sequence_number) as last
                from account_move where inalterable_hash <> '' group by journal_id, sequence_prefix
            ) s on s.journal_id = m.journal_id and s.sequence_prefix = m.sequence_prefix
                and m.sequence_number between s.first + 3 and s.last - 3
            where {_entries("3")} and m.inalterable_hash <> '' {_BY_SEED})
        returning id""",
    ),
    KnownFault(
        "shifted date",
        "an entry is dated a day later than its lines",
        "lines agree with their move",
        f"""
        with shifted as (
            update account_move set date = date + 1
            where id = (select m.id from account_move m where {_entries("4")} and exists (
                select from account_move_line x where x.move_id = m.id) {_BY_SEED})
            returning id)
        select l.id from account_move_line l join shifted on shifted.id = l.move_id""",
    ),
    KnownFault(
        "line of another entry",
        "a line hangs on another entry than its own",
        "posted moves balance",
        f"""
        with two as (select m.id from account_move m where {_entries("5")} and exists (
            select from account_move_line x where x.move_id = m.id and x.balance <> 0) order by
            hashint8extended(m.id, %s) limit 2),
        moved as (
            update account_move_line set move_id = (select max(id) from two)
            where id = (select min(id) from account_move_line
                        where balance <> 0 and move_id = (select min(id) from two having count(*) = 2))
            returning id)
        select two.id from two, moved""",
    ),
    KnownFault(
        "empty entry",
        "all lines of a posted entry are gone",
        "posted moves have lines",
        f"""
        with emptied as (
            delete from account_move_line where move_id = (
                select m.id from account_move m where {_entries("6")} and {_UNRECONCILED} {_BY_SEED})
            returning move_id)
        select distinct move_id from emptied""",
    ),
    KnownFault(
        "jump in the numbers",
        "the number of an entry jumps ahead",
        "journals have no gap",
        f"""
        update account_move set sequence_number = sequence_number + 1000000
        where id = (select m.id from account_move m where {_entries("7")} and m.sequence_number > 1
                    and m.name <> '/' and m.sequence_prefix is not null {_BY_SEED})
        returning id""",
    ),
    KnownFault(
        "doubled amount in currency",
        "a line of an invoice in a foreign currency is twice as large in that currency",
        "invoices balance in their currency",
        f"""
        update account_move_line set amount_currency = amount_currency * 2
        where id = (select min(l.id) from account_move_line l where l.amount_currency <> 0 and l.move_id = (
            select m.id from account_move m where {_entries("8")} and m.move_type <> 'entry' and exists (
                select from account_move_line x where x.move_id = m.id and x.amount_currency <> 0
                    and x.currency_id <> x.company_currency_id) {_BY_SEED}))
        returning move_id""",
    ),
    KnownFault(
        "contradicting amounts",
        "the balance of a line is not debit minus credit",
        "lines agree with themselves",
        f"""
        update account_move_line set balance = balance * 2
        where id = (select min(l.id) from account_move_line l where l.balance <> 0 and l.move_id = (
            select m.id from account_move m where {_entries("9")} and exists (
                select from account_move_line x where x.move_id = m.id and x.balance <> 0) {_BY_SEED}))
        returning id""",
    ),
    KnownFault(
        "unpaid again",
        "a paid invoice says that it is not paid",
        "invoices are paid as they say",
        f"""
        update account_move set payment_state = 'not_paid'
        where id = (select m.id from account_move m where {_entries("10")} and m.payment_state = 'paid'
                    and m.move_type in ('out_invoice', 'in_invoice') and exists (select from account_move_line x
                        where x.move_id = m.id and x.display_type = 'payment_term' and x.balance <> 0) {_BY_SEED})
        returning id""",
    ),
    KnownFault(
        "lines without their entry",
        "an entry is gone, its lines are not",
        "lines belong to moves",
        f"""
        with moved as (
            update account_move_line set move_id = -1 where move_id = (
                select m.id from account_move m where {_entries("11")} and {_UNRECONCILED} {_BY_SEED})
            returning id)
        select id from moved""",
    ),
    KnownFault(
        "smaller reconciliation",
        "a payment covers half of what it did",
        "residuals are what is open",
        """
        update account_partial_reconcile set amount = amount / 2, debit_amount_currency = debit_amount_currency / 2,
            credit_amount_currency = credit_amount_currency / 2
        where id = (select m.id from account_partial_reconcile m where m.amount > 1 and m.id %% 2 = 0
                    order by hashint8extended(m.id, %s) limit 1)
        returning debit_move_id""",
    ),
    KnownFault(
        "reconciled with nothing",
        "a reconciliation refers to a line that is not there",
        "reconciliations refer to lines",
        """
        update account_partial_reconcile set credit_move_id = -1
        where id = (select m.id from account_partial_reconcile m where m.id %% 2 = 1
                    order by hashint8extended(m.id, %s) limit 1)
        returning id""",
    ),
    KnownFault(
        "open after all",
        "a fully reconciled line says that it is open",
        "full reconciliations leave nothing",
        """
        update account_move_line set reconciled = false
        where id = (select m.id from account_move_line m where m.full_reconcile_id is not null and m.reconciled
                    order by hashint8extended(m.id, %s) limit 1)
        returning id""",
    ),
    KnownFault(
        "another closing balance",
        "a bank statement closes with more than its lines lead to",
        "statements add up",
        """
        update account_bank_statement set balance_end_real = balance_end_real + 1
        where id = (select m.id from account_bank_statement m where m.is_complete and exists (
                        select from account_bank_statement_line x where x.statement_id = m.id)
                    order by hashint8extended(m.id, %s) limit 1)
        returning id""",
    ),
    KnownFault(
        "rewound secure numbers",
        "the sequence that numbers the sealed entries of a journal begins again",
        "secure sequences are ahead",
        """
        update ir_sequence set number_next = 1 from (
            select m.secure_sequence_id as sequence, m.id from account_journal m where exists (
                select from account_move x where x.journal_id = m.id and x.secure_sequence_number > 0)
            order by hashint8extended(m.id, %s) limit 1) as journal
        where ir_sequence.id = journal.sequence returning journal.id""",
    ),
    KnownFault(
        "locked for long",
        "the taxes of a company are locked for two more years",
        "lock dates are sane",
        """
        update res_company set tax_lock_date = current_date + 730
        where id = (select m.id from res_company m order by hashint8extended(m.id, %s) limit 1) returning id""",
    ),
    KnownFault(
        "module on its way out",
        "a module waits for its removal",
        "modules are settled",
        """
        update ir_module_module set state = 'to remove' where id = (
            select m.id from ir_module_module m where m.state = 'installed' and m.name <> 'base'
            order by hashint8extended(m.id, %s) limit 1) returning id""",
    ),
    KnownFault(
        "another checksum",
        "the checksum of an attachment is not that of its stored file",
        "attachments say where they are",
        """
        update ir_attachment set checksum = reverse(checksum)
        where id = (select m.id from ir_attachment m where m.type = 'binary' and m.checksum <> reverse(m.checksum)
                    and m.store_fname ~ '^[0-9a-f]{2}/[0-9a-f]{40}$' order by hashint8extended(m.id, %s) limit 1)
        returning id""",
    ),
    KnownFault(
        "id beyond its sequence",
        "a setting has an id that the sequence has not given out yet",
        "ids are ahead",
        """
        update ir_config_parameter set id = (select last_value + 1000 from ir_config_parameter_id_seq)
        where id = (select m.id from ir_config_parameter m order by hashint8extended(m.id, %s) limit 1)
        returning 'ir_config_parameter'""",
    ),
    KnownFault(
        "another identity",
        "database.uuid is another one",
        "anchor: identity",
        "update ir_config_parameter set value = reverse(value) where key = 'database.uuid' returning key",
        _no_parameters,
    ),
    KnownFault(
        "inactive scheduled action",
        "a scheduled action has given up",
        "anchor: crons",
        "update ir_cron set active = false where id = %s and active returning id",
        _active_cron,
    ),
    KnownFault(
        "locked-out user",
        "a user is no longer active",
        "anchor: users",
        "update res_users set active = false where id = %s and active returning id",
        _active_user,
    ),
    KnownFault(
        "module of another version",
        "a module is of another version",
        "anchor: modules",
        "update ir_module_module set latest_version = 'none' where name = %s returning name::text",
        _module,
    ),
    KnownFault(
        "lost tail of a chain",
        "the newest entries of a chain are not sealed, which no chain can show",
        "anchor: chain heads",
        """
        update account_move set inalterable_hash = null, secure_sequence_number = null
        where journal_id = %s and coalesce(sequence_prefix, '') = %s and sequence_number >= %s
          and inalterable_hash <> ''
        returning id""",
        _chain,
    ),
    KnownFault(
        "edit in a closed period",
        "the text of a line in a locked month is another",
        "anchor: closed periods",
        """
        update account_move_line set name = coalesce(name, '') || '.' where id = (
            select m.id from account_move_line m
            where m.company_id = %s and to_char(m.date, 'YYYY-MM') = %s and m.parent_state = 'posted'
            order by hashint8extended(m.id, %s) limit 1)
        returning id""",
        _closed_period,
    ),
    KnownFault(
        "lost documents",
        "the newest attachments are of the day before",
        "anchor: newest writes",
        "update ir_attachment set write_date = write_date - interval '1 day' where write_date >= %s returning id",
        _newest_attachment,
    ),
)
