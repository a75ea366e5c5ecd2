"""A copy of Odoo that people may keep: nothing in it may reach a customer, a bank, or production.

Plain SQL by what the catalogue shows, Odoo 16 to 19, because Odoo itself is never started on a copy. Odoo's own
neutralisation leaves the vacuum (which deletes stored files), queue jobs, saved credentials and the identity of the
database as they were. Neutralising twice changes nothing the second time.

Sources: the columns of Odoo's modules and of OCA's queue, storage and bank addons; docs/backup-verification.md.
"""

from collections.abc import Iterator, Mapping
from typing import LiteralString, NamedTuple, cast

from pydantic import BaseModel, ConfigDict

from shared.backup_verification.catalogue import Catalogue, read_catalogue
from shared.backup_verification.database import Database

_NOWHERE: LiteralString = "neutralised.invalid"  # RFC 6761: no name under .invalid ever resolves
_NEW_UUID_BEGINS: LiteralString = "00000000"


class NeutralisationError(Exception):
    """The server refused a statement; its message names what could not be neutralised, or not be looked at."""


class Neutralised(BaseModel):
    """What was made harmless, in which table, in how many rows."""

    model_config = ConfigDict(frozen=True)

    what: str
    table: str
    rows: int


class Proof(BaseModel):
    """A look at a copy: everything of which nothing remains, and what remains after all (in how many rows)."""

    model_config = ConfigDict(frozen=True)

    harmless: tuple[str, ...]
    remaining: tuple[Neutralised, ...]

    @property
    def holds(self) -> bool:
        """Whether the copy may be given to people."""
        return bool(self.harmless) and not self.remaining


class _Measure(NamedTuple):
    """Rows of `table` for which `live` holds are dangerous. They get these values, where there are such columns; or,
    without any, are deleted. `live` reads the columns `needs`: where one is missing there is nothing to do."""

    what: str
    table: LiteralString
    needs: tuple[LiteralString, ...]
    live: LiteralString
    values: Mapping[LiteralString, LiteralString] | None


