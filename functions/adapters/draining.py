"""What keeps nodes from being drained: pods under a disruption budget that lets none of them go.

Stopping a cluster or a pool drains its nodes, and hangs on such pods until somebody gives in. So it is not begun.
"""

from collections.abc import Callable, Mapping

from functions.adapters.answers import patiently
from shared.platforms.kubernetes import DISRUPTION_BUDGETS, NODES, PODS, Cluster, ClusterError, Object, selects, status

_AZURES_OWN = "kube-system"
_MOST_NAMED = 3


def held_pods(connect: Callable[[], Cluster], pool: str | None = None) -> str:
    """In words, the budgets that hold pods on the pool's nodes (None: on any node); empty when none does.

    A cluster that cannot be asked holds nothing that we know of: Azure then decides.
    """
    try:
        cluster = connect()
        budgets = [one for one in patiently(lambda: list(cluster.list(DISRUPTION_BUDGETS))) if _holds(one)]
        if not budgets:
            return ""
        nodes = _nodes(cluster, pool)
        namespaces = {budget["metadata"]["namespace"] for budget in budgets}
        held = [
            f"{namespace}/{budget['metadata']['name']}"
            for namespace in sorted(namespaces)
            for pods in [_labels(cluster, namespace, nodes)]
            for budget in budgets
            if budget["metadata"]["namespace"] == namespace and any(selects(budget, labels) for labels in pods)
        ]
    except ClusterError:
        return ""
    if not held:
        return ""
    named = ", ".join(held[:_MOST_NAMED]) + (f" and {len(held) - _MOST_NAMED} more" if len(held) > _MOST_NAMED else "")
    return f"its nodes cannot be drained: the disruption budgets {named} let no pod go"


def _holds(budget: Object) -> bool:
    said = status(budget)
    counts = bool(said.get("expectedPods")) and said.get("disruptionsAllowed") == 0
    return counts and budget["metadata"]["namespace"] != _AZURES_OWN


def _nodes(cluster: Cluster, pool: str | None) -> set[str]:
    labels = "" if pool is None else f"agentpool={pool}"
    return {node["metadata"]["name"] for node in patiently(lambda: list(cluster.list(NODES, labels=labels)))}


def _labels(cluster: Cluster, namespace: str, nodes: set[str]) -> list[Mapping[str, str]]:
    """The labels of the pods on those nodes; the pods themselves are not kept."""
    return [
        pod["metadata"].get("labels") or {}
        for pod in cluster.list(PODS, namespace)
        if pod["spec"].get("nodeName") in nodes
    ]
