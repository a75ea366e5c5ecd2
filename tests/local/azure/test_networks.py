"""Subnets, quota and the paired region, as a restore meets them; by the real clients."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.core.rest import HttpRequest

from local.azure.flexible_servers.model import Server
from local.azure.simulator import AzureSimulator
from tests.local.azure.clients import GROUP, SUBSCRIPTION, Clients, server_id, wait_until

NETWORK = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.Network"
SUBNET = f"{NETWORK}/virtualNetworks/vnet/subnets/drills"
PAIRED = f"{NETWORK}/virtualNetworks/vnet-north/subnets/drills"
ZONE = f"{NETWORK}/privateDnsZones/erp.postgres.database.azure.com"


@pytest.fixture
def private(azure: AzureSimulator) -> Iterator[Server]:
    """A source that has a subnet, with geo-redundant backup."""
    server = azure.add_flexible_server(
        server_id("private"), subnet=f"{NETWORK}/virtualNetworks/vnet/subnets/servers", geo_redundant_backup="Enabled"
    )
    azure.servers.subnets.add(SUBNET, "westeurope", 1)
    azure.servers.subnets.add(PAIRED, "northeurope")
    yield server
    for one in azure.servers.all():
        if one.name != "source":
            wait_until(lambda one=one: one.operation is None)
            azure.servers._drop(one)


def body(server: Server, *, subnet: str | None, mode: str = "PointInTimeRestore") -> dict[str, Any]:
    network = {"delegatedSubnetResourceId": subnet, "privateDnsZoneArmResourceId": ZONE} if subnet else {}
    return {
        "location": "northeurope" if mode == "GeoRestore" else "westeurope",
        "properties": {
            "createMode": mode,
            "sourceServerResourceId": server.id,
            "pointInTimeUTC": datetime.now(UTC).isoformat(),
            "network": network,
        },
    }


def usage(azure: AzureSimulator, clients: Clients) -> dict[str, Any]:
    url = f"{azure.resource_manager_url}{NETWORK}/virtualNetworks/vnet/usages?api-version=2024-05-01"
    answer = clients.postgresql.send_request(HttpRequest("GET", url))
    answer.raise_for_status()
    [one] = [one for one in answer.json()["value"] if one["id"] == SUBNET]
    return one


def refused(clients: Clients, name: str, wanted: dict[str, Any]) -> str:
    with pytest.raises(HttpResponseError) as caught:
        clients.postgresql.servers.begin_create_or_update(GROUP, name, wanted)
    return f"{caught.value.error.code}: {caught.value.message}"


def test_a_private_source_restores_into_a_subnet_until_its_addresses_are_gone(
    azure: AzureSimulator, clients: Clients, private: Server
) -> None:
    assert "parameter network." in refused(clients, "public", body(private, subnet=None))
    assert "delegatedSubnetResourceId" in refused(clients, "elsewhere", body(private, subnet=PAIRED))
    assert (usage(azure, clients)["currentValue"], usage(azure, clients)["limit"]) == (0, 1)
    restored = clients.postgresql.servers.begin_create_or_update(GROUP, "copy", body(private, subnet=SUBNET)).result()
    assert restored.properties.network.delegated_subnet_resource_id == SUBNET
    assert restored.properties.network.public_network_access == "Disabled"
    assert usage(azure, clients)["currentValue"] == 1
    assert "SubnetIsFull" in refused(clients, "second", body(private, subnet=SUBNET))


def test_the_quota_is_enforced(azure: AzureSimulator, clients: Clients, private: Server) -> None:
    azure.servers.behaviour.cores_quota = azure.servers.cores_in("westeurope") + 1
    assert "QuotaExceeded" in refused(clients, "copy", body(private, subnet=SUBNET))
    azure.servers.behaviour.cores_quota += 1
    clients.postgresql.servers.begin_create_or_update(GROUP, "copy", body(private, subnet=SUBNET)).result()


def test_a_geo_restore_has_what_the_paired_region_had(azure: AzureSimulator, clients: Clients, private: Server) -> None:
    azure.servers.behaviour.geo_backup_lag = timedelta(hours=1)
    wanted = body(private, subnet=PAIRED, mode="GeoRestore")
    assert "sourceServerResourceId" in refused(clients, "early", wanted), "no backup has come there yet"
    cluster = private.cluster
    assert cluster is not None
    cluster.run_sql("CREATE TABLE moves (at timestamptz)")
    cluster.run_sql("INSERT INTO moves VALUES (clock_timestamp())")
    [(then,)] = cluster.run_sql("SELECT clock_timestamp()")
    time.sleep(3)  # more than passes between measuring the lag and the request
    cluster.run_sql("INSERT INTO moves VALUES (clock_timestamp())")
    cluster.archive_now()
    azure.servers.behaviour.geo_backup_lag = datetime.now(UTC) - then
    clients.postgresql.servers.begin_create_or_update(GROUP, "copy", wanted).result()
    copy = azure.flexible_server(server_id("copy"))
    assert copy.location == "northeurope"
    assert copy.cluster is not None
    assert len(copy.cluster.run_sql("SELECT at FROM moves")) == 1


def test_the_lives_of_servers_are_told(azure: AzureSimulator, clients: Clients, private: Server) -> None:
    clients.postgresql.servers.begin_create_or_update(GROUP, "copy", body(private, subnet=SUBNET)).result()
    clients.postgresql.servers.begin_delete(GROUP, "copy").result()
    life = [life for life in azure.servers.lives if life.name == "copy"][-1]
    assert life.ended is not None
    assert life.began < life.ended
    assert next(life for life in azure.servers.lives if life.name == "source").ended is None