_MEASURES = (
    _Measure("scheduled actions", "ir_cron", ("active",), "active", {"active": "false"}),
    _Measure("calls of scheduled actions", "ir_cron_trigger", (), "true", None),
    _Measure(
        "runnable queue jobs",
        "queue_job",
        ("state",),
        "state in ('wait_dependencies', 'pending', 'enqueued', 'started')",
        {"state": "'cancelled'", "date_cancelled": "now() at time zone 'UTC'"},
    ),
    _Measure(
        "outgoing mail servers",
        "ir_mail_server",
        ("active", "smtp_host"),
        f"active and smtp_host is distinct from '{_NOWHERE}'",
        {"active": "false"},
    ),
    _Measure(
        "incoming mail servers", "fetchmail_server", ("active",), "active", {"active": "false", "state": "'draft'"}
    ),
    _Measure("outgoing mails", "mail_mail", ("state",), "state = 'outgoing'", {"state": "'cancel'"}),
    _Measure("scheduled messages", "mail_scheduled_message", (), "true", None),
    _Measure("scheduled notifications", "mail_message_schedule", (), "true", None),
    _Measure("mailings", "mailing_mailing", ("state",), "state in ('in_queue', 'sending')", {"state": "'draft'"}),
    _Measure("text messages", "sms_sms", ("state",), "state = 'outgoing'", {"state": "'canceled'"}),
    _Measure("letters", "snailmail_letter", ("state",), "state = 'pending'", {"state": "'canceled'"}),
    _Measure("WhatsApp messages", "whatsapp_message", ("state",), "state = 'outgoing'", {"state": "'cancel'"}),
    _Measure("WhatsApp accounts", "whatsapp_account", ("token",), "token <> ''", {"token": "''"}),
    _Measure("devices that get notifications", "mail_push_device", (), "true", None),
    _Measure("devices that get notifications", "mail_partner_device", (), "true", None),
    _Measure(
        "payment providers",
        "payment_provider",
        ("state",),
        "state <> 'disabled'",
        {"state": "'disabled'", "is_published": "false"},
    ),
    _Measure("saved means of payment", "payment_token", ("active",), "active", {"active": "false"}),
    _Measure(
        "bank connections",
        "account_online_link",
        ("client_id",),
        "client_id is distinct from 'neutralised'",
        {
            "client_id": "'neutralised'",
            "state": "'disconnected'",
            "provider_data": "''",
            "access_token": "''",
            "auto_sync": "false",
        },
    ),
    _Measure(
        "journals that fetch from the bank",
        "account_journal",
        ("bank_statements_source",),
        "bank_statements_source in ('online_sync', 'online')",
        {"bank_statements_source": "'undefined'"},
    ),
    _Measure("bank statement providers", "online_bank_statement_provider", ("active",), "active", {"active": "false"}),
    _Measure("EBICS connections", "ebics_config", ("state",), "state = 'confirm'", {"state": "'draft'"}),
    _Measure(
        "electronic invoicing accounts",
        "account_edi_proxy_client_user",
        ("active",),
        "active",
        {"active": "false", "edi_mode": "'demo'"},
    ),
    _Measure(
        "Peppol registrations",
        "res_company",
        ("account_peppol_proxy_state",),
        "account_peppol_proxy_state <> 'not_registered'",
        {"account_peppol_proxy_state": "'not_registered'"},
    ),
    _Measure(
        "carriers",
        "delivery_carrier",
        ("active", "delivery_type"),
        "active and delivery_type not in ('fixed', 'base_on_rule')",
        {"active": "false", "prod_environment": "false"},
    ),
    _Measure(
        "outgoing webhooks",
        "ir_act_server",
        ("state", "webhook_url"),
        f"state = 'webhook' and webhook_url is distinct from 'https://{_NOWHERE}'",
        {"webhook_url": f"'https://{_NOWHERE}'"},
    ),
    _Measure(
        "incoming webhooks",
        "base_automation",
        ("active", "trigger"),
        "active and trigger = 'on_webhook'",
        {"active": "false"},
    ),
    _Measure(
        "accounts of Odoo's paid services",
        "iap_account",
        ("account_token",),
        "account_token not like 'neutralised-%'",
        {"account_token": "'neutralised-' || id"},
    ),
    _Measure("keys of the interface", "res_users_apikeys", (), "true", None),
    _Measure(
        "stores of documents",
        "fs_storage",
        ("protocol",),
        "protocol not in ('memory', 'odoofs')",
        {"protocol": "'memory'", "directory_path": "null", "options": "null"},
    ),
    _Measure("stored files to be deleted", "fs_file_gc", (), "true", None),
    _Measure(
        "the identity of the database",
        "ir_config_parameter",
        ("key", "value"),
        f"key = 'database.uuid' and value not like '{_NEW_UUID_BEGINS}-%'",
        {"value": f"overlay(value placing '{_NEW_UUID_BEGINS}' from 1)"},
    ),
    _Measure(
        "links to production",
        "ir_config_parameter",
        ("key", "value"),
        f"key in ('web.base.url', 'report.url') and value <> 'https://{_NOWHERE}'",
        {"value": f"'https://{_NOWHERE}'"},
    ),
    _Measure(
        "parameters that are credentials",
        "ir_config_parameter",
        ("key",),
        "key = 'database.enterprise_code' or key like 'cloud\\_storage\\_%' or key like 'mail.web\\_push\\_vapid\\_%'"
        " or (key ~ '(secret|password|token|api_?key|private_key|client_id)$' and key <> 'database.secret')",
        None,
    ),
)

# Columns that hold a credential by their name, in every addon. People's own passwords stay: they may log in.
_CREDENTIALS: LiteralString = r"""
    select format('%I', c.relname),
           string_agg(format('%I = %L', a.attname, case when a.attnotnull then '' end), ', ' order by a.attnum),
           string_agg(format('%I <> %L', a.attname, ''), ' or ' order by a.attnum)
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relkind in ('r', 'p') and c.relnamespace = to_regnamespace('public')
      and a.atttypid in ('text'::regtype, 'varchar'::regtype) and c.relname <> 'res_users_apikeys'
      and (a.attname ~ ('(^|_)(password|passphrase|smtp_pass|rtoken|refresh_token|auth_token|oauth_access_token'
                        '|calendar_token|sync_token|(gmail|outlook)_access_token|authorization_code|api_key|api_secret'
                        '|client_secret|secret_key|private_key|secret_access_key)$')
           or c.relname = 'payment_provider' and a.attname ~ '_(key|token|secret)$')
      and not (c.relname = 'res_users' and a.attname = 'password')
    group by c.relname order by c.relname"""

_UNMARKED: LiteralString = """
    select count(*) from (select) as once
    where not exists (select from ir_config_parameter where key = 'database.is_neutralized' and value = 'True')"""
