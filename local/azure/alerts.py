"""Alerts Management: the alerts that Azure Monitor has raised, listed, shown, and closed by their owner.

Shaped by the REST reference of Microsoft.AlertsManagement (2019-05-05-preview, which the official SDK speaks) and its
examples: list with filters, get, change of state with a comment, history. Words of refusals are inferred.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from local.azure.arm import Answer, Call, ResourceManager, Route
from local.azure.errors import ArmError

NAMESPACE = "Microsoft.AlertsManagement"
API_VERSIONS = ("2018-05-05", "2019-03-01", "2019-05-05-preview")
STATES = ("New", "Acknowledged", "Closed")
_RANGES = {"1h": timedelta(hours=1), "1d": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30)}
_PAGE, _LARGEST_PAGE, _LARGEST_PAGE_WITH_CONTEXT = 25, 250, 25
_LIST = f"/subscriptions/{{subscriptionId}}/providers/{NAMESPACE}/alerts"


@dataclass(slots=True)
class Alert:
    """One alert. `condition` is Azure Monitor's word (Fired, Resolved), `state` that of people (see `STATES`)."""

    subscription: str
    rule: str
    target: str
    fired_at: datetime
    context: Mapping[str, Any]
    severity: str = "Sev2"
    service: str = "Platform"
    signal_type: str = "Metric"
    custom_properties: Mapping[str, str] = field(default_factory=dict[str, str])
    condition: str = "Fired"
    state: str = "New"
    resolved_at: datetime | None = None
    modified_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    modified_by: str = "System"
    name: str = field(default_factory=lambda: str(uuid4()))
    history: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    @property
    def id(self) -> str:
        return f"/subscriptions/{self.subscription}/providers/{NAMESPACE}/alerts/{self.name}"

    @property
    def delivery(self) -> dict[str, Any]:
        """What an action group sends about it now, in the common alert schema."""
        essentials = {
            "alertId": self.id,
            "alertRule": self.rule,
            "severity": self.severity,
            "signalType": self.signal_type,
            "monitorCondition": self.condition,
            "monitoringService": self.service,
            "alertTargetIDs": [self.target],
            "firedDateTime": _text(self.fired_at),
            "essentialsVersion": "1.0",
            "alertContextVersion": "1.0",
        }
        if self.resolved_at is not None:
            essentials["resolvedDateTime"] = _text(self.resolved_at)
        data = {
            "essentials": essentials,
            "alertContext": dict(self.context),
            "customProperties": dict(self.custom_properties),
        }
        return {"schemaId": "azureMonitorCommonAlertSchema", "data": data}

    def note(self, event: str, by: str, old: str = "", new: str = "", comments: str = "") -> None:
        self.modified_at, self.modified_by = datetime.now(UTC), by
        self.history.append(
            {
                "modificationEvent": event,
                "oldValue": old,
                "newValue": new,
                "modifiedAt": _text(self.modified_at),
                "modifiedBy": by,
                "comments": comments,
                "description": f"State changed from '{old}' to '{new}'" if old else "New Alert Object is created",
            }
        )


