"""A neutralised copy reaches nobody: each dangerous row is made harmless, and a look afterwards says so."""

from collections.abc import Generator
from contextlib import contextmanager

import pytest
from psycopg import Connection

from shared.backup_verification.neutralisation import (
    NeutralisationError,
    Neutralised,
    Proof,
    neutralise,
    neutralised_uuid,
    prove_neutralised,
)
from shared.platforms.sql import ReadOnlyDatabase
from tests.local.odoo.conftest import VARIANTS, GenerateDatabase, RealDatabase

# What bigger Odoos have beside the generated tables; every row is alive.
MORE_TABLES = """
    create table res_users_apikeys (id serial, name varchar not null, key varchar);
    insert into res_users_apikeys (name, key) values ('integration', 'pbkdf2');
    create table iap_account (id serial, service_name varchar, account_token varchar);
    insert into iap_account (account_token) values ('0f2a'), (null);
    create table account_online_link (id serial, client_id text, provider_data text, refresh_token text not null);
    insert into account_online_link (client_id, refresh_token) values ('c4711', 'r');
    create table online_bank_statement_provider (id serial, active boolean, service varchar, password varchar);
    insert into online_bank_statement_provider (active, password) values (true, 'secret');
    create table account_edi_proxy_client_user (id serial, active boolean, edi_mode varchar);
    insert into account_edi_proxy_client_user (active, edi_mode) values (true, 'prod');
    create table res_users_settings (id serial, user_id int, google_calendar_rtoken varchar,
                                     google_calendar_token varchar, microsoft_calendar_sync_token varchar);
    insert into res_users_settings (user_id, google_calendar_rtoken) values (2, 'r');
    create table base_automation (id serial, active boolean, trigger varchar);
    insert into base_automation (active, trigger) values (true, 'on_webhook'), (true, 'on_create');
    create table ir_act_server (id serial, state varchar, webhook_url varchar);
    insert into ir_act_server (state, webhook_url) values ('webhook', 'https://hooks.example.com/1'), ('code', null);
    create table payment_token (id serial, active boolean);
    insert into payment_token (active) values (true);
    create table sms_sms (id serial, state varchar);
    insert into sms_sms (state) values ('outgoing'), ('sent');
    create table fs_storage (id serial, code varchar, protocol varchar, options text, directory_path varchar);
    insert into fs_storage (protocol, options) values ('abfs', '{"account_key": "k"}');
    create table fs_file_gc (id serial, store_fname varchar);
    insert into fs_file_gc (store_fname) values ('azblob://document');
    alter table payment_provider add column stripe_secret_key varchar, add column is_published boolean;
    update payment_provider set stripe_secret_key = 'sk_live', is_published = true where code = 'stripe';
    alter table ir_mail_server add column smtp_user varchar, add column smtp_pass varchar;
    update ir_mail_server set smtp_pass = 'secret';
    update res_users set password = 'pbkdf2';
    insert into ir_config_parameter (key, value) values
        ('cloud_storage_azure_account_name', 'production'), ('google_calendar_client_secret', 's'),
        ('database.enterprise_code', 'M123'), ('mail.catchall.alias', 'catchall'), ('report.url', 'http://10.0.0.4');
    insert into ir_cron_trigger (cron_id, call_at) select min(id), now() from ir_cron;
"""


@contextmanager
def writing(connection: Connection) -> Generator[ReadOnlyDatabase]:
    """A transaction on a copy that comes to nothing."""
    with connection.transaction(force_rollback=True):
        yield ReadOnlyDatabase(connection)


def rows(proof: Proof) -> dict[tuple[str, str], int]:
    return {(alive.what, alive.table): alive.rows for alive in proof.remaining}


@pytest.mark.parametrize("version", [16, 17, 18, 19])
def test_nothing_remains(generated: GenerateDatabase, version: int) -> None:
    connection, _ = generated(**VARIANTS["tiny"], version=version)
    with writing(connection) as database:
        connection.execute(MORE_TABLES)
        before = prove_neutralised(database)
        changed = neutralise(database)
        after = prove_neutralised(database)
        again = neutralise(database)
    alive = rows(before)
    assert alive["scheduled actions", "ir_cron"] > 10
    assert alive["runnable queue jobs", "queue_job"] == 15
    assert alive["payment providers", "payment_provider"] == 2
    assert alive["credentials", "payment_provider"] == 1
    assert alive["credentials", "res_users_settings"] == 1
    assert alive["parameters that are credentials", "ir_config_parameter"] == 3
    assert not before.holds
    assert after.remaining == ()
    assert after.holds
    assert set(after.harmless) >= {f"{what} ({table})" for what, table in alive}
    assert {(act.what, act.table): act.rows for act in changed}.items() >= {
        key: count for key, count in alive.items() if not key[0].startswith("the mark")
    }.items()
    assert [act for act in again if act.rows] == []


