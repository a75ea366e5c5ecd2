"""Azure Database for PostgreSQL flexible servers through azure-mgmt-postgresqlflexibleservers (API 2026-10-01).

Long operations are only submitted here. Who waits asks again, by the server's name and by the operation's URL, so that
nothing is lost when the waiting process dies.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any

from shared.platforms import settings
from shared.platforms.credentials import credential

if TYPE_CHECKING:
    from azure.mgmt.postgresqlflexibleservers import PostgreSQLManagementClient

_PUBLIC_CLOUD = "https://management.azure.com"


class ServerRequestRefusedError(Exception):
    """Azure refused a request in a way that trying again will not change. `code` is Azure's own error code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class OperationState(StrEnum):
    """How a long operation stands; `unknown` when Azure no longer knows it."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Operation:
    """A long operation's state, with Azure's words when it failed."""

    state: OperationState
    error: str = ""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What Azure says of one server now. `host` is empty until the server has a name to connect to."""

    id: str
    location: str
    state: str
    host: str
    version: str
    sku: str
    storage_gb: int
    tags: dict[str, str]
    earliest_restore: datetime | None
    geo_redundant: bool = False
    subnet: str = ""
    """The id of the subnet it is in, empty when it has a public address."""
    administrator: str = ""
    """The login that it was created with."""

    @property
    def cores(self) -> int:
        """The vCores of its SKU, as the quota counts them; 0 for a name that does not say."""
        found = re.match(r"[A-Za-z]+_[A-Za-z]+(\d+)", self.sku)
        return int(found[1]) if found else 0


@dataclass(frozen=True, slots=True)
class ServerId:
    """The parts of a flexible server's resource id that the SDK asks for."""

    subscription: str
    resource_group: str
    name: str

    @classmethod
    def parse(cls, resource_id: str) -> "ServerId":
        """Raises ValueError when it is no flexible server's id. Azure compares ids without regard to case."""
        parts = resource_id.strip("/").split("/")
        kinds = [part.lower() for part in parts[0::2]]
        expected = ["subscriptions", "resourcegroups", "providers", "flexibleservers"]
        if kinds != expected or len(parts) != 8 or parts[5].lower() != "microsoft.dbforpostgresql":
            raise ValueError(f"not the resource id of a PostgreSQL flexible server: {resource_id}")
        return cls(parts[1], parts[3], parts[7])


@cache
def client(subscription: str) -> "PostgreSQLManagementClient":
    """The SDK's client for a subscription, as the app's own identity."""
    from azure.mgmt.postgresqlflexibleservers import PostgreSQLManagementClient

    return PostgreSQLManagementClient(
        credential(), subscription, base_url=settings.optional("AZURE_RESOURCE_MANAGER_URL", _PUBLIC_CLOUD)
    )


def get(server_id: str) -> ServerFacts | None:
    """The server, None when there is none of that id."""
    from azure.core.exceptions import ResourceNotFoundError

    at = ServerId.parse(server_id)
    try:
        server = client(at.subscription).servers.get(at.resource_group, at.name)
    except ResourceNotFoundError:
        return None
    properties = server.properties
    return ServerFacts(
        id=server.id or server_id,
        location=server.location,
        state=_text(properties.state) if properties else "",
        host=(properties.fully_qualified_domain_name or "") if properties else "",
        version=str(properties.version or "") if properties else "",
        sku=server.sku.name if server.sku else "",
        storage_gb=(properties.storage.storage_size_gb or 0) if properties and properties.storage else 0,
        tags=dict(server.tags or {}),
        earliest_restore=_aware(properties.backup.earliest_restore_date) if properties and properties.backup else None,
        geo_redundant=_text(properties.backup.geo_redundant_backup).lower() == "enabled"
        if properties and properties.backup
        else False,
        subnet=(properties.network.delegated_subnet_resource_id or "") if properties and properties.network else "",
        administrator=(properties.administrator_login or "") if properties else "",
    )


def ids_in(subscription: str, resource_group: str) -> list[str]:
    """The ids of all servers in a resource group."""
    return [server.id for server in client(subscription).servers.list_by_resource_group(resource_group) if server.id]


