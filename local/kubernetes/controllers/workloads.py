"""Deployments, ReplicaSets, StatefulSets and DaemonSets: how many pods there are, and what their status says."""

import hashlib
import json
from typing import Any

from local.kubernetes.controllers.loop import (
    ControlLoop,
    is_active,
    is_ready,
    make_pod,
    owner_reference,
    with_conditions,
)
from local.kubernetes.controllers.pods import DAEMON_NODE
from local.kubernetes.registry import CONTROLLERS, Writer
from local.kubernetes.resources import DAEMON_SETS, DEPLOYMENTS, NODES, PODS, REPLICA_SETS, STATEFUL_SETS
from local.kubernetes.store import Object

_WRITER = Writer(manager=CONTROLLERS)
_HASH_LABEL = "pod-template-hash"


class Workloads:
    """A rollout is one step here: the new pods are made at once, the old ones go as the new ones become Ready."""

    def __init__(self, loop: ControlLoop) -> None:
        self._loop = loop
        loop.reconcilers[DEPLOYMENTS] = self._deployment
        loop.reconcilers[REPLICA_SETS] = self._replica_set
        loop.reconcilers[STATEFUL_SETS] = self._stateful_set
        loop.reconcilers[DAEMON_SETS] = self._daemon_set

    def _deployment(self, deployment: Object) -> None:
        if deployment["metadata"].get("deletionTimestamp"):
            return
        spec, wanted = deployment["spec"], deployment["spec"]["replicas"]
        digest = _digest(spec["template"])
        sets = self._loop.store.owned_by(deployment, REPLICA_SETS)
        current = next((item for item in sets if item["metadata"]["labels"][_HASH_LABEL] == digest), None)
        others = [item for item in sets if item is not current]
        if current is None:
            current = self._make_replica_set(deployment, digest)
        elif current["spec"]["replicas"] != wanted:
            scaled = {**current, "spec": {**current["spec"], "replicas": wanted}}
            current = self._loop.registry.update(REPLICA_SETS, current, scaled, _WRITER)
        room = max(0, wanted - _number(current, "readyReplicas"))
        for item in others:
            kept = min(item["spec"]["replicas"], room)
            room -= kept
            if kept != item["spec"]["replicas"]:
                scaled = {**item, "spec": {**item["spec"], "replicas": kept}}
                self._loop.registry.update(REPLICA_SETS, item, scaled, _WRITER)
        self._tell_deployment(deployment, current, [current, *others])

    def _tell_deployment(self, deployment: Object, current: Object, sets: list[Object]) -> None:
        wanted = deployment["spec"]["replicas"]
        ready = sum(_number(item, "readyReplicas") for item in sets)
        available = ready >= wanted - _unavailable_allowed(deployment)
        reason = "MinimumReplicasAvailable" if available else "MinimumReplicasUnavailable"
        said = "Deployment has minimum availability." if available else "Deployment does not have minimum availability."
        complete = _number(current, "readyReplicas") >= wanted
        progress = "NewReplicaSetAvailable" if complete else "ReplicaSetUpdated"
        name = current["metadata"]["name"]
        verb = "has successfully progressed" if complete else "is progressing"
        numbers = {
            "replicas": sum(_number(item, "replicas") for item in sets),
            "updatedReplicas": _number(current, "replicas"),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "unavailableReplicas": max(0, wanted - ready),
        }
        status = {
            "observedGeneration": deployment["metadata"]["generation"],
            **_without_zeros(numbers),
            "conditions": with_conditions(
                self._loop,
                deployment,
                ("Available", available, reason, said),
                ("Progressing", True, progress, f'ReplicaSet "{name}" {verb}.'),
            ),
        }
        self._loop.registry.write_status(DEPLOYMENTS, deployment, status)

    def _make_replica_set(self, deployment: Object, digest: str) -> Object:
        metadata, spec = deployment["metadata"], deployment["spec"]
        template = spec["template"]
        labels = {**(template["metadata"].get("labels") or {}), _HASH_LABEL: digest}
        selector = {**spec["selector"]}
        selector["matchLabels"] = {**(selector.get("matchLabels") or {}), _HASH_LABEL: digest}
        made = {
            "metadata": {
                "name": f"{metadata['name']}-{digest}",
                "labels": labels,
                "ownerReferences": [owner_reference(deployment)],
            },
            "spec": {
                "replicas": spec["replicas"],
                "selector": selector,
                "template": {**template, "metadata": {**template["metadata"], "labels": labels}},
            },
        }
        return self._loop.registry.create(REPLICA_SETS, metadata["namespace"], made, _WRITER)

    def _replica_set(self, item: Object) -> None:
        if item["metadata"].get("deletionTimestamp"):
            return
        wanted = item["spec"]["replicas"]
        pods = [pod for pod in self._loop.store.owned_by(item, PODS) if is_active(pod)]
        for _ in range(wanted - len(pods)):
            pods.append(make_pod(self._loop, item, item["spec"]["template"]))
        if len(pods) > wanted:
            # those go first that are not scheduled, then not Ready, then young
            pods.sort(key=lambda pod: (bool(pod["spec"].get("nodeName")), is_ready(pod), _age(pod)), reverse=True)
            for pod in pods[wanted:]:
                self._loop.registry.delete(PODS, pod)
            pods = pods[:wanted]
        ready = sum(is_ready(pod) for pod in pods)
        numbers = {"fullyLabeledReplicas": len(pods), "readyReplicas": ready, "availableReplicas": ready}
        status = {
            "replicas": len(pods),
            **_without_zeros(numbers),
            "observedGeneration": item["metadata"]["generation"],
        }
        self._loop.registry.write_status(REPLICA_SETS, item, status)

    def _stateful_set(self, item: Object) -> None:
        """Ordinals come up one after the other, each when the former is Ready, and go down from the last."""
        if item["metadata"].get("deletionTimestamp"):
            return
        name, spec = item["metadata"]["name"], item["spec"]
        digest = _digest(spec["template"])
        revision = f"{name}-{digest}"
        owned = {_ordinal(pod): pod for pod in self._loop.store.owned_by(item, PODS)}
        parallel = spec["podManagementPolicy"] == "Parallel"
        for ordinal in range(spec["replicas"]):
            pod = owned.get(ordinal)
            if pod is None:
                labels = {"apps.kubernetes.io/pod-index": str(ordinal), "controller-revision-hash": revision}
                labels["statefulset.kubernetes.io/pod-name"] = f"{name}-{ordinal}"
                owned[ordinal] = pod = make_pod(self._loop, item, spec["template"], f"{name}-{ordinal}", labels)
            if not parallel and not is_ready(pod):
                break
        surplus = sorted((number for number in owned if number >= spec["replicas"]), reverse=True)
        leaving = [number for number in surplus if owned[number]["metadata"].get("deletionTimestamp")]
        for number in surplus if parallel else surplus[: 0 if leaving else 1]:
            self._loop.registry.delete(PODS, owned[number])
        self._replace_outdated(item, owned, revision)
        pods = [pod for pod in self._loop.store.owned_by(item, PODS) if is_active(pod)]
        ready = sum(is_ready(pod) for pod in pods)
        updated = sum(pod["metadata"]["labels"].get("controller-revision-hash") == revision for pod in pods)
        numbers = {"readyReplicas": ready, "currentReplicas": updated, "updatedReplicas": updated}
        status = {
            "observedGeneration": item["metadata"]["generation"],
            "replicas": len(pods),
            **_without_zeros(numbers),
            "availableReplicas": ready,
            "currentRevision": revision,
            "updateRevision": revision,
            "collisionCount": 0,
        }
        self._loop.registry.write_status(STATEFUL_SETS, item, status)

    def _replace_outdated(self, item: Object, owned: dict[int, Object], revision: str) -> None:
        if item["spec"]["updateStrategy"].get("type") == "OnDelete":
            return
        for number in sorted(owned, reverse=True):
            pod = owned[number]
            if pod["metadata"].get("deletionTimestamp") or number >= item["spec"]["replicas"]:
                return
            if pod["metadata"]["labels"].get("controller-revision-hash") != revision:
                self._loop.registry.delete(PODS, pod)
                return
            if not is_ready(pod):
                return

    def _daemon_set(self, item: Object) -> None:
        if item["metadata"].get("deletionTimestamp"):
            return
        template = item["spec"]["template"]
        wanted = template["spec"].get("nodeSelector") or {}
        nodes = {
            node["metadata"]["name"]
            for node in self._loop.store.all(NODES)
            if wanted.items() <= (node["metadata"].get("labels") or {}).items()
        }
        placed: dict[str, Object] = {}
        for pod in self._loop.store.owned_by(item, PODS):
            node = (pod["metadata"].get("annotations") or {}).get(DAEMON_NODE, "")
            if node in nodes:
                placed[node] = pod
            elif is_active(pod):
                self._loop.registry.delete(PODS, pod)
        for node in sorted(nodes - placed.keys()):
            annotations = {**(template["metadata"].get("annotations") or {}), DAEMON_NODE: node}
            tolerated = [
                {"key": f"node.kubernetes.io/{name}", "operator": "Exists"} for name in ("unschedulable", "not-ready")
            ]
            spec = {**template["spec"], "tolerations": [*(template["spec"].get("tolerations") or []), *tolerated]}
            own = {"metadata": {**template["metadata"], "annotations": annotations}, "spec": spec}
            placed[node] = make_pod(self._loop, item, own)
        ready = sum(is_ready(pod) for pod in placed.values())
        scheduled = sum(bool(pod["spec"].get("nodeName")) for pod in placed.values())
        status = {
            "currentNumberScheduled": scheduled,
            "desiredNumberScheduled": len(nodes),
            "numberMisscheduled": 0,
            "numberReady": ready,
            "observedGeneration": item["metadata"]["generation"],
            **_without_zeros({"numberAvailable": ready, "numberUnavailable": len(nodes) - ready}),
            "updatedNumberScheduled": scheduled,
        }
        self._loop.registry.write_status(DAEMON_SETS, item, status)


def _digest(template: Object) -> str:
    return hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]


def _number(obj: Object, name: str) -> int:
    return (obj.get("status") or {}).get(name, 0)


def _without_zeros(numbers: dict[str, int]) -> dict[str, Any]:
    return {name: number for name, number in numbers.items() if number}


def _unavailable_allowed(deployment: Object) -> int:
    strategy = deployment["spec"].get("strategy") or {}
    allowed = (strategy.get("rollingUpdate") or {}).get("maxUnavailable", 0)
    if isinstance(allowed, str):
        return int(allowed.rstrip("%")) * deployment["spec"]["replicas"] // 100
    return allowed


def _age(pod: Object) -> int:
    return -int(pod["metadata"]["resourceVersion"])


def _ordinal(pod: Object) -> int:
    return int(pod["metadata"]["name"].rpartition("-")[2])
