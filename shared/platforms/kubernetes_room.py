"""How much room the nodes of a cluster have: what is allocatable, less what the pods on them ask for.

Source: Kubernetes documentation, "Resource management for pods and containers", "Reserve compute resources".
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, cast

from shared.platforms.kubernetes import NODES, PODS, Cluster, Object, status

POOL_LABELS = ("agentpool", "kubernetes.azure.com/agentpool")
_OVER = ("Succeeded", "Failed")
_CLOSED = ("NoSchedule", "NoExecute")


@dataclass(slots=True)
class _Node:
    pool: str
    takes: bool
    cpu: Decimal
    memory: Decimal
    pods: int


@dataclass(frozen=True, slots=True)
class Asked:
    """What a pod asks for: cores, and bytes."""

    cpu: Decimal = Decimal()
    memory: Decimal = Decimal()


@dataclass(slots=True)
class PoolRoom:
    """A pool's nodes: how many there are, how many take pods, and on how many the largest pod would fit once more.

    largest: of the pods of the namespaces that were asked about.
    """

    nodes: int = 0
    takes: int = 0
    fits: int = 0
    largest: Asked = field(default_factory=Asked)


@dataclass(frozen=True, slots=True)
class Room:
    """By name of the pool, and the pods that found no node, as NAMESPACE/NAME."""

    pools: dict[str, PoolRoom]
    homeless: tuple[str, ...]


def look(cluster: Cluster, namespaces: Collection[str]) -> Room:
    """The room now. Pods are counted as they come, not kept. Raises ClusterError."""
    nodes = {node["metadata"]["name"]: _node(node) for node in cluster.list(NODES)}
    pools: dict[str, PoolRoom] = {}
    homeless: list[str] = []
    for pod in cluster.list(PODS):
        where, phase = pod["spec"].get("nodeName"), status(pod).get("phase")
        ours = pod["metadata"]["namespace"] in namespaces
        if phase in _OVER:
            continue
        if not where:
            if ours and _unschedulable(pod):
                homeless.append(f"{pod['metadata']['namespace']}/{pod['metadata']['name']}")
            continue
        node = nodes.get(where)
        if node is None:
            continue
        asked = asked_by(pod["spec"])
        node.cpu, node.memory, node.pods = node.cpu - asked.cpu, node.memory - asked.memory, node.pods - 1
        if ours:
            room = pools.setdefault(node.pool, PoolRoom())
            room.largest = Asked(max(room.largest.cpu, asked.cpu), max(room.largest.memory, asked.memory))
    for node in nodes.values():
        room = pools.setdefault(node.pool, PoolRoom())
        room.nodes += 1
        room.takes += node.takes
        room.fits += (
            node.takes and node.pods > 0 and node.cpu >= room.largest.cpu and node.memory >= room.largest.memory
        )
    return Room(pools, tuple(sorted(homeless)))


def asked_by(spec: Object) -> Asked:
    """What a pod's specification asks for: its containers together, or more where one of those before them does."""
    containers = [_requests(one) for one in spec.get("containers") or ()]
    before = [_requests(one) for one in spec.get("initContainers") or ()]
    return Asked(
        max([sum((one.cpu for one in containers), Decimal()), *(one.cpu for one in before)]),
        max([sum((one.memory for one in containers), Decimal()), *(one.memory for one in before)]),
    )


def _requests(container: Object) -> Asked:
    resources: Object = container.get("resources") or {}
    wanted: dict[str, str] = resources.get("requests") or {}
    return Asked(_quantity(wanted.get("cpu", "0")), _quantity(wanted.get("memory", "0")))


def _node(node: Object) -> _Node:
    labels: dict[str, str] = node["metadata"].get("labels") or {}
    spec: Object = node.get("spec") or {}
    conditions: list[Object] = status(node).get("conditions") or []
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    going = any(
        taint["effect"] in _CLOSED and taint["key"].startswith("node.kubernetes.io/")
        for taint in spec.get("taints") or ()
    )
    room: dict[str, str] = status(node).get("allocatable") or {}
    return _Node(
        pool=next((labels[name] for name in POOL_LABELS if name in labels), ""),
        takes=ready and not going and not spec.get("unschedulable", False),
        cpu=_quantity(room.get("cpu", "0")),
        memory=_quantity(room.get("memory", "0")),
        pods=int(room.get("pods", "0")),
    )


def _unschedulable(pod: Object) -> bool:
    conditions: list[Object] = status(pod).get("conditions") or []
    return any(one["type"] == "PodScheduled" and one["status"] == "False" for one in conditions)


def _quantity(text: str) -> Decimal:
    from kubernetes.utils import quantity

    return cast(Any, quantity).parse_quantity(text)
