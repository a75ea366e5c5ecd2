"""The activity log of subscriptions: what was done to resources, by whom, as the list of 2015-04-01 shows it.

Shaped by the REST reference, "Activity Logs - List". What happens in the simulators is not entered by itself.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from local.azure.arm import Answer, Call, ResourceManager, Route, page
from local.azure.errors import ArmError

API_VERSIONS = ("2015-04-01",)
_LIST = "/subscriptions/{subscriptionId}/providers/Microsoft.Insights/eventtypes/{kind}/values"
_FILTER = re.compile(
    r"eventTimestamp ge '(?P<since>[^']+)'(?: and eventTimestamp le '(?P<until>[^']+)')?"
    r"(?: and resourceUri eq '?(?P<resource>[^']+?)'?)?"
)
_PAGE = 200


@dataclass(frozen=True, slots=True)
class Done:
    """One record."""

    resource: str
    operation: str
    status: str
    at: datetime
    caller: str


class ActivityLog:
    """All records; `add` enters one."""

    def __init__(self, arm: ResourceManager) -> None:
        self._records: list[Done] = []
        arm.register(API_VERSIONS, [Route("GET", _LIST, self._list)])

    def add(
        self,
        resource: str,
        operation: str,
        status: str = "Succeeded",
        at: datetime | None = None,
        caller: str = "ada@contoso.com",
    ) -> None:
        """Somebody has done something to a resource."""
        self._records.append(Done(resource, operation, status, at or datetime.now(UTC), caller))

    def _list(self, call: Call) -> Answer:
        asked = _FILTER.fullmatch(call.query.get("$filter", ""))
        if asked is None:
            raise ArmError(
                400, "BadRequest", "$filter: begin it with eventTimestamp ge 'TIME'; few forms are understood."
            )
        since, until = datetime.fromisoformat(asked["since"]), asked["until"]
        found = [
            one
            for one in reversed(self._records)
            if one.at >= since
            and (until is None or one.at <= datetime.fromisoformat(until))
            and (asked["resource"] is None or one.resource.lower() == asked["resource"].lower())
        ]
        return page(call, [_show(one) for one in found], _PAGE)


def _show(one: Done) -> dict[str, object]:
    return {
        "resourceId": one.resource,
        "operationName": {"value": one.operation, "localizedValue": one.operation},
        "status": {"value": one.status, "localizedValue": one.status},
        "eventTimestamp": one.at.isoformat().replace("+00:00", "Z"),
        "caller": one.caller,
        "category": {"value": "Administrative"},
        "level": "Informational",
    }
