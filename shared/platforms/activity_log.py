"""Azure's activity log (Microsoft.Insights, REST 2015-04-01): what was done to a resource, not by whom."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, cast

from shared.platforms import resource_manager

_API_VERSION = "2015-04-01"
_MOST_READ = 200
_NO_CHANGE = ("/list", "/read")


@dataclass(frozen=True, slots=True)
class Operation:
    """Something that was done. `name` as in Microsoft.DBforPostgreSQL/flexibleServers/restart/action; `at` UTC."""

    name: str
    status: str
    at: datetime


def operations(resource_id: str, since: datetime) -> Iterator[Operation]:
    """What was begun, done or failed on a resource since that time, the newest first, of the last 200 records.

    Whoever did it is left out: names of people are not needed to find a cause. Raises azure.core's AzureError.
    """
    subscription = resource_id.split("/")[2]
    path = f"/subscriptions/{subscription}/providers/Microsoft.Insights/eventtypes/management/values"
    when = since.astimezone(UTC).isoformat().replace("+00:00", "Z")
    asked = {"$filter": f"eventTimestamp ge '{when}' and resourceUri eq '{resource_id}'"}
    asked["$select"] = "operationName,status,eventTimestamp"
    for shown in islice(resource_manager.pages(path, _API_VERSION, **asked), _MOST_READ):
        name = _value(shown, "operationName")
        if not any(word in name for word in _NO_CHANGE):
            yield Operation(name, _value(shown, "status"), datetime.fromisoformat(str(shown["eventTimestamp"])))


def _value(shown: dict[str, Any], name: str) -> str:
    return str(cast("dict[str, Any]", shown.get(name) or {}).get("value") or "")
