"""Where the tests of clusters act: simulated Azure, clusters with an API of their own, and changes on them."""

from collections.abc import Mapping
from typing import Any

from local.azure.managed_clusters.model import Pool, Scale
from local.azure.simulator import AzureSimulator
from local.kubernetes.controllers.pods import PodPlan
from local.kubernetes.resources import Resource, of_kind
from local.kubernetes.simulator import KubernetesSimulator
from shared.changes.change import Change
from shared.risk import Risk
from tests.local.kubernetes import objects

SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
GROUP = "rg-staging"
NAMESPACE = "odoo"


def cluster_id(name: str) -> str:
    return (
        f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.ContainerService"
        f"/managedClusters/{name}"
    )


def server_id(name: str) -> str:
    return (
        f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.DBforPostgreSQL"
        f"/flexibleServers/{name}"
    )


class Place:
    """One AKS cluster with the Kubernetes API behind it, quick enough for tests."""

    def __init__(self, azure: AzureSimulator, kubernetes: KubernetesSimulator, name: str, **more: Any) -> None:
        kubernetes.kubelets.usual = PodPlan(start_seconds=0.02, ready_seconds=0.02)
        kubernetes.kubelets.terminate_seconds = 0.02
        kubernetes.autoscalers.sync_seconds = 0.1
        self.azure = azure
        self.kubernetes = kubernetes
        self.id = cluster_id(name)
        given: dict[str, Any] = {"pools": [Pool("system", Scale(1), mode="System"), Pool("worker", Scale(2))]}
        self.aks = azure.add_managed_cluster(self.id, kubernetes=kubernetes, **{**given, **more})

    def pool(self, name: str) -> str:
        return f"{self.id}/agentPools/{name}"

    def workload(self, name: str, kind: str = "deployment") -> str:
        return f"{self.id}//{kind}/{NAMESPACE}/{name}"

    def deploy(self, name: str, replicas: int = 3, **more: Any) -> str:
        """Make a Deployment; returns it as a target."""
        self.kubernetes.create(objects.deployment(name, replicas, namespace=NAMESPACE, **more))
        return self.workload(name)

    def get(self, kind: str, name: str) -> dict[str, Any]:
        return self.kubernetes.get(_RESOURCES[kind], NAMESPACE, name)

    def replicas(self, name: str) -> int:
        return self.get("Deployment", name)["spec"]["replicas"]

    def scale_by_hand(self, name: str, replicas: int) -> None:
        self.edit("Deployment", name, replicas=replicas)

    def edit(self, kind: str, name: str, **spec: Any) -> None:
        """As a person would."""
        self.kubernetes.edit(_RESOURCES[kind], NAMESPACE, name, **spec)


def _known(api_version: str, kind: str) -> Resource:
    found = of_kind(api_version, kind)
    assert found is not None
    return found


_RESOURCES = {
    "Deployment": _known("apps/v1", "Deployment"),
    "StatefulSet": _known("apps/v1", "StatefulSet"),
    "CronJob": _known("batch/v1", "CronJob"),
    "HorizontalPodAutoscaler": _known("autoscaling/v2", "HorizontalPodAutoscaler"),
    "ScaledObject": _known("keda.sh/v1alpha1", "ScaledObject"),
    "Pod": _known("v1", "Pod"),
    "Node": _known("v1", "Node"),
}


def autoscaler(name: str, least: int, most: int, target: str = "") -> dict[str, Any]:
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target or name},
            "minReplicas": least,
            "maxReplicas": most,
        },
    }


def scaled_object(name: str, target: str, least: int, most: int) -> dict[str, Any]:
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "scaleTargetRef": {"name": target},
            "minReplicaCount": least,
            "maxReplicaCount": most,
            "triggers": [{"type": "cron", "metadata": {}}],
        },
    }


def change(kind: str, target: str, action: str, after: Mapping[str, Any], **more: Any) -> Change:
    given: dict[str, Any] = {
        "automation": "shutdown_schedules",
        "environment": "staging",
        "occasion": "2026-11-20 night",
        "reason": "a test wants it",
        "risk": Risk.DISRUPTIVE,
    }
    return Change(kind=kind, target=target, action=action, after=after, **{**given, **more})
