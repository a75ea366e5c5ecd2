"""The life of a server, by the real client: states, conflicts and failures."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.core.polling import LROPoller

from local.azure import tokens
from local.azure.faults import Fault
from local.azure.flexible_servers.model import Server
from local.azure.simulator import AzureSimulator
from tests.local.azure.clients import GROUP, SUBSCRIPTION, Clients, request, server_id, unfinished_server, wait_until

NAME = "restored"


@pytest.fixture
def source(azure: AzureSimulator) -> Server:
    return azure.flexible_server(server_id("source"))


@pytest.fixture
def removed(azure: AzureSimulator, clients: Clients) -> Iterator[None]:
    """Remove what the test restored, whatever has become of it."""
    yield
    azure.faults.clear()
    azure.servers.behaviour.reset()
    azure.servers.behaviour.delete_interrupts = True
    clients.postgresql.servers.begin_delete(GROUP, NAME).result()


def restore_body(**more: Any) -> dict[str, Any]:
    return {
        "location": "westeurope",
        "properties": {
            "createMode": "PointInTimeRestore",
            "sourceServerResourceId": server_id("source"),
            "pointInTimeUTC": datetime.now(UTC).isoformat(),
            **more,
        },
    }


def restore(clients: Clients, **more: Any) -> LROPoller[Any]:
    return clients.postgresql.servers.begin_create_or_update(GROUP, NAME, restore_body(**more))


def state(clients: Clients, name: str = NAME) -> str:
    return clients.postgresql.servers.get(GROUP, name).properties.state


def folder(azure: AzureSimulator, name: str) -> Path:
    """Where a server's cluster is, or would be."""
    source = azure.flexible_server(server_id("source")).cluster
    assert source is not None
    return source.folder.parent / name


def refusal(error: pytest.ExceptionInfo[HttpResponseError]) -> str:
    assert error.value.error is not None
    return str(error.value.error.code)


@pytest.mark.usefixtures("removed")
def test_a_restored_server_inherits_what_azure_hands_on_and_nothing_else(clients: Clients, source: Server) -> None:
    servers, rules = clients.postgresql.servers, clients.postgresql.firewall_rules
    rules.begin_create_or_update(
        GROUP, "source", "office", {"properties": {"startIpAddress": "10.0.0.1", "endIpAddress": "10.0.0.9"}}
    ).result()
    clients.postgresql.configurations.begin_update(
        GROUP, "source", "work_mem", {"properties": {"value": "8192", "source": "user-override"}}
    ).result()
    restored = restore(clients).result()

    assert (restored.sku.name, restored.properties.version) == (source.sku.name, source.version)
    assert restored.properties.storage.storage_size_gb == source.storage["storageSizeGB"]
    assert restored.properties.storage.type == ""
    assert restored.properties.backup.backup_retention_days == source.backup["backupRetentionDays"]
    assert restored.properties.point_in_time_utc is None
    assert restored.properties.create_mode is None
    assert list(rules.list_by_server(GROUP, NAME)) == []
    work_mem = clients.postgresql.configurations.get(GROUP, NAME, "work_mem").properties
    assert (work_mem.value, work_mem.source) == ("4096", "system-default")
    tagged = servers.begin_update(GROUP, NAME, {"tags": {"purpose": "drill"}}).result()
    assert tagged.tags == {"purpose": "drill"}


def test_operations_take_the_extra_time_that_is_set(azure: AzureSimulator, clients: Clients) -> None:
    azure.servers.behaviour.seconds["update"] = 0.5
    begun = time.monotonic()
    clients.postgresql.servers.begin_update(GROUP, "source", {"tags": {"environment": "production"}}).result()
    assert time.monotonic() - begun > 0.5


@pytest.mark.usefixtures("removed")
def test_tags_of_a_restore_are_applied_when_so_switched(azure: AzureSimulator, clients: Clients) -> None:
    azure.servers.behaviour.restore_applies_tags = True
    body = restore_body() | {"tags": {"purpose": "drill"}}
    assert clients.postgresql.servers.begin_create_or_update(GROUP, NAME, body).result().tags == {"purpose": "drill"}


def test_requests_while_a_server_is_made_conflict(azure: AzureSimulator, clients: Clients) -> None:
    servers = clients.postgresql.servers
    with unfinished_server(azure, NAME):
        assert state(clients) == "Provisioning"
        for begin, expected in (
            (lambda: restore(clients), "ServerIsBusy"),
            (lambda: servers.begin_update(GROUP, NAME, {"tags": {}}), "ServerIsBusy"),
            (lambda: servers.begin_delete(GROUP, NAME), "ServerIsBusy"),
            (lambda: servers.begin_stop(GROUP, NAME), "SeverBusyWithOtherOperation"),
        ):
            with pytest.raises(ResourceExistsError) as refused:
                begin()
            assert refusal(refused) == expected


