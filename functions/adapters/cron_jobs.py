"""CronJobs: suspended, and resumed. Jobs that run already run to their end. Fact: `suspend`."""

import json
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta

from functions.adapters.answers import patiently, written
from functions.adapters.targets import KubernetesTarget
from shared.changes.change import Change, State
from shared.changes.ports import Act, Acted, Verified
from shared.changes.throttling import Rate, Toll
from shared.platforms import managed_clusters
from shared.platforms.kubernetes import CRON_JOBS, Cluster, Object, status
from shared.platforms.kubernetes_workloads import NOTE

_API_RATE = Rate(burst=50, every=timedelta(milliseconds=20))
_READINGS_KEPT = 1000


class CronJobs:
    """The adapter. `connect` gives a cluster by its ARM id."""

    def __init__(self, connect: Callable[[str], Cluster] = managed_clusters.connect) -> None:
        self._connect = connect
        self._versions: dict[str, str] = {}
        self._lock = threading.Lock()

    def tolls(self, change: Change) -> Sequence[Toll]:
        """See `Adapter`."""
        return [Toll(f"kubernetes/{KubernetesTarget.parse(change.target).cluster.casefold()}", _API_RATE)]

    def read_state(self, change: Change) -> State:
        """See `Adapter`. The version that was read is the one that the act which follows is meant for."""
        found = self._read(change)
        with self._lock:
            if len(self._versions) >= _READINGS_KEPT:
                self._versions.clear()
            self._versions[change.id] = found["metadata"]["resourceVersion"]
        return {"suspend": _suspended(found)}

    def apply(self, change: Change, wanted: State, key: str) -> Acted:
        """See `Adapter`."""
        with self._lock:
            version = self._versions.pop(change.id, "")
        return self._set(change, wanted, version, noted=change.action == "sleep")

    def poll(self, change: Change, operation: str) -> Acted:
        """See `Adapter`; nothing here is long."""
        return Acted(Act.DONE)

    def verify(self, change: Change, wanted: State) -> Verified:
        """See `Adapter`."""
        found = self._read(change)
        running = len(status(found).get("active") or ())
        said = "is suspended" if _suspended(found) else "runs by its schedule"
        still = f"; {running} of its jobs still run" if running else ""
        return Verified(_suspended(found) == wanted["suspend"], said + still)

    def undo(self, change: Change, original: State, key: str) -> Acted:
        """See `Adapter`."""
        return self._set(change, original, "", noted=change.action != "sleep")

    def predict(self, change: Change, observed: State) -> str:
        """See `Adapter`."""
        name = KubernetesTarget.parse(change.target).name
        return f"would {'suspend' if change.after['suspend'] else 'resume'} {name}; jobs that run are left to end"

    def _set(self, change: Change, wanted: State, version: str, *, noted: bool) -> Acted:
        target = KubernetesTarget.parse(change.target)
        suspend = wanted["suspend"]
        note = json.dumps({"found": {"suspend": not suspend}, "set": {"suspend": suspend}}, separators=(",", ":"))
        body: Object = {
            "metadata": {"annotations": {NOTE: note if noted else None}},
            "spec": {"suspend": suspend},
        }
        cluster = self._connect(target.cluster)
        return written(lambda: cluster.patch(CRON_JOBS, target.namespace, target.name, body, resource_version=version))

    def _read(self, change: Change) -> Object:
        target = KubernetesTarget.parse(change.target)
        return patiently(lambda: self._connect(target.cluster).get(CRON_JOBS, target.namespace, target.name))


def _suspended(found: Object) -> bool:
    return bool(found["spec"].get("suspend", False))


ADAPTER = CronJobs()
