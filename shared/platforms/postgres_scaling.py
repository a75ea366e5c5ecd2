"""Compute and storage of flexible servers through azure-mgmt-postgresqlflexibleservers (API 2026-10-01).

Sources: "Scaling resources" (near-zero-downtime scaling and when it falls back), "Premium SSD", "Premium SSD v2",
"Limits", "Read replicas", the SDK's models. Nothing here waits; see `arm_operations` for the errors of what asks.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING

from shared.platforms import arm_operations
from shared.platforms.arm_operations import Operation, submit, text
from shared.platforms.credentials import credential
from shared.platforms.postgres_servers import ServerId

if TYPE_CHECKING:
    from azure.mgmt.postgresqlflexibleservers import PostgreSQLManagementClient
    from azure.mgmt.postgresqlflexibleservers.models import Server

PREMIUM = "Premium_LRS"
"""Premium SSD: sizes by powers of two, IOPS by performance tier. Azure shows it as an empty type."""
PREMIUM_V2 = "PremiumV2_LRS"
"""Premium SSD v2: size, IOPS and throughput each on their own."""

_SKU = re.compile(r"Standard_([A-Z]+?)(\d+)\w*")
_TIERS = {"B": "Burstable", "D": "GeneralPurpose", "E": "MemoryOptimized"}
_SMALL = 2


@dataclass(frozen=True, slots=True)
class ScaleFacts:
    """What Azure says of a server's size. `source` is the primary's id of a replica, `subnet` the delegated one's,
    `standby` whether another server stands by, which is as large."""

    id: str
    location: str
    state: str
    host: str
    source: str
    subnet: str
    sku: str
    storage_gb: int
    storage_type: str
    performance_tier: str
    iops: int
    throughput: int
    auto_grow: bool
    standby: bool = False


@dataclass(frozen=True, slots=True)
class Interruption:
    """How long applications lose the server, as documented, and why it is not less."""

    least: timedelta
    most: timedelta
    why: str


_NONE = Interruption(timedelta(), timedelta(), "online")
_NEAR_ZERO = Interruption(timedelta(seconds=40), timedelta(seconds=60), "near-zero-downtime scaling")


def read(server_id: str) -> ScaleFacts | None:
    """The server, None when there is none of that id."""
    from azure.core.exceptions import ResourceNotFoundError

    at = ServerId.parse(server_id)
    try:
        return _facts(_client(at.subscription).servers.get(at.resource_group, at.name), server_id)
    except ResourceNotFoundError:
        return None


def replicas(server_id: str) -> tuple[ScaleFacts, ...]:
    """The read replicas of a server."""
    at = ServerId.parse(server_id)
    found = _client(at.subscription).replicas.list_by_server(at.resource_group, at.name)
    return tuple(_facts(server, server.id or "") for server in found)


def scale(server_id: str, now: ScaleFacts, wanted: Mapping[str, object]) -> str:
    """Ask for another size. Returns the operation's URL.

    wanted: some of `sku`, `storage_gb`, `iops`, `throughput`, `performance_tier`; one request for all of them, so that
    there is one interruption. Raises BusyError, RefusedError, and ValueError for a fact that is none of these.
    """
    from azure.mgmt.postgresqlflexibleservers.models import (
        ServerForPatch,
        ServerPropertiesForPatch,
        SkuForPatch,
        Storage,
    )

    if unknown := set(wanted) - {"sku", "storage_gb", "iops", "throughput", "performance_tier"}:
        raise ValueError(f"no fact of a server's size: {', '.join(sorted(unknown))}")
    body = ServerForPatch()
    if "sku" in wanted:
        name = str(wanted["sku"])
        body.sku = SkuForPatch(name=name, tier=tier_of(name))
    if set(wanted) - {"sku"}:
        storage = Storage()
        if "storage_gb" in wanted:
            storage["storageSizeGB"] = wanted["storage_gb"]
        if "performance_tier" in wanted:
            storage["tier"] = wanted["performance_tier"]
        if now.storage_type == PREMIUM_V2:  # which wants both whenever it is given one
            storage["iops"] = wanted.get("iops", now.iops)
            storage["throughput"] = wanted.get("throughput", now.throughput)
        body.properties = ServerPropertiesForPatch(storage=storage)
    at = ServerId.parse(server_id)
    return submit(_client(at.subscription).servers.begin_update, at.resource_group, at.name, body)


def operation(server_id: str, url: str) -> Operation:
    """How the long operation at that URL stands."""
    return arm_operations.look(_client(ServerId.parse(server_id).subscription), url)


def offered(server_id: str) -> Mapping[str, int]:
    """The SKUs that this server can be scaled to, with their vCores. Raises what azure.core raises."""
    at = ServerId.parse(server_id)
    found: dict[str, int] = {}
    for capability in _client(at.subscription).capabilities_by_server.list(at.resource_group, at.name):
        for edition in capability.supported_server_editions or ():
            for sku in edition.supported_server_skus or ():
                if sku.name and text(sku.status) in ("Available", "Default", "Visible", ""):
                    found[sku.name] = sku.v_cores or 0
    return found


def tier_of(sku: str) -> str:
    """The tier that a SKU belongs to, by its series; raises ValueError for a name that does not say."""
    match = _SKU.fullmatch(sku)
    if match is None or match[1][0] not in _TIERS:
        raise ValueError(f"{sku} is no compute size of a flexible server; write one such as Standard_D8ds_v5")
    return _TIERS[match[1][0]]


def cores_of(sku: str) -> int:
    """The vCores of a SKU, by its name; raises ValueError for a name that does not say."""
    match = _SKU.fullmatch(sku)
    if match is None:
        raise ValueError(f"{sku} is no compute size of a flexible server; write one such as Standard_D8ds_v5")
    return int(match[2])


def interruption(now: ScaleFacts, wanted: Mapping[str, object], replicas: int) -> Interruption:
    """What a change of size will cost its applications, `replicas` being how many read replicas the server has.

    Azure scales near zero downtime where it can (10 to 30 s, and as long again until names resolve anew) and falls back
    where it cannot; that a subnet has no spare address, or a region no machine, shows only then.
    """
    sku = str(wanted.get("sku", now.sku))
    if sku != now.sku:
        slow = [f"{replicas} read replicas"] if replicas else []
        slow += [f"{one} is a small burstable size" for one in (now.sku, sku) if _small_burstable(one)]
        if slow:
            return Interruption(timedelta(minutes=2), timedelta(minutes=10), f"the slow path: {', '.join(slow)}")
        return _NEAR_ZERO
    size = wanted.get("storage_gb", now.storage_gb)
    crosses = isinstance(size, int) and size > _RESTART_ABOVE_GB >= now.storage_gb
    if crosses and now.storage_type == PREMIUM:
        return Interruption(timedelta(minutes=2), timedelta(minutes=10), "storage beyond 4 TiB restarts the server")
    return _NONE


_RESTART_ABOVE_GB = 4096


def _small_burstable(sku: str) -> bool:
    return tier_of(sku) == "Burstable" and cores_of(sku) <= _SMALL


@cache
def _client(subscription: str) -> "PostgreSQLManagementClient":
    from azure.mgmt.postgresqlflexibleservers import PostgreSQLManagementClient

    return PostgreSQLManagementClient(
        credential(), subscription, base_url=arm_operations.resource_manager(), retry_total=3, retry_backoff_max=4
    )


def _facts(server: "Server", server_id: str) -> ScaleFacts:
    properties = server.properties
    storage = properties.storage if properties else None
    network = properties.network if properties else None
    standby = properties.high_availability if properties else None
    return ScaleFacts(
        id=server.id or server_id,
        location=server.location,
        state=text(properties.state) if properties else "",
        host=(properties.fully_qualified_domain_name or "") if properties else "",
        source=(properties.source_server_resource_id or "") if properties else "",
        subnet=(network.delegated_subnet_resource_id or "") if network else "",
        sku=server.sku.name if server.sku else "",
        storage_gb=(storage.storage_size_gb or 0) if storage else 0,
        storage_type=(text(storage.type) or PREMIUM) if storage else PREMIUM,
        performance_tier=text(storage.tier) if storage else "",
        iops=(storage.iops or 0) if storage else 0,
        throughput=(storage.throughput or 0) if storage else 0,
        auto_grow=storage is not None and text(storage.auto_grow) == "Enabled",
        standby=standby is not None and text(standby.mode) in ("SameZone", "ZoneRedundant"),
    )
