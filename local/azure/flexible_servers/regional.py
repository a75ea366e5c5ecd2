"""What Microsoft.DBforPostgreSQL tells about a region, a name or its own plans: small, but enough to ask first."""

from collections.abc import Collection
from typing import Any

from local.azure.arm import Answer, Call, ResourceManager, Route, page
from local.azure.errors import ArmError
from local.azure.flexible_servers import creation, model, refusals
from local.azure.flexible_servers.model import TYPE
from local.azure.flexible_servers.provider import API_VERSIONS, NAMESPACE, SERVER, FlexibleServers

_PROVIDER = f"/subscriptions/{{subscriptionId}}/providers/{NAMESPACE}"
_CORES = (2, 4, 8, 16, 32, 48, 64, 96)
_SIZES = {
    "Burstable": ("B1ms", "B2s", "B2ms", "B4ms", "B8ms"),
    "GeneralPurpose": tuple(f"D{cores}ds_v5" for cores in _CORES),
    "MemoryOptimized": tuple(f"E{cores}ds_v5" for cores in _CORES),
}
_UPCOMING = {"Planned", "InProgress", "Rescheduled"}


def register(arm: ResourceManager, servers: FlexibleServers) -> None:
    """Serve capabilities, quota usages, name checks and maintenance events (those put on `Server.maintenance`)."""

    def usages(call: Call) -> Answer:
        location = call.names["locationName"].lower()
        usage = {
            "id": f"{call.path}/cores",
            "name": {"value": "cores", "localizedValue": "cores"},
            "currentValue": servers.cores_in(location),
            "limit": servers.behaviour.cores_quota,
            "unit": "Count",
        }
        return page(call, [usage], servers.behaviour.page_size)

    def capabilities(call: Call) -> Answer:
        return page(call, [_capabilities(servers.behaviour.unavailable_skus)], servers.behaviour.page_size)

    def capabilities_of_one(call: Call) -> Answer:
        servers.server(call)
        return capabilities(call)

    def check_name(call: Call) -> Answer:
        name = str(call.content.get("name", ""))
        answer: dict[str, Any] = {"name": name, "type": TYPE, "nameAvailable": True, "message": ""}
        try:
            model.check_name(name)
        except ArmError as error:
            answer |= {"nameAvailable": False, "reason": "Invalid", "message": str(error)}
        else:
            if servers.is_taken(name):
                taken = refusals.name_taken()
                answer |= {"nameAvailable": False, "reason": "AlreadyExists", "message": str(taken)}
        return Answer(200, answer)

    def maintenance(call: Call) -> Answer:
        server = servers.server(call)
        status = call.query.get("maintenanceStatus")
        events = [
            event
            for event in server.maintenance
            if status is None or (event["status"] in _UPCOMING) == (status == "Upcoming")
        ]
        kind = "maintenanceEvents"
        shown = [
            {
                "id": server.child_id(kind, event["maintenanceEventId"]),
                "name": event["maintenanceEventId"],
                "type": f"{TYPE}/{kind}",
                "properties": event,
            }
            for event in events
        ]
        return page(call, shown, servers.behaviour.page_size)

    location = f"{_PROVIDER}/locations/{{locationName}}"
    arm.register(
        API_VERSIONS,
        [
            Route("GET", f"{location}/capabilities", capabilities),
            Route("GET", f"{SERVER}/capabilities", capabilities_of_one),
            Route("GET", f"{location}/resourceType/{{resourceType}}/usages", usages),
            Route("POST", f"{location}/checkNameAvailability", check_name),
            Route("POST", f"{_PROVIDER}/checkNameAvailability", check_name),
            Route("GET", f"{SERVER}/maintenanceEvents", maintenance),
        ],
    )


def _capabilities(unavailable: Collection[str]) -> dict[str, Any]:
    return {
        "name": "FlexibleServerCapabilities",
        "status": "Available",
        "supportedServerEditions": [
            {
                "name": tier,
                "status": "Available",
                "defaultSkuName": f"Standard_{sizes[0]}",
                "supportedServerSkus": [
                    {
                        "name": f"Standard_{size}",
                        "vCores": model.Sku(f"Standard_{size}", tier).cores,
                        **_standing(f"Standard_{size}", unavailable),
                    }
                    for size in sizes
                ],
            }
            for tier, sizes in _SIZES.items()
        ],
        "supportedServerVersions": [{"name": version, "status": "Available"} for version in creation.VERSIONS],
    }


def _standing(sku: str, unavailable: Collection[str]) -> dict[str, str]:
    if sku in unavailable:
        return {"status": "Disabled", "reason": "The region has no capacity for this size."}
    return {"status": "Available"}
