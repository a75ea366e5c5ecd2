"""Storage accounts through Resource Manager (Microsoft.Storage, API 2025-08-01): how they keep what was deleted.

The data plane's own service properties know neither versioning nor the container's retention, and its replication
statistics ask for a secondary that can be read; the resource has all three.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.platforms import resource_manager

API_VERSION = "2025-08-01"


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """What Azure says of one account now. Retentions are None while they are off.

    `secondary` is `none`, `replicated` or `readable`; `last_sync` the instant before which every write is in the
    paired region, None where Azure does not say; `sync_status` is Live, Bootstrap or Unavailable, empty without one.
    `held_containers` are under legal hold as a whole; `immutable_for` says of containers with an immutability policy
    how long after its creation a blob stays immutable.
    """

    sku: str
    secondary: str
    sync_status: str
    last_sync: datetime | None
    soft_delete: timedelta | None
    container_soft_delete: timedelta | None
    versioning: bool
    containers: frozenset[str]
    held_containers: frozenset[str]
    immutable_for: Mapping[str, timedelta]


def get(account_id: str) -> AccountFacts | None:
    """The account, None when there is none of that id. Raises azure.core's AzureError."""
    account = resource_manager.get(account_id, API_VERSION, {"$expand": "geoReplicationStats"})
    if account is None:
        return None
    service = f"{account_id}/blobServices/default"
    kept = _part(resource_manager.get(service, API_VERSION), "properties")
    stats = _part(_part(account, "properties"), "geoReplicationStats")
    sku = str(_part(account, "sku").get("name") or "")
    containers = {
        str(one["name"]): _part(one, "properties")
        for one in resource_manager.pages(f"{service}/containers", API_VERSION)
    }
    return AccountFacts(
        sku=sku,
        secondary=_secondary(sku),
        sync_status=str(stats.get("status") or ""),
        last_sync=_instant(stats.get("lastSyncTime")),
        soft_delete=_retention(_part(kept, "deleteRetentionPolicy")),
        container_soft_delete=_retention(_part(kept, "containerDeleteRetentionPolicy")),
        versioning=bool(kept.get("isVersioningEnabled")),
        containers=frozenset(containers),
        held_containers=frozenset(name for name, said in containers.items() if said.get("hasLegalHold")),
        immutable_for={name: period for name, said in containers.items() if (period := _immutable_for(said))},
    )


def _secondary(sku: str) -> str:
    redundancy = sku.rpartition("_")[2].upper()
    if redundancy in {"RAGRS", "RAGZRS"}:
        return "readable"
    return "replicated" if redundancy in {"GRS", "GZRS"} else "none"


def _part(resource: Any, name: str) -> dict[str, Any]:
    found = resource.get(name) if isinstance(resource, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    return found if isinstance(found, dict) else {}  # pyright: ignore[reportUnknownVariableType]


def _retention(policy: dict[str, Any]) -> timedelta | None:
    return timedelta(days=int(policy.get("days") or 0)) if policy.get("enabled") else None


def _immutable_for(container: dict[str, Any]) -> timedelta | None:
    days = _part(_part(container, "immutabilityPolicy"), "properties").get("immutabilityPeriodSinceCreationInDays")
    return timedelta(days=int(days)) if days else None


def _instant(text: object) -> datetime | None:
    """Azure says the default value of a date, the year 1, while it does not know."""
    if not isinstance(text, str) or not text:
        return None
    at = datetime.fromisoformat(text)
    return at if at.tzinfo is not None and at.year > 1 else None
