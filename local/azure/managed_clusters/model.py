"""A managed cluster and its agent pools: what is kept of them, and how the REST API shows them."""

import re
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from local.azure.managed_clusters import refusals

if TYPE_CHECKING:
    from local.kubernetes.simulator import KubernetesSimulator

TYPE = "Microsoft.ContainerService/managedClusters"

_FIXED = ("vmSize", "osType", "scaleSetPriority")
_MOST_NODES = 1000


@dataclass(frozen=True, slots=True)
class Scale:
    """How many nodes a pool has: a fixed number, or what the autoscaler makes of it within bounds."""

    count: int
    autoscaling: bool = False
    least: int | None = None
    most: int | None = None

    def asked(self, properties: Mapping[str, Any]) -> "Scale":
        """After a request; raises ArmError InvalidParameter. Absent fields change nothing, but that bounds go with the
        autoscaler: the command line leaves them out when it takes the autoscaler off."""
        autoscaling = bool(properties.get("enableAutoScaling", self.autoscaling))
        scale = Scale(
            count=properties.get("count", self.count),
            autoscaling=autoscaling,
            least=properties.get("minCount", self.least if autoscaling else None),
            most=properties.get("maxCount", self.most if autoscaling else None),
        )
        where = "agentPoolProfile"
        if not isinstance(scale.count, int) or not 0 <= scale.count <= _MOST_NODES:
            raise refusals.invalid(f"{where}.count", f"must be between 0 and {_MOST_NODES}")
        if not scale.autoscaling:
            if scale.least is not None or scale.most is not None:
                raise refusals.invalid(f"{where}.minCount", "minCount and maxCount need enableAutoScaling")
            return scale
        if scale.least is None or scale.most is None or not 0 <= scale.least <= scale.most or scale.most < 1:
            raise refusals.invalid(f"{where}.minCount", "minCount and maxCount are required, the first not above")
        if not scale.least <= scale.count <= scale.most:
            raise refusals.invalid(
                f"{where}.count", f"with autoscaling it must be between {scale.least} and {scale.most}"
            )
        return scale


@dataclass(slots=True)
class Pool:
    """An agent pool. `nodes` are the machines that there are; `before_stop` what starting it brings back."""

    name: str
    scale: Scale
    mode: str = "User"
    vm_size: str = "Standard_D4s_v5"
    power: str = "Running"
    provisioning: str = "Succeeded"
    etag: str = field(default_factory=lambda: new_etag())
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    before_stop: Scale | None = None
    nodes: list[str] = field(default_factory=list[str])
    made: int = 0

    @property
    def wanted_nodes(self) -> int:
        return self.scale.count if self.power == "Running" else 0

    def check(self, scale: Scale, power: str) -> None:
        """Raises ArmError InvalidParameter for what a system pool may not be."""
        if self.mode == "System" and power == "Stopped":
            raise refusals.invalid("agentPoolProfile.powerState", "a system pool cannot be stopped")
        if self.mode == "System" and scale.count < 1:
            raise refusals.invalid("agentPoolProfile.count", "a system pool has at least one node")

    def set_power(self, power: str) -> None:
        """Stop or start; a stopped pool shows no nodes and no autoscaler."""
        if power == self.power:
            return
        if power == "Stopped":
            self.before_stop, self.scale = self.scale, Scale(0)
        elif self.before_stop is not None:
            self.scale, self.before_stop = self.before_stop, None
        self.power = power


@dataclass(slots=True)
class Cluster:
    """A managed cluster. `operation` names what it is busy with; `kubernetes` is its API, if it has one here."""

    subscription: str
    group: str
    name: str
    location: str
    pools: dict[str, Pool]
    node_auto_provisioning: bool = False
    version: str = "1.34.2"
    power: str = "Running"
    provisioning: str = "Succeeded"
    operation: str | None = None
    stopped_at: float | None = None
    etag: str = field(default_factory=lambda: new_etag())
    tags: dict[str, str] = field(default_factory=dict[str, str])
    upgrade_channels: dict[str, str] = field(default_factory=dict[str, str])
    """What AKS upgrades by itself: upgradeChannel, nodeOSUpgradeChannel."""
    maintenance: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """The properties of its maintenance configurations, by name."""
    kubernetes: "KubernetesSimulator | None" = None
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def id(self) -> str:
        return f"/subscriptions/{self.subscription}/resourceGroups/{self.group}/providers/{TYPE}/{self.name}"

    @property
    def fqdn(self) -> str:
        return f"{self.name}-dns-0a1b2c3d.hcp.{self.location}.azmk8s.io"

    def pool(self, name: str) -> Pool:
        """Raises ArmError 404."""
        found = self.pools.get(name.lower())
        if found is None:
            raise refusals.pool_not_found(self.name, name)
        return found


def new_etag() -> str:
    return uuid.uuid4().hex[:12]


