"""The kinds that this API server knows."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object and how the API treats it.

    `generation` says whether metadata.generation counts changes of the wanted state; `custom` marks a kind of a
    CustomResourceDefinition, which knows no strategic merge and takes no unconditional PUT.
    """

    group: str
    version: str
    plural: str
    kind: str
    short: str = ""
    namespaced: bool = True
    status: bool = True
    scale: bool = False
    generation: bool = True
    custom: bool = False

    @property
    def group_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """The name in messages, such as deployments.apps."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


NAMESPACES = Resource("", "v1", "namespaces", "Namespace", "ns", namespaced=False, generation=False)
NODES = Resource("", "v1", "nodes", "Node", "no", namespaced=False, generation=False)
PODS = Resource("", "v1", "pods", "Pod", "po")
EVENTS = Resource("", "v1", "events", "Event", "ev", status=False, generation=False)
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap", "cm", status=False, generation=False)
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment", "deploy", scale=True)
STATEFUL_SETS = Resource("apps", "v1", "statefulsets", "StatefulSet", "sts", scale=True)
REPLICA_SETS = Resource("apps", "v1", "replicasets", "ReplicaSet", "rs", scale=True)
DAEMON_SETS = Resource("apps", "v1", "daemonsets", "DaemonSet", "ds")
CRON_JOBS = Resource("batch", "v1", "cronjobs", "CronJob", "cj")
JOBS = Resource("batch", "v1", "jobs", "Job")
AUTOSCALERS = Resource(
    "autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", "hpa", generation=False
)
DISRUPTION_BUDGETS = Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", "pdb")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease", status=False, generation=False)
SCALED_OBJECTS = Resource("keda.sh", "v1alpha1", "scaledobjects", "ScaledObject", "so", custom=True)

RESOURCES = (
    NAMESPACES,
    NODES,
    PODS,
    EVENTS,
    CONFIG_MAPS,
    DEPLOYMENTS,
    STATEFUL_SETS,
    REPLICA_SETS,
    DAEMON_SETS,
    CRON_JOBS,
    JOBS,
    AUTOSCALERS,
    DISRUPTION_BUDGETS,
    LEASES,
    SCALED_OBJECTS,
)

OLD_AUTOSCALERS = Resource(
    "autoscaling", "v1", "horizontalpodautoscalers", "HorizontalPodAutoscaler", "hpa", generation=False
)
"""The autoscalers' former version, a view of the same objects that can only be read here."""

_BY_PATH = {(resource.group_version, resource.plural): resource for resource in (*RESOURCES, OLD_AUTOSCALERS)}
_BY_KIND = {(resource.group, resource.kind): resource for resource in RESOURCES}


def at_path(group_version: str, plural: str) -> Resource | None:
    return _BY_PATH.get((group_version, plural))


def of_kind(api_version: str, kind: str) -> Resource | None:
    group = api_version.partition("/")[0] if "/" in api_version else ""
    return _BY_KIND.get((group, kind))
