"""AKS node pools: stopped and started, or scaled.

Facts: `power` (Running, Stopped), `count`, `autoscaler`, `min`, `max`. A stopped pool shows no nodes and no autoscaler.
"""

from collections.abc import Callable, Mapping, Sequence

from functions.adapters import draining
from functions.adapters.answers import arm_writes, asked, patiently, reached, stands, unreachable
from functions.adapters.targets import split_pool, subscription
from shared.changes.change import Change, State
from shared.changes.ports import Act, Acted, Verified
from shared.changes.throttling import AKS_AGENT_POOL_WRITES, Toll
from shared.platforms import managed_clusters
from shared.platforms.kubernetes import NODES, Cluster, ClusterError, Object, status
from shared.platforms.managed_clusters import SETTLED, PoolFacts

_FACTS = ("power", "count", "autoscaler", "min", "max")


class NodePools:
    """The adapter. `connect` gives a cluster by its ARM id."""

    def __init__(self, connect: Callable[[str], Cluster] = managed_clusters.connect) -> None:
        self._connect = connect

    def tolls(self, change: Change) -> Sequence[Toll]:
        """See `Adapter`: AKS takes 20 writes of a pool, then one a minute."""
        pool = Toll(f"aks-agent-pool/{change.target.casefold()}", AKS_AGENT_POOL_WRITES)
        return [pool, arm_writes(subscription(change.target))]

    def read_state(self, change: Change) -> State:
        """See `Adapter`. What a pool shows that failed to become so is not so, and still to be asked for."""
        pool = _get(change.target)
        facts: State = {fact: getattr(pool, fact) for fact in _FACTS}
        return reached(facts, change.after, pool.provisioning)

    def apply(self, change: Change, wanted: State, key: str) -> Acted:
        """See `Adapter`. One write takes the autoscaler off, or puts it on, and sets the count within its bounds."""
        cluster, name = split_pool(change.target)
        pool = _get(change.target)
        if pool.provisioning not in SETTLED:
            return Acted(Act.BUSY, detail=f"the pool is {pool.provisioning}")
        if change.action == "scale" and pool.power != "Running":
            return Acted(Act.BUSY, detail=f"the pool is {pool.power}: it has to be woken first")
        if change.action == "scale" and (fought := _fought(pool, wanted)):
            return Acted(Act.FAILED, detail=fought)
        if _empties(pool, wanted) and (held := draining.held_pods(lambda: self._connect(cluster), name)):
            return Acted(Act.BUSY, detail=held)
        return asked(lambda: managed_clusters.change_pool(cluster, name, lambda now: request(now, wanted)))

    def poll(self, change: Change, operation: str) -> Acted:
        """See `Adapter`."""
        cluster, _ = split_pool(change.target)
        return stands(managed_clusters.operation(cluster, operation), operation, waits=True)

    def verify(self, change: Change, wanted: State) -> Verified:
        """See `Adapter`: the pool has settled, and its nodes are Ready, or gone."""
        pool = _get(change.target)
        differs = [fact for fact, value in wanted.items() if not _fits(pool, fact, value)]
        if pool.provisioning != "Succeeded" or differs:
            said = ", ".join(f"{fact} is {getattr(pool, fact)}" for fact in differs)
            return Verified(False, f"the pool is {pool.provisioning}; {said}".rstrip("; "))
        cluster, name = split_pool(change.target)
        try:
            nodes = patiently(lambda: list(self._connect(cluster).list(NODES, labels=f"agentpool={name}")))
        except ClusterError as error:
            return Verified(False, unreachable(error))
        ready = sum(map(_is_ready, nodes))
        least = _least(pool, wanted) if pool.power == "Running" else 0
        if least == 0 and not pool.count:
            return Verified(not nodes, f"{len(nodes)} nodes are still there" if nodes else "all nodes are gone")
        return Verified(ready >= least, f"{ready} of {least} nodes are Ready")

    def undo(self, change: Change, original: State, key: str) -> Acted:
        """See `Adapter`."""
        return self.apply(change, original, key)

    def predict(self, change: Change, observed: State) -> str:
        """See `Adapter`."""
        _, name = split_pool(change.target)
        parts = [f"{fact} from {observed.get(fact)} to {value}" for fact, value in change.after.items()]
        return f"would set {', '.join(parts)} of the node pool {name}"


def request(now: PoolFacts, wanted: State) -> Mapping[str, object]:
    """What one write must say so that the pool becomes as wanted; empty when it is. Facts that are not wanted follow:

    with the autoscaler off there are no bounds, with it on the count is within them; a stopped pool says no more.
    """
    if "power" in wanted and (wanted["power"] != now.power or now.provisioning == "Failed"):
        return {"power": wanted["power"]}
    after: dict[str, object] = {fact: getattr(now, fact) for fact in _FACTS}
    before = dict(after)
    after |= wanted
    if not after["autoscaler"]:
        after |= {"min": None, "max": None}
    else:
        match after["min"], after["count"], after["max"]:
            case int(least), int(count), int(most):
                after["count"] = max(least, min(count, most))
            case _:
                pass  # Azure says which bound is missing
    again = set(wanted) if now.provisioning == "Failed" else set[str]()
    return {fact: value for fact, value in after.items() if value != before[fact] or fact in again}


def _fought(pool: PoolFacts, wanted: State) -> str:
    """Why the cluster autoscaler would undo it, or there is none that would do it; empty when neither is so."""
    if pool.autoscaler and "count" in wanted and "autoscaler" not in wanted:
        return f"its autoscaler keeps it between {pool.min} and {pool.max} nodes: give min and max instead"
    if not (wanted.get("autoscaler", pool.autoscaler)) and (wanted.get("min") or wanted.get("max")):
        return "the pool has no autoscaler that would keep to bounds: give a count instead"
    return ""


def _least(pool: PoolFacts, wanted: State) -> int:
    """How many nodes must be Ready. Where bounds alone are wanted, what the autoscaler adds above the least is its own
    business, and may never come."""
    least = wanted.get("min")
    return least if pool.autoscaler and isinstance(least, int) and "count" not in wanted else pool.count


def _fits(pool: PoolFacts, fact: str, value: object) -> bool:
    if fact == "count" and pool.autoscaler:
        return True  # the autoscaler's own business, within the bounds
    return getattr(pool, fact) == value


def _empties(pool: PoolFacts, wanted: State) -> bool:
    return pool.count > 0 and (wanted.get("power") == "Stopped" or wanted.get("count") == 0)


def _get(target: str) -> PoolFacts:
    cluster, name = split_pool(target)
    pool = managed_clusters.get_pool(cluster, name)
    if pool is None:
        raise LookupError(f"there is no node pool {target}")
    return pool


def _is_ready(node: Object) -> bool:
    conditions: list[Object] = status(node).get("conditions") or []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


ADAPTER = NodePools()
