"""PostgreSQL becomes larger and smaller as changes: by Azure's rules, with real servers that really restart."""

import os
import re
from datetime import timedelta
from typing import Any

import pytest

from functions.adapters.postgres_scaling import PostgresScaling
from local.azure.faults import Fault, OperationFault
from local.azure.simulator import AzureSimulator
from shared.changes.change import Change, Originals
from shared.changes.execution import Result
from shared.changes.ports import Act
from shared.platforms import postgres_scaling, sql
from tests.clusters.driver import Driver, Outcome
from tests.clusters.places import change, server_id
from tests.clusters.test_postgres_order import all_at_once
from tests.local.azure.clients import request, wait_until

PRIMARY, REPLICA, LONE = map(server_id, ("pg-peak", "pg-peak-r1", "pg-lone"))
SMALL, LARGE = "Standard_D2ds_v5", "Standard_D8ds_v5"


@pytest.fixture(scope="module", autouse=True)
def servers(shared_azure: AzureSimulator) -> None:
    """A real primary with a real replica, and one alone."""
    shared_azure.add_flexible_server(PRIMARY)
    shared_azure.add_flexible_server(LONE)
    os.environ |= {"PGPORT": str(shared_azure.postgresql_port)}
    body = {"location": "westeurope", "properties": {"createMode": "Replica", "sourceServerResourceId": PRIMARY}}
    answer = request(shared_azure, "PUT", f"{REPLICA}?api-version=2026-10-01", body=body)
    operation = answer.headers["Azure-AsyncOperation"].removeprefix(shared_azure.resource_manager_url)
    wait_until(lambda: request(shared_azure, "GET", operation).json()["status"] == "Succeeded", 120)


@pytest.fixture(autouse=True)
def as_made(azure: AzureSimulator) -> None:
    for server in map(azure.flexible_server, (PRIMARY, REPLICA, LONE)):
        wait_until(lambda server=server: server.operation is None, 60)
        server.sku = type(server.sku)(SMALL, "GeneralPurpose")
        server.maintenance.clear()


def scale(target: str, occasion: str = "month end", *, hours: float = 2, **after: Any) -> Change:
    return change(
        *("postgres-server", target, "scale", after),
        automation="peak_scaling",
        occasion=occasion,
        apply_within=timedelta(hours=hours),
    )


def give_back(target: str, **after: Any) -> Change:
    return change(
        *("postgres-server", target, "scale", after),
        automation="peak_scaling",
        occasion="month end is over",
        originals=Originals.GIVE_BACK,
    )


def grow(gigabytes: int) -> Change:
    return change(
        *("postgres-server", LONE, "grow", {"storage_gb": gigabytes}),
        automation="peak_scaling",
        originals=Originals.IGNORE,
    )


def sku(azure: AzureSimulator, target: str) -> str:
    return azure.flexible_server(target).sku.name


def patched(azure: AzureSimulator) -> list[str]:
    """The servers whose change Azure accepted, in this order."""
    return [call.path.rpartition("/")[2] for call in azure.arm.calls if call.method == "PATCH" and call.status == 202]


def ask(azure: AzureSimulator, target: str, query: Any) -> Any:
    with sql.read_only(azure.flexible_server(target).address, "postgres", statement_timeout_seconds=5) as database:
        return database.rows(query)[0][0]


def test_a_server_is_scaled_and_given_back_and_its_connections_do_not_follow(
    azure: AzureSimulator, driver: Driver
) -> None:
    """Peers: no scheduler scales PostgreSQL ahead of a peak; that max_connections stays is seldom known."""
    began, before = ask(azure, LONE, "SELECT pg_postmaster_start_time()"), ask(azure, LONE, "SHOW max_connections")
    larger = driver.run(scale(LONE, sku=LARGE))
    assert larger.result is Result.SUCCEEDED, larger
    assert f"it is {LARGE}" in larger.detail
    assert f"max_connections {before}" in larger.detail
    assert ask(azure, LONE, "SHOW max_connections") == before
    assert ask(azure, LONE, "SELECT pg_postmaster_start_time()") > began, "the real server restarted"
    assert driver.run(scale(LONE, "again", sku=LARGE)).result is Result.UNCHANGED
    assert driver.run(give_back(LONE, sku=SMALL)).result is Result.SUCCEEDED
    assert sku(azure, LONE) == SMALL