@pytest.mark.usefixtures("removed")
def test_the_same_restore_again_finds_the_name_taken(clients: Clients) -> None:
    restore(clients).result()
    with pytest.raises(ResourceExistsError) as refused:
        restore(clients)
    assert refusal(refused) == "ServerNameAlreadyExists"


def test_deleting_what_is_not_there_is_done_at_once(clients: Clients) -> None:
    poller = clients.postgresql.servers.begin_delete(GROUP, "never-was")
    assert poller.done()


def test_a_name_stays_taken_after_a_deletion_when_so_switched(azure: AzureSimulator, clients: Clients) -> None:
    azure.servers.behaviour.names_stay_taken_seconds = 3600
    restore(clients).result()
    with azure.flexible_server(server_id(NAME)).working:
        deletion = clients.postgresql.servers.begin_delete(GROUP, NAME)
        assert state(clients) == "Dropping"
        for begin in (lambda: restore(clients), lambda: clients.postgresql.servers.begin_delete(GROUP, NAME)):
            with pytest.raises(ResourceExistsError, match="ServerGroupDropping"):
                begin()
    deletion.result()
    try:
        with pytest.raises(ResourceExistsError, match="ServerNameAlreadyExists"):
            restore(clients)
        answer = clients.postgresql.name_availability.check_globally({"name": NAME})
        assert (answer.name_available, answer.reason) == (False, "AlreadyExists")
    finally:
        azure.servers.forget_names()


@pytest.mark.parametrize(
    ("name", "change", "parameter"),
    [
        ("Not-lower", {}, "serverName"),
        ("ab", {}, "serverName"),
        ("-ab", {}, "serverName"),
        (NAME, {"sourceServerResourceId": "source"}, "sourceServerResourceId"),
        (NAME, {"pointInTimeUTC": None}, "pointInTimeUTC"),
        (NAME, {"version": "12"}, "version"),
    ],
)
def test_wrong_parameters_are_named(clients: Clients, name: str, change: dict[str, Any], parameter: str) -> None:
    with pytest.raises(HttpResponseError, match=f"parameter {parameter}[.]") as refused:
        clients.postgresql.servers.begin_create_or_update(GROUP, name, restore_body(**change))
    assert refusal(refused) == "InvalidParameterValue"


def test_region_source_and_form_of_the_time_are_checked(clients: Clients) -> None:
    servers = clients.postgresql_with(retry_total=0).servers
    body = restore_body() | {"location": "northeurope"}
    with pytest.raises(HttpResponseError, match="parameter location"):
        servers.begin_create_or_update(GROUP, NAME, body)
    with pytest.raises(ResourceNotFoundError, match="flexibleServers/missing"):
        servers.begin_create_or_update(GROUP, NAME, restore_body(sourceServerResourceId=server_id("missing")))
    with pytest.raises(HttpResponseError) as refused:
        servers.begin_create_or_update(GROUP, NAME, restore_body(pointInTimeUTC="22 November, at eight"))
    assert refusal(refused) == "InternalServerError"


def test_stop_and_start_act_on_the_real_server(azure: AzureSimulator, clients: Clients, source: Server) -> None:
    servers = clients.postgresql.servers
    with pytest.raises(ResourceExistsError) as refused:
        servers.begin_start(GROUP, "source")
    assert refusal(refused) == "ServerIsNotStopped"
    assert "Seever Name = source, Current Server State = Ready" in str(refused.value)

    with source.working:
        stopping = servers.begin_stop(GROUP, "source")
        assert state(clients, "source") == "Stopping"
    stopping.result()
    assert state(clients, "source") == "Stopped"
    assert not source.running
    for begin in (servers.begin_stop, servers.begin_restart):
        with pytest.raises(ResourceExistsError) as refused:
            begin(GROUP, "source")
        assert refusal(refused) == "ServerIsNotReady"

    [identity] = azure.tenant.identities
    azure.tenant.forget(identity)
    token = azure.tenant.token(identity, tokens.POSTGRESQL)
    servers.begin_start(GROUP, "source").result()
    assert state(clients, "source") == "Ready"
    psycopg.connect(host=source.address, dbname="postgres", password=token.value).close()