def split_id(value: str) -> tuple[str, str, str] | None:
    """Subscription, group and name of a cluster's resource id; None when it is not one."""
    match = re.fullmatch(rf"/subscriptions/([^/]+)/resourceGroups/([^/]+)/providers/{TYPE}/([^/]+)", value, re.I)
    return (match[1], match[2], match[3]) if match else None


def changed_pool(pool: Pool, properties: Mapping[str, Any]) -> Pool:
    """The pool as a request wants it, not yet so; raises ArmError for what cannot be."""
    shown = _shown(pool)
    for fixed in _FIXED:
        if fixed in properties and properties[fixed] != shown.get(fixed, properties[fixed]):
            raise refusals.unchangeable(fixed)
    power = (properties.get("powerState") or {}).get("code", pool.power)
    if power not in ("Running", "Stopped"):
        raise refusals.invalid("agentPoolProfile.powerState.code", "it is Running or Stopped")
    new = replace(pool, mode=properties.get("mode", pool.mode), nodes=pool.nodes)
    new.set_power(power)
    if power == pool.power and power == "Running":
        new.scale = pool.scale.asked(properties)
    new.check(new.scale, power)
    known = {"count", "enableAutoScaling", "minCount", "maxCount", "powerState", "mode", "vmSize"}
    new.settings = pool.settings | {name: value for name, value in properties.items() if name not in known | _READ_ONLY}
    return new


def show_pool(cluster: Cluster, pool: Pool) -> dict[str, Any]:
    """The resource as GET and lists answer it; its shape is that of the official example AgentPoolsGet.json."""
    return {
        "id": f"{cluster.id}/agentPools/{pool.name}",
        "name": pool.name,
        "type": f"{TYPE}/agentPools",
        "properties": _shown(pool) | _versions(cluster),
    }


def show(cluster: Cluster) -> dict[str, Any]:
    """The cluster as GET and lists answer it; its shape is that of the official example ManagedClustersGet.json."""
    profiles = [{"name": pool.name, **_shown(pool), **_versions(cluster)} for pool in cluster.pools.values()]
    return {
        "id": cluster.id,
        "name": cluster.name,
        "type": TYPE,
        "location": cluster.location,
        "eTag": cluster.etag,
        "tags": cluster.tags,
        "properties": {
            "agentPoolProfiles": profiles,
            "autoUpgradeProfile": {
                "upgradeChannel": "none",
                "nodeOSUpgradeChannel": "None",
                **cluster.upgrade_channels,
            },
            "azurePortalFQDN": f"{cluster.name}-dns-0a1b2c3d.portal.hcp.{cluster.location}.azmk8s.io",
            "currentKubernetesVersion": cluster.version,
            "disableLocalAccounts": True,
            "dnsPrefix": f"{cluster.name}-dns",
            "enableRBAC": True,
            "fqdn": cluster.fqdn,
            "kubernetesVersion": cluster.version,
            "maxAgentPools": 100,
            "networkProfile": {
                "dnsServiceIP": "10.0.0.10",
                "ipFamilies": ["IPv4"],
                "loadBalancerSku": "standard",
                "networkPlugin": "azure",
                "outboundType": "loadBalancer",
                "podCidr": "10.244.0.0/16",
                "podCidrs": ["10.244.0.0/16"],
                "serviceCidr": "10.0.0.0/16",
                "serviceCidrs": ["10.0.0.0/16"],
            },
            "nodeProvisioningProfile": {"mode": "Auto" if cluster.node_auto_provisioning else "Manual"},
            "nodeResourceGroup": f"MC_{cluster.group}_{cluster.name}_{cluster.location}",
            "powerState": {"code": cluster.power},
            "provisioningState": cluster.provisioning,
            "servicePrincipalProfile": {"clientId": "msi"},
        },
    }


_READ_ONLY = {
    "currentOrchestratorVersion",
    "eTag",
    "nodeImageVersion",
    "provisioningState",
    "status",
}


def _shown(pool: Pool) -> dict[str, Any]:
    scale = pool.scale
    bounds = {"minCount": scale.least, "maxCount": scale.most} if scale.autoscaling else {}
    return {
        "count": scale.count,
        "eTag": pool.etag,
        "enableAutoScaling": scale.autoscaling,
        **bounds,
        "maxPods": 110,
        "mode": pool.mode,
        "nodeImageVersion": "AKSUbuntu-2404gen2containerd-202611.10.0",
        "osType": "Linux",
        "powerState": {"code": pool.power},
        "provisioningState": pool.provisioning,
        "type": "VirtualMachineScaleSets",
        "upgradeSettings": {"maxSurge": "10%"},
        "vmSize": pool.vm_size,
        **pool.settings,
    }


def _versions(cluster: Cluster) -> dict[str, str]:
    return {"currentOrchestratorVersion": cluster.version, "orchestratorVersion": cluster.version}