def test_replicas_go_first_on_the_way_up_and_last_on_the_way_down(azure: AzureSimulator, driver: Driver) -> None:
    azure.arm.calls.clear()
    up = all_at_once(driver, [scale(each, sku=LARGE) for each in (PRIMARY, REPLICA)])
    assert [one.result for one in up] == [Result.SUCCEEDED] * 2, up
    assert patched(azure) == ["pg-peak-r1", "pg-peak"]
    azure.arm.calls.clear()
    down = all_at_once(driver, [give_back(each, sku=SMALL) for each in (REPLICA, PRIMARY)])
    assert [one.result for one in down] == [Result.SUCCEEDED] * 2, down
    assert patched(azure) == ["pg-peak", "pg-peak-r1"]
    assert {sku(azure, each) for each in (PRIMARY, REPLICA)} == {SMALL}


def test_a_scaling_that_falls_back_is_told_by_how_long_the_server_was_away(
    azure: AzureSimulator, driver: Driver
) -> None:
    azure.servers.behaviour.scaling_falls_back = True
    azure.servers.behaviour.seconds["scale slowly"] = 3
    slow = driver.run(scale(LONE, "slow", sku=LARGE))
    assert slow.result is Result.SUCCEEDED, slow
    seen = re.search(r"it was seen not to answer for (\d+) s", slow.detail)
    assert seen
    assert int(seen[1]) >= 1, "not merely restarted"


def test_while_it_is_updating_nothing_is_saved_and_azure_shows_what_was(azure: AzureSimulator) -> None:
    azure.servers.behaviour.seconds["update"] = 2
    adapter, wanted = PostgresScaling(), scale(LONE, "in motion", sku=LARGE)
    assert adapter.apply(wanted, wanted.after, "1").act is Act.RUNNING
    seen = postgres_scaling.read(LONE)
    assert seen is not None
    assert (seen.state, seen.sku) == ("Updating", SMALL)
    assert adapter.read_state(wanted) == {}
    assert adapter.apply(wanted, wanted.after, "2").act is Act.BUSY
    wait_until(lambda: sku(azure, LONE) == LARGE, 60)


def test_maintenance_and_other_operations_are_waited_for(azure: AzureSimulator, driver: Driver) -> None:
    event = {"maintenanceEventId": "m-1", "status": "InProgress", "maintenanceType": "Routine"}
    azure.flexible_server(LONE).maintenance.append(event)
    waits = driver.run(scale(LONE, "during maintenance", hours=0.02, sku=LARGE))
    assert (waits.result, sku(azure, LONE)) == (Result.FAILED, SMALL)
    assert "out of time: Azure maintains the server" in waits.detail
    azure.flexible_server(LONE).maintenance.clear()
    azure.faults.add(Fault(service="arm", method="PATCH", path="pg-lone$", status=409, code="ServerIsBusy"))
    after = scale(LONE, "after it", sku=LARGE)
    assert driver.run(after).result is Result.SUCCEEDED
    (told,) = [r for r in driver.world.records() if r["body"].get("change_id") == after.id and r["kind"] == "verified"]
    assert "ServerIsBusy" in told["body"]["waited_for"]


def test_a_stopped_server_is_not_scaled(azure: AzureSimulator) -> None:
    server = azure.flexible_server(LONE)
    server.state = "Stopped"
    try:
        wanted = scale(LONE, "asleep", sku=LARGE)
        refused = PostgresScaling().apply(wanted, wanted.after, "1")
        assert (refused.act, refused.detail) == (Act.BUSY, "the server is Stopped")
        answer = request(azure, "PATCH", f"{LONE}?api-version=2026-10-01", body=_body())
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "ServerIsNotReady")
    finally:
        server.state = "Ready"


