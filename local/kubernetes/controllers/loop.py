"""The work of all controllers: a queue of objects that changed, and what is due at a later instant."""

import heapq
import itertools
from collections.abc import Callable
from datetime import datetime, timedelta

from local.kubernetes.clock import ClusterClock, written
from local.kubernetes.registry import CONTROLLERS, Registry, Writer, suffix
from local.kubernetes.resources import EVENTS, PODS, Resource
from local.kubernetes.store import Change, Key, Object, Store, key_of

type Reconciler = Callable[[Object], None]


class ControlLoop:
    """Reconciles each object that changed, and its owner; `settle` after every write, `tick` as time passes."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.store: Store = registry.store
        self.clock: ClusterClock = registry.clock
        self.reconcilers: dict[Resource, Reconciler] = {}
        self.observers: list[Callable[[Change], None]] = []
        """Hear of each change at once, before anything is reconciled."""
        self._queue: dict[tuple[Resource, Key], None] = {}
        self._due: list[tuple[datetime, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._told: dict[tuple[str, str, str], str] = {}
        self._settling = False
        self.store.listen(self._notice)

    def enqueue(self, resource: Resource, obj: Object) -> None:
        if resource in self.reconcilers:
            self._queue[resource, key_of(obj)] = None

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Do it when that much of the cluster's time has passed, also when that is none."""
        due = self.clock.now() + timedelta(seconds=seconds)
        heapq.heappush(self._due, (due, next(self._numbers), action))

    def reconcile_later(self, seconds: float, resource: Resource, obj: Object) -> None:
        self.later(seconds, lambda: self.enqueue(resource, obj))

    def settle(self) -> None:
        """Work until nothing is left to do now."""
        with self.store.lock:
            if self._settling:
                return
            self._settling = True
            try:
                while self._queue:
                    resource, (namespace, name) = next(iter(self._queue))
                    del self._queue[resource, (namespace, name)]
                    obj = self.store.find(resource, namespace, name)
                    if obj is not None:
                        self.reconcilers[resource](obj)
            finally:
                self._settling = False

    def tick(self) -> datetime | None:
        """Do all that is due; returns the instant at which something is due next."""
        with self.store.lock:
            self.settle()
            while self._due and self._due[0][0] <= self.clock.now():
                heapq.heappop(self._due)[2]()
                self.settle()
            return self._due[0][0] if self._due else None

    def event(self, about: Object, reason: str, message: str, *, kind: str = "Normal", source: str) -> None:
        """Tell of it in an Event, which counts up when it is the same again."""
        metadata, now = about["metadata"], written(self.clock.now())
        namespace = metadata.get("namespace") or "default"
        told = self._told.get((metadata["uid"], reason, message))
        event = self.store.find(EVENTS, namespace, told) if told else None
        if event is not None:
            self.store.put(EVENTS, {**event, "count": event["count"] + 1, "lastTimestamp": now})
            return
        reference = {"kind": about["kind"], "name": metadata["name"], "uid": metadata["uid"]}
        name = f"{metadata['name']}.{next(self._numbers):016x}"
        self._told[metadata["uid"], reason, message] = name
        self.registry.create(
            EVENTS,
            namespace,
            {
                "metadata": {"name": name},
                "involvedObject": {**reference, "namespace": namespace, "apiVersion": about["apiVersion"]},
                "reason": reason,
                "message": message,
                "type": kind,
                "count": 1,
                "firstTimestamp": now,
                "lastTimestamp": now,
                "source": {"component": source},
                "reportingComponent": source,
                "reportingInstance": "",
            },
            Writer(manager=CONTROLLERS),
        )

    def _notice(self, change: Change) -> None:
        for observer in self.observers:
            observer(change)
        if change.kind != "DELETED":
            self.enqueue(change.resource, change.object)
        for reference in change.object["metadata"].get("ownerReferences") or []:
            for resource in self.reconcilers:
                if resource.kind == reference["kind"]:
                    self._queue[resource, (change.object["metadata"].get("namespace", ""), reference["name"])] = None


def owner_reference(obj: Object) -> Object:
    return {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "name": obj["metadata"]["name"],
        "uid": obj["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def make_pod(
    loop: ControlLoop, owner: Object, template: Object, name: str = "", labels: Object | None = None
) -> Object:
    """A pod from a template, owned by what it is for."""
    metadata = template.get("metadata") or {}
    made = {
        "metadata": {
            **({"annotations": metadata["annotations"]} if metadata.get("annotations") else {}),
            "name": name or f"{owner['metadata']['name'][:57]}-{suffix()}",
            "labels": {**(metadata.get("labels") or {}), **(labels or {})},
            "ownerReferences": [owner_reference(owner)],
        },
        "spec": dict(template["spec"]),
    }
    return loop.registry.create(PODS, owner["metadata"]["namespace"], made, Writer(manager=CONTROLLERS))


def is_active(pod: Object) -> bool:
    """It neither ended nor is about to."""
    ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    return not ended and not pod["metadata"].get("deletionTimestamp")


def is_ready(pod: Object) -> bool:
    return condition(pod, "Ready").get("status") == "True"


def condition(obj: Object, kind: str) -> Object:
    conditions = (obj.get("status") or {}).get("conditions") or []
    return next((item for item in conditions if item["type"] == kind), {})


def with_conditions(loop: ControlLoop, obj: Object, *wanted: tuple[str, bool, str, str]) -> list[Object]:
    """The conditions after these (type, status, reason, message); the time of transition moves with the status only."""
    conditions = list((obj.get("status") or {}).get("conditions") or [])
    for kind, holds, reason, message in wanted:
        before = next((item for item in conditions if item["type"] == kind), None)
        status = "True" if holds else "False"
        now = written(loop.clock.now())
        moved = before["lastTransitionTime"] if before and before["status"] == status else now
        item = {"type": kind, "status": status, "lastTransitionTime": moved}
        item |= {"reason": reason} if reason else {}
        item |= {"message": message} if message else {}
        if before is None:
            conditions.append(item)
        else:
            conditions[conditions.index(before)] = item
    return conditions
