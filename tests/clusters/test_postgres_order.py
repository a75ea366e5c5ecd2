"""PostgreSQL with two replicas: who is stopped and started in which order, and the start that nobody asked for."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from functions.adapters.postgres_servers import PostgresServers
from local.azure.faults import Fault, OperationFault
from local.azure.simulator import AzureSimulator
from shared.changes.change import Change, Originals
from shared.changes.execution import Result
from shared.platforms import sql
from tests.changes.world import World
from tests.clusters.driver import Driver, Outcome
from tests.clusters.places import change, server_id
from tests.local.azure.clients import request, wait_until

NAMES = ("pg-staging", "pg-staging-r1", "pg-staging-r2")


@pytest.fixture(scope="module")
def servers(shared_azure: AzureSimulator) -> tuple[str, ...]:
    """A real primary with two real replicas."""
    primary, *replicas = map(server_id, NAMES)
    shared_azure.add_flexible_server(primary)
    os.environ |= {"PGPORT": str(shared_azure.postgresql_port)}
    for replica in replicas:
        body = {"location": "westeurope", "properties": {"createMode": "Replica", "sourceServerResourceId": primary}}
        answer = request(shared_azure, "PUT", f"{replica}?api-version=2026-10-01", body=body)
        assert answer.status_code == 202, answer.text
        operation = answer.headers["Azure-AsyncOperation"].removeprefix(shared_azure.resource_manager_url)
        wait_until(lambda path=operation: request(shared_azure, "GET", path).json()["status"] != "InProgress", 60)
        assert request(shared_azure, "GET", operation).json()["status"] == "Succeeded", request(
            shared_azure, "GET", operation
        ).text
    return primary, *replicas


def power(target: str, action: str, state: str, **more: Any) -> Change:
    return change("postgres-server", target, action, {"power": state}, **more)


def asked(azure: AzureSimulator, verb: str) -> list[str]:
    """The servers that were asked to, in the order of Azure's own acceptance."""
    return [
        call.path.split("/")[-2] for call in azure.arm.calls if call.path.endswith(f"/{verb}") and call.status == 202
    ]


def all_at_once(driver: Driver, changes: list[Change]) -> list[Outcome]:
    """Without any order between them, each on a clock of its own, as the parts of a plan are."""
    with ThreadPoolExecutor(len(changes)) as threads:
        drivers = [Driver(World(driver.world.folder), driver.services.adapters) for _ in changes]
        return list(threads.map(lambda one, each: one.run(each), drivers, changes))


def test_the_primary_is_stopped_first_and_started_last_whatever_the_order_of_asking(
    azure: AzureSimulator, servers: tuple[str, ...], driver: Driver
) -> None:
    """Acceptance probe 4. Peers: AWS instance scheduler, Start/Stop v2 have no gate; Cloud Custodian has no action."""
    azure.arm.calls.clear()
    azure.servers.behaviour.seconds |= {"stop": 0.2, "start": 0.2}
    slept = all_at_once(driver, [power(each, "sleep", "Stopped") for each in reversed(servers)])
    assert [one.result for one in slept] == [Result.SUCCEEDED] * 3, slept
    assert [azure.flexible_server(each).state for each in servers] == ["Stopped"] * 3
    assert asked(azure, "stop")[0] == NAMES[0]
    woken = all_at_once(
        driver,
        [power(each, "wake", "Ready", occasion="morning", originals=Originals.GIVE_BACK) for each in servers],
    )
    assert [one.result for one in woken] == [Result.SUCCEEDED] * 3, woken
    assert [one.detail for one in woken] == ["it answers SQL"] * 3
    assert asked(azure, "start")[-1] == NAMES[0]
    assert sorted(asked(azure, "start")) == sorted(NAMES)
    with sql.read_only(azure.flexible_server(servers[0]).address, "postgres", statement_timeout_seconds=5) as database:
        assert database.rows("SELECT 1") == [(1,)]


def test_a_server_that_azure_started_by_itself_is_seen_awake_and_put_back(
    azure: AzureSimulator, servers: tuple[str, ...], driver: Driver
) -> None:
    """Peers: no scheduler for Azure's PostgreSQL notices the start after seven days."""
    primary = servers[0]
    assert driver.run(power(primary, "sleep", "Stopped")).result is Result.SUCCEEDED
    azure.start_by_itself(primary)
    again = power(primary, "sleep", "Stopped", occasion="2026-11-27 after Azure's own start")
    assert driver.run(again).result is Result.SUCCEEDED
    assert azure.flexible_server(primary).state == "Stopped"
    assert driver.run(power(primary, "wake", "Ready", originals=Originals.GIVE_BACK)).result is Result.SUCCEEDED


def test_a_server_that_is_busy_is_waited_for(azure: AzureSimulator, servers: tuple[str, ...], driver: Driver) -> None:
    azure.faults.add(
        Fault(service="arm", method="POST", path=f"{NAMES[0]}/stop$", status=409, code="SeverBusyWithOtherOperation")
    )
    assert driver.run(power(servers[0], "sleep", "Stopped")).result is Result.SUCCEEDED
    azure.faults.add(
        Fault(service="arm", method="POST", path=f"{NAMES[0]}/start$", operation=OperationFault(code="ServerCapacity"))
    )
    failed = driver.run(power(servers[0], "wake", "Ready", occasion="morning"))
    assert failed.result is Result.FAILED
    assert "ServerCapacity" in failed.detail
    assert driver.run(power(servers[0], "wake", "Ready", occasion="later")).result is Result.SUCCEEDED


def test_a_dry_run_says_what_azure_will_do_in_a_week(servers: tuple[str, ...]) -> None:
    said = PostgresServers().predict(power(servers[0], "sleep", "Stopped"), {"power": "Ready"})
    assert said == "would stop the server pg-staging; Azure starts it by itself after seven days"
