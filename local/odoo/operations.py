"""What runs beside the books: crons, queue jobs in every state, mail servers, payment providers, sequences."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import Connection, sql

from local.odoo.inserting import insert
from local.odoo.ledger import Instant, Ledger
from local.odoo.profile import Profile


class Cron(NamedTuple):
    """A scheduled action that runs every `number` units."""

    name: str
    number: int
    unit: str
    priority: int = 5
    active: bool = True


CRONS = (
    Cron("Base: Auto-vacuum internal data", 1, "days", 3),
    Cron("Mail: Email Queue Manager", 1, "hours", 6),
    Cron("Publisher: Update Notification", 1, "weeks", 1000),
    Cron("Notification: Delete Notifications older than 6 Month", 1, "days"),
    Cron("Mail: Fetchmail Service", 5, "minutes", active=False),
    Cron("Users: Notify About Unregistered Users", 1, "days"),
    Cron("AutoVacuum Job Queue", 1, "days"),
    Cron("Jobs Garbage Collector", 5, "minutes"),
    Cron("SMS: SMS Queue Manager", 1, "hours"),
    Cron("Snailmail: process letters queue", 1, "hours"),
    Cron("Digest Emails", 1, "days"),
    Cron("Payment: Post-process transactions", 10, "minutes"),
    Cron("Account: Post draft entries with auto_post enabled and accounting date up to today", 1, "days"),
    Cron("Send invoices automatically", 1, "days"),
    Cron("Currency Rate Update", 1, "days"),
    Cron("Bank Statements: Import from the bank", 1, "hours"),
)
_UNITS = {
    "minutes": timedelta(minutes=1),
    "hours": timedelta(hours=1),
    "days": timedelta(days=1),
    "weeks": timedelta(weeks=1),
}


class JobKind(NamedTuple):
    """A method that the job queue runs."""

    title: str
    model: str
    method: str
    channel: str


_JOB_KINDS = (
    JobKind("Post invoices of the day", "account.move", "action_post_batch", "root.accounting"),
    JobKind("Send an invoice by mail", "account.move", "send_invoice", "root.mail"),
    JobKind("Export payment file (SEPA)", "account.payment.order", "generate_payment_file", "root.payment"),
    JobKind("Import bank statement", "account.journal", "import_statement", "root.accounting"),
    JobKind("Compute customer statistics", "res.partner", "compute_statistics", "root"),
)
_ERRORS = (
    ("psycopg2.errors.SerializationFailure", "could not serialize access due to concurrent update"),
    ("odoo.exceptions.UserError", "The lock date does not allow an entry on this date."),
    ("requests.exceptions.ReadTimeout", "HTTPSConnectionPool(host='bank.example.com', port=443): Read timed out."),
    ("odoo.addons.queue_job.exception.RetryableJobError", "Record is locked by another transaction"),
)
_STATES = {"done": 40, "pending": 9, "failed": 5, "enqueued": 3, "started": 3, "cancelled": 2}


@dataclass(frozen=True, slots=True)
class _Clock:
    """Instants before the profile's `as_of`, as rows have them."""

    as_of: datetime

    def ago(self, **parts: float) -> str:
        return Instant.of(self.as_of - timedelta(**parts)).at


def set_up(connection: Connection, profile: Profile, ledger: Ledger) -> None:
    """Write it all, as it stands at the profile's `as_of`."""
    die = Random(f"{profile.seed}:operations")
    clock = _Clock(profile.as_of)
    created = Instant.of(profile.begin).at
    stamp = {"create_uid": 1, "create_date": created, "write_uid": 1, "write_date": created}
    _crons(connection, profile, clock, stamp)
    _jobs(connection, profile, die, clock, stamp)
    _mail_and_payment(connection, clock, stamp)
    _sequences(connection, ledger, stamp)


