"""The declared clusters, come alive: an AKS resource with its pools, a Kubernetes API behind it, and workloads."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from local.azure.managed_clusters.model import Pool, Scale
from local.azure.simulator import AzureSimulator
from local.kubernetes.controllers.pods import PodPlan
from local.kubernetes.simulator import KubernetesSimulator
from shared.estate.inventory.clusters import Cluster, Workload
from shared.estate.inventory.places import KubernetesObject

_NODES, _MOST_NODES = 2, 5
_REPLICAS = {"web": 2, "worker": 3}
_MOST_REPLICAS = 6
_KINDS = {"deployment": "Deployment", "statefulset": "StatefulSet"}


@contextmanager
def start(azure: AzureSimulator, declared: Cluster, location: str) -> Generator[KubernetesSimulator]:
    """The cluster with what is declared in it, until the context ends."""
    kubernetes = KubernetesSimulator(
        azure.authority,
        name=f"{declared.id.resource_group}-{declared.id.name}",
        tenant=azure.tenant,
        faults=azure.faults,
    )
    kubernetes.kubelets.usual = PodPlan(start_seconds=0.3, ready_seconds=0.2)
    with kubernetes:
        azure.add_managed_cluster(
            str(declared.id),
            location,
            pools=_pools(declared),
            kubernetes=kubernetes,
            node_auto_provisioning=declared.node_auto_provisioning,
        )
        for workload in declared.workloads.values():
            for obj in _objects(workload):
                kubernetes.create(obj)
        yield kubernetes


def _pools(declared: Cluster) -> list[Pool]:
    """System pools and pools that are for everything have fixed sizes, those of a role an autoscaler."""
    pools = [
        Pool(name, Scale(1), mode="System")
        if pool.mode == "system"
        else Pool(name, Scale(_NODES, True, 1, _MOST_NODES) if pool.role else Scale(_NODES))
        for name, pool in declared.pools.items()
    ]
    if not any(pool.mode == "System" for pool in pools):
        pools.append(Pool("system", Scale(1), mode="System"))
    return pools


def _objects(workload: Workload) -> list[dict[str, Any]]:
    place = workload.object
    template = _template(workload)
    if place.kind == "cronjob":
        job = {"spec": {"template": {**template, "spec": {**template["spec"], "restartPolicy": "Never"}}}}
        return [_object("batch/v1", "CronJob", place, {"schedule": "0 1 * * *", "jobTemplate": job})]
    replicas = _REPLICAS.get(workload.role, 1)
    spec: dict[str, Any] = {
        "replicas": replicas,
        "selector": {"matchLabels": template["metadata"]["labels"]},
        "template": template,
    }
    if place.kind == "statefulset":
        spec["serviceName"] = place.name
    made = [_object("apps/v1", _KINDS[place.kind], place, spec)]
    name = workload.autoscaler_name or place.name
    target = {"apiVersion": "apps/v1", "kind": _KINDS[place.kind], "name": place.name}
    scaler = KubernetesObject("", place.namespace, name)
    if workload.autoscaler == "hpa":
        bounds = {"scaleTargetRef": target, "minReplicas": replicas, "maxReplicas": _MOST_REPLICAS}
        made.append(_object("autoscaling/v2", "HorizontalPodAutoscaler", scaler, bounds))
    elif workload.autoscaler == "keda":
        bounds = {"scaleTargetRef": target, "minReplicaCount": replicas, "maxReplicaCount": _MOST_REPLICAS}
        made.append(_object("keda.sh/v1alpha1", "ScaledObject", scaler, {**bounds, "triggers": [_QUEUE]}))
    return made


_QUEUE = {"type": "postgresql", "metadata": {"query": "SELECT count(*) FROM queue_job", "targetQueryValue": "20"}}


def _template(workload: Workload) -> dict[str, Any]:
    spec: dict[str, Any] = {"containers": [{"name": "odoo", "image": "odoo:19"}]}
    if workload.pool:
        spec["nodeSelector"] = {"agentpool": workload.pool}
    return {"metadata": {"labels": {"app": workload.object.name, "role": workload.role.value}}, "spec": spec}


def _object(version: str, kind: str, place: KubernetesObject, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": place.name, "namespace": place.namespace}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}
