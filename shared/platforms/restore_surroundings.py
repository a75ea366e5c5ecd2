"""What Azure says around a restore before it is asked for: locks, quota, addresses, maintenance.

Locks: Microsoft.Authorization/locks, API 2020-05-01. Addresses: operation VirtualNetworks_ListUsage of
Microsoft.Network, API 2024-05-01. Quota and maintenance: azure-mgmt-postgresqlflexibleservers.
"""

from dataclasses import dataclass
from datetime import datetime

from shared.platforms import resource_manager
from shared.platforms.postgres_servers import ServerId, client

_LOCKS = "2020-05-01"
_LOCKS_BELOW = "/providers/Microsoft.Authorization/locks"
_NETWORKS = "2024-05-01"


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of a limit is used."""

    used: int
    limit: int


@dataclass(frozen=True, slots=True)
class Maintenance:
    """A maintenance of a server that is to come or runs; `end` is None when Azure does not say."""

    status: str
    start: datetime
    end: datetime | None


def locks(subscription: str, resource_group: str) -> list[str]:
    """The names and levels of the locks that hold for everything in a group: its own, and its subscription's.

    Raises azure.core's AzureError, HttpResponseError when locks may not be read.
    """
    group = f"/subscriptions/{subscription}/resourceGroups/{resource_group}"
    found: list[str] = []
    for lock in resource_manager.pages(group + _LOCKS_BELOW, _LOCKS):  # those of single resources below it, too
        scope = str(lock["id"]).lower().partition(_LOCKS_BELOW.lower())[0]
        if f"{group}/".lower().startswith(f"{scope}/"):
            found.append(f"{lock['name']} ({lock['properties']['level']})")
    return found


def subnet_addresses(subnet_id: str) -> Usage | None:
    """The addresses of a subnet that are taken, and how many there are; None when Azure does not know the subnet.

    Raises azure.core's AzureError.
    """
    network = subnet_id.rpartition("/subnets/")[0]
    for one in resource_manager.pages(f"{network}/usages", _NETWORKS):
        if str(one.get("id", "")).lower() == subnet_id.lower():
            return Usage(int(one["currentValue"]), int(one["limit"]))
    return None


def core_quota(subscription: str, location: str) -> Usage | None:
    """The vCores of flexible servers in a region; None when Azure tells no such quota. Raises AzureError."""
    for usage in client(subscription).quota_usages.list(location):
        if usage.name and str(usage.name.value).lower() == "cores" and usage.limit is not None:
            return Usage(usage.current_value or 0, usage.limit)
    return None


def coming_maintenance(server_id: str) -> list[Maintenance]:
    """The server's maintenance that is planned or runs. Raises azure.core's AzureError."""
    at = ServerId.parse(server_id)
    events = client(at.subscription).maintenance_events.list(at.resource_group, at.name, maintenance_status="Upcoming")
    return [
        Maintenance(str(event.properties.status or ""), event.properties.start_time, event.properties.end_time)
        for event in events
        if event.properties and event.properties.start_time
    ]