def _crons(connection: Connection, profile: Profile, clock: _Clock, stamp: dict[str, Any]) -> None:
    rows: list[dict[str, Any]] = []
    for number, cron in enumerate(CRONS, 1):
        interval = cron.number * _UNITS[cron.unit]
        since = interval * ((number * 7 % 10) / 10 + 0.05)
        rows.append(
            {
                "ir_actions_server_id": 34 + number,
                "user_id": 1,
                "cron_name": cron.name,
                "active": cron.active,
                "interval_number": cron.number,
                "interval_type": cron.unit,
                "priority": cron.priority,
                "numbercall": -1,
                "doall": False,
                "failure_count": 0,
                "lastcall": clock.ago(seconds=since.total_seconds()) if cron.active else None,
                "nextcall": Instant.of(profile.as_of - since + interval).at,
            }
            | stamp
        )
    insert(connection, "ir_cron", rows)
    recently = {"create_date": clock.ago(minutes=2), "write_date": clock.ago(minutes=2)}
    insert(connection, "ir_cron_trigger", [{"cron_id": 2, "call_at": clock.ago(minutes=-3)} | stamp | recently])
    insert(
        connection,
        "ir_cron_progress",
        [{"cron_id": 2, "remaining": 0, "done": 12, "timed_out_counter": 0, "deactivate": False} | stamp | recently],
    )


def _jobs(connection: Connection, profile: Profile, die: Random, clock: _Clock, stamp: dict[str, Any]) -> None:
    channels = ["root", "root.accounting", "root.mail", "root.payment"]
    insert(
        connection,
        "queue_job_channel",
        [
            {
                "name": name.rpartition(".")[2],
                "complete_name": name,
                "parent_id": None if name == "root" else 1,
                "removal_interval": 30,
            }
            | stamp
            for name in channels
        ],
    )
    insert(
        connection,
        "queue_job_function",
        [
            {
                "name": f"<{kind.model}>.{kind.method}",
                "method": kind.method,
                "model_id": 100 + number,
                "channel": kind.channel,
                "channel_id": channels.index(kind.channel) + 1,
            }
            for number, kind in enumerate(_JOB_KINDS, 1)
        ],
    )
    insert(connection, "queue_job", list(_job_rows(profile, die, clock)))
    connection.execute(
        "INSERT INTO queue_job_lock (queue_job_id, create_uid, create_date)"
        " SELECT id, 1, date_started FROM queue_job WHERE state = 'started'"
    )


def _job_rows(profile: Profile, die: Random, clock: _Clock) -> Iterator[dict[str, Any]]:
    states = [state for state, count in _STATES.items() for _ in range(count)]
    for number, state in enumerate(states, 1):
        kind_number = die.randrange(len(_JOB_KINDS))
        kind = _JOB_KINDS[kind_number]
        record = die.randrange(1, 50)
        age = die.uniform(1, 20) if state in {"done", "failed", "cancelled"} else die.uniform(0.005, 0.02)
        error = die.choice(_ERRORS) if state == "failed" else None
        records = {"_type": "odoo_recordset", "model": kind.model, "ids": [record], "uid": 1, "su": True}
        running = state in {"started", "done", "failed"}
        yield {
            "uuid": str(UUID(bytes=die.randbytes(16), version=4)),
            "name": kind.title,
            "model_name": kind.model,
            "method_name": kind.method,
            "records": _serialized(records | {"context": {"lang": "en_US"}}, profile.version),
            "args": _serialized([], profile.version),
            "kwargs": _serialized({}, profile.version),
            "func_string": f"{kind.model}({record},).{kind.method}()",
            "state": state,
            "priority": 10,
            "retry": 5 if error else int(running),
            "max_retries": 5,
            "exc_name": error and error[0],
            "exc_message": error and error[1],
            "exc_info": error and f"Traceback (most recent call last):\n  ...\n{error[0]}: {error[1]}",
            "date_created": clock.ago(hours=age),
            "date_enqueued": clock.ago(hours=age, seconds=-2) if state in {"enqueued", "started", "done"} else None,
            "date_started": clock.ago(hours=age, seconds=-3) if running else None,
            "date_done": clock.ago(hours=age, seconds=-7) if state == "done" else None,
            "date_cancelled": clock.ago(hours=age, seconds=-9) if state == "cancelled" else None,
            "exec_time": 4.0 if state == "done" else None,
            "job_function_id": kind_number + 1,
            "channel": kind.channel,
            "channel_method_name": f"<{kind.model}>.{kind.method}",
            "identity_key": f"{kind.method}-{number}" if number % 3 == 0 else None,
            "dependencies": json.dumps({"depends_on": [], "reverse_depends_on": []}),
            "worker_pid": 4_000 + number if state == "started" else 0,
            "user_id": 1,
            "company_id": 1,
        }


