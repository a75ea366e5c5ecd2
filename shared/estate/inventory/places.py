"""References from one part of the inventory to another, written as a path of names."""

import re
from dataclasses import dataclass
from typing import Annotated

from shared.estate.declared import Written, fitting

AzureRegion = Annotated[str, fitting(r"[a-z]{2,30}[0-9]?", "Azure region", "westeurope", "eastus2")]

_NAME = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DATABASE = re.compile(rf"({_NAME})/([A-Za-z_][A-Za-z0-9_.-]{{0,62}})")
_CONTAINER = re.compile(rf"({_NAME})/([a-z0-9](?:[a-z0-9-]{{1,61}}[a-z0-9])|\$logs|\$web)")
_WORKLOAD = re.compile(rf"({_NAME})/({_NAME})")
_OBJECT = re.compile(
    r"(deployment|statefulset|cronjob)/([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)/([a-z0-9][a-z0-9.-]{0,251})"
)


@dataclass(frozen=True, slots=True)
class DatabasePlace:
    """A database of a declared PostgreSQL server."""

    server: str
    database: str

    def __str__(self) -> str:
        return f"{self.server}/{self.database}"


@dataclass(frozen=True, slots=True)
class ContainerPlace:
    """A container of a declared storage account, by the account's name here."""

    account: str
    container: str

    def __str__(self) -> str:
        return f"{self.account}/{self.container}"


@dataclass(frozen=True, slots=True)
class ClusterPlace:
    """A node pool or a workload of a declared cluster."""

    cluster: str
    name: str

    def __str__(self) -> str:
        return f"{self.cluster}/{self.name}"


@dataclass(frozen=True, slots=True)
class KubernetesObject:
    """A workload's object: kind in lower case, namespace and name."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.namespace}/{self.name}"


def _database(text: str) -> DatabasePlace:
    if match := _DATABASE.fullmatch(text):
        return DatabasePlace(match[1], match[2])
    raise ValueError("is not a database of a server; write SERVER/DATABASE, such as erp/contoso")


def _container(text: str) -> ContainerPlace:
    if match := _CONTAINER.fullmatch(text):
        return ContainerPlace(match[1], match[2])
    raise ValueError("is not a container of an account; write ACCOUNT/CONTAINER, such as documents/attachments")


def _cluster_part(text: str) -> ClusterPlace:
    if match := _WORKLOAD.fullmatch(text):
        return ClusterPlace(match[1], match[2])
    raise ValueError("is not a part of a cluster; write CLUSTER/NAME, such as main/worker")


def _object(text: str) -> KubernetesObject:
    if match := _OBJECT.fullmatch(text):
        return KubernetesObject(match[1], match[2], match[3])
    raise ValueError("is not a workload; write KIND/NAMESPACE/NAME with deployment, statefulset or cronjob as the kind")


DatabaseReference = Annotated[
    DatabasePlace, Written(DatabasePlace, _database, str, r"^[a-z0-9-]+/[A-Za-z0-9_.-]+$", ("erp/contoso",))
]
ContainerReference = Annotated[
    ContainerPlace,
    Written(ContainerPlace, _container, str, r"^[a-z0-9-]+/[a-z0-9$-]+$", ("documents/attachments",)),
]
ClusterPartReference = Annotated[
    ClusterPlace, Written(ClusterPlace, _cluster_part, str, r"^[a-z0-9-]+/[a-z0-9-]+$", ("main/worker",))
]
KubernetesReference = Annotated[
    KubernetesObject,
    Written(
        KubernetesObject,
        _object,
        str,
        r"^(deployment|statefulset|cronjob)/[a-z0-9-]+/[a-z0-9.-]+$",
        ("deployment/odoo/web", "cronjob/odoo/nightly-dump"),
    ),
]
