"""Blocking sessions and exhausted connections: real locks on a real server, ended by a guarded statement."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psycopg
import pytest

from local.embedded_estate import EmbeddedEstate
from tests.remediation.running import Team


def server_of(estate: EmbeddedEstate) -> tuple[str, str]:
    """The first server's resource id, and how Odoo's own role gets into its first database."""
    name, declared = next(iter(estate.environments["production"].postgres.items()))
    cluster = estate.server("production", name).cluster
    assert cluster is not None
    if not cluster.run_sql("select 1 from pg_roles where rolname = 'odoo'"):
        cluster.run_sql("create role odoo login password 'odoo'")
        cluster.run_sql("grant pg_write_all_data, pg_read_all_data, pg_monitor to odoo")
    port = estate.azure.postgresql_port
    where = f"host={cluster.address} port={port} dbname={declared.databases[0]}"
    return str(declared.id), f"{where} user=odoo password=odoo sslmode=require"


@contextmanager
def a_lock(
    dsn: str, *, waiting: int, application: str = "odoo", user: str | None = None
) -> Iterator[psycopg.Connection]:
    """A session idle in a transaction that holds a row which others wait for."""
    name = f"{dsn} application_name={application}"
    with ExitStack() as stack:
        holder = psycopg.connect(name)
        stack.callback(_close, holder)
        holder.execute("select * from res_company where id = (select min(id) from res_company) for update")
        threads = [threading.Thread(target=_wait_for_it, args=(dsn,)) for _ in range(waiting)]
        for thread in threads:
            thread.start()
        _await_waiting(dsn, waiting)
        yield holder
        _close(holder)
        for thread in threads:
            thread.join()


def _wait_for_it(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("select * from res_company where id = (select min(id) from res_company) for update")


def _close(connection: psycopg.Connection) -> None:
    connection.close()


def _await_waiting(dsn: str, count: int) -> None:
    deadline = time.monotonic() + 20
    while waiters(dsn) < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(1.5)  # what the thresholds of the test's estate ask for


def waiters(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        row = connection.execute("select count(*) from pg_stat_activity where wait_event_type = 'Lock'").fetchone()
    assert row
    return row[0]


def test_a_session_idle_in_a_transaction_is_ended_and_the_others_go_on(team: Team) -> None:
    server, dsn = server_of(team.estate)
    with a_lock(dsn, waiting=2) as holder:
        (told,) = team.tell(team.fires("sessions-blocked", "idle", resource=server))["signals"]
        result = team.outcome(told["remediation"])
        assert (result["outcome"], result["case"]) == ("fixed", "idle-in-transaction"), result
        assert waiters(dsn) == 0
        with pytest.raises(psycopg.errors.AdminShutdown):
            holder.execute("select 1")
    (record,) = team.app.records(told["remediation"])
    assert record["body"]["outcome"] == "fixed"
    (event,) = team.app.events(f"{told['remediation']}:fixed")
    assert event["type"] == "Closekeeper.JobRemediation.Fixed"
    assert event["subject"].startswith("environments/production/")


def test_a_session_that_works_is_left_to_a_human(team: Team) -> None:
    server, dsn = server_of(team.estate)
    with a_lock(dsn, waiting=1) as holder:
        busy = threading.Thread(target=holder.execute, args=("select pg_sleep(6)",))
        busy.start()
        (told,) = team.tell(team.fires("sessions-blocked", "busy", resource=server))["signals"]
        result = team.outcome(told["remediation"])
        assert (result["outcome"], result["case"]) == ("escalated", "at-work")
        assert result["ask"]
        page = team.api.get("/api/status").text
        assert "a human has it" in page
        assert result["says"].partition(".")[0] in page
        busy.join()
        assert holder.execute("select 1").fetchone() == (1,), "the session is still there"


def test_a_backups_session_is_protected(team: Team) -> None:
    server, dsn = server_of(team.estate)
    with a_lock(dsn, waiting=1, application="pg_dump") as holder:
        (told,) = team.tell(team.fires("sessions-blocked", "dump", resource=server))["signals"]
        result = team.outcome(told["remediation"])
        assert (result["outcome"], result["case"]) == ("escalated", "protected")
        assert holder.execute("select 1").fetchone() == (1,)


def test_what_is_over_by_itself_is_left_alone(team: Team) -> None:
    server, _ = server_of(team.estate)
    (told,) = team.tell(team.fires("sessions-blocked", "nothing", resource=server))["signals"]
    assert team.outcome(told["remediation"])["outcome"] == "nothing-wrong"


def test_a_copy_of_the_alert_starts_nothing_and_a_later_one_begins_anew(team: Team) -> None:
    server, _ = server_of(team.estate)
    alert = team.fires("sessions-blocked", "again", resource=server)
    (first,) = team.tell(alert)["signals"]
    (copy,) = team.tell(alert)["signals"]
    assert (first["verdict"], copy["verdict"]) == ("begins", "continues")
    assert first["remediation"] == copy["remediation"]
    assert team.outcome(first["remediation"])["outcome"] == "nothing-wrong"
    assert team.tell(alert)["signals"][0]["verdict"] == "outdated"
    (later,) = team.tell(team.fires("sessions-blocked", "again", resource=server))["signals"]
    assert later["remediation"] != first["remediation"]
    assert team.outcome(later["remediation"])["outcome"] == "nothing-wrong"
    assert len(team.app.records(first["remediation"])) == 1


def test_a_session_that_leaks_its_transaction_is_ended_when_connections_run_out(team: Team) -> None:
    server, dsn = server_of(team.estate)
    with psycopg.connect(dsn) as connection:
        (row,) = connection.execute(
            "select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"
            " - current_setting('reserved_connections')::int, count(*) from pg_stat_activity"
            " where backend_type = 'client backend'"
        ).fetchall()
    most, used = row
    with ExitStack() as stack:
        crowd = [
            stack.enter_context(psycopg.connect(f"{dsn} application_name=web", autocommit=True))
            for _ in range(int(most * 0.78) - used)  # less than a quarter is free
        ]
        crowd[0].execute("begin")  # and never ends it
        time.sleep(1.5)  # what the thresholds of the test's estate ask for
        (told,) = team.tell(team.fires("connections-high", "connections", resource=server))["signals"]
        result = team.outcome(told["remediation"])
        assert (result["outcome"], result["playbook"], result["case"]) == ("fixed", "connection-exhaustion", "leak")
        assert [_is_ended(one) for one in crowd] == [True] + [False] * (len(crowd) - 1), "who only waits stays"


def _is_ended(connection: psycopg.Connection) -> bool:
    try:
        connection.execute("select 1")
    except psycopg.OperationalError:
        return True
    return False
