"""AKS clusters: stopped and started as a whole. Fact: `power` (Running, Stopped)."""

from collections.abc import Callable, Sequence
from datetime import timedelta

from functions.adapters import draining
from functions.adapters.answers import arm_writes, asked, reached, stands, unreachable
from functions.adapters.targets import subscription
from shared.changes.change import Change, State
from shared.changes.ports import Act, Acted, Verified
from shared.changes.throttling import Rate, Toll
from shared.platforms import managed_clusters, settings
from shared.platforms.kubernetes import Cluster, ClusterError
from shared.platforms.managed_clusters import SETTLED, ClusterFacts

_STOPS_AT_ONCE = 3


class Clusters:
    """The adapter. `connect` gives a cluster's API by its ARM id."""

    def __init__(self, connect: Callable[[str], Cluster] = managed_clusters.connect) -> None:
        self._connect = connect

    def tolls(self, change: Change) -> Sequence[Toll]:
        """See `Adapter`. Azure's advice is to wait 15 to 30 minutes between a stop and a start.

        Every stop fills the queue for that long, and a start waits until it is empty; a stop that has to be tried
        again does not.
        """
        pause = timedelta(seconds=float(settings.optional("AKS_SETTLE_SECONDS", "1800")))
        rate = Rate(_STOPS_AT_ONCE, pause) if change.after.get("power") == "Stopped" else Rate(1, timedelta())
        return [Toll(f"aks-power/{change.target.casefold()}", rate), arm_writes(subscription(change.target))]

    def read_state(self, change: Change) -> State:
        """See `Adapter`. What a cluster shows that failed to become so is not so, and still to be asked for."""
        found = _get(change.target)
        return reached({"power": found.power}, change.after, found.provisioning)

    def apply(self, change: Change, wanted: State, key: str) -> Acted:
        """See `Adapter`."""
        found = _get(change.target)
        stops = wanted["power"] == "Stopped"
        if stops and found.node_auto_provisioning:
            return Acted(Act.FAILED, detail="AKS provisions its nodes itself: such a cluster cannot be stopped")
        if found.provisioning not in SETTLED:
            return Acted(Act.BUSY, detail=f"the cluster is {found.provisioning}")
        if stops and (held := draining.held_pods(lambda: self._connect(change.target))):
            return Acted(Act.BUSY, detail=held)
        request = managed_clusters.stop if stops else managed_clusters.start
        return asked(lambda: request(change.target))

    def poll(self, change: Change, operation: str) -> Acted:
        """See `Adapter`."""
        return stands(managed_clusters.operation(change.target, operation), operation, waits=True)

    def verify(self, change: Change, wanted: State) -> Verified:
        """See `Adapter`: stopped when Azure says so; running when the API answers, too."""
        found = _get(change.target)
        if found.power != wanted["power"] or found.provisioning != "Succeeded":
            return Verified(False, f"the cluster is {found.power}, {found.provisioning}")
        if found.power == "Stopped":
            return Verified(True, "the cluster is stopped")
        try:
            return Verified(True, f"its API answers: {self._connect(change.target).version()}")
        except ClusterError as error:
            managed_clusters.forget(change.target)
            return Verified(False, unreachable(error))

    def undo(self, change: Change, original: State, key: str) -> Acted:
        """See `Adapter`."""
        return self.apply(change, original, key)

    def predict(self, change: Change, observed: State) -> str:
        """See `Adapter`."""
        name = change.target.rpartition("/")[2]
        if change.after["power"] == "Running":
            return f"would start the cluster {name}; Azure may have no capacity for its nodes"
        held = draining.held_pods(lambda: self._connect(change.target))
        return f"would stop the cluster {name} with all its nodes" + (f"; at the moment {held}" if held else "")


def _get(target: str) -> ClusterFacts:
    found = managed_clusters.get(target)
    if found is None:
        raise LookupError(f"there is no cluster {target}")
    return found


ADAPTER = Clusters()
