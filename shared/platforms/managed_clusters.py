"""AKS clusters and their node pools through azure-mgmt-containerservice (API 2026-08-01).

Sources: "Stop and start an AKS cluster", "Start and stop a node pool", "Manually scale", the SDK's models. Nothing here
waits; see `arm_operations` for the errors that the asking functions raise.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from shared.platforms import arm_operations, kubernetes
from shared.platforms.arm_operations import Operation, submit, text
from shared.platforms.credentials import credential
from shared.platforms.kubernetes import Cluster, ClusterEndpoint

if TYPE_CHECKING:
    from azure.mgmt.containerservice import ContainerServiceClient
    from azure.mgmt.containerservice.models import AgentPool, ManagedClusterAgentPoolProfile

SETTLED = ("Succeeded", "Failed", "Canceled")
"""Provisioning states in which nothing goes on."""

_ENDPOINT_KEPT_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class PoolFacts:
    """What Azure says of one node pool. A stopped one shows no nodes and no autoscaler."""

    name: str
    mode: str
    power: str
    provisioning: str
    count: int
    autoscaler: bool
    min: int | None
    max: int | None
    size: str


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """What Azure says of one cluster."""

    id: str
    location: str
    power: str
    provisioning: str
    node_auto_provisioning: bool
    pools: tuple[PoolFacts, ...]


@dataclass(frozen=True, slots=True)
class ClusterId:
    """The parts of a cluster's resource id that the SDK asks for."""

    subscription: str
    resource_group: str
    name: str

    @classmethod
    def parse(cls, resource_id: str) -> "ClusterId":
        """Raises ValueError when it is no managed cluster's id. Azure compares ids without regard to case."""
        parts = resource_id.strip("/").split("/")
        kinds = [part.lower() for part in parts[0::2]]
        expected = ["subscriptions", "resourcegroups", "providers", "managedclusters"]
        if kinds != expected or len(parts) != 8 or parts[5].lower() != "microsoft.containerservice":
            raise ValueError(f"not the resource id of an AKS cluster: {resource_id}")
        return cls(parts[1], parts[3], parts[7])


def get(cluster_id: str) -> ClusterFacts | None:
    """The cluster with its pools in one call, None when there is none of that id."""
    from azure.core.exceptions import ResourceNotFoundError

    at = ClusterId.parse(cluster_id)
    try:
        found = _client(at.subscription).managed_clusters.get(at.resource_group, at.name)
    except ResourceNotFoundError:
        return None
    properties = found.properties
    provisioning = properties.node_provisioning_profile if properties else None
    return ClusterFacts(
        id=found.id or cluster_id,
        location=found.location,
        power=text(properties.power_state.code) if properties and properties.power_state else "",
        provisioning=text(properties.provisioning_state) if properties else "",
        node_auto_provisioning=provisioning is not None and text(provisioning.mode) == "Auto",
        pools=tuple(_facts(pool.name, pool) for pool in (properties.agent_pool_profiles if properties else None) or ()),
    )


def get_pool(cluster_id: str, pool: str) -> PoolFacts | None:
    """One node pool, None when there is none of that name."""
    found = _pool(cluster_id, pool)
    return _facts(pool, found.properties) if found is not None and found.properties is not None else None


def stop(cluster_id: str) -> str:
    """Ask the cluster to stop. Returns the operation's URL, empty when there is nothing to do."""
    at = ClusterId.parse(cluster_id)
    forget(cluster_id)
    return submit(_client(at.subscription).managed_clusters.begin_stop, at.resource_group, at.name)


def start(cluster_id: str) -> str:
    """Ask the cluster to start. Returns the operation's URL, empty when there is nothing to do."""
    at = ClusterId.parse(cluster_id)
    forget(cluster_id)
    return submit(_client(at.subscription).managed_clusters.begin_start, at.resource_group, at.name)


