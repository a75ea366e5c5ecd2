"""The two schemas of Event Grid: what is a valid event, and what its filters look at."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast

type Schema = Literal["CloudEventSchemaV1_0", "EventGridSchema"]

CLOUD_EVENTS: Schema = "CloudEventSchemaV1_0"
EVENT_GRID: Schema = "EventGridSchema"

MAXIMUM_BYTES = 1024 * 1024
"""For one event and for a whole request (documented: "Event Grid quotas and limits")."""
MAXIMUM_EVENTS = 5000

_ATTRIBUTE = re.compile(r"[a-z0-9]+")
_NOT_ATTRIBUTES = {"data", "data_base64"}


class InvalidEventError(Exception):
    """Not an event of the schema; the message names the field."""


class TooLargeError(Exception):
    """More than Event Grid takes."""


@dataclass(frozen=True, slots=True)
class Event:
    """An accepted event, as it was sent."""

    body: Mapping[str, Any]
    schema: Schema

    @property
    def id(self) -> str:
        return str(self.body["id"])

    @property
    def type(self) -> str:
        return str(self.body["type" if self.schema == CLOUD_EVENTS else "eventType"])

    @property
    def subject(self) -> str:
        return str(self.body.get("subject") or "")

    def in_schema(self, schema: Schema, topic: str) -> dict[str, Any]:
        """The event for a subscriber that wants that schema. Only Event Grid's own can become the other one."""
        if schema == self.schema:
            return {**self.body, "topic": topic, "metadataVersion": "1"} if schema == EVENT_GRID else dict(self.body)
        return {
            "specversion": "1.0",
            "id": self.id,
            "source": topic,
            "type": self.type,
            "subject": self.subject,
            "time": self.body["eventTime"],
            "data": self.body.get("data"),
        }


def parse(items: list[Any], schema: Schema) -> list[Event]:
    """Raises InvalidEventError, TooLargeError; one bad event refuses them all."""
    if len(items) > MAXIMUM_EVENTS:
        raise TooLargeError(f"A request may have {MAXIMUM_EVENTS} events, not {len(items)}.")
    check = _check_cloud_event if schema == CLOUD_EVENTS else _check_event_grid_event
    for number, item in enumerate(items):
        if not isinstance(item, dict):
            raise InvalidEventError(f"Event {number} is not a JSON object.")
        check(cast("dict[str, Any]", item), f"Event {number}")
        if len(json.dumps(item)) > MAXIMUM_BYTES:
            raise TooLargeError(f"Event {number} is larger than {MAXIMUM_BYTES} bytes.")
    return [Event(item, schema) for item in items]


def _check_cloud_event(item: dict[str, Any], where: str) -> None:
    if item.get("specversion") != "1.0":
        raise InvalidEventError(f"{where}: specversion must be '1.0'.")
    for name in ("id", "source", "type"):
        _require_text(item, name, where)
    for name, value in item.items():
        if name not in _NOT_ATTRIBUTES and not _ATTRIBUTE.fullmatch(name):
            raise InvalidEventError(f"{where}: the attribute name '{name}' has other than lower case letters, digits.")
        if name not in _NOT_ATTRIBUTES and isinstance(value, dict | list):
            raise InvalidEventError(f"{where}: the attribute '{name}' must be a string, a number or a boolean.")
    if "data" in item and "data_base64" in item:
        raise InvalidEventError(f"{where}: data and data_base64 exclude each other.")
    if (time := item.get("time")) is not None:
        _require_time(time, "time", where)
    if item.get("subject") == "":
        raise InvalidEventError(f"{where}: subject must not be empty when it is given.")


def _check_event_grid_event(item: dict[str, Any], where: str) -> None:
    for name in ("id", "subject", "eventType", "eventTime"):
        _require_text(item, name, where)
    if "dataVersion" not in item:
        raise InvalidEventError(f"{where}: dataVersion is missing.")
    _require_time(item["eventTime"], "eventTime", where)


def _require_text(item: dict[str, Any], name: str, where: str) -> None:
    if not isinstance(item.get(name), str) or not item[name]:
        raise InvalidEventError(f"{where}: {name} must be a string that is not empty.")


def _require_time(value: Any, name: str, where: str) -> None:
    try:
        aware = datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        aware = False
    if not aware:
        raise InvalidEventError(f"{where}: {name} must be an RFC 3339 time with its offset.")