class Alerts:
    """The resource provider. `all` are its alerts by name, the oldest first."""

    def __init__(self, arm: ResourceManager) -> None:
        self.all: dict[str, Alert] = {}
        self._lock = threading.Lock()
        arm.register(
            API_VERSIONS,
            [
                Route("GET", _LIST, self._list),
                Route("GET", f"{_LIST}/{{alertId}}", self._get),
                Route("POST", f"{_LIST}/{{alertId}}/changestate", self._change_state),
                Route("GET", f"{_LIST}/{{alertId}}/history", self._history),
            ],
        )

    def fire(self, target: str, rule: str, context: Mapping[str, Any], **said: Any) -> Alert:
        """Azure Monitor raises an alert; `said` are further fields of `Alert`."""
        subscription = target.split("/")[2]
        fired_at = said.pop("fired_at", datetime.now(UTC))
        alert = Alert(subscription, rule, target, fired_at, context, **said)
        alert.note("AlertCreated", "System")
        with self._lock:
            self.all[alert.name] = alert
        return alert

    def resolve(self, alert: Alert) -> None:
        """Azure Monitor finds that its condition holds no more."""
        alert.condition, alert.resolved_at = "Resolved", datetime.now(UTC)
        alert.note("MonitorConditionChange", "System", "Fired", "Resolved")

    def change_state(self, alert: Alert, state: str, by: str, comment: str = "") -> None:
        """Somebody acknowledges or closes it, or opens it again."""
        with self._lock:
            if alert.state != state:
                old, alert.state = alert.state, state
                alert.note("StateChange", by, old, state, comment)

    def _find(self, call: Call) -> Alert:
        found = self.all.get(call.names["alertId"].lower())
        if found is None or found.subscription.lower() != call.names["subscriptionId"].lower():
            raise ArmError(404, "NotFound", f"The alert '{call.names['alertId']}' could not be found.")
        return found

    def _get(self, call: Call) -> Answer:
        return Answer(200, _show(self._find(call), with_context=True))

    def _history(self, call: Call) -> Answer:
        alert = self._find(call)
        properties = {"alertId": alert.name, "modifications": list(alert.history)}
        shown = {"id": alert.id, "name": alert.rule, "type": f"{NAMESPACE}/alerts", "properties": properties}
        return Answer(200, shown)

    def _change_state(self, call: Call) -> Answer:
        alert, state = self._find(call), call.query.get("newState", "")
        if state not in STATES:
            raise ArmError(400, "BadRequest", f"newState: '{state}' is none of {', '.join(STATES)}.")
        comment = "" if call.body is None else str(call.content.get("comments", ""))
        if comment and call.api_version != "2019-05-05-preview":
            raise ArmError(400, "BadRequest", f"API version {call.api_version} takes no comment.")
        self.change_state(alert, state, str(call.principal.get("oid")), comment)
        return Answer(200, _show(alert, with_context=True))

    def _list(self, call: Call) -> Answer:
        with_context = call.query.get("includeContext", "false").lower() == "true"
        size = _page_size(call, with_context)
        since = _since(call)
        wanted = [
            alert
            for alert in self.all.values()
            if alert.subscription.lower() == call.names["subscriptionId"].lower()
            and alert.fired_at >= since
            and _fits(call, "monitorCondition", alert.condition)
            and _fits(call, "alertState", alert.state)
            and _fits(call, "severity", alert.severity)
            and _fits(call, "targetResource", alert.target)
            and _fits(call, "monitorService", alert.service)
        ]
        wanted.sort(key=lambda alert: alert.modified_at, reverse=True)
        first = int(call.query.get("ctoken", "0"))
        shown = [_show(alert, with_context=with_context) for alert in wanted[first : first + size]]
        body: dict[str, Any] = {"value": shown}
        if first + size < len(wanted):
            asked = {name: value for name, value in call.query.items() if name not in ("api-version", "ctoken")}
            body["nextLink"] = call.url(call.path, **asked, ctoken=str(first + size))
        return Answer(200, body)


def _page_size(call: Call, with_context: bool) -> int:
    text = call.query.get("pageCount", str(_PAGE))
    largest = _LARGEST_PAGE_WITH_CONTEXT if with_context else _LARGEST_PAGE
    if not text.isdigit() or not 1 <= int(text) <= largest:
        raise ArmError(400, "BadRequest", f"pageCount: '{text}' is not between 1 and {largest}.")
    return int(text)


def _since(call: Call) -> datetime:
    text = call.query.get("timeRange", "1d")
    if text not in _RANGES:
        raise ArmError(400, "BadRequest", f"timeRange: '{text}' is none of {', '.join(_RANGES)}.")
    return datetime.now(UTC) - _RANGES[text]


def _fits(call: Call, name: str, value: str) -> bool:
    wanted: Sequence[str] = [call.query[name]] if name in call.query else []
    return all(value.lower() == each.lower() for each in wanted)


def _show(alert: Alert, *, with_context: bool) -> dict[str, Any]:
    essentials = {
        "severity": alert.severity,
        "signalType": alert.signal_type,
        "alertState": alert.state,
        "monitorCondition": alert.condition,
        "targetResource": alert.target,
        "targetResourceName": alert.target.rpartition("/")[2],
        "monitorService": alert.service,
        "alertRule": f"/subscriptions/{alert.subscription}/resourceGroups/rules/providers/microsoft.insights"
        f"/metricAlerts/{alert.rule}",
        "sourceCreatedId": alert.name,
        "startDateTime": _text(alert.fired_at),
        "lastModifiedDateTime": _text(alert.modified_at),
        "lastModifiedUserName": alert.modified_by,
        "actionStatus": {"isSuppressed": False},
    }
    if alert.resolved_at is not None:
        essentials["monitorConditionResolvedDateTime"] = _text(alert.resolved_at)
    properties: dict[str, Any] = {"essentials": essentials, "customProperties": dict(alert.custom_properties)}
    if with_context:
        properties["context"] = dict(alert.context)
    return {"id": alert.id, "name": alert.rule, "type": f"{NAMESPACE}/alerts", "properties": properties}


def _text(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
