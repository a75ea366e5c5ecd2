"""What a request to create a server asks for, checked before anything is done."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from local.azure.flexible_servers import model, refusals
from local.azure.flexible_servers.model import Server, Sku

VERSIONS = ("14", "15", "16", "17", "18")
DEFAULT_VERSION = "18"


@dataclass(frozen=True, slots=True)
class NewServer:
    """A server to be made empty."""

    location: str
    sku: Sku
    version: str
    administrator: str
    password: str
    storage: dict[str, Any]
    backup: dict[str, Any]
    availability_zone: str


@dataclass(frozen=True, slots=True)
class CopiedServer:
    """A server with the data of `source`: restored as it was at `target` (UTC; None: all that there is), or a replica
    that goes on following it."""

    location: str
    source: Server
    sku: Sku
    target: datetime | None
    storage: dict[str, Any]
    backup: dict[str, Any]
    availability_zone: str
    replica: bool = False


def new_server(body: Mapping[str, Any]) -> NewServer:
    """Raises InvalidParameterValue for what is missing or wrong."""
    properties = _properties(body)
    if not isinstance(body.get("sku"), dict):
        raise refusals.invalid_parameter("sku")
    for required in ("administratorLogin", "administratorLoginPassword"):
        if not isinstance(properties.get(required), str) or not properties[required]:
            raise refusals.invalid_parameter(required)
    version = str(properties.get("version", DEFAULT_VERSION))
    if version not in VERSIONS:
        raise refusals.invalid_parameter("version")
    return NewServer(
        location=_location(body),
        sku=Sku.parse(body["sku"]),
        version=version,
        administrator=properties["administratorLogin"],
        password=properties["administratorLoginPassword"],
        storage=model.storage(properties.get("storage")),
        backup=model.backup(properties.get("backup")),
        availability_zone=str(properties.get("availabilityZone", "1")),
    )


def source_id(body: Mapping[str, Any]) -> tuple[str, str, str]:
    """Subscription, group and name of the server to restore from; it must be given as a whole resource id."""
    parts = model.split_id(str(_properties(body).get("sourceServerResourceId", "")))
    if parts is None:
        raise refusals.invalid_parameter("sourceServerResourceId")
    return parts


def point_in_time_restore(body: Mapping[str, Any], source: Server, now: datetime) -> CopiedServer:
    """Same region and version as the source; its size, storage size and retention are inherited whatever is asked.

    Raises InvalidParameterValue, and InternalServerError for a point in time that is not RFC 3339.
    """
    properties = _properties(body)
    if _location(body) != _region(source.location):
        raise refusals.invalid_parameter("location")
    if str(properties.get("version", source.version)) != source.version:
        raise refusals.invalid_parameter("version")
    target = _point_in_time(properties)
    earliest = source.cluster.earliest_restore_time if source.cluster else None
    if earliest is None or not earliest <= target <= now:
        raise refusals.invalid_parameter("pointInTimeUTC")
    return _restored(body, source, target)


def geo_restore(body: Mapping[str, Any], source: Server, now: datetime, lag: timedelta) -> CopiedServer:
    """The newest that the paired region has; the source must have been created with geo-redundant backup.

    Its backups come there later by `lag`; until the first has come, nothing can be restored.
    """
    if source.backup["geoRedundantBackup"] != "Enabled":
        raise refusals.invalid_parameter("sourceServerResourceId")
    if _location(body) == _region(source.location):
        raise refusals.invalid_parameter("location")
    _point_in_time(_properties(body))
    earliest = source.cluster.earliest_restore_time if source.cluster else None
    if earliest is None or earliest > now - lag:
        raise refusals.invalid_parameter("sourceServerResourceId")
    return _restored(body, source, now - lag if lag else None)


def replica(body: Mapping[str, Any], source: Server) -> CopiedServer:
    """A read replica in any region, of the source's size unless a sku is given; the source must be Ready."""
    if source.state != "Ready" or source.cluster is None or source.replica_of is not None:
        raise refusals.invalid_parameter("sourceServerResourceId")
    return CopiedServer(
        location=_location(body),
        source=source,
        sku=Sku.parse(body["sku"]) if isinstance(body.get("sku"), dict) else source.sku,
        target=None,
        storage=source.storage,
        backup=source.backup,
        availability_zone=str(_properties(body).get("availabilityZone", "1")),
        replica=True,
    )


def _restored(body: Mapping[str, Any], source: Server, target: datetime | None) -> CopiedServer:
    properties = _properties(body)
    kind = model.json_object(properties.get("storage"), "storage").get("type")
    redundancy = model.json_object(properties.get("backup"), "backup").get("geoRedundantBackup", "Disabled")
    return CopiedServer(
        location=_location(body),
        source=source,
        sku=source.sku,
        target=target,
        storage=model.storage({"type": kind} if kind else None, source.storage),
        backup={**source.backup, "geoRedundantBackup": redundancy},
        availability_zone=str(properties.get("availabilityZone", "1")),
    )


def _point_in_time(properties: Mapping[str, Any]) -> datetime:
    text = properties.get("pointInTimeUTC")
    if not text:
        raise refusals.invalid_parameter("pointInTimeUTC")
    try:
        instant = datetime.fromisoformat(str(text))
    except ValueError:
        raise refusals.internal() from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _properties(body: Mapping[str, Any]) -> dict[str, Any]:
    return model.json_object(body.get("properties"), "properties")


def _location(body: Mapping[str, Any]) -> str:
    location = body.get("location")
    if not isinstance(location, str) or not location.strip():
        raise refusals.missing_location()
    return _region(location)


def _region(location: str) -> str:
    """`West Europe` and `westeurope` are the same region."""
    return location.replace(" ", "").lower()
