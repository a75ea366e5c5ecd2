"""Objects for tests, as people write them."""

from typing import Any

type Object = dict[str, Any]


def pod_template(app: str, **spec: Any) -> Object:
    return {
        "metadata": {"labels": {"app": app}},
        "spec": {"containers": [{"name": "main", "image": "odoo:19"}], **spec},
    }


def deployment(name: str, replicas: int = 2, *, namespace: str = "odoo", **labels: str) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name, **labels}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": pod_template(name),
        },
    }


def stateful_set(name: str, replicas: int = 2, *, namespace: str = "odoo") -> Object:
    return {**deployment(name, replicas, namespace=namespace), "kind": "StatefulSet"}


def job(name: str, *, namespace: str = "odoo", restart: str = "Never", **spec: Any) -> Object:
    template = {"spec": {"restartPolicy": restart, "containers": [{"name": "main", "image": "odoo:19"}]}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {**spec, "template": template},
    }


def cron_job(name: str, schedule: str, *, namespace: str = "odoo", **spec: Any) -> Object:
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"schedule": schedule, "jobTemplate": {"spec": job(name)["spec"]}, **spec},
    }


def budget(app: str, *, namespace: str = "odoo", **spec: Any) -> Object:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": app, "namespace": namespace},
        "spec": {"selector": {"matchLabels": {"app": app}}, **spec},
    }


def autoscaler(target: str, least: int, most: int, *, namespace: str = "odoo") -> Object:
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": target, "namespace": namespace},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
            "minReplicas": least,
            "maxReplicas": most,
        },
    }


def scaled_object(target: str, *, namespace: str = "odoo", **annotations: str) -> Object:
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": target, "namespace": namespace, "annotations": annotations},
        "spec": {"scaleTargetRef": {"name": target}, "minReplicaCount": 2, "maxReplicaCount": 5, "triggers": []},
    }