def test_everything_dangerous_is_looked_at(generated: GenerateDatabase) -> None:
    """Each row of the larger Odoo is seen alive before, so that a look that finds nothing means something."""
    connection, _ = generated(**VARIANTS["tiny"])
    with writing(connection) as database:
        connection.execute(MORE_TABLES)
        tables = {alive.table for alive in prove_neutralised(database).remaining}
    created = {line.split()[2] for line in MORE_TABLES.splitlines() if line.strip().startswith("create table")}
    assert tables >= created


def test_people_and_history_stay(generated: GenerateDatabase) -> None:
    connection, _ = generated(**VARIANTS["tiny"])
    kept = (
        "select (select count(*) from res_users where active and password = 'pbkdf2'),"
        " (select count(*) from queue_job where state = 'done'), (select count(*) from account_move),"
        " (select count(*) from sms_sms where state = 'sent'), (select count(*) from base_automation where active),"
        " (select value from ir_config_parameter where key = 'mail.catchall.alias')"
    )
    with writing(connection) as database:
        connection.execute(MORE_TABLES)
        connection.execute("update base_automation set active = false where trigger = 'on_webhook'")
        before = connection.execute(kept).fetchall()
        neutralise(database)
        assert connection.execute(kept).fetchall() == before


def test_the_copy_gets_an_identity_of_its_own(generated: GenerateDatabase) -> None:
    connection, summary = generated(**VARIANTS["tiny"])
    with writing(connection) as database:
        for _ in range(2):
            neutralise(database)
            settings = dict(connection.execute("select key, value from ir_config_parameter").fetchall())
            assert settings["database.uuid"] == neutralised_uuid(summary.database_uuid) != summary.database_uuid
            assert settings["web.base.url"] == "https://neutralised.invalid"
            assert settings["database.is_neutralized"] == "True"


def test_mail_goes_nowhere_instead_of_to_the_server_of_a_configuration_file(generated: GenerateDatabase) -> None:
    connection, _ = generated(**VARIANTS["tiny"])
    with writing(connection) as database:
        neutralise(database)
        hosts = connection.execute("select smtp_host from ir_mail_server where active").fetchall()
    assert hosts == [("neutralised.invalid",)]


@pytest.mark.parametrize("version", [16, 17, 18])
def test_real_databases_can_be_neutralised(real: RealDatabase, version: int) -> None:
    connection = real(version)
    with writing(connection) as database:
        assert not prove_neutralised(database).holds
        changed = neutralise(database)
        assert prove_neutralised(database).holds
    assert Neutralised(what="runnable queue jobs", table="queue_job", rows=15) in changed


def test_one_row_that_came_alive_again_is_seen(generated: GenerateDatabase) -> None:
    connection, _ = generated(**VARIANTS["tiny"])
    with writing(connection) as database:
        neutralise(database)
        connection.execute("update ir_cron set active = true where cron_name like '%uto-vacuum%'")
        assert rows(prove_neutralised(database)) == {("scheduled actions", "ir_cron"): 1}


def test_a_database_that_was_never_neutralised_proves_nothing(generated: GenerateDatabase) -> None:
    connection, _ = generated(**VARIANTS["tiny"])
    with writing(connection) as database:
        neutralise(database)
        connection.execute("delete from ir_config_parameter where key = 'database.is_neutralized'")
        assert not prove_neutralised(database).holds
        connection.execute("drop schema public cascade; create schema public")
        assert not prove_neutralised(database).holds


def test_what_may_not_be_written_is_an_error(generated: GenerateDatabase) -> None:
    connection, _ = generated(**VARIANTS["tiny"])
    with writing(connection) as database:
        connection.execute("create role keeper; grant pg_read_all_data, pg_write_all_data to keeper")
        connection.execute("set local role keeper")
        neutralise(database)
    with writing(connection) as database:
        connection.execute("create role looker; grant pg_read_all_data to looker; set local role looker")
        with pytest.raises(NeutralisationError, match="permission denied for table ir_cron"):
            neutralise(database)