_MARK: tuple[LiteralString, ...] = (
    "delete from ir_config_parameter where key = 'database.is_neutralized' and value is distinct from 'True'",
    "insert into ir_config_parameter (key, value) select 'database.is_neutralized', 'True'"
    " where not exists (select from ir_config_parameter where key = 'database.is_neutralized')",
)
# Without any active server Odoo sends through the one of its configuration file.
_BLACK_HOLE: Mapping[LiteralString, LiteralString] = {
    "name": "'neutralised'",
    "smtp_host": f"'{_NOWHERE}'",
    "smtp_port": "25",
    "smtp_encryption": "'none'",
    "smtp_authentication": "'login'",
    "sequence": "1",
    "active": "true",
}


def neutralise(database: Database) -> tuple[Neutralised, ...]:
    """Make a copy harmless. Returns what was changed, for every measure that applies.

    `database` is one writable transaction on what was proven to be a copy; it needs the right to write all tables
    (`pg_write_all_data`), owns nothing and is committed by the caller. Raises NeutralisationError: commit nothing then.
    """
    catalogue = read_catalogue(database)
    return tuple(
        Neutralised(
            what=what,
            table=table,
            rows=_count(database, what, f"with changed as ({change} returning 1) select count(*) from changed"),
        )
        for what, table, change in _changes(database, catalogue)
    )


def prove_neutralised(database: Database) -> Proof:
    """Look whether anything dangerous remains: in a transaction of its own, so that what was committed is what counts.

    Raises NeutralisationError when a table may not be read.
    """
    catalogue = read_catalogue(database)
    found: list[Neutralised] = []
    if catalogue.has("ir_config_parameter", "key", "value"):
        found.append(_look(database, "the mark of a neutralised database", "ir_config_parameter", _UNMARKED))
    for measure in _applicable(catalogue):
        query: LiteralString = f"select count(*) from {measure.table} where {measure.live}"
        found.append(_look(database, measure.what, measure.table, query))
    for table, _, live in _credentials(database):
        found.append(_look(database, "credentials", table, f"select count(*) from {table} where {live}"))
    return Proof(
        harmless=tuple(dict.fromkeys(f"{look.what} ({look.table})" for look in found if not look.rows)),
        remaining=tuple(look for look in found if look.rows),
    )


def neutralised_uuid(production: str) -> str:
    """The database.uuid that a neutralised copy has instead of production's: by it a copy is known a second time."""
    return _NEW_UUID_BEGINS + production[len(_NEW_UUID_BEGINS) :]


def _changes(database: Database, catalogue: Catalogue) -> Iterator[tuple[str, str, LiteralString]]:
    """Every statement that applies, with what it is for and its table."""
    for measure in _applicable(catalogue):
        if measure.values is None:
            yield measure.what, measure.table, f"delete from {measure.table} where {measure.live}"
            continue
        values = _present(catalogue, measure.table, measure.values)
        assignments: LiteralString = ", ".join([f"{column} = {value}" for column, value in values.items()])
        yield measure.what, measure.table, f"update {measure.table} set {assignments} where {measure.live}"
    for table, assignments, live in _credentials(database):
        yield "credentials", table, f"update {table} set {assignments} where {live}"
    if catalogue.has("ir_mail_server", "active", "smtp_host"):
        values = _present(catalogue, "ir_mail_server", _BLACK_HOLE)
        yield (
            "a mail server that reaches nobody",
            "ir_mail_server",
            f"insert into ir_mail_server ({', '.join(values)}) select {', '.join(values.values())}"
            f" where not exists (select from ir_mail_server where active and smtp_host = '{_NOWHERE}')",
        )
    if catalogue.has("ir_config_parameter", "key", "value"):
        for statement in _MARK:
            yield "the mark of a neutralised database", "ir_config_parameter", statement


def _applicable(catalogue: Catalogue) -> list[_Measure]:
    return [measure for measure in _MEASURES if catalogue.has(measure.table, *measure.needs)]


def _present(
    catalogue: Catalogue, table: LiteralString, values: Mapping[LiteralString, LiteralString]
) -> dict[LiteralString, LiteralString]:
    return {column: value for column, value in values.items() if catalogue.has(table, column)}


def _credentials(database: Database) -> list[tuple[LiteralString, LiteralString, LiteralString]]:
    """Tables with columns for credentials: the server wrote and quoted the assignments and the conditions itself."""
    return [cast(tuple[LiteralString, LiteralString, LiteralString], row) for row in database.rows(_CREDENTIALS)]


def _look(database: Database, what: str, table: str, query: LiteralString) -> Neutralised:
    return Neutralised(what=what, table=table, rows=_count(database, f"{what} ({table})", query))


def _count(database: Database, what: str, query: LiteralString) -> int:
    answer = database.attempt(query)
    if isinstance(answer, str):
        raise NeutralisationError(f"{what}: {answer}")
    return int(answer[0][0])
