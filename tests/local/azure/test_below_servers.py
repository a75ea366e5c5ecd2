"""What hangs below a server, by the real client: backups, parameters, databases, people, rules, and the region."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from local.azure import tokens
from local.azure.flexible_servers.model import Server
from local.azure.flexible_servers.schedule import back_up_when_due
from local.azure.simulator import AzureSimulator
from tests.local.azure.clients import GROUP, Clients, server_id


@pytest.fixture
def source(azure: AzureSimulator) -> Server:
    return azure.flexible_server(server_id("source"))


def test_a_backup_on_demand_is_made_listed_and_deleted(clients: Clients) -> None:
    backups = clients.postgresql.backups_automatic_and_on_demand
    before = datetime.now(UTC)
    backups.begin_create(GROUP, "source", "before-close").result()
    made = backups.get(GROUP, "source", "before-close").properties
    assert (made.backup_type, made.source) == ("Customer On-Demand", "Customer Initiated")
    assert before < made.completed_time < datetime.now(UTC)
    automatic = [item for item in backups.list_by_server(GROUP, "source") if item.properties.source == "Automatic"]
    assert automatic

    impatient = clients.postgresql_with(retry_total=0).backups_automatic_and_on_demand
    with pytest.raises(HttpResponseError, match="InternalServerError"):
        impatient.begin_create(GROUP, "source", "before-close")
    with pytest.raises(HttpResponseError, match="backupName"):
        backups.begin_delete(GROUP, "source", automatic[0].name)
    backups.begin_delete(GROUP, "source", "before-close").result()
    with pytest.raises(ResourceNotFoundError):
        backups.get(GROUP, "source", "before-close")
    assert backups.begin_delete(GROUP, "source", "before-close").done()


def test_the_service_backs_up_daily_and_keeps_what_retention_says(azure: AzureSimulator, source: Server) -> None:
    assert source.cluster is not None
    first = source.cluster.backups
    behaviour = azure.servers.behaviour
    now = datetime.now(UTC)
    source.cluster.run_sql("CREATE TABLE IF NOT EXISTS written (id int)")
    source.cluster.run_sql("INSERT INTO written VALUES (1)")
    back_up_when_due(source, behaviour, now)
    assert source.cluster.backups == first, "not yet due"
    back_up_when_due(source, behaviour, now + timedelta(days=1, minutes=1))
    assert len(source.cluster.backups) == len(first) + 1
    with source.working:
        back_up_when_due(source, behaviour, now + timedelta(days=9))
    assert len(source.cluster.backups) == len(first) + 1, "a server that is being worked on waits"


def test_parameters_are_postgresqls_settings(clients: Clients, source: Server) -> None:
    assert source.cluster is not None
    parameters = clients.postgresql.configurations
    shown = parameters.get(GROUP, "source", "statement_timeout").properties
    assert (shown.data_type, shown.is_dynamic_config, shown.is_read_only, shown.source) == (
        "Integer",
        True,
        False,
        "system-default",
    )
    changed = parameters.begin_update(
        GROUP, "source", "statement_timeout", {"properties": {"value": "61000", "source": "user-override"}}
    ).result()
    assert (changed.properties.value, changed.properties.source) == ("61000", "user-override")
    assert source.cluster.run_sql("SHOW statement_timeout") == [("61s",)]
    names = {item.name for item in parameters.list_by_server(GROUP, "source")}
    assert {"work_mem", "azure.extensions"} <= names


def test_a_static_parameter_waits_for_a_restart(clients: Clients, source: Server) -> None:
    assert source.cluster is not None
    parameters = clients.postgresql.configurations
    before = source.cluster.run_sql("SHOW wal_buffers")
    changed = parameters.begin_update(
        GROUP, "source", "wal_buffers", {"properties": {"value": "32", "source": "user-override"}}
    ).result()
    assert changed.properties.is_config_pending_restart
    assert source.cluster.run_sql("SHOW wal_buffers") == before
    clients.postgresql.servers.begin_restart(GROUP, "source").result()
    assert source.cluster.run_sql("SHOW wal_buffers") == [("256kB",)]
    assert not parameters.get(GROUP, "source", "wal_buffers").properties.is_config_pending_restart


@pytest.mark.parametrize(("name", "value"), [("port", "5433"), ("server_version", "9"), ("work_mem", "a lot")])
def test_impossible_parameters_are_refused(clients: Clients, name: str, value: str) -> None:
    with pytest.raises(HttpResponseError, match=f"parameter {name}[.]"):
        clients.postgresql.configurations.begin_update(
            GROUP, "source", name, {"properties": {"value": value, "source": "user-override"}}
        ).result()
    assert clients.postgresql.servers.get(GROUP, "source").properties.state == "Ready"


def test_databases_are_those_of_the_real_server(clients: Clients, source: Server) -> None:
    assert source.cluster is not None
    source.cluster.run_sql("CREATE DATABASE ledger")
    found = {item.name: item.properties for item in clients.postgresql.databases.list_by_server(GROUP, "source")}
    assert set(found) == {"postgres", "ledger"}
    assert found["ledger"].charset == "UTF8"
    with pytest.raises(ResourceNotFoundError):
        clients.postgresql.databases.get(GROUP, "source", "missing")
    source.cluster.run_sql("DROP DATABASE ledger")


def test_an_administrator_is_let_in_and_out(azure: AzureSimulator, clients: Clients, source: Server) -> None:
    [identity] = azure.tenant.identities
    administrators = clients.postgresql.administrators_microsoft_entra
    body = {"properties": {"principalName": identity.name, "principalType": "ServicePrincipal"}}
    administrators.begin_create_or_update(GROUP, "source", identity.object_id, body).result()
    token = azure.tenant.token(identity, tokens.POSTGRESQL).value
    with psycopg.connect(host=source.address, dbname="postgres", password=token) as connection:
        connection.execute("SET ROLE azure_pg_admin")
    administrators.begin_delete(GROUP, "source", identity.object_id).result()
    assert list(administrators.list_by_server(GROUP, "source")) == []
    with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
        psycopg.connect(host=source.address, dbname="postgres", password=token)
    assert source.cluster is not None
    source.cluster.run_sql(f"ALTER ROLE {identity.name} LOGIN")


def test_firewall_rules_are_kept(clients: Clients) -> None:
    rules = clients.postgresql.firewall_rules
    for start, parameter in (("10.0.0.300", "startIpAddress"),):
        with pytest.raises(HttpResponseError, match=parameter):
            rules.begin_create_or_update(
                GROUP, "source", "home", {"properties": {"startIpAddress": start, "endIpAddress": "10.0.0.1"}}
            )
    made = rules.begin_create_or_update(
        GROUP, "source", "home", {"properties": {"startIpAddress": "10.0.0.1", "endIpAddress": "10.0.0.2"}}
    ).result()
    assert made.properties.end_ip_address == "10.0.0.2"
    rules.begin_delete(GROUP, "source", "home").result()
    assert "home" not in [rule.name for rule in rules.list_by_server(GROUP, "source")]


def test_the_region_tells_quota_capabilities_and_names(clients: Clients) -> None:
    [usage] = clients.postgresql.quota_usages.list("westeurope")
    assert usage.name is not None
    assert usage.name.value == "cores"
    assert 0 < usage.current_value < usage.limit
    [capability] = clients.postgresql.capabilities_by_location.list("westeurope")
    assert "18" in [version.name for version in capability.supported_server_versions]
    names = clients.postgresql.name_availability
    assert names.check_globally({"name": "free-name"}).name_available
    assert names.check_with_location("westeurope", {"name": "source"}).reason == "AlreadyExists"
    assert names.check_globally({"name": "No"}).reason == "Invalid"


def test_maintenance_is_announced(clients: Clients, source: Server) -> None:
    start = datetime(2026, 11, 24, 1, tzinfo=UTC)
    source.maintenance.append(
        {
            "maintenanceEventId": "YL1T-HFG",
            "maintenanceType": "PlannedMaintenance",
            "status": "Planned",
            "startTime": start.isoformat(),
            "endTime": (start + timedelta(hours=1)).isoformat(),
            "originalStartTime": start.isoformat(),
            "deferrable": True,
        }
    )
    [event] = clients.postgresql.maintenance_events.list(GROUP, "source", maintenance_status="Upcoming")
    assert event.properties.start_time == start
    assert list(clients.postgresql.maintenance_events.list(GROUP, "source", maintenance_status="Past")) == []
    source.maintenance.clear()