def test_a_restart_and_a_new_size_restart_the_real_server(clients: Clients, source: Server) -> None:
    assert source.cluster is not None
    servers = clients.postgresql.servers
    started = source.cluster.run_sql("SELECT pg_postmaster_start_time()")
    servers.begin_restart(GROUP, "source").result()
    restarted = source.cluster.run_sql("SELECT pg_postmaster_start_time()")
    assert restarted > started

    servers.begin_update(GROUP, "source", {"properties": {"backup": {"backupRetentionDays": 14}}}).result()
    assert source.cluster.run_sql("SELECT pg_postmaster_start_time()") == restarted
    bigger = servers.begin_update(
        GROUP, "source", {"sku": {"name": "Standard_D4ds_v5", "tier": "GeneralPurpose"}}
    ).result()
    assert bigger.sku.name == "Standard_D4ds_v5"
    assert bigger.properties.backup.backup_retention_days == 14
    assert source.cluster.run_sql("SELECT pg_postmaster_start_time()") > restarted


@pytest.mark.parametrize(
    ("change", "parameter"),
    [
        ({"sku": {"name": "Standard_D4ds_v5", "tier": "Burstable"}}, "sku.tier"),
        ({"sku": {"name": "Huge", "tier": "Burstable"}}, "sku.name"),
        ({"properties": {"storage": {"storageSizeGB": 64}}}, "storage.storageSizeGB"),
        ({"properties": {"backup": {"backupRetentionDays": 36}}}, "backup.backupRetentionDays"),
    ],
)
def test_impossible_changes_are_refused(clients: Clients, change: dict[str, Any], parameter: str) -> None:
    with pytest.raises(HttpResponseError, match=f"parameter {parameter}[.]"):
        clients.postgresql.servers.begin_update(GROUP, "source", change)
    assert state(clients, "source") == "Ready"


def test_a_restore_over_a_missing_log_segment_fails(azure: AzureSimulator, clients: Clients) -> None:
    broken = azure.add_flexible_server(server_id("broken"))
    try:
        assert broken.cluster is not None
        archive = broken.cluster.archive
        for number in range(4):
            broken.cluster.run_sql(f"CREATE TABLE gap{number} (id int)")
            broken.cluster.archive_now()
        (archive.folder / archive.segments()[-2]).unlink()

        for leaves in ("nothing", "server"):
            azure.servers.behaviour.failed_restore_leaves = leaves
            with pytest.raises(HttpResponseError) as failed:
                restore(clients, sourceServerResourceId=server_id("broken")).result()
            assert refusal(failed) == "RestoreFailed"
            if leaves == "nothing":
                with pytest.raises(ResourceNotFoundError):
                    state(clients)
        assert state(clients) == "Inaccessible"
        clients.postgresql.servers.begin_delete(GROUP, NAME).result()
        with pytest.raises(ResourceNotFoundError):
            state(clients)
    finally:
        clients.postgresql.servers.begin_delete(GROUP, "broken").result()


@pytest.mark.usefixtures("removed")
def test_the_plan_fails_an_operation(azure: AzureSimulator, clients: Clients) -> None:
    azure.faults.add(
        Fault.model_validate({"method": "PUT", "operation": {"code": "ServerCapacity", "message": "none"}})
    )
    with pytest.raises(HttpResponseError, match="none") as failed:
        restore(clients).result()
    assert refusal(failed) == "ServerCapacity"
    assert state(clients) == "Inaccessible"


@pytest.mark.usefixtures("removed")
def test_the_plan_lets_an_operation_never_end(azure: AzureSimulator, clients: Clients) -> None:
    azure.faults.add(Fault.model_validate({"method": "PUT", "operation": {"never_ends": True}}))
    answer = request(azure, "PUT", server_id(NAME) + "?api-version=2026-10-01", body=restore_body())
    assert answer.status_code == 202
    operation = answer.headers["azure-asyncoperation"].removeprefix(azure.resource_manager_url)
    clients.postgresql.servers.begin_restart(GROUP, "source").result()
    assert not folder(azure, NAME).exists()
    assert request(azure, "GET", operation).json()["status"] == "InProgress"
    assert request(azure, "GET", answer.headers["location"].removeprefix(azure.resource_manager_url)).status_code == 202
    assert state(clients) == "Provisioning"
    with pytest.raises(ResourceExistsError, match="ServerIsBusy"):
        clients.postgresql.servers.begin_delete(GROUP, NAME)
    azure.servers.behaviour.delete_interrupts = True
    clients.postgresql.servers.begin_delete(GROUP, NAME).result()
    with pytest.raises(ResourceNotFoundError):
        state(clients)