def restore(
    source_id: str,
    server_id: str,
    location: str,
    target: datetime,
    *,
    geo: bool = False,
    subnet: str = "",
    dns_zone: str = "",
) -> str:
    """Ask for a new server with the source's data as of `target` (aware). Returns the operation's URL.

    With `geo`, in another region than the source's and with the newest that is there; the API wants an instant all the
    same. Without a subnet the copy has a public address, and lets nobody in. Only the request is made: no tags, since
    Azure does not reliably apply them here (see `tag`). Raises ServerRequestRefusedError when Azure refuses for good.
    """
    if target.tzinfo is None:
        raise ValueError("the target must be an aware datetime: the SDK would send a naive one as UTC")
    from azure.mgmt.postgresqlflexibleservers.models import CreateMode, Network, Server, ServerProperties

    at = ServerId.parse(server_id)
    network = (
        Network(delegated_subnet_resource_id=subnet, private_dns_zone_arm_resource_id=dns_zone)
        if subnet
        else Network(public_network_access="Enabled")
    )
    body = Server(
        location=location,
        properties=ServerProperties(
            create_mode=CreateMode.GEO_RESTORE if geo else CreateMode.POINT_IN_TIME_RESTORE,
            source_server_resource_id=source_id,
            point_in_time_utc=target,
            network=network,
        ),
    )
    return submit(client(at.subscription).servers.begin_create_or_update, at.resource_group, at.name, body)


def tag(server_id: str, tags: dict[str, str]) -> str:
    """Replace the server's tags. Returns the operation's URL."""
    from azure.mgmt.postgresqlflexibleservers.models import ServerForPatch

    at = ServerId.parse(server_id)
    return submit(client(at.subscription).servers.begin_update, at.resource_group, at.name, ServerForPatch(tags=tags))


def delete(server_id: str) -> str:
    """Ask for the server's removal. Returns the operation's URL, empty when the server is already gone."""
    from azure.core.exceptions import ResourceNotFoundError

    at = ServerId.parse(server_id)
    try:
        return submit(client(at.subscription).servers.begin_delete, at.resource_group, at.name)
    except ResourceNotFoundError:
        return ""


def operation(server_id: str, url: str) -> Operation:
    """How the long operation at that URL stands."""
    from azure.core.rest import HttpRequest

    base = settings.optional("AZURE_RESOURCE_MANAGER_URL", _PUBLIC_CLOUD).rstrip("/")
    if not url.startswith(base + "/"):
        raise ValueError("the operation is not at the resource manager that this app speaks to")
    answer = client(ServerId.parse(server_id).subscription).send_request(HttpRequest("GET", url))
    if answer.status_code == 404:
        return Operation(OperationState.UNKNOWN)
    answer.raise_for_status()
    body: dict[str, Any] = answer.json()
    match str(body.get("status", "")).lower():
        case "succeeded":
            return Operation(OperationState.SUCCEEDED)
        case "failed" | "canceled":
            error: dict[str, Any] = body.get("error") or {}
            return Operation(OperationState.FAILED, f"{error.get('code', '')}: {error.get('message', '')}".strip(": "))
        case _:
            return Operation(OperationState.RUNNING)


def submit(begin: Any, *arguments: object) -> str:
    """Send the first request of a long operation, wait for none of it, and return the URL where it can be asked for.

    The answers 400, 403 and 409 (except the busy ones, which pass) are refusals for good.
    """
    from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

    urls: list[str] = []

    def remember(response: Any) -> None:
        headers = response.http_response.headers
        urls.append(headers.get("Azure-AsyncOperation") or headers.get("Location") or "")

    try:
        begin(*arguments, polling=False, raw_response_hook=remember)
    except ResourceNotFoundError:
        raise
    except HttpResponseError as error:
        code = str(error.error.code) if error.error else ""
        if error.status_code in {400, 403} or (error.status_code == 409 and code not in _BUSY):
            raise ServerRequestRefusedError(code, error.message) from error
        raise
    return urls[0] if urls else ""


_BUSY = {"ServerIsBusy", "ServerBusyWithOtherOperation", "OperationInProgress", "ServerIsNotReady", "Conflict"}


def _text(value: str | Enum | None) -> str:
    """The SDK gives an enum member for a value that it knows, whose str() is not its value, and text for others."""
    return str(value.value if isinstance(value, Enum) else value or "")


def _aware(value: datetime | None) -> datetime | None:
    return value if isinstance(value, datetime) and value.tzinfo else None
