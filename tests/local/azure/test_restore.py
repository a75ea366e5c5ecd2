"""A point-in-time restore by the real client, around real servers."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from local.azure import tokens
from local.azure.simulator import AzureSimulator
from tests.local.azure.clients import GROUP, Clients, server_id


def restore_body(target: datetime, **more: object) -> dict[str, object]:
    return {
        "location": "westeurope",
        "properties": {
            "createMode": "PointInTimeRestore",
            "sourceServerResourceId": server_id("source"),
            "pointInTimeUTC": target.isoformat(),
        },
        **more,
    }


def test_a_restored_server_is_the_source_as_it_was(azure: AzureSimulator, clients: Clients) -> None:
    servers = clients.postgresql.servers
    source = azure.flexible_server(server_id("source")).cluster
    assert source is not None
    source.run_sql("CREATE TABLE IF NOT EXISTS moves (id int)")
    source.run_sql("INSERT INTO moves VALUES (1)")
    [(target,)] = source.run_sql("SELECT clock_timestamp()")
    source.run_sql("INSERT INTO moves VALUES (2)")
    source.archive_now()
    [identity] = azure.tenant.identities
    azure.tenant.forget(identity)
    token = azure.tenant.token(identity, tokens.POSTGRESQL).value  # younger than what is restored

    poller = servers.begin_create_or_update(GROUP, "restored", restore_body(target, tags={"purpose": "drill"}))
    assert servers.get(GROUP, "restored").properties.state == "Provisioning"
    restored = poller.result()

    try:
        assert restored.properties.state == "Ready"
        assert restored.tags == {}
        assert restored.properties.source_server_resource_id is None
        assert restored.properties.minor_version == source.run_sql("SHOW server_version")[0][0].partition(".")[2]
        address = restored.properties.fully_qualified_domain_name
        with psycopg.connect(host=address, dbname="postgres", password=token) as connection:
            assert connection.execute("SELECT id FROM moves").fetchall() == [(1,)]
            assert connection.pgconn.ssl_in_use
    finally:
        servers.begin_delete(GROUP, "restored").result()
    with pytest.raises(ResourceNotFoundError) as gone:
        servers.get(GROUP, "restored")
    assert gone.value.error is not None
    assert gone.value.error.code == "ResourceNotFound"


@pytest.mark.parametrize("distance", [timedelta(minutes=5), timedelta(days=-8)])
def test_a_time_that_cannot_be_restored_is_refused(clients: Clients, distance: timedelta) -> None:
    with pytest.raises(HttpResponseError) as refused:
        clients.postgresql.servers.begin_create_or_update(GROUP, "restored", restore_body(datetime.now(UTC) + distance))
    assert refused.value.status_code == 400
    assert "pointInTimeUTC" in str(refused.value)
