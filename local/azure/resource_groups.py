"""Resource groups and management locks, which belong to ARM itself."""

from typing import Any

from local.azure import routing
from local.azure.arm import Answer, Call, Lock, ResourceGroup, ResourceManager, Route, page
from local.azure.errors import ArmError

GROUP_API_VERSIONS = ("2021-04-01", "2022-09-01", "2024-03-01", "2025-04-01")
LOCK_API_VERSIONS = ("2016-09-01", "2020-05-01")

_GROUPS = "/subscriptions/{subscriptionId}/resourceGroups"
_LOCKS = "providers/Microsoft.Authorization/locks"
_SCOPES = (
    "/subscriptions/{subscriptionId}",
    f"{_GROUPS}/{{resourceGroupName}}",
    f"{_GROUPS}/{{resourceGroupName}}/providers/Microsoft.DBforPostgreSQL/flexibleServers/{{serverName}}",
)
_PAGE = 1000


def register(arm: ResourceManager) -> None:
    """Serve groups (read, create, tag) and the locks of subscriptions, groups and servers."""

    def show_groups(call: Call) -> Answer:
        return page(call, [_show_group(group) for group in arm.groups(call.names["subscriptionId"])], _PAGE)

    def show_group(call: Call) -> Answer:
        return Answer(200, _show_group(arm.group(call.names["subscriptionId"], call.names["resourceGroupName"])))

    def put_group(call: Call) -> Answer:
        body = call.content
        if not body.get("location"):
            raise ArmError(400, "LocationRequired", "The location property is required for this definition.")
        subscription, name = call.names["subscriptionId"], call.names["resourceGroupName"]
        created = arm.add_group(subscription, name, body["location"], body.get("tags"))
        return Answer(201 if created else 200, _show_group(arm.group(subscription, name)))

    def show_locks(call: Call) -> Answer:
        """Those on the scope, below it and above it, as `at scope and its parents and children` are listed."""
        scope = _scope(call)
        found = [
            lock
            for lock in arm.locks
            if routing.is_within(lock.scope, scope)
            or ("atScope" not in call.query and routing.is_within(scope, lock.scope))
        ]
        return page(call, [_show_lock(lock) for lock in found], _PAGE)

    def put_lock(call: Call) -> Answer:
        properties = call.properties
        if properties.get("level") not in ("CanNotDelete", "ReadOnly"):
            raise ArmError(400, "InvalidLockLevel", "The lock's level must be CanNotDelete or ReadOnly.")
        lock = Lock(call.names["lockName"], _scope(call), properties["level"], properties.get("notes", ""))
        existed = _remove(arm, lock.scope, lock.name)
        arm.locks.append(lock)
        return Answer(200 if existed else 201, _show_lock(lock))

    def delete_lock(call: Call) -> Answer:
        return Answer(200 if _remove(arm, _scope(call), call.names["lockName"]) else 204)

    arm.register(
        GROUP_API_VERSIONS,
        [
            Route("GET", _GROUPS, show_groups),
            Route("GET", f"{_GROUPS}/{{resourceGroupName}}", show_group),
            Route("PUT", f"{_GROUPS}/{{resourceGroupName}}", put_group),
        ],
    )
    for scope in _SCOPES:
        arm.register(
            LOCK_API_VERSIONS,
            [
                Route("GET", f"{scope}/{_LOCKS}", show_locks),
                Route("PUT", f"{scope}/{_LOCKS}/{{lockName}}", put_lock),
                Route("DELETE", f"{scope}/{_LOCKS}/{{lockName}}", delete_lock),
            ],
        )


def _scope(call: Call) -> str:
    at = call.path.lower().index("/providers/microsoft.authorization/")
    return call.path[:at]


def _remove(arm: ResourceManager, scope: str, name: str) -> bool:
    kept = [lock for lock in arm.locks if (lock.scope.lower(), lock.name.lower()) != (scope.lower(), name.lower())]
    existed = len(kept) < len(arm.locks)
    arm.locks[:] = kept
    return existed


def _show_group(group: ResourceGroup) -> dict[str, Any]:
    return {
        "id": group.id,
        "name": group.name,
        "type": "Microsoft.Resources/resourceGroups",
        "location": group.location,
        "tags": dict(group.tags),
        "properties": {"provisioningState": "Succeeded"},
    }


def _show_lock(lock: Lock) -> dict[str, Any]:
    return {
        "id": f"{lock.scope}/{_LOCKS}/{lock.name}",
        "name": lock.name,
        "type": "Microsoft.Authorization/locks",
        "properties": {"level": lock.level, "notes": lock.notes},
    }
