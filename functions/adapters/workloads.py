"""Deployments and StatefulSets: asleep at few or no replicas with their autoscaler held, awake again, or scaled.

Facts: `replicas`; `autoscaling`, on or off (off where nothing scales it); `min` and `max`, the autoscaler's bounds.
"""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta

from functions.adapters.answers import patiently, written
from functions.adapters.targets import KubernetesTarget
from shared.changes.change import Change, Originals, State
from shared.changes.ports import Act, Acted, Verified
from shared.changes.throttling import Rate, Toll
from shared.platforms import kubernetes_workloads, managed_clusters
from shared.platforms.kubernetes import (
    AUTOSCALERS,
    DISRUPTION_BUDGETS,
    PODS,
    SCALED_OBJECTS,
    Cluster,
    Kind,
    NotFoundError,
    Object,
    selects,
)
from shared.platforms.kubernetes_workloads import KINDS, Autoscaler, Patch, Workload

_API_RATE = Rate(burst=50, every=timedelta(milliseconds=20))
_READINGS_KEPT = 1000
_SCALERS_KEPT_SECONDS = 5.0
_AUTOSCALING = {"sleep": "off", "wake": "released"}
_UNDONE = {"sleep": "released", "wake": "off"}


type Scalers = dict[tuple[str, str, str], Autoscaler]


class Workloads:
    """The adapter. `connect` gives a cluster by its ARM id."""

    def __init__(self, connect: Callable[[str], Cluster] = managed_clusters.connect) -> None:
        self._connect = connect
        self._readings: dict[str, Workload] = {}
        self._scalers: dict[tuple[str, str], tuple[float, Scalers]] = {}
        self._listing: dict[tuple[str, str], threading.Lock] = {}
        self._lock = threading.Lock()

    def tolls(self, change: Change) -> Sequence[Toll]:
        """See `Adapter`: a modest share of what an API server's priority and fairness lets through."""
        return [Toll(f"kubernetes/{KubernetesTarget.parse(change.target).cluster.casefold()}", _API_RATE)]

    def read_state(self, change: Change) -> State:
        """See `Adapter`. What was read is kept for the act that follows, which is meant for just this version."""
        now = self._read(change)
        with self._lock:
            if len(self._readings) >= _READINGS_KEPT:
                self._readings.clear()
            self._readings[change.id] = now
        return _facts(now)

    def apply(self, change: Change, wanted: State, key: str) -> Acted:
        """See `Adapter`. A write in between, by whomever, makes it BUSY: then the state is read, and saved, anew."""
        with self._lock:
            now = self._readings.pop(change.id, None)
        now = now or self._read(change)
        if change.action == "scale" and (fought := _fought(now, wanted)):
            return Acted(Act.FAILED, detail=fought)
        return self._set(change, now, wanted, _AUTOSCALING.get(change.action))

    def poll(self, change: Change, operation: str) -> Acted:
        """See `Adapter`; nothing here is long."""
        return Acted(Act.DONE)

    def verify(self, change: Change, wanted: State) -> Verified:
        """See `Adapter`: asleep when the pods are gone, awake when they are Ready."""
        self._scalers.pop(_place(KubernetesTarget.parse(change.target)), None)
        now = self._read(change)
        if not now.settled:
            return Verified(False, "its controller has not seen the change yet")
        scaler = now.autoscaler
        if wanted.get("autoscaling") == "off" and now.autoscaled:
            return Verified(False, f"{now.name} is still scaled by {scaler.name if scaler else 'something'}")
        if wanted.get("autoscaling") == "on" and scaler is not None and scaler.held and scaler.is_ours:
            return Verified(False, f"{scaler.name} is still held")
        for fact in ("min", "max"):
            if fact in wanted and _facts(now)[fact] != wanted[fact]:
                return Verified(False, f"{fact} is {_facts(now)[fact]}")
        replicas, least = wanted.get("replicas"), wanted.get("min")
        if isinstance(least, int) and now.ready < least and change.originals is not Originals.GIVE_BACK:
            return Verified(False, f"{now.ready} of at least {least} pods are Ready{_why_not(now)}")
        return self._verify_pods(change, now, replicas if isinstance(replicas, int) else None)

    def undo(self, change: Change, original: State, key: str) -> Acted:
        """See `Adapter`."""
        return self._set(change, self._read(change), original, _UNDONE.get(change.action))

    def predict(self, change: Change, observed: State) -> str:
        """See `Adapter`."""
        target, wanted = KubernetesTarget.parse(change.target), change.after.get("replicas")
        words = [f"would take {target.name} from {observed.get('replicas')} to {wanted} replicas"]
        if wanted is None:
            words = [f"would give {target.name} the bounds {change.after.get('min')} to {change.after.get('max')}"]
        if change.action == "sleep" and observed.get("autoscaling") == "on":
            words.append("hold its autoscaler")
        if isinstance(wanted, int) and wanted:
            words += self._blocked_budgets(target, wanted)
        return "; ".join(words)

    def _set(self, change: Change, now: Workload, wanted: State, autoscaling: str | None) -> Acted:
        found = wanted.get("autoscaling", autoscaling)
        replicas = wanted.get("replicas")
        try:
            patches = kubernetes_workloads.patches(
                now,
                replicas=replicas if isinstance(replicas, int) else None,
                autoscaling=None if found is None else str(found),
            )
            patches += _bounds(now, wanted)
        except ValueError as error:
            return Acted(Act.FAILED, detail=str(error))
        cluster = self._cluster(change)
        for patch in patches:
            if patch.kind is not now.kind:
                self._scalers.pop(_place(KubernetesTarget.parse(change.target)), None)
            answer = written(lambda patch=patch: _send(cluster, patch))
            if answer.act is not Act.DONE:
                self._scalers.pop(_place(KubernetesTarget.parse(change.target)), None)
                return answer
        return Acted(Act.DONE, detail=f"{len(patches)} patches")

    def _verify_pods(self, change: Change, now: Workload, replicas: int | None) -> Verified:
        if replicas is None:
            return Verified(True, f"{now.ready} of {now.replicas} pods are Ready")
        if now.replicas != replicas and not now.autoscaled:
            return Verified(False, f"{now.replicas} replicas are asked for, not {replicas}")
        if replicas == 0:
            left = sum(1 for _ in self._cluster(change).list(PODS, now.namespace, labels=now.selector))
            return Verified(left == 0, f"{left} pods are still ending" if left else "all pods are gone")
        least = min(replicas, now.replicas)
        return Verified(now.ready >= least > 0, f"{now.ready} of {now.replicas} pods are Ready")

    def _blocked_budgets(self, target: KubernetesTarget, replicas: int) -> list[str]:
        """The disruption budgets that will let no pod go with so few: a node with one of them cannot be drained."""
        cluster = self._connect(target.cluster)
        obj = patiently(lambda: cluster.get(_kind(target), target.namespace, target.name))
        labels: dict[str, str] = obj["spec"]["template"]["metadata"].get("labels") or {}
        found: list[str] = []
        for budget in patiently(lambda: list(cluster.list(DISRUPTION_BUDGETS, target.namespace))):
            least = budget["spec"].get("minAvailable")
            if isinstance(least, int) and least >= replicas and selects(budget, labels):
                found.append(f"the disruption budget {budget['metadata']['name']} then lets none of its pods go")
        return found

    def _cluster(self, change: Change) -> Cluster:
        return self._connect(KubernetesTarget.parse(change.target).cluster)

    def _read(self, change: Change) -> Workload:
        target = KubernetesTarget.parse(change.target)
        return patiently(lambda: self._workload(self._connect(target.cluster), target))

    def _workload(self, cluster: Cluster, target: KubernetesTarget) -> Workload:
        kind = _kind(target)
        obj = cluster.get(kind, target.namespace, target.name)
        scaler = self._scalers_at(cluster, target).get((target.namespace, target.kind, target.name))
        return kubernetes_workloads.workload(kind, obj, scaler)

    def _scalers_at(self, cluster: Cluster, target: KubernetesTarget) -> Scalers:
        """The namespace's autoscalers, for the many changes of one moment; a write to one that changed is refused."""
        place = _place(target)
        with self._listing.setdefault(place, threading.Lock()):
            known, now = self._scalers.get(place), time.monotonic()
            if known is not None and now < known[0]:
                return known[1]
            found = kubernetes_workloads.autoscalers(
                _list(cluster, SCALED_OBJECTS, target.namespace), _list(cluster, AUTOSCALERS, target.namespace)
            )
            self._scalers[place] = (time.monotonic() + _SCALERS_KEPT_SECONDS, found)
            return found


