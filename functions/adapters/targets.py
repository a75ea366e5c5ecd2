"""Targets inside a cluster, as changes name them: CLUSTER-ARM-ID//KIND/NAMESPACE/NAME, and node pools by ARM id."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KubernetesTarget:
    """An object of a cluster; `kind` in lower case."""

    cluster: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.cluster}//{self.kind}/{self.namespace}/{self.name}"

    @classmethod
    def parse(cls, target: str) -> "KubernetesTarget":
        """Raises ValueError for what is not written so."""
        cluster, separator, path = target.partition("//")
        parts = path.split("/")
        if not separator or len(parts) != 3 or not all(parts):
            raise ValueError(f"not an object of a cluster: {target}; write CLUSTER-ID//KIND/NAMESPACE/NAME")
        return cls(cluster, parts[0], parts[1], parts[2])


def split_pool(target: str) -> tuple[str, str]:
    """The cluster's id and the pool's name; raises ValueError when it is no node pool's id."""
    parts = target.rstrip("/").split("/")
    if len(parts) < 3 or parts[-2].lower() != "agentpools":
        raise ValueError(f"not the resource id of a node pool: {target}")
    return "/".join(parts[:-2]), parts[-1]


def subscription(resource_id: str) -> str:
    """The subscription of a resource id, by which Resource Manager counts calls."""
    parts = resource_id.split("/")
    return parts[2].lower() if len(parts) > 2 else ""
