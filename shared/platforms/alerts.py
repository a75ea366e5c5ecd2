"""Azure's alerts: those that are open, and closing one with a word why (Microsoft.AlertsManagement, REST).

Version 2019-05-05-preview is what the official SDK (azure-mgmt-alertsmanagement 1.0.1) speaks, and the oldest that
takes a comment. An alert has two states that know nothing of each other: what Azure Monitor measures (Fired,
Resolved) and what people say (New, Acknowledged, Closed). Closing changes the latter only.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from shared.platforms import resource_manager

_API_VERSION = "2019-05-05-preview"
_ID = re.compile(r"/subscriptions/([^/]+)(?:/.*)?/providers/microsoft\.alertsmanagement/alerts/([^/]+)/?", re.I)
_PAGE_WITH_CONTEXT = 25
LONGEST_COMMENT = 1000
"""Characters; the rest is cut off."""
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert as Azure shows it.

    state: New, Acknowledged or Closed. condition: Fired or Resolved. changed_by: who changed it last. shown: all of it.
    """

    id: str
    state: str
    condition: str
    changed_by: str
    shown: Mapping[str, Any]


def is_alert(alert_id: str) -> bool:
    """Whether it is the id of an alert that can be closed: budgets and tests of a rule have ids of other kinds."""
    return _ID.fullmatch(alert_id) is not None


def get(alert_id: str) -> Alert | None:
    """The alert, None when Azure has none any more: it keeps them for 30 days. Raises azure.core's AzureError."""
    shown = resource_manager.get(_path(alert_id), _API_VERSION, retries=_TRIES)
    return _alert(shown) if shown else None


def close(alert_id: str, comment: str) -> Alert:
    """Close it; closing it twice is closing it once. Raises azure.core's AzureError."""
    body = {"comments": comment[:LONGEST_COMMENT]}
    path = f"{_path(alert_id)}/changestate"
    return _alert(resource_manager.post(path, _API_VERSION, body, retries=_TRIES, newState="Closed"))


def comments(alert_id: str) -> list[str]:
    """What was said when its state was changed, the oldest first. Raises azure.core's AzureError."""
    shown = resource_manager.get(f"{_path(alert_id)}/history", _API_VERSION, retries=_TRIES) or {}
    changes = cast("list[dict[str, Any]]", _part(shown, "properties").get("modifications") or [])
    return [str(one.get("comments") or "") for one in changes if one.get("modificationEvent") == "StateChange"]


def fired(subscription: str) -> Iterator[Alert]:
    """The alerts of a subscription whose condition still holds, of the last 30 days, with their context.

    Raises azure.core's AzureError.
    """
    path = f"/subscriptions/{subscription}/providers/Microsoft.AlertsManagement/alerts"
    asked = {
        "monitorCondition": "Fired",
        "timeRange": "30d",
        "includeContext": "true",
        "pageCount": str(_PAGE_WITH_CONTEXT),
    }
    for shown in resource_manager.pages(path, _API_VERSION, **asked):
        yield _alert(shown)


def _path(alert_id: str) -> str:
    found = _ID.fullmatch(alert_id)
    if found is None:
        raise ValueError(f"{alert_id} is not the id of an alert; ask is_alert first")
    return f"/subscriptions/{found[1]}/providers/Microsoft.AlertsManagement/alerts/{found[2]}"


def _alert(shown: Mapping[str, Any]) -> Alert:
    essentials = _part(_part(shown, "properties"), "essentials")
    return Alert(
        id=str(shown["id"]),
        state=str(essentials.get("alertState") or ""),
        condition=str(essentials.get("monitorCondition") or ""),
        changed_by=str(essentials.get("lastModifiedUserName") or ""),
        shown=shown,
    )


def _part(of: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", of.get(name) or {})