def test_a_deletion_that_interrupts_a_restore_leaves_nothing(azure: AzureSimulator, clients: Clients) -> None:
    azure.servers.behaviour.delete_interrupts = True
    restoring = restore(clients)
    place = folder(azure, NAME)
    wait_until(lambda: place.exists())
    clients.postgresql.servers.begin_delete(GROUP, NAME).result()
    with pytest.raises(HttpResponseError, match="ServerGroupDropping"):
        restoring.result()
    with pytest.raises(ResourceNotFoundError):
        state(clients)
    assert not place.exists()


def test_polls_are_told_how_long_to_wait(azure: AzureSimulator, clients: Clients) -> None:
    azure.servers.retry_after = 7
    try:
        with azure.flexible_server(server_id("source")).working:
            answer = request(azure, "POST", server_id("source") + "/restart?api-version=2026-10-01")
            operation = answer.headers["azure-asyncoperation"].removeprefix(azure.resource_manager_url)
            poll = request(azure, "GET", operation)
        assert poll.json()["status"] == "InProgress"
        assert answer.headers["retry-after"] == poll.headers["retry-after"] == "7"
        wait_until(lambda: request(azure, "GET", operation).json()["status"] == "Succeeded")
        assert "retry-after" not in request(azure, "GET", operation).headers
    finally:
        azure.servers.retry_after = None
    assert state(clients, "source") == "Ready"


@pytest.mark.usefixtures("removed")
def test_a_server_can_be_made_from_nothing(azure: AzureSimulator, clients: Clients) -> None:
    body = {
        "location": "West Europe",
        "sku": {"name": "Standard_B1ms", "tier": "Burstable"},
        "tags": {"environment": "test"},
        "properties": {"administratorLogin": "boss", "administratorLoginPassword": "A-password-1"},
    }
    made = clients.postgresql.servers.begin_create_or_update(GROUP, NAME, body).result()
    assert (made.location, made.tags, made.properties.state) == ("westeurope", {"environment": "test"}, "Ready")
    with psycopg.connect(
        host=made.properties.fully_qualified_domain_name, user="boss", dbname="postgres", password="A-password-1"
    ) as connection:
        assert connection.execute("SHOW max_connections").fetchall() == [("50",)]
    [identity] = azure.tenant.identities
    token = azure.tenant.token(identity, tokens.POSTGRESQL).value
    address = made.properties.fully_qualified_domain_name
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(host=address, dbname="postgres", password=token)
    clients.postgresql.administrators_microsoft_entra.begin_create_or_update(
        GROUP,
        NAME,
        identity.object_id,
        {"properties": {"principalName": identity.name, "principalType": "ServicePrincipal"}},
    ).result()
    psycopg.connect(host=address, dbname="postgres", password=token).close()


@pytest.mark.usefixtures("removed")
def test_a_replica_follows_and_can_be_promoted(clients: Clients, source: Server) -> None:
    servers = clients.postgresql.servers
    body = restore_body(createMode="Replica", pointInTimeUTC=None)
    replica = servers.begin_create_or_update(GROUP, NAME, body).result()
    assert replica.properties.replication_role == "AsyncReplica"
    assert replica.properties.source_server_resource_id == source.id
    assert [found.name for found in clients.postgresql.replicas.list_by_server(GROUP, "source")] == [NAME]
    promoted = servers.begin_update(
        GROUP, NAME, {"properties": {"replica": {"role": "None", "promoteMode": "Standalone"}}}
    ).result()
    assert promoted.properties.replication_role == "Primary"


def test_servers_are_listed_by_group_and_subscription_page_by_page(azure: AzureSimulator, clients: Clients) -> None:
    with unfinished_server(azure, "elsewhere", "rg-other"):
        azure.servers.behaviour.page_size = 1
        azure.arm.calls.clear()
        servers = clients.postgresql.servers
        assert {server.name for server in servers.list_by_subscription()} == {"source", "elsewhere"}
        assert len(azure.arm.calls) == 2
        assert [server.name for server in servers.list_by_resource_group("RG-Other")] == ["elsewhere"]
        other = f"/subscriptions/{SUBSCRIPTION[:-1]}2/providers/Microsoft.DBforPostgreSQL/flexibleServers"
        assert request(azure, "GET", f"{other}?api-version=2026-10-01").json()["value"] == []