def change_pool(cluster_id: str, pool: str, change: Callable[[PoolFacts], Mapping[str, object]]) -> str:
    """Change a pool as it is now, unless somebody else does in the meantime. Returns the operation's URL.

    `change` gets the pool's facts and answers with those of `power`, `count`, `autoscaler`, `min` and `max` that are
    to be different; none of them is no request. There is no partial update in the API: the pool is read, and written
    back with its ETag, so that a write in between is refused (412, BusyError). RefusedError when it is not there.
    """
    from azure.core import MatchConditions

    found = _pool(cluster_id, pool)
    if found is None or found.properties is None:
        raise arm_operations.RefusedError(404, "NotFound", f"there is no node pool {pool} in {cluster_id}")
    wanted = change(_facts(pool, found.properties))
    if not wanted:
        return ""
    _set(found.properties, wanted)
    at = ClusterId.parse(cluster_id)
    return submit(
        _client(at.subscription).agent_pools.begin_create_or_update,
        *(at.resource_group, at.name, pool, found),
        etag=found.properties.e_tag,
        match_condition=MatchConditions.IfNotModified,
    )


def operation(cluster_id: str, url: str) -> Operation:
    """How the long operation at that URL stands."""
    return arm_operations.look(_client(ClusterId.parse(cluster_id).subscription), url)


def connect(cluster_id: str) -> Cluster:
    """The cluster's own API, with the app's identity: Azure says where it is, Entra lets us in.

    Where it is, is remembered for a quarter of an hour. Raises what the SDK raises when Azure does not say.
    """
    return kubernetes.cluster(_endpoint(cluster_id))


def forget(cluster_id: str) -> None:
    """Ask Azure anew where the cluster's API is: starting it may have given it another address."""
    _endpoints.pop(cluster_id.casefold(), None)


_endpoints: dict[str, tuple[float, ClusterEndpoint]] = {}


def _endpoint(cluster_id: str) -> ClusterEndpoint:
    known = _endpoints.get(cluster_id.casefold())
    if known is not None and time.monotonic() < known[0]:
        return known[1]
    at = ClusterId.parse(cluster_id)
    answer = _client(at.subscription).managed_clusters.list_cluster_user_credentials(
        at.resource_group, at.name, format="exec"
    )
    files = [bytes(one.value) for one in answer.kubeconfigs or () if one.value]
    if not files:
        raise ValueError(f"Azure gave no user credential for {cluster_id}: is Entra authentication on?")
    endpoint = _read_kubeconfig(files[0])
    _endpoints[cluster_id.casefold()] = (time.monotonic() + _ENDPOINT_KEPT_SECONDS, endpoint)
    return endpoint


def _read_kubeconfig(content: bytes) -> ClusterEndpoint:
    """Only the place is taken from it: whatever login it describes is for people."""
    import base64

    import yaml

    known: dict[str, Any] = yaml.safe_load(content)["clusters"][0]["cluster"]
    server = str(known["server"])
    if not server.startswith("https://"):
        raise ValueError(f"the cluster's API is at {server}: a token is sent over TLS only")
    authority = base64.b64decode(known.get("certificate-authority-data") or "").decode()
    return ClusterEndpoint(server, authority)


@cache
def _client(subscription: str) -> "ContainerServiceClient":
    from azure.mgmt.containerservice import ContainerServiceClient

    # seldom and soon: what takes longer is for who called, who waits without a running function
    return ContainerServiceClient(
        credential(), subscription, base_url=arm_operations.resource_manager(), retry_total=3, retry_backoff_max=4
    )


def _pool(cluster_id: str, pool: str) -> "AgentPool | None":
    from azure.core.exceptions import ResourceNotFoundError

    at = ClusterId.parse(cluster_id)
    try:
        return _client(at.subscription).agent_pools.get(at.resource_group, at.name, pool)
    except ResourceNotFoundError:
        return None


def _facts(name: str, pool: "ManagedClusterAgentPoolProfile | Any") -> PoolFacts:
    return PoolFacts(
        name=name,
        mode=text(pool.mode),
        power=text(pool.power_state.code) if pool.power_state else "Running",
        provisioning=text(pool.provisioning_state),
        count=pool.count or 0,
        autoscaler=bool(pool.enable_auto_scaling),
        min=pool.min_count,
        max=pool.max_count,
        size=text(pool.vm_size),
    )


def _set(properties: Any, wanted: Mapping[str, object]) -> None:
    from azure.mgmt.containerservice.models import PowerState

    for fact, value in wanted.items():
        match fact:
            case "power":
                properties.power_state = PowerState(code=str(value))
            case "count":
                properties.count = value
            case "autoscaler":
                properties.enable_auto_scaling = value
            case "min":
                properties.min_count = value
            case "max":
                properties.max_count = value
            case _:
                raise ValueError(f"{fact} is no fact of a node pool: power, count, autoscaler, min, max are")
