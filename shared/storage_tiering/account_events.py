"""What a storage account tells about itself through Event Grid, read into plain data (schemas of Microsoft.Storage)."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

from pydantic import AwareDatetime, BaseModel, ConfigDict

INVENTORY_COMPLETED = "Microsoft.Storage.BlobInventoryPolicyCompleted"
LIFECYCLE_COMPLETED = "Microsoft.Storage.LifecyclePolicyCompleted"
TIER_CHANGED = "Microsoft.Storage.BlobTierChanged"
CREATED = "Microsoft.Storage.BlobCreated"

_SUBJECT = re.compile(r"/blobServices/default/containers/([^/]+)/blobs/(.+)", re.DOTALL)
_WORKED = "completed"


class AccountEventError(ValueError):
    """An event does not say what its type promises; the message names the field."""


class InventoryDone(BaseModel):
    """An inventory report that is complete. `manifest` is the address of its manifest."""

    model_config = ConfigDict(frozen=True)

    account: str
    rule: str
    status: str
    manifest: str
    scheduled_at: AwareDatetime


class ActionSum(BaseModel):
    """What the account's own rules did of one kind; `errors` names the blobs that they could not do."""

    model_config = ConfigDict(frozen=True)

    action: str
    total: int
    succeeded: int
    errors: tuple[str, ...]


class LifecycleDone(BaseModel):
    """A run of the account's own lifecycle rules that is over."""

    model_config = ConfigDict(frozen=True)

    status: str
    scheduled_at: AwareDatetime | None
    actions: tuple[ActionSum, ...]

    @property
    def good(self) -> bool:
        """Whether all of it was done. Where the event has no status, what it counts decides."""
        if any(each.errors for each in self.actions):
            return False
        return (
            self.status.lower() == _WORKED
            if self.status
            else all(each.succeeded == each.total for each in self.actions)
        )


def blob_of(subject: str) -> tuple[str, str] | None:
    """The container and the blob of an event's subject; None when it is about neither."""
    match = _SUBJECT.search(subject)
    return (match[1], match[2]) if match else None


def read_inventory(data: Mapping[str, Any]) -> InventoryDone:
    """Raises AccountEventError."""
    return InventoryDone(
        account=_text(data, "accountName"),
        rule=_text(data, "ruleName"),
        status=_text(data, "policyRunStatus"),
        manifest=str(data.get("manifestBlobUrl") or ""),
        scheduled_at=_instant(_text(data, "scheduleDateTime"), "scheduleDateTime"),
    )


def read_lifecycle(data: Mapping[str, Any]) -> LifecycleDone:
    """Older events have no status, and say an empty text where there are no errors. Raises AccountEventError."""
    run = data.get("policyRunSummary")
    status = str(cast("dict[str, Any]", run).get("completionStatus") or "") if isinstance(run, dict) else ""
    scheduled = str(data.get("scheduleTime") or "")
    return LifecycleDone(
        status=status,
        scheduled_at=_instant(scheduled, "scheduleTime") if scheduled else None,
        actions=tuple(
            _action(name.removesuffix("Summary"), cast("dict[str, Any]", value))
            for name, value in data.items()
            if name.endswith("Summary") and name != "policyRunSummary" and isinstance(value, dict)
        ),
    )


def _action(name: str, summary: Mapping[str, Any]) -> ActionSum:
    errors: Any = summary.get("errorList") or []
    listed = cast("list[object]", errors) if isinstance(errors, list) else str(errors).split(",")
    return ActionSum(
        action=name,
        total=int(summary.get("totalObjectsCount") or 0),
        succeeded=int(summary.get("successCount") or 0),
        errors=tuple(str(one).strip() for one in listed),
    )


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str) or not value:
        raise AccountEventError(f"data.{name} is missing: the event cannot be read")
    return value


def _instant(text: str, name: str) -> datetime:
    """RFC 3339, or `2022/05/24 22:57:29.3260160` as lifecycle events write it, in UTC; the seventh digit is dropped."""
    plain = re.sub(r"(\.\d{6})\d+", r"\1", text.strip().replace("/", "-"))
    try:
        at = datetime.fromisoformat(plain)
    except ValueError as error:
        raise AccountEventError(f"data.{name} is no time: {text!r}") from error
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