def _place(target: KubernetesTarget) -> tuple[str, str]:
    return target.cluster.casefold(), target.namespace


def _kind(target: KubernetesTarget) -> Kind:
    try:
        return KINDS[target.kind]
    except KeyError:
        raise ValueError(f"{target.kind} cannot be scaled: {', '.join(KINDS)} can") from None


def _list(cluster: Cluster, kind: Kind, namespace: str) -> list[Object]:
    """All of a kind; none where the cluster does not know the kind, as without KEDA."""
    try:
        return list(cluster.list(kind, namespace))
    except NotFoundError:
        return []


def _facts(now: Workload) -> State:
    facts: dict[str, int | str | None] = {
        "replicas": now.replicas,
        "autoscaling": "on" if now.autoscaled else "off",
        "min": None,
        "max": None,
    }
    if now.autoscaler is not None:
        facts["min"], facts["max"] = now.autoscaler.bounds
    return facts


def _fought(now: Workload, wanted: State) -> str:
    """Why the workload's autoscaler would undo it, or not do it; empty when neither is so."""
    scaler = now.autoscaler
    if scaler is None:
        return ""
    if "replicas" in wanted and now.autoscaled:
        least, most = scaler.bounds
        return f"{scaler.name} keeps {now.name} between {least} and {most} replicas: give min and max instead"
    if wanted.get("min") is not None and scaler.paused and not scaler.is_ours:
        return f"somebody has paused {scaler.name}, so that it keeps no bounds: resume it"
    return ""


def _why_not(now: Workload) -> str:
    if now.replicas == 0:
        return ": it has none, and an autoscaler leaves that alone"
    scaler = now.autoscaler
    return f": {scaler.name} is held" if scaler is not None and scaler.held else ""


def _bounds(now: Workload, wanted: State) -> list[Patch]:
    least, most = wanted.get("min"), wanted.get("max")
    if least is None and most is None:
        return []
    patch = kubernetes_workloads.bounds_patch(
        now, least if isinstance(least, int) else None, most if isinstance(most, int) else None
    )
    return [patch] if patch else []


def _send(cluster: Cluster, patch: Patch) -> object:
    return cluster.patch(patch.kind, patch.namespace, patch.name, patch.body, resource_version=patch.version)


ADAPTER = Workloads()
