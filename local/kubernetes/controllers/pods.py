"""Scheduler and kubelets: pods find a node, start, become Ready, end, crash, and are ended."""

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any

from local.kubernetes.clock import written
from local.kubernetes.controllers.loop import ControlLoop, condition, with_conditions
from local.kubernetes.errors import bad_request
from local.kubernetes.resources import DAEMON_SETS, NODES, PODS
from local.kubernetes.store import Change, Object

_SCHEDULER = "default-scheduler"
_LONGEST_BACK_OFF_SECONDS = 300
_UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


@dataclass(slots=True)
class PodPlan:
    """What becomes of pods whose namespace and name fit (globs), of the next `times` ones (None: of all).

    Containers run `start_seconds` after a node was found and are Ready `ready_seconds` later, never if that is None.
    With `run_seconds` they end after that time with `exit_code`: for good in a Job's pod, to be started again in any
    other. `waiting` keeps them from starting at all, as ImagePullBackOff does. `log` is what they have written by then.
    """

    name: str = "*"
    namespace: str = "*"
    times: int | None = None
    start_seconds: float = 1.0
    ready_seconds: float | None = 0.5
    run_seconds: float | None = None
    exit_code: int = 0
    reason: str = ""
    waiting: str = ""
    log: str = ""

    def fits(self, pod: Object) -> bool:
        metadata = pod["metadata"]
        return fnmatch.fnmatchcase(metadata["name"], self.name) and fnmatch.fnmatchcase(
            metadata["namespace"], self.namespace
        )


@dataclass(slots=True)
class _Use:
    pods: int = 0
    cpu: Decimal = Decimal()
    memory: Decimal = Decimal()


@dataclass(slots=True)
class _Life:
    plan: PodPlan
    log: list[str] = field(default_factory=list[str])
    former_log: list[str] | None = None
    started: bool = False
    ending: bool = False


