"""What machines a subscription may have: vCPUs of a family and of all, in a region, as Microsoft.Compute counts them.

Documented: the usages list (Compute REST API, "Usage - List"), names of families by their sizes. Seen in users'
reports: ErrCode_InsufficientVCPUQuota, refused before anything happens, and QuotaExceeded of an operation that found
less than was there when it began (cilium issue 31859, Azure/AKS issue 5808).
"""

import re
from collections.abc import Iterable

from local.azure.arm import Answer, Call, page
from local.azure.managed_clusters import refusals
from local.azure.managed_clusters.behaviour import Behaviour
from local.azure.managed_clusters.model import Cluster, Pool

API_VERSIONS = ("2024-07-01",)
USAGES = "/subscriptions/{subscriptionId}/providers/Microsoft.Compute/locations/{location}/usages"
TOTAL = "cores"

_SIZE = re.compile(r"Standard_([A-Z]+)(\d+)(?:-\d+)?([a-z]*)(?:_(v\d+))?")
_UNLIMITED = 100_000


def family_of(size: str) -> str:
    """The family of a machine: Standard_D4s_v5 is of standardDSv5Family."""
    match = _SIZE.fullmatch(size)
    assert match, f"not the size of a machine: {size}"
    return f"standard{match[1]}{match[3].upper()}{match[4] or ''}Family"


def cores_of(size: str) -> int:
    """The vCPUs of a machine."""
    match = _SIZE.fullmatch(size)
    assert match, f"not the size of a machine: {size}"
    return int(match[2])


class Quotas:
    """What is used and what is left, of all clusters of a region."""

    def __init__(self, behaviour: Behaviour, clusters: Iterable[Cluster]) -> None:
        self._behaviour = behaviour
        self._clusters = clusters

    def used(self, location: str, name: str) -> int:
        """The vCPUs in use; machines that are still coming or going count as they are."""
        return sum(
            len(pool.nodes) * cores_of(pool.vm_size)
            for cluster in self._clusters
            if cluster.location == location
            for pool in cluster.pools.values()
            if name in (TOTAL, family_of(pool.vm_size))
        )

    def left(self, location: str, size: str) -> int:
        """How many machines of a size there may be yet."""
        quota = self._behaviour.cores_quota
        names = [name for name in (TOTAL, family_of(size)) if name in quota]
        return min((max(0, quota[name] - self.used(location, name)) for name in names), default=_UNLIMITED) // cores_of(
            size
        )

    def check(self, cluster: Cluster, pool: Pool, wanted: int) -> None:
        """Raises ArmError when that many machines of the pool are more than there may be."""
        more, left = wanted - len(pool.nodes), self.left(cluster.location, pool.vm_size)
        if more > left:
            each = cores_of(pool.vm_size)
            raise refusals.insufficient_quota(more * each, left * each, family_of(pool.vm_size), cluster.location)

    def usages(self, call: Call) -> Answer:
        """The list of Microsoft.Compute; a family that has no limit here is shown with a large one."""
        location = call.names["location"].lower()
        families = {family_of(pool.vm_size) for one in self._clusters for pool in one.pools.values()}
        names = [TOTAL, *sorted(families | (set(self._behaviour.cores_quota) - {TOTAL}))]
        shown = [
            {
                "unit": "Count",
                "currentValue": self.used(location, name),
                "limit": self._behaviour.cores_quota.get(name, _UNLIMITED),
                "name": {"value": name, "localizedValue": "Total Regional vCPUs" if name == TOTAL else name},
            }
            for name in names
        ]
        return page(call, shown, self._behaviour.page_size)
