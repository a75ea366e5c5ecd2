"""Restarting a workload by a new pod template: its controller replaces the pods as its strategy and budgets allow."""

from collections.abc import Callable, Sequence
from datetime import timedelta

from functions.adapters.answers import patiently, written
from functions.adapters.targets import KubernetesTarget
from shared.changes.change import Change, State
from shared.changes.ports import Act, Acted, Verified
from shared.changes.throttling import Rate, Toll
from shared.job_remediation.kubernetes_workloads import RESTARTED
from shared.platforms import managed_clusters
from shared.platforms.kubernetes import Cluster, Object, status
from shared.platforms.kubernetes_workloads import KINDS

_RATE = Rate(burst=2, every=timedelta(seconds=30))


class Restarts:
    """`restart` on a `kubernetes-workload`. Fact: `restarted`, which remediation did it last."""

    def __init__(self, connect: Callable[[str], Cluster] = managed_clusters.connect) -> None:
        self._connect = connect

    def tolls(self, change: Change) -> Sequence[Toll]:
        """See `Adapter.tolls`."""
        return [Toll(f"kubernetes-restarts/{KubernetesTarget.parse(change.target).cluster.casefold()}", _RATE)]

    def read_state(self, change: Change) -> State:
        """See `Adapter.read_state`."""
        return {"restarted": _annotations(self._read(change)).get(RESTARTED, "")}

    def apply(self, change: Change, wanted: State, key: str) -> Acted:
        """See `Adapter.apply`. The note follows from the intent, so the same again changes nothing."""
        target = KubernetesTarget.parse(change.target)
        body: Object = {"spec": {"template": {"metadata": {"annotations": {RESTARTED: wanted["restarted"]}}}}}
        cluster = self._connect(target.cluster)
        return written(lambda: cluster.patch(KINDS[target.kind], target.namespace, target.name, body))

    def poll(self, change: Change, operation: str) -> Acted:
        """See `Adapter.poll`; nothing here is long."""
        return Acted(Act.DONE)

    def verify(self, change: Change, wanted: State) -> Verified:
        """See `Adapter.verify`: its pods are those of the new template, and ready."""
        found = self._read(change)
        if _annotations(found).get(RESTARTED) != wanted["restarted"]:
            return Verified(False, "it was not restarted by this, or restarted by another since")
        said, replicas = status(found), int(found["spec"].get("replicas", 1))
        updated, ready = int(said.get("updatedReplicas") or 0), int(said.get("readyReplicas") or 0)
        observed = int(said.get("observedGeneration") or 0) >= int(found["metadata"].get("generation") or 0)
        return Verified(observed and min(updated, ready) >= replicas, f"{ready} of {replicas} new pods are ready")

    def undo(self, change: Change, original: State, key: str) -> Acted:
        """See `Adapter.undo`: a restart cannot be taken back."""
        return Acted(Act.FAILED, detail="a restart cannot be taken back")

    def predict(self, change: Change, observed: State) -> str:
        """See `Adapter.predict`."""
        return f"would replace the pods of {KubernetesTarget.parse(change.target).name}, as its strategy allows"

    def _read(self, change: Change) -> Object:
        target = KubernetesTarget.parse(change.target)
        return patiently(lambda: self._connect(target.cluster).get(KINDS[target.kind], target.namespace, target.name))


def _annotations(workload: Object) -> Object:
    metadata: Object = workload["spec"]["template"].get("metadata") or {}
    return metadata.get("annotations") or {}


ADAPTER = Restarts()
