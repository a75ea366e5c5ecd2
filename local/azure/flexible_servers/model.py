"""A flexible server's resource: what is kept of it, and how the REST API shows it."""

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from local.azure.flexible_servers import refusals
from local.postgres import PostgresCluster

TYPE = "Microsoft.DBforPostgreSQL/flexibleServers"

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{1,61})[a-z0-9]")
_SKU = re.compile(r"Standard_([BDE])(\d+)\w*")
_TIERS = {"B": "Burstable", "D": "GeneralPurpose", "E": "MemoryOptimized"}
_RETENTION_DAYS = range(7, 36)

# size in GiB -> performance tier and IOPS of Premium SSD (documented under "Premium SSD" of flexible server)
_STORAGE: Mapping[int, tuple[str, int]] = {
    32: ("P4", 120),
    64: ("P6", 240),
    128: ("P10", 500),
    256: ("P15", 1100),
    512: ("P20", 2300),
    1024: ("P30", 5000),
    2048: ("P40", 7500),
    4095: ("P50", 7500),
    4096: ("P50", 7500),
    8192: ("P60", 16000),
    16384: ("P70", 18000),
    32767: ("P80", 20000),
}
_PERFORMANCE = list(dict.fromkeys(tier for tier, _ in _STORAGE.values()))

PREMIUM_V2 = "PremiumV2_LRS"
# documented under "Premium SSD v2": any size, what is free up to 399 GiB and above, and how far it goes
_V2_SIZES = range(32, 65_537)
_V2_LARGE_GB = 400

# documented under "Limits": the product's default for a size; 8 and more vCores go up to 5000
_MAX_CONNECTIONS = {("B", 1): 50, ("B", 2): 429, ("D", 2): 859, ("D", 4): 1718, ("E", 2): 1718}
_MAX_CONNECTIONS_HERE = 500  # a process and shared memory each: enough to show exhaustion, small enough for a laptop


@dataclass(frozen=True, slots=True)
class Sku:
    """A compute size, e.g. Standard_D4ds_v5 of the tier GeneralPurpose."""

    name: str
    tier: str

    @classmethod
    def parse(cls, body: Any) -> "Sku":
        """Raises InvalidParameterValue for a size that does not exist, or not in that tier."""
        given = json_object(body, "sku")
        name, tier = str(given.get("name", "")), str(given.get("tier", ""))
        match = _SKU.fullmatch(name)
        if match is None:
            raise refusals.invalid_parameter("sku.name")
        if _TIERS[match[1]] != tier:
            raise refusals.invalid_parameter("sku.tier")
        return cls(name, tier)

    @property
    def cores(self) -> int:
        match = _SKU.fullmatch(self.name)
        assert match
        return int(match[2])

    @property
    def max_connections(self) -> int:
        """What a server of this size gets for its life, at most what a laptop can carry."""
        series = self.name.removeprefix("Standard_")[0]
        return min(_MAX_CONNECTIONS.get((series, self.cores), 5000), _MAX_CONNECTIONS_HERE)


@dataclass(slots=True)
class Server:
    """One server. `operation` names what it is busy with, if anything; `cancel` asks a restore to give up.

    Whoever works on the cluster holds `working`, so that a deletion that interrupts something waits for its end.
    """

    subscription: str
    group: str
    name: str
    location: str
    sku: Sku
    version: str
    administrator: str
    password: str = field(repr=False)
    address: str
    port: int
    storage: dict[str, Any]
    backup: dict[str, Any]
    created: datetime
    state: str = "Provisioning"
    operation: str | None = None
    tags: dict[str, str] = field(default_factory=dict[str, str])
    availability_zone: str = "1"
    maintenance_window: dict[str, Any] = field(
        default_factory=lambda: {"customWindow": "Disabled", "dayOfWeek": 0, "startHour": 0, "startMinute": 0}
    )
    network: dict[str, Any] = field(default_factory=lambda: {"publicNetworkAccess": "Enabled"})
    replica_of: str | None = None
    cluster: PostgresCluster | None = None
    minor_version: str = "0"
    on_demand: set[str] = field(default_factory=set[str])
    long_term: list[datetime] = field(default_factory=list[datetime])
    """When Azure Backup has taken the server's data into its vault."""
    firewall_rules: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    administrators: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    standby: str = "Disabled"
    maintenance: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    overrides: dict[str, str] = field(default_factory=dict[str, str])
    cancel: threading.Event = field(default_factory=threading.Event)
    working: threading.Lock = field(default_factory=threading.Lock)

    @property
    def id(self) -> str:
        return resource_id(self.subscription, self.group, self.name)

    @property
    def running(self) -> bool:
        return self.cluster is not None and self.cluster.running

    def child_id(self, kind: str, name: str) -> str:
        return f"{self.id}/{kind}/{name}"


def resource_id(subscription: str, group: str, name: str) -> str:
    """The server's resource id, in the letter case of the official examples."""
    return f"/subscriptions/{subscription}/resourceGroups/{group}/providers/{TYPE}/{name}"


def split_id(value: str) -> tuple[str, str, str] | None:
    """Subscription, group and name of a server's resource id; None when it is not one."""
    match = re.fullmatch(rf"/subscriptions/([^/]+)/resourceGroups/([^/]+)/providers/{TYPE}/([^/]+)", value, re.I)
    return (match[1], match[2], match[3]) if match else None


def check_name(name: str) -> None:
    """Raises InvalidParameterValue: 3 to 63 lower case letters, digits and hyphens, none of these at an end."""
    if not _NAME.fullmatch(name):
        raise refusals.invalid_parameter("serverName")


