"""Injuries of what stands beside the books: sequences, constraints, attachments, crons, jobs, people."""

from psycopg import Connection, sql

from local.odoo.damage.injury import Injury, injury, pick


@injury
def set_lock_date_ahead(connection: Connection) -> Injury:
    """A company's books are locked until far in the future."""
    connection.execute("UPDATE res_company SET fiscalyear_lock_date = '2999-12-31' WHERE id = 1")
    return Injury("res_company", (1,), "the books are locked until 2999")


@injury
def rewind_id_sequence(connection: Connection) -> Injury:
    """New entries would get ids that are taken."""
    connection.execute("SELECT setval('account_move_id_seq', 1)")
    return Injury("account_move", (), "the sequence of account_move ids is back at 1")


@injury
def rewind_business_sequence(connection: Connection) -> Injury:
    """New payments would get references that are taken."""
    (sequence_id,) = pick(connection, "SELECT id FROM ir_sequence WHERE code = 'account.payment'")
    counter = f"ir_sequence_{sequence_id:03}"
    connection.execute("SELECT setval(%s, 1, false)", [counter])
    return Injury(counter, (), "payment references begin at 1 again")


@injury
def drop_foreign_key(connection: Connection) -> Injury:
    """A foreign key was not restored."""
    connection.execute(
        "ALTER TABLE account_partial_reconcile DROP CONSTRAINT account_partial_reconcile_debit_move_id_fkey"
    )
    return Injury("account_partial_reconcile", (), "the key of debit_move_id is missing")


@injury
def unvalidated_foreign_key(connection: Connection) -> Injury:
    """A foreign key is there but was never checked against the rows."""
    connection.execute(
        "ALTER TABLE account_move_line DROP CONSTRAINT account_move_line_partner_id_fkey,"
        " ADD CONSTRAINT account_move_line_partner_id_fkey FOREIGN KEY (partner_id) REFERENCES res_partner NOT VALID"
    )
    return Injury("account_move_line", (), "the key of partner_id is not validated")


@injury
def drop_index(connection: Connection) -> Injury:
    """The index that keeps posted names unique was not restored."""
    connection.execute("DROP INDEX account_move_unique_name")
    return Injury("account_move", (), "account_move_unique_name is missing")


@injury
def lose_attachment_file(connection: Connection) -> Injury:
    """An attachment refers to a document that never was."""
    (attachment_id,) = pick(connection, "SELECT id FROM ir_attachment WHERE store_fname LIKE '__/%' ORDER BY id")
    nowhere = "0" * 40
    connection.execute(
        "UPDATE ir_attachment SET store_fname = %s, checksum = %s WHERE id = %s",
        [f"00/{nowhere}", nowhere, attachment_id],
    )
    return Injury("ir_attachment", (attachment_id,), "an attachment refers to no document")