class Kubelets:
    """Pods live by the first plan that fits them, else by `usual`; a Job's pod then ends after `job_seconds`."""

    def __init__(self, loop: ControlLoop) -> None:
        self.usual = PodPlan()
        self.job_seconds = 2.0
        self.terminate_seconds = 0.5
        self.plans: list[PodPlan] = []
        self.nodes: set[str] = set()
        """Nodes that have a kubelet; nothing ever runs on those that were made by hand."""
        self._loop = loop
        self._lives: dict[str, _Life] = {}
        self._unscheduled: dict[tuple[str, str], None] = {}
        self._used: dict[str, _Use] = {}
        loop.reconcilers[PODS] = self.reconcile
        loop.observers.append(self._observe)
        loop.registry.graceful = lambda pod: pod["spec"].get("nodeName", "") in self.nodes

    def reconcile(self, pod: Object) -> None:
        if not pod["spec"].get("nodeName"):
            if not pod["metadata"].get("deletionTimestamp"):
                self._schedule(pod)
            return
        if pod["spec"]["nodeName"] not in self.nodes:
            return
        life = self._life(pod)
        if pod["metadata"].get("deletionTimestamp"):
            if not life.ending:
                life.ending = True
                grace = pod["metadata"].get("deletionGracePeriodSeconds", 30)
                self._loop.later(min(self.terminate_seconds, grace), lambda: self._end(pod))
        elif not life.started and (pod.get("status") or {}).get("phase") == "Pending":
            life.started = True
            waiting = {"waiting": {"reason": life.plan.waiting or "ContainerCreating"}}
            self._write(pod, "Pending", waiting, ready=False, count=0)
            if not life.plan.waiting:
                self._loop.later(life.plan.start_seconds, lambda: self._start(pod, 0))

    def read_log(self, pod: Object, container: str, previous: bool, tail: int | None) -> str:
        """The last lines of a container's log; raises ApiError 400 where a real server does."""
        name = pod["metadata"]["name"]
        names = [item["name"] for item in pod["spec"]["containers"]]
        if container and container not in names:
            raise bad_request(f"container {container} is not valid for pod {name}")
        if not container and len(names) > 1:
            raise bad_request(f"a container name must be specified for pod {name}, choose one of: [{' '.join(names)}]")
        life = self._lives.get(pod["metadata"]["uid"])
        container = container or names[0]
        if previous and (life is None or life.former_log is None):
            raise bad_request(f'previous terminated container "{container}" in pod "{name}" not found')
        statuses = (pod.get("status") or {}).get("containerStatuses") or []
        waiting = statuses[0]["state"].get("waiting") if statuses else {}
        if life is None or (waiting is not None and not statuses[0].get("lastState")):
            reason = (waiting or {}).get("reason", "ContainerCreating")
            raise bad_request(f'container "{container}" in pod "{name}" is waiting to start: {reason}')
        lines = (life.former_log or []) if previous else life.log
        lines = lines[max(0, len(lines) - tail) :] if tail is not None else lines
        return "".join(f"{line}\n" for line in lines)

    def write_log(self, pod: Object, text: str) -> None:
        self._life(pod).log += text.splitlines()

    def forget(self, node: str) -> None:
        """The node is gone: so are its pods, without anybody ending them."""
        self.nodes.discard(node)
        for pod in self._loop.store.all(PODS):
            if pod["spec"].get("nodeName") == node:
                self._loop.registry.delete(PODS, pod, {"gracePeriodSeconds": 0})

    def _life(self, pod: Object) -> _Life:
        uid = pod["metadata"]["uid"]
        if uid not in self._lives:
            self._lives[uid] = _Life(self._plan(pod))
        return self._lives[uid]

    def _plan(self, pod: Object) -> PodPlan:
        for plan in self.plans:
            if plan.times != 0 and plan.fits(pod):
                if plan.times is not None:
                    plan.times -= 1
                return plan
        return self.usual

    def _current(self, pod: Object) -> Object | None:
        metadata = pod["metadata"]
        now = self._loop.store.find(PODS, metadata["namespace"], metadata["name"])
        return now if now is not None and now["metadata"]["uid"] == metadata["uid"] else None

    def _start(self, pod: Object, count: int) -> None:
        now = self._current(pod)
        if now is None or now["metadata"].get("deletionTimestamp"):
            return
        plan = self._life(pod).plan
        running = {"running": {"startedAt": written(self._loop.clock.now())}}
        self._write(now, "Running", running, ready=plan.ready_seconds == 0, count=count)
        if plan.ready_seconds:
            self._loop.later(plan.ready_seconds, lambda: self._ready(pod, count))
        ends = plan.run_seconds
        if ends is None and pod["spec"]["restartPolicy"] != "Always":
            ends = self.job_seconds
        if ends is not None:
            self._loop.later(ends, lambda: self._exit(pod, count))

    def _ready(self, pod: Object, count: int) -> None:
        now = self._current(pod)
        if now is None or now["metadata"].get("deletionTimestamp"):
            return
        status = now["status"]["containerStatuses"][0]
        if status["restartCount"] == count and "running" in status["state"]:
            self._write(now, "Running", status["state"], ready=True, count=count)

    def _exit(self, pod: Object, count: int) -> None:
        now = self._current(pod)
        if now is None or now["metadata"].get("deletionTimestamp"):
            return
        life = self._life(pod)
        plan = life.plan
        state = now["status"]["containerStatuses"][0]["state"]
        ended = {
            "exitCode": plan.exit_code,
            "reason": plan.reason or ("Error" if plan.exit_code else "Completed"),
            "startedAt": (state.get("running") or {}).get("startedAt"),
            "finishedAt": written(self._loop.clock.now()),
        }
        life.log += plan.log.splitlines()
        policy = pod["spec"]["restartPolicy"]
        if policy == "Never" or (policy == "OnFailure" and plan.exit_code == 0):
            phase = "Failed" if plan.exit_code else "Succeeded"
            self._write(now, phase, {"terminated": ended}, ready=False, count=count)
            return
        life.former_log, life.log = life.log, []
        wait = min(_LONGEST_BACK_OFF_SECONDS, 10 * 2**count)
        waiting = {
            "waiting": {"reason": "CrashLoopBackOff", "message": f"back-off {wait}s restarting failed container"}
        }
        self._write(now, "Running", waiting, ready=False, count=count + 1, last={"terminated": ended})
        self._loop.event(now, "BackOff", "Back-off restarting failed container", kind="Warning", source="kubelet")
        self._loop.later(wait, lambda: self._start(pod, count + 1))

    def _end(self, pod: Object) -> None:
        now = self._current(pod)
        if now is None:
            return
        if finalizers := now["metadata"].get("finalizers"):
            # the object waits for whoever holds it; its containers do not
            assert finalizers
            self._write(now, "Failed", {"terminated": {"exitCode": 143, "reason": "Error"}}, ready=False, count=0)
            return
        self._loop.registry.delete(PODS, now, {"gracePeriodSeconds": 0})

    def _write(
        self, pod: Object, phase: str, state: Object, *, ready: bool, count: int, last: Object | None = None
    ) -> None:
        before = (pod.get("status") or {}).get("containerStatuses") or [{}]
        done = phase == "Succeeded"
        status = {
            **(pod.get("status") or {}),
            "phase": phase,
            "conditions": with_conditions(
                self._loop,
                pod,
                ("Initialized", True, "PodCompleted" if done else "", ""),
                ("Ready", ready, *_why(ready, phase)),
                ("ContainersReady", ready, *_why(ready, phase)),
            ),
            "containerStatuses": [
                {
                    "name": container["name"],
                    "image": container.get("image", ""),
                    "imageID": "",
                    "ready": ready,
                    "started": "running" in state,
                    "restartCount": count,
                    "state": state,
                    "lastState": last if last is not None else before[0].get("lastState", {}),
                }
                for container in pod["spec"]["containers"]
            ],
        }
        status.setdefault("startTime", written(self._loop.clock.now()))
        self._loop.registry.write_status(PODS, pod, status)

    def _schedule(self, pod: Object) -> None:
        nodes = self._loop.store.all(NODES)
        reasons: dict[str, int] = {}
        fitting: list[Object] = []
        wanted = _requests(pod)
        for node in nodes:
            why = _unfit(node, pod) or self._full(node, wanted)
            if why:
                reasons[why] = reasons.get(why, 0) + 1
            else:
                fitting.append(node)
        if fitting:
            chosen = min(fitting, key=lambda node: self._used.get(node["metadata"]["name"], _Use()).pods)
            self._bind(pod, chosen)
            return
        self._unscheduled[pod["metadata"]["namespace"], pod["metadata"]["name"]] = None
        said = ", ".join(f"{count} {why}" for why, count in sorted(reasons.items()))
        message = f"0/{len(nodes)} nodes are available: {said}." if said else "no nodes available to schedule pods"
        if condition(pod, "PodScheduled").get("message") != message:
            conditions = with_conditions(self._loop, pod, ("PodScheduled", False, "Unschedulable", message))
            status = {**(pod.get("status") or {}), "conditions": conditions}
            self._loop.registry.write_status(PODS, pod, status)
            self._loop.event(pod, "FailedScheduling", message, kind="Warning", source=_SCHEDULER)

    def _bind(self, pod: Object, node: Object) -> None:
        conditions = with_conditions(self._loop, pod, ("PodScheduled", True, "", ""))
        spec = {**pod["spec"], "nodeName": node["metadata"]["name"]}
        status = {**(pod.get("status") or {}), "conditions": conditions}
        self._loop.store.put(PODS, {**pod, "spec": spec, "status": status})

    def _full(self, node: Object, wanted: _Use) -> str:
        used = self._used.get(node["metadata"]["name"], _Use())
        room: Mapping[str, str] = (node.get("status") or {}).get("allocatable") or {}
        if room and used.pods + 1 > quantity(room.get("pods", "110")):
            return "Too many pods"
        if room and used.cpu + wanted.cpu > quantity(room["cpu"]):
            return "Insufficient cpu"
        if room and used.memory + wanted.memory > quantity(room["memory"]):
            return "Insufficient memory"
        return ""

    def _observe(self, change: Change) -> None:
        if change.resource is NODES:
            self._retry()
            for daemon_set in self._loop.store.all(DAEMON_SETS):
                self._loop.enqueue(DAEMON_SETS, daemon_set)
        if change.resource is not PODS:
            return
        before = _place(change.previous)
        after = _place(change.object) if change.kind != "DELETED" else ""
        if change.kind == "DELETED" or change.object["spec"].get("nodeName"):
            self._unscheduled.pop((change.object["metadata"]["namespace"], change.object["metadata"]["name"]), None)
        if change.kind == "DELETED":
            self._lives.pop(change.object["metadata"]["uid"], None)
        if before == after:
            return
        wanted = _requests(change.object)
        for node, sign in ((before, -1), (after, 1)):
            if node:
                used = self._used.setdefault(node, _Use())
                used.pods += sign
                used.cpu += sign * wanted.cpu
                used.memory += sign * wanted.memory
        if before:
            self._retry()

    def _retry(self) -> None:
        for namespace, name in self._unscheduled:
            if pod := self._loop.store.find(PODS, namespace, name):
                self._loop.enqueue(PODS, pod)


