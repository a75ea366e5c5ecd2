"""Stopping and starting flexible servers through azure-mgmt-postgresqlflexibleservers (API 2026-10-01).

Sources: "Stop compute of a server", "Start compute of a server", "Read replicas", "Limits". Nothing here waits; see
`arm_operations` for the errors that the asking functions raise.
"""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from shared.platforms import arm_operations
from shared.platforms.arm_operations import Operation, submit, text
from shared.platforms.credentials import credential
from shared.platforms.postgres_servers import ServerId

if TYPE_CHECKING:
    from azure.mgmt.postgresqlflexibleservers import PostgreSQLManagementClient
    from azure.mgmt.postgresqlflexibleservers.models import Server


@dataclass(frozen=True, slots=True)
class PowerFacts:
    """What Azure says of a server's power. `source` is the primary's id of a replica, empty otherwise."""

    id: str
    state: str
    host: str
    source: str


def read(server_id: str) -> PowerFacts | None:
    """The server, None when there is none of that id."""
    from azure.core.exceptions import ResourceNotFoundError

    at = ServerId.parse(server_id)
    try:
        return _facts(_client(at.subscription).servers.get(at.resource_group, at.name), server_id)
    except ResourceNotFoundError:
        return None


def replicas(server_id: str) -> tuple[PowerFacts, ...]:
    """The read replicas of a server."""
    at = ServerId.parse(server_id)
    found = _client(at.subscription).replicas.list_by_server(at.resource_group, at.name)
    return tuple(_facts(server, server.id or "") for server in found)


def stop(server_id: str) -> str:
    """Ask the server to stop. Returns the operation's URL."""
    at = ServerId.parse(server_id)
    return submit(_client(at.subscription).servers.begin_stop, at.resource_group, at.name)


def start(server_id: str) -> str:
    """Ask the server to start. Returns the operation's URL."""
    at = ServerId.parse(server_id)
    return submit(_client(at.subscription).servers.begin_start, at.resource_group, at.name)


def operation(server_id: str, url: str) -> Operation:
    """How the long operation at that URL stands."""
    return arm_operations.look(_client(ServerId.parse(server_id).subscription), url)


@cache
def _client(subscription: str) -> "PostgreSQLManagementClient":
    from azure.mgmt.postgresqlflexibleservers import PostgreSQLManagementClient

    return PostgreSQLManagementClient(
        credential(), subscription, base_url=arm_operations.resource_manager(), retry_total=3, retry_backoff_max=4
    )


def _facts(server: "Server", server_id: str) -> PowerFacts:
    properties = server.properties
    return PowerFacts(
        id=server.id or server_id,
        state=text(properties.state) if properties else "",
        host=(properties.fully_qualified_domain_name or "") if properties else "",
        source=(properties.source_server_resource_id or "") if properties else "",
    )
