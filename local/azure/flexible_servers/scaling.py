"""Another compute size: what Azure refuses, and whether applications lose the server for seconds or for minutes.

Documented ("Scaling resources"): a new machine is made beside and takes over in seconds, and what keeps that from
happening. Inferred: that a scaling is refused as busy while Azure maintains the server, and the code for a quota.
"""

import time
from collections.abc import Callable, Iterable

from local.azure.flexible_servers import refusals
from local.azure.flexible_servers.behaviour import Behaviour
from local.azure.flexible_servers.model import Server, Sku

_SMALL = 2


def check(server: Server, sku: Sku, behaviour: Behaviour, cores_left: int) -> None:
    """Raises ArmError for a size that there is none of, that is beyond the quota, and during maintenance."""
    if sku.name in behaviour.unavailable_skus:
        raise refusals.invalid_parameter("sku.name")
    if any(event["status"] == "InProgress" for event in server.maintenance):
        raise refusals.busy(server.name)
    more = sku.cores - server.sku.cores
    if more > max(cores_left, 0):
        raise refusals.quota_exceeded(server.location, more, cores_left)


def is_slow(server: Server, sku: Sku, behaviour: Behaviour, all_servers: Iterable[Server]) -> bool:
    """Whether the server is away for all of the time."""
    replicated = any(other.replica_of == server.id for other in all_servers)
    small = any(one.tier == "Burstable" and one.cores <= _SMALL for one in (sku, server.sku))
    crowded = "delegatedSubnetResourceId" in server.network and not behaviour.spare_addresses
    return replicated or small or crowded or behaviour.scaling_falls_back


def change_machine(server: Server, *, seconds_away: float, back: Callable[[], None]) -> None:
    """End the real server and start it again; `back` is called when it runs. Its `max_connections` stay as they are."""
    if server.cluster is None:
        return
    if seconds_away:
        server.cluster.stop()
        time.sleep(seconds_away)
        server.cluster.start()
    else:
        server.cluster.restart()
    back()
