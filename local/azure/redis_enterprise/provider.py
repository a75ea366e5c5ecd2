"""Microsoft.Cache/redisEnterprise 2025-07-01, as far as the app calls it: read, change the size, what can be chosen.

Documented: the resource's properties, its sizes, listSkusForScaling, that a cache is smaller only where its data fit,
and that flash sizes and the others do not become each other. Inferred: the code and status of each refusal, the size in
GB of what is not in the documentation's tables, and the names of the operation's URLs.
"""

import threading
from dataclasses import dataclass, field
from typing import Any

from local.azure.arm import Answer, Call, ResourceManager, Route, page
from local.azure.errors import ArmError
from local.azure.operations import Operations
from local.azure.redis_enterprise.answering import RedisListener

NAMESPACE = "Microsoft.Cache"
TYPE = f"{NAMESPACE}/redisEnterprise"
API_VERSIONS = ("2025-07-01",)

_CACHE = f"/subscriptions/{{subscriptionId}}/resourceGroups/{{resourceGroupName}}/providers/{TYPE}/{{clusterName}}"
_SIZES = (0.5, 1, 3, 6, 12, 24, 60, 120, 180)
_NAMES = {
    "Balanced": ("B0", "B1", "B3", "B5", "B10", "B20", "B50", "B100", "B150"),
    "MemoryOptimized": ("", "", "", "", "M10", "M20", "M50", "M100", "M150"),
    "ComputeOptimized": ("", "", "X3", "X5", "X10", "X20", "X50", "X100", "X150"),
}
SKUS = {
    f"{family}_{name}": size
    for family, names in _NAMES.items()
    for name, size in zip(names, _SIZES, strict=True)
    if name
}


@dataclass(slots=True)
class Cache:
    """A cache. `used_gb` is what is in it; `seconds` is how long another size takes."""

    subscription: str
    group: str
    name: str
    location: str
    sku: str
    used_gb: float = 0.1
    seconds: float = 0.0
    state: str = "Running"
    listener: RedisListener = field(default_factory=lambda: RedisListener())
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def id(self) -> str:
        return f"/subscriptions/{self.subscription}/resourceGroups/{self.group}/providers/{TYPE}/{self.name}"


class RedisCaches:
    """The resource provider's caches."""

    def __init__(self, arm: ResourceManager, operations: Operations) -> None:
        self._operations = operations
        self._arm = arm
        self._caches: dict[str, Cache] = {}
        arm.register(
            API_VERSIONS,
            [
                *operations.routes(),
                Route("GET", _CACHE, lambda call: Answer(200, _show(self._cache(call)))),
                Route("PATCH", _CACHE, self._patch),
                Route("GET", f"{_CACHE}/databases", self._databases),
                Route("POST", f"{_CACHE}/listSkusForScaling", self._offered),
            ],
        )

    def add(self, resource_id: str, location: str, sku: str, listener: RedisListener) -> Cache:
        """Make a cache outside of any request, its resource group too; the listener answers for it."""
        parts = resource_id.strip("/").split("/")
        if len(parts) != 8 or "/".join(parts[5:7]).lower() != TYPE.lower():
            raise ValueError(f"resource_id: not an Azure Managed Redis: {resource_id}")
        if sku not in SKUS:
            raise ValueError(f"sku: {sku} is none of {', '.join(SKUS)}")
        self._arm.add_group(parts[1], parts[3], location)
        cache = Cache(parts[1], parts[3], parts[7], location, sku, listener=listener)
        self._caches[cache.id.lower()] = cache
        return cache

    def get(self, resource_id: str) -> Cache:
        """The cache behind a resource id; raises ArmError ResourceNotFound."""
        found = self._caches.get(resource_id.lower())
        if found is None:
            name = resource_id.rpartition("/")[2]
            raise ArmError(404, "ResourceNotFound", f"The Resource '{TYPE}/{name}' was not found.")
        return found

    def close(self) -> None:
        """End what answers for the caches."""
        for cache in self._caches.values():
            cache.listener.close()

    def _cache(self, call: Call) -> Cache:
        return self.get(_CACHE.format(**call.names))

    def _offered(self, call: Call) -> Answer:
        cache = self._cache(call)
        return Answer(200, {"skus": [{"name": name, "sizeInGB": SKUS[name]} for name in _possible(cache)]})

    def _databases(self, call: Call) -> Answer:
        cache = self._cache(call)
        shown = {
            "id": f"{cache.id}/databases/default",
            "name": "default",
            "type": f"{TYPE}/databases",
            "properties": {
                "clientProtocol": "Encrypted",
                "port": cache.listener.port,
                "clusteringPolicy": "OSSCluster",
                "evictionPolicy": "NoEviction",
                "provisioningState": "Succeeded",
                "resourceState": cache.state,
            },
        }
        return page(call, [shown], 100)

    def _patch(self, call: Call) -> Answer:
        cache = self._cache(call)
        given: dict[str, Any] = call.content.get("sku") or {}
        sku = str(given.get("name", cache.sku))
        with cache.lock:
            if cache.state not in ("Running", "ScalingFailed"):
                raise ArmError(409, "Conflict", f"The cache '{cache.name}' is {cache.state}; try again later.")
            if sku != cache.sku and sku not in _possible(cache):
                raise ArmError(400, "BadRequest", f"Scaling from {cache.sku} to {sku} is not supported now.")
            cache.state = "Scaling"

        def work() -> None:
            cache.sku, cache.state = sku, "Running"

        def failed(_: ArmError) -> None:
            cache.state = "ScalingFailed"

        return self._operations.begin(
            call, location=cache.location, name="scale", work=work, failed=failed, seconds=cache.seconds
        )


def _possible(cache: Cache) -> list[str]:
    return [name for name, size in SKUS.items() if name != cache.sku and size > cache.used_gb]


def _show(cache: Cache) -> dict[str, Any]:
    provisioning = {"Running": "Succeeded", "ScalingFailed": "Failed"}.get(cache.state, "Updating")
    return {
        "id": cache.id,
        "name": cache.name,
        "type": TYPE,
        "location": cache.location,
        "kind": "v2",
        "sku": {"name": cache.sku},
        "properties": {
            "hostName": cache.listener.host,
            "provisioningState": provisioning,
            "resourceState": cache.state,
            "redisVersion": "7.4",
            "minimumTlsVersion": "1.2",
            "highAvailability": "Enabled",
            "redundancyMode": "ZR",
        },
    }
