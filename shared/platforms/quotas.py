"""What a subscription may have of machines and of database cores in a region, and what it has.

Sources: Compute REST API 2024-07-01, "Usage - List" (families of machines and all together); Azure Database for
PostgreSQL 2026-10-01, quotaUsages.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from shared.platforms import postgres_servers, resource_manager

COMPUTE_API = "2024-07-01"
TOTAL = "cores"
"""The name under which all vCPUs of a region are counted together."""

_SIZE = re.compile(r"Standard_([A-Z]+)(\d+)(?:-(\d+))?([a-z]*)(?:_(v\d+))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Usage:
    """One quota; `name` in lower case."""

    name: str
    used: int
    limit: int

    @property
    def free(self) -> int:
        """What is left, 0 when more is used than allowed."""
        return max(0, self.limit - self.used)


@dataclass(frozen=True, slots=True)
class Size:
    """What the name of a machine's size says: its vCPUs, and the family that its quota counts (in lower case)."""

    cores: int
    family: str


def size(name: str) -> Size:
    """Standard_D4s_v5 has 4 vCPUs and is of standarddsv5family. Raises ValueError for a name that does not say."""
    match = _SIZE.fullmatch(name)
    if match is None:
        raise ValueError(f"{name} is not the size of a machine such as Standard_D4s_v5")
    family, cores, constrained, features, version = match.groups()
    return Size(int(constrained or cores), f"standard{family}{features}{version or ''}family".lower())


def compute(subscription: str, location: str) -> dict[str, Usage]:
    """The quotas of machines by name. Raises azure.core's HttpResponseError, AzureError."""
    path = f"/subscriptions/{subscription}/providers/Microsoft.Compute/locations/{location}/usages"
    return {
        usage.name: usage
        for item in resource_manager.pages(path, COMPUTE_API)
        for usage in [Usage(str(item["name"]["value"]).lower(), int(item["currentValue"]), int(item["limit"]))]
    }


def postgres(subscription: str, location: str) -> dict[str, Usage]:
    """The quotas of flexible servers by name. Raises azure.core's HttpResponseError, AzureError."""
    return {usage.name: usage for usage in _postgres(subscription, location)}


def _postgres(subscription: str, location: str) -> Iterator[Usage]:
    for item in postgres_servers.client(subscription).quota_usages.list(location):
        if item.name and item.name.value:
            yield Usage(item.name.value.lower(), item.current_value or 0, item.limit or 0)
