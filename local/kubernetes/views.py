"""Objects in another shape than the one they are stored in: Scale, and the autoscalers' former version."""

import json
from typing import Any

from local.kubernetes.store import Object


def scale(obj: Object) -> Object:
    """autoscaling/v1 Scale of a workload."""
    metadata = obj["metadata"]
    status: dict[str, Any] = {"replicas": (obj.get("status") or {}).get("replicas", 0)}
    if labels := (obj["spec"].get("selector") or {}).get("matchLabels"):
        status["selector"] = ",".join(f"{key}={labels[key]}" for key in sorted(labels))
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: metadata[key] for key in kept},
        "spec": {"replicas": obj["spec"].get("replicas", 0)},
        "status": status,
    }


def scaled(obj: Object, wanted: Object) -> Object:
    """The workload with what a Scale asks for, and the version that it was read at."""
    metadata = dict(obj["metadata"])
    asked = wanted.get("metadata") or {}
    metadata["resourceVersion"] = asked.get("resourceVersion")
    metadata["uid"] = asked.get("uid") or metadata["uid"]
    return {
        **obj,
        "metadata": metadata,
        "spec": {**obj["spec"], "replicas": (wanted.get("spec") or {}).get("replicas", 0)},
    }


def autoscaler_v1(obj: Object) -> Object:
    """The autoscaler as autoscaling/v1 has it; what that cannot say is in an annotation."""
    spec = dict(obj["spec"])
    others: list[Any] = []
    for metric in spec.pop("metrics", None) or []:
        source = metric.get("resource") or {}
        target = source.get("target") or {}
        if source.get("name") == "cpu" and target.get("type") == "Utilization":
            spec["targetCPUUtilizationPercentage"] = target.get("averageUtilization")
        else:
            others.append(metric)
    spec.pop("behavior", None)
    status = {"currentReplicas": 0, **(obj.get("status") or {})}
    metadata = obj["metadata"]
    if others:
        text = {"autoscaling.alpha.kubernetes.io/metrics": json.dumps(others)}
        metadata = {**metadata, "annotations": {**(metadata.get("annotations") or {}), **text}}
    for name in ("currentMetrics", "conditions"):
        status.pop(name, None)
    return {**obj, "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status}
