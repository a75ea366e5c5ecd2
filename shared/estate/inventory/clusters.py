"""AKS clusters: node pools, namespaces, and workloads by role."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from shared.estate.azure_ids import ClusterId
from shared.estate.declared import Declared, fitting
from shared.estate.inventory.places import KubernetesReference
from shared.finance_calendar.declaration import Name

PoolName = Annotated[str, fitting(r"[a-z][a-z0-9]{0,11}", "name of a node pool", "worker")]
Namespace = Annotated[str, fitting(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", "namespace", "odoo")]
ObjectName = Annotated[str, fitting(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", "name of an object", "web")]


class Role(StrEnum):
    """What a workload does for Odoo; the order of shutdown and the arithmetic of connections go by it."""

    WEB = "web"
    WORKER = "worker"
    CRON = "cron"
    INTEGRATION = "integration"


class Pool(Declared):
    """A node pool; its name here is its name in AKS."""

    mode: Literal["user", "system"] = "user"
    """`system` pools are never stopped or scaled to zero."""

    role: Role | None = None
    """Which workloads it is for."""

    size: Annotated[str, fitting(r"[A-Za-z][A-Za-z0-9_.-]{1,63}", "VM size", "Standard_D8s_v5")] | None = None
    """The VM size of its nodes, for what a peak costs in a plan; `rates.node_hour` has its price."""


class Workload(Declared):
    """A Deployment, StatefulSet or CronJob."""

    object: KubernetesReference
    """KIND/NAMESPACE/NAME, such as deployment/odoo/web."""

    role: Role
    """What it does for Odoo."""

    pool: PoolName | None = None
    """The node pool that it runs on, so that its nodes are ready before its pods are asked for."""

    autoscaler: Literal["none", "hpa", "keda"] = "none"
    """What else sets its replicas: a HorizontalPodAutoscaler or a KEDA ScaledObject, whose bounds are set instead."""

    autoscaler_name: ObjectName | None = None
    """The autoscaler's name, when it is not the workload's."""

    connections: Annotated[int, Field(ge=0, le=10000)] = 0
    """Database connections that one replica may hold (Odoo: db_maxconn times processes); 0 is not counted."""


class Cluster(Declared):
    """An AKS cluster."""

    id: ClusterId
    """Azure resource id."""

    pools: Mapping[PoolName, Pool] = {}
    """The node pools that are cared for; others are left alone."""

    namespaces: tuple[Namespace, ...] = ()
    """The namespaces that may be touched. Nothing outside of them is ever changed."""

    workloads: Mapping[Name, Workload] = {}
    """What runs there, by a name that the policies use."""

    node_auto_provisioning: bool = False
    """Whether AKS chooses the nodes itself; such a cluster cannot be stopped."""