@lru_cache(maxsize=1024)
def quantity(text: str | int) -> Decimal:
    """A resource quantity such as 500m, 2 or 16Gi."""
    text = str(text)
    if text.endswith("m"):
        return Decimal(text[:-1]) / 1000
    for unit, factor in _UNITS.items():
        if text.endswith(unit):
            return Decimal(text[: -len(unit)]) * factor
    return Decimal(text)


def _requests(pod: Object) -> _Use:
    requests = [((item.get("resources") or {}).get("requests") or {}) for item in pod["spec"].get("containers") or []]
    cpu = sum((quantity(item.get("cpu", 0)) for item in requests), Decimal())
    return _Use(1, cpu, sum((quantity(item.get("memory", 0)) for item in requests), Decimal()))


def _place(pod: Object | None) -> str:
    """The node whose room the pod takes."""
    if pod is None or (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return ""
    return pod["spec"].get("nodeName", "")


def _unfit(node: Object, pod: Object) -> str:
    spec: dict[str, Any] = node.get("spec") or {}
    tolerations = pod["spec"].get("tolerations") or []
    if spec.get("unschedulable") and not _tolerated({"key": "node.kubernetes.io/unschedulable"}, tolerations):
        return "node(s) were unschedulable"
    for taint in spec.get("taints") or []:
        if taint.get("effect") != "PreferNoSchedule" and not _tolerated(taint, tolerations):
            return f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}"
    labels = node["metadata"].get("labels") or {}
    if not (pod["spec"].get("nodeSelector") or {}).items() <= labels.items():
        return "node(s) didn't match Pod's node affinity/selector"
    wanted = pod["metadata"].get("annotations", {}).get(DAEMON_NODE)
    return "" if wanted in (None, node["metadata"]["name"]) else "node(s) didn't match Pod's node affinity/selector"


DAEMON_NODE = "closekeeper.local/daemon-node"
"""Stands for the node affinity by which a DaemonSet places its pods."""


def _tolerated(taint: Mapping[str, Any], tolerations: list[Any]) -> bool:
    return any(
        item.get("key") in (None, "", taint["key"])
        and item.get("effect") in (None, "", taint.get("effect", "NoSchedule"))
        and (item.get("operator") == "Exists" or item.get("value", "") == taint.get("value", ""))
        for item in tolerations
    )


def _why(ready: bool, phase: str) -> tuple[str, str]:
    if ready:
        return "", ""
    return ("PodCompleted" if phase == "Succeeded" else "ContainersNotReady"), ""
