"""A cluster's machines, as the nodes of the Kubernetes API behind it."""

from local.azure.managed_clusters.behaviour import Behaviour
from local.azure.managed_clusters.model import Cluster, Pool
from local.azure.managed_clusters.quotas import Quotas


def settle(cluster: Cluster, pool: Pool, behaviour: Behaviour, quotas: Quotas) -> int:
    """Make machines come and go until the pool has what it is to have, or what there is; returns how many it has."""
    wanted = pool.wanted_nodes if cluster.power == "Running" else 0
    most = len(pool.nodes) + quotas.left(cluster.location, pool.vm_size)
    got = min(wanted, most, behaviour.capacity.get(pool.name, wanted))
    with cluster.lock:
        while len(pool.nodes) > got:
            name = pool.nodes.pop()
            if cluster.kubernetes is not None:
                cluster.kubernetes.remove_node(name)
        while len(pool.nodes) < got:
            name = f"aks-{pool.name}-20261101-vmss{pool.made:06d}"
            pool.made += 1
            pool.nodes.append(name)
            if cluster.kubernetes is not None:
                cluster.kubernetes.add_node(
                    name,
                    pool=pool.name,
                    ready_after=behaviour.node_ready_seconds,
                    labels={"kubernetes.azure.com/mode": pool.mode.lower()},
                )
        return len(pool.nodes)


def switch_off(cluster: Cluster, behaviour: Behaviour, quotas: Quotas) -> None:
    """The API server is gone first, then the machines and whatever ran on them."""
    if cluster.kubernetes is not None:
        cluster.kubernetes.reachable = False
    for pool in cluster.pools.values():
        settle(cluster, pool, behaviour, quotas)


def switch_on(cluster: Cluster, behaviour: Behaviour, quotas: Quotas) -> list[Pool]:
    """Machines come, and the API server answers; returns the pools that did not get all of theirs."""
    if cluster.kubernetes is not None:
        cluster.kubernetes.reachable = True
    return [pool for pool in cluster.pools.values() if settle(cluster, pool, behaviour, quotas) < pool.wanted_nodes]
