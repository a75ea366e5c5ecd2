"""Azure Managed Redis (Microsoft.Cache/redisEnterprise, API 2025-07-01): its size, and whether it answers.

Sources: "Scale an Azure Managed Redis instance", REST reference "Redis Enterprise - Update" and "List Skus For
Scaling" (which tells what it can become now: memory in use, family and geo-replication keep it from the rest). Nothing
here waits; see `arm_operations` for the errors of what asks.
"""

import socket
import ssl
from dataclasses import dataclass
from typing import Any

from shared.platforms import resource_manager
from shared.platforms.arm_operations import Operation

API = "2025-07-01"
_PORT = 10000
_ANSWERS = (b"+PONG", b"-NOAUTH")
"""Who does not say who they are is refused by a Redis that is well."""


@dataclass(frozen=True, slots=True)
class RedisFacts:
    """What Azure says of a cache. `state` is Running when nothing goes on."""

    id: str
    location: str
    sku: str
    provisioning: str
    state: str
    host: str


def read(redis_id: str) -> RedisFacts | None:
    """The cache, None when there is none. Raises azure.core's AzureError, ValueError for an Azure Cache for Redis."""
    found = resource_manager.get(_checked(redis_id), API)
    if found is None:
        return None
    properties: dict[str, Any] = found.get("properties") or {}
    sku: dict[str, Any] = found.get("sku") or {}
    return RedisFacts(
        id=redis_id,
        location=str(found.get("location") or ""),
        sku=str(sku.get("name") or ""),
        provisioning=str(properties.get("provisioningState") or ""),
        state=str(properties.get("resourceState") or ""),
        host=str(properties.get("hostName") or ""),
    )


def offered(redis_id: str) -> dict[str, float]:
    """The SKUs that it can be scaled to as it is now, with their size in GB. Raises azure.core's AzureError."""
    answer = resource_manager.post(f"{_checked(redis_id)}/listSkusForScaling", API, {})
    return {str(one["name"]): float(one.get("sizeInGB") or 0) for one in answer.get("skus") or ()}


def scale(redis_id: str, sku: str) -> str:
    """Ask for another size. Returns the operation's URL. Raises BusyError, RefusedError."""
    return resource_manager.begin("PATCH", _checked(redis_id), API, {"sku": {"name": sku}})


def operation(url: str) -> Operation:
    """How the long operation at that URL stands."""
    return resource_manager.look(url)


def answers(redis_id: str, host: str, seconds: float = 5.0) -> str:
    """Why it does not answer a PING over TLS at its database's port; empty when it does. Nobody logs in for it."""
    for database in resource_manager.pages(f"{_checked(redis_id)}/databases", API):
        properties: dict[str, Any] = database.get("properties") or {}
        plain = properties.get("clientProtocol") == "Plaintext"
        if said := _ping(host, int(properties.get("port") or _PORT), seconds, plain):
            return said
        return ""
    return "it has no database"


def _ping(host: str, port: int, seconds: float, plain: bool) -> str:
    try:
        with socket.create_connection((host, port), timeout=seconds) as connection:
            if plain:
                return _asked(connection)
            with ssl.create_default_context().wrap_socket(connection, server_hostname=host) as secured:
                return _asked(secured)
    except (OSError, ssl.SSLError) as error:
        return str(error)


def _asked(connection: socket.socket) -> str:
    connection.sendall(b"*1\r\n$4\r\nPING\r\n")
    said = connection.recv(256)
    return "" if said.startswith(_ANSWERS) else f"it says {said[:60].decode(errors='replace').strip()!r}"


def _checked(redis_id: str) -> str:
    if "/providers/microsoft.cache/redisenterprise/" not in redis_id.lower():
        raise ValueError(f"{redis_id} is no Azure Managed Redis: an Azure Cache for Redis is not scaled, but retired")
    return redis_id