def storage(body: Any, former: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The storage after a request; Premium SSD is shown with the type "". Raises InvalidParameterValue.

    Storage can grow but not shrink; another type begins with its own speed. The IOPS of Premium SSD are those of its
    performance tier, which is not below that of its size; Premium SSD v2 has IOPS and throughput of its own.
    """
    asked = json_object(body, "storage")
    before = dict(former or {})
    if asked.get("type") not in (None, "", "Premium_LRS", PREMIUM_V2):
        raise refusals.invalid_parameter("storage.type")
    kind = asked.get("type", before.get("type", ""))
    kind = "" if kind == "Premium_LRS" else kind
    size = asked.get("storageSizeGB", before.get("storageSizeGB", 128))
    sizes = _V2_SIZES if kind == PREMIUM_V2 else _STORAGE
    if size not in sizes or size < before.get("storageSizeGB", 0):
        raise refusals.invalid_parameter("storage.storageSizeGB")
    if kind != before.get("type", kind):
        before = {name: before[name] for name in ("autoGrow", "storageSizeGB")}
    shown = {
        "type": kind,
        "autoGrow": asked.get("autoGrow", before.get("autoGrow", "Disabled")),
        "storageSizeGB": size,
    }
    return shown | (_speed_v2(asked, before, size) if kind == PREMIUM_V2 else _speed(asked, before, size))


def _speed(asked: Mapping[str, Any], before: Mapping[str, Any], size: int) -> dict[str, Any]:
    if "iops" in asked or "throughput" in asked:
        raise refusals.invalid_parameter("storage.iops" if "iops" in asked else "storage.throughput")
    least, iops = _STORAGE[size]
    given = asked.get("tier", max(before.get("tier", least), least, key=_PERFORMANCE.index))
    if given not in _PERFORMANCE or _PERFORMANCE.index(given) < _PERFORMANCE.index(least):
        raise refusals.invalid_parameter("storage.tier")
    return {"iops": max([iops, *(each for name, each in _STORAGE.values() if name == given)]), "tier": given}


def _speed_v2(asked: Mapping[str, Any], before: Mapping[str, Any], size: int) -> dict[str, Any]:
    if "tier" in asked:
        raise refusals.invalid_parameter("storage.tier")
    free_iops, free_throughput = (12_000, 500) if size >= _V2_LARGE_GB else (3_000, 125)
    iops = asked.get("iops", before.get("iops", free_iops))
    throughput = asked.get("throughput", before.get("throughput", free_throughput))
    if not 3_000 <= iops <= min(80_000, 500 * size):
        raise refusals.invalid_parameter("storage.iops")
    if not 125 <= throughput <= 1_200:
        raise refusals.invalid_parameter("storage.throughput")
    return {"iops": iops, "throughput": throughput}


def backup(body: Any, former: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The backup settings after a request; raises InvalidParameterValue. Redundancy is settled at creation."""
    asked = json_object(body, "backup")
    before = dict(former or {})
    days = asked.get("backupRetentionDays", before.get("backupRetentionDays", 7))
    if days not in _RETENTION_DAYS:
        raise refusals.invalid_parameter("backup.backupRetentionDays")
    redundant = asked.get("geoRedundantBackup", before.get("geoRedundantBackup", "Disabled"))
    if former is not None and redundant != before["geoRedundantBackup"]:
        raise refusals.invalid_parameter("backup.geoRedundantBackup")
    return {"backupRetentionDays": days, "geoRedundantBackup": redundant}


def json_object(body: Any, name: str) -> dict[str, Any]:
    """A part of a request that must be a JSON object or absent; raises InvalidParameterValue."""
    if body is None:
        return {}
    if not isinstance(body, Mapping):
        raise refusals.invalid_parameter(name)
    return dict(cast("Mapping[str, Any]", body))


def show(server: Server) -> dict[str, Any]:
    """The resource as GET and lists answer it; its shape is that of the official example ServersGet.json.

    As in Azure, nothing in it tells of a restored server from which source and instant it came. One thing differs:
    `fullyQualifiedDomainName` is the loopback address of the real server (which its certificate names), since no
    name server knows about it.
    """
    earliest = server.cluster.earliest_restore_time if server.cluster else None
    role, capacity = ("AsyncReplica", 0) if server.replica_of else ("Primary", 5)
    properties: dict[str, Any] = {
        "administratorLogin": server.administrator,
        "authConfig": {"activeDirectoryAuth": "Enabled", "passwordAuth": "Enabled"},
        "availabilityZone": server.availability_zone,
        "backup": {**server.backup, **({"earliestRestoreDate": rfc3339(earliest)} if earliest else {})},
        "dataEncryption": {"type": "SystemManaged"},
        "fullyQualifiedDomainName": server.address,
        "highAvailability": {
            "mode": server.standby,
            "state": "NotEnabled" if server.standby == "Disabled" else "Healthy",
        },
        "maintenanceWindow": server.maintenance_window,
        "minorVersion": server.minor_version,
        "network": server.network,
        "privateEndpointConnections": [],
        "replica": {"capacity": capacity, "role": role},
        "replicaCapacity": capacity,
        "replicationRole": role,
        "state": server.state,
        "storage": server.storage,
        "version": server.version,
    }
    if server.replica_of:
        properties["sourceServerResourceId"] = server.replica_of
    return {
        "id": server.id,
        "name": server.name,
        "type": TYPE,
        "location": server.location,
        "properties": properties,
        "sku": {"name": server.sku.name, "tier": server.sku.tier},
        "systemData": {"createdAt": rfc3339(server.created)},
        "tags": server.tags,
    }


def rfc3339(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