@injury
def swap_attachments(connection: Connection) -> Injury:
    """Two entries have each other's document."""
    (one, other) = pick(
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
    return Injury("ir_attachment", (one, other), "two attachments refer to each other's document")


@injury
def deactivate_cron(connection: Connection) -> Injury:
    """A cron gave up after failures: Odoo leaves no other trace of it."""
    (cron_id, name) = pick(connection, "SELECT id, cron_name::text FROM ir_cron WHERE active ORDER BY id")
    connection.execute("UPDATE ir_cron SET active = false WHERE id = %s", [cron_id])
    return Injury("ir_cron", (cron_id,), f"cron {name} is no longer active")


@injury
def lose_queue(connection: Connection) -> Injury:
    """The job queue came back empty."""
    rows = connection.execute("DELETE FROM queue_job RETURNING id").fetchall()
    return Injury("queue_job", tuple(sorted(job for (job,) in rows)), "the job queue is empty")


@injury
def requeue_done_jobs(connection: Connection) -> Injury:
    """Jobs that are done would run once more."""
    rows = connection.execute(
        "UPDATE queue_job SET state = 'pending', date_done = NULL WHERE state = 'done' RETURNING id"
    ).fetchall()
    return Injury("queue_job", tuple(sorted(job for (job,) in rows)), "done jobs are pending")


@injury
def lose_messages(connection: Connection) -> Injury:
    """The newest messages are gone."""
    rows = connection.execute(
        "DELETE FROM mail_message WHERE id > (SELECT max(id) * 9 / 10 FROM mail_message) RETURNING id"
    ).fetchall()
    return Injury("mail_message", tuple(sorted(row for (row,) in rows)), "the newest messages are gone")


@injury
def garble_names(connection: Connection) -> Injury:
    """Names were read in the wrong encoding."""
    rows = connection.execute(
        "UPDATE res_partner SET name = convert_from(convert_to(name, 'UTF8'), 'LATIN1')"
        " WHERE name ~ '[^[:ascii:]]' RETURNING id"
    ).fetchall()
    return Injury("res_partner", tuple(sorted(row for (row,) in rows)), "accents in names are garbled")


@injury
def half_upgrade(connection: Connection) -> Injury:
    """A module's upgrade was never finished."""
    (module_id,) = pick(connection, "SELECT id FROM ir_module_module WHERE name = 'account'")
    connection.execute("UPDATE ir_module_module SET state = 'to upgrade' WHERE id = %s", [module_id])
    return Injury("ir_module_module", (module_id,), "module account is to be upgraded")


@injury
def lose_user(connection: Connection) -> Injury:
    """A user may no longer log in."""
    (user_id,) = pick(connection, "SELECT max(id) FROM res_users WHERE active")
    connection.execute("UPDATE res_users SET active = false WHERE id = %s", [user_id])
    return Injury("res_users", (user_id,), "a user is no longer active")


@injury
def change_identity(connection: Connection) -> Injury:
    """It is another database that came back."""
    (row_id,) = pick(connection, "SELECT id FROM ir_config_parameter WHERE key = 'database.uuid'")
    connection.execute(
        "UPDATE ir_config_parameter SET value = '00000000-0000-4000-8000-000000000000' WHERE id = %s", [row_id]
    )
    return Injury("ir_config_parameter", (row_id,), "database.uuid is another one")


@injury
def lose_business_counter(connection: Connection) -> Injury:
    """The PostgreSQL sequence behind the references of payments was not restored."""
    (sequence_id,) = pick(connection, "SELECT id FROM ir_sequence WHERE code = 'account.payment'")
    counter = f"ir_sequence_{sequence_id:03}"
    connection.execute(sql.SQL("DROP SEQUENCE {}").format(sql.Identifier(counter)))
    return Injury("ir_sequence", (), "the counter of payment references is gone")


@injury
def invalid_index(connection: Connection) -> Injury:
    """An index was never built to its end."""
    connection.execute(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'account_move_line__move_id_index'::regclass"
    )
    return Injury("account_move_line", (), "account_move_line__move_id_index is not valid")


@injury
def lose_currency(connection: Connection) -> Injury:
    """A company's currency is gone: the foreign keys were not restored."""
    (company_id,) = pick(connection, "SELECT id FROM res_company ORDER BY id")
    connection.execute("ALTER TABLE res_company DROP CONSTRAINT res_company_currency_id_fkey")
    connection.execute("UPDATE res_company SET currency_id = 9999 WHERE id = %s", [company_id])
    return Injury("res_company", (company_id,), "the currency of a company is not there")


@injury
def lose_everybody(connection: Connection) -> Injury:
    """Nobody may log in."""
    rows = connection.execute("UPDATE res_users SET active = false WHERE active RETURNING id").fetchall()
    return Injury("res_users", tuple(sorted(user for (user,) in rows)), "no user is active")


@injury
def downgrade_module(connection: Connection) -> Injury:
    """A module is of an earlier version than it was."""
    (module_id,) = pick(connection, "SELECT id FROM ir_module_module WHERE name = 'account'")
    connection.execute("UPDATE ir_module_module SET latest_version = '0.1' WHERE id = %s", [module_id])
    return Injury("ir_module_module", (module_id,), "module account is of an earlier version")
