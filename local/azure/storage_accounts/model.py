"""A storage account's resource: what is kept of it, and how the REST API shows it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from local.azure.errors import ArmError

NAMESPACE = "Microsoft.Storage"
TYPE = f"{NAMESPACE}/storageAccounts"
API_VERSIONS = ("2025-08-01",)

_NAME = re.compile(r"[a-z0-9]{3,24}")
_GEO_REDUNDANT = {"Standard_GRS", "Standard_RAGRS", "Standard_GZRS", "Standard_RAGZRS"}
_READABLE = {"Standard_RAGRS", "Standard_RAGZRS"}
SKUS = _GEO_REDUNDANT | {"Standard_LRS", "Standard_ZRS", "Premium_LRS", "Premium_ZRS"}
_KEPT_DAYS = range(1, 366)


@dataclass(slots=True)
class Account:
    """One account. `secondary_lag` is how far the paired region is behind, None while it says nothing of it."""

    subscription: str
    group: str
    name: str
    location: str
    sku: str
    created: datetime
    containers: set[str] = field(default_factory=set[str])
    legal_holds: set[str] = field(default_factory=set[str])
    """Containers under legal hold as a whole."""
    immutable_days: dict[str, int] = field(default_factory=dict[str, int])
    """Containers with an immutability policy, and for how many days after its creation a blob stays immutable."""
    tags: dict[str, str] = field(default_factory=dict[str, str])
    blob_service: dict[str, Any] = field(
        default_factory=lambda: {"cors": {"corsRules": []}, "deleteRetentionPolicy": {"enabled": False}}
    )
    secondary_lag: timedelta | None = timedelta(minutes=5)
    secondary_status: str = "Live"

    @property
    def id(self) -> str:
        return f"/subscriptions/{self.subscription}/resourceGroups/{self.group}/providers/{TYPE}/{self.name}"

    @property
    def is_geo_redundant(self) -> bool:
        return self.sku in _GEO_REDUNDANT

    def keep_deleted(self, blobs: int | None, *, versions: bool = False, containers: int | None = None) -> None:
        """Set soft delete in days (None: off) and versioning, as the owner would in the portal."""
        self.blob_service |= {
            "deleteRetentionPolicy": _retention(blobs),
            "containerDeleteRetentionPolicy": _retention(containers),
            "isVersioningEnabled": versions,
        }


def split_id(value: str) -> tuple[str, str, str]:
    """Subscription, group and name of an account's resource id; raises ValueError."""
    match = re.fullmatch(rf"/subscriptions/([^/]+)/resourceGroups/([^/]+)/providers/{TYPE}/([^/]+)", value, re.I)
    if match is None or not _NAME.fullmatch(match[3].lower()):
        raise ValueError(f"resource_id: not a storage account's: {value}")
    return match[1], match[2], match[3]


def show(account: Account, now: datetime, *, replication: bool = False) -> dict[str, Any]:
    """The resource as GET and lists answer it; `replication` as with $expand=geoReplicationStats."""
    endpoint = f"https://{account.name}{{}}.blob.core.windows.net/"
    properties: dict[str, Any] = {
        "accessTier": "Hot",
        "allowBlobPublicAccess": False,
        "creationTime": _text(account.created),
        "primaryEndpoints": {"blob": endpoint.format("")},
        "primaryLocation": account.location,
        "provisioningState": "Succeeded",
        "statusOfPrimary": "available",
        "supportsHttpsTrafficOnly": True,
    }
    if account.is_geo_redundant:
        properties |= {"statusOfSecondary": "available"}
        if account.sku in _READABLE:
            properties |= {"secondaryEndpoints": {"blob": endpoint.format("-secondary")}}
        if replication:
            stats: dict[str, Any] = {"status": account.secondary_status, "canFailover": True}
            if account.secondary_lag is not None:
                stats["lastSyncTime"] = _text(now - account.secondary_lag)
            properties["geoReplicationStats"] = stats
    return {
        "id": account.id,
        "name": account.name,
        "type": TYPE,
        "kind": "StorageV2",
        "location": account.location,
        "sku": show_sku(account),
        "tags": account.tags,
        "properties": properties,
    }


def show_sku(account: Account) -> dict[str, str]:
    return {"name": account.sku, "tier": account.sku.partition("_")[0]}


def changed_blob_service(account: Account, properties: Mapping[str, Any]) -> dict[str, Any]:
    """The blob service's properties after a PUT; raises ArmError 400 for days that cannot be kept.

    The code and the sentence are inferred: no published example shows this refusal.
    """
    for name in ("deleteRetentionPolicy", "containerDeleteRetentionPolicy"):
        policy = cast("dict[str, Any]", properties.get(name) or {})
        if policy.get("enabled") and policy.get("days") not in _KEPT_DAYS:
            raise ArmError(
                400, "InvalidValuesForRequestParameters", f"Values for request parameters are invalid: {name}.days."
            )
    return {**account.blob_service, **properties}


def not_found(name: str, group: str) -> ArmError:
    return ArmError(
        404,
        "ResourceNotFound",
        f"The Resource '{TYPE}/{name}' under resource group '{group}' was not found. "
        "For more details please go to https://aka.ms/ARMResourceNotFoundFix",
    )


def _retention(days: int | None) -> dict[str, Any]:
    return {"enabled": False} if days is None else {"enabled": True, "days": days}


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