def _serialized(value: Any, version: int) -> Any:
    """The queue's own JSON text; since version 18 it is a JSON string within a JSON column."""
    from psycopg.types.json import Jsonb

    text = json.dumps(value)
    return Jsonb(text) if version >= 18 else text


def _mail_and_payment(connection: Connection, clock: _Clock, stamp: dict[str, Any]) -> None:
    insert(
        connection,
        "ir_mail_server",
        [
            {
                "name": "Outgoing",
                "sequence": 10,
                "smtp_host": "smtp.example.com",
                "smtp_port": 587,
                "smtp_authentication": "login",
                "smtp_encryption": "starttls",
                "active": True,
            }
            | stamp
        ],
    )
    insert(
        connection,
        "fetchmail_server",
        [
            {
                "name": "Vendor bills",
                "state": "done",
                "server": "imap.example.com",
                "port": 993,
                "server_type": "imap",
                "is_ssl": True,
                "active": True,
            }
            | stamp
        ],
    )
    insert(
        connection,
        "payment_provider",
        [
            {"code": code, "name": code.title(), "state": state, "company_id": 1} | stamp
            for code, state in (("stripe", "enabled"), ("adyen", "test"), ("paypal", "disabled"))
        ],
    )
    connection.execute(
        "INSERT INTO mail_mail (mail_message_id, state, email_to, auto_delete, create_uid, create_date, write_date)"
        " SELECT id, 'outgoing', 'partner' || author_id || '@example.com', true, 1, %(at)s, %(at)s"
        " FROM mail_message ORDER BY id DESC LIMIT 3",
        {"at": clock.ago(minutes=1)},
    )


def _sequences(connection: Connection, ledger: Ledger, stamp: dict[str, Any]) -> None:
    """Business sequences: of kind `standard` a PostgreSQL sequence counts, of kind `no_gap` the row itself."""
    (first_id,) = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM ir_sequence").fetchone() or (1,)
    sequences = [("Payment", "account.payment", "PAY", 5, ledger.ids["account_payment"])]
    if ledger.version == 16:
        sequences.append(
            ("Account reconcile sequence", "account.reconcile", "A", 0, ledger.ids["account_full_reconcile"])
        )
    for sequence_id, (name, code, prefix, padding, last) in enumerate(sequences, first_id):
        row = {
            "id": sequence_id,
            "name": name,
            "code": code,
            "implementation": "standard",
            "prefix": prefix,
            "number_next": 1,
            "number_increment": 1,
            "padding": padding,
            "active": True,
            "use_date_range": False,
        }
        insert(connection, "ir_sequence", [row | stamp])
        counter = sql.Identifier(f"ir_sequence_{sequence_id:03}")
        connection.execute(sql.SQL("CREATE SEQUENCE {} START {}").format(counter, last + 1))
    for journal_id, last in ledger.secured.items():
        connection.execute(
            "UPDATE ir_sequence SET number_next = %s WHERE code = %s",
            [last + 1, f"SECUR{journal_id}-secure_sequence_id"],
        )