def _body() -> dict[str, Any]:
    return {"sku": {"name": LARGE, "tier": "GeneralPurpose"}}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ({"cores_quota": 10}, "QuotaExceeded: The requested 6 vCores exceed the"),
        ({"unavailable_skus": {LARGE}}, "InvalidParameterValue: Invalid value given for parameter sku.name"),
    ],
)
def test_what_people_have_to_solve_is_not_tried_again(
    azure: AzureSimulator, driver: Driver, spoil: dict[str, Any], words: str
) -> None:
    for name, value in spoil.items():
        setattr(azure.servers.behaviour, name, value)
    azure.arm.calls.clear()
    refused = driver.run(scale(LONE, words, sku=LARGE))
    assert refused.result is Result.FAILED
    assert words in refused.detail
    assert len([call for call in azure.arm.calls if call.method == "PATCH"]) == 1


def test_an_operation_that_fails_leaves_the_size_and_says_why(azure: AzureSimulator, driver: Driver) -> None:
    failure = OperationFault(code="InternalServerError", message="the machine did not come")
    azure.faults.add(Fault(service="arm", method="PATCH", path="pg-lone$", operation=failure))
    ended = driver.run(scale(LONE, "unlucky", sku=LARGE))
    assert (ended.result, sku(azure, LONE)) == (Result.FAILED, SMALL)
    assert "the machine did not come" in ended.detail


def test_storage_grows_and_never_shrinks(azure: AzureSimulator, driver: Driver) -> None:
    assert driver.run(grow(256)).result is Result.SUCCEEDED
    assert azure.flexible_server(LONE).storage["storageSizeGB"] == 256
    assert driver.run(grow(128)).result is Result.SUCCEEDED, "more than that is there already"
    assert azure.flexible_server(LONE).storage["storageSizeGB"] == 256
    assert "the storage never shrinks again" in PostgresScaling().predict(grow(512), {"storage_gb": 256})
    shrink = {"properties": {"storage": {"storageSizeGB": 64}}}
    answer = request(azure, "PATCH", f"{LONE}?api-version=2026-10-01", body=shrink)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "InvalidParameterValue")


def test_speed_is_set_by_what_the_storage_has(azure: AzureSimulator, driver: Driver) -> None:
    wrong = driver.run(scale(LONE, "iops", iops=5000))
    assert (wrong.result, wrong.detail) == (
        Result.FAILED,
        "iops cannot be set, its storage is Premium SSD: give a performance_tier instead",
    )
    faster = driver.run(scale(LONE, "faster", performance_tier="P40"))
    assert faster.result is Result.SUCCEEDED, faster
    assert azure.flexible_server(LONE).storage["iops"] == 7500
    server = azure.flexible_server(LONE)
    before = server.storage
    server.storage = {"type": "PremiumV2_LRS", "autoGrow": "Disabled", "storageSizeGB": 500, "iops": 12000}
    server.storage["throughput"] = 500
    try:
        ssd2: Outcome = driver.run(scale(LONE, "v2", iops=20000))
        assert ssd2.result is Result.SUCCEEDED, ssd2
        assert (server.storage["iops"], server.storage["throughput"]) == (20000, 500)
        assert driver.run(scale(LONE, "too much", throughput=5000)).result is Result.FAILED
    finally:
        server.storage = before


def test_what_it_costs_is_said_before(azure: AzureSimulator) -> None:
    adapter = PostgresScaling()
    quick = adapter.predict(scale(LONE, sku=LARGE), {"sku": SMALL})
    assert "applications lose it for 40 s to 60 s (near-zero-downtime scaling)" in quick
    slow = adapter.predict(scale(PRIMARY, sku=LARGE), {"sku": SMALL})
    assert "applications lose it for 120 s to 600 s (the slow path: 1 read replicas)" in slow
    assert sorted(postgres_scaling.offered(LONE).items())[0] == ("Standard_B1ms", 1)
    azure.servers.behaviour.unavailable_skus.add(LARGE)
    assert LARGE not in postgres_scaling.offered(LONE)
