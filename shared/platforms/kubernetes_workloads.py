"""Deployments and StatefulSets with what scales them: how they are read, and the patches that change them.

What is set beside the number of replicas is noted on the object itself, in the patch that sets it: what was found, and
what was set instead. So a hold on an autoscaler can be taken back, by us or by hand, and a later edit shows.

Sources: "Horizontal Pod Autoscaling" (implicit maintenance mode: an autoscaler leaves zero replicas alone), KEDA
"Pause autoscaling with annotations", Kubernetes API concepts (merge patch, resourceVersion).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from shared.platforms.kubernetes import AUTOSCALERS, DEPLOYMENTS, SCALED_OBJECTS, STATEFUL_SETS, Kind, Object

NOTE = "closekeeper.io/original"
"""The annotation: {"found": {...}, "set": {...}} as JSON."""

KINDS = {"deployment": DEPLOYMENTS, "statefulset": STATEFUL_SETS}

_PAUSED = "autoscaling.keda.sh/paused"
_PAUSED_AT = "autoscaling.keda.sh/paused-replicas"


@dataclass(frozen=True, slots=True)
class Note:
    """What our annotation says."""

    found: Mapping[str, Any]
    set: Mapping[str, Any]

    def __str__(self) -> str:
        return json.dumps({"found": self.found, "set": self.set}, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Autoscaler:
    """A HorizontalPodAutoscaler or ScaledObject. `now` is what a hold would replace, as it is now."""

    kind: Kind
    name: str
    version: str
    min: int
    max: int
    paused: bool
    now: Mapping[str, Any]
    note: Note | None

    @property
    def held(self) -> bool:
        """Whether it scales nothing: by our hold, or because somebody paused it."""
        return self.paused or self.is_ours

    @property
    def is_ours(self) -> bool:
        """Whether what our note says was set is still there."""
        return self.note is not None and dict(self.note.set) == dict(self.now)

    @property
    def bounds(self) -> tuple[int, int]:
        """Least and most replicas, also while our hold stands in for them."""
        if self.kind is AUTOSCALERS and self.note is not None and self.is_ours:
            return int(self.note.found["minReplicas"]), int(self.note.found["maxReplicas"])
        return self.min, self.max


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment or StatefulSet at one version."""

    kind: Kind
    namespace: str
    name: str
    version: str
    replicas: int
    ready: int
    settled: bool
    """Whether its controller has seen the latest specification."""
    selector: str
    note: Note | None = None
    autoscaler: Autoscaler | None = None

    @property
    def autoscaled(self) -> bool:
        """Whether something changes the replicas by itself. Nobody scales what has none: the autoscaler then waits."""
        scaler = self.autoscaler
        return scaler is not None and not scaler.held and not (scaler.kind is AUTOSCALERS and self.replicas == 0)


@dataclass(frozen=True, slots=True)
class Patch:
    """One merge patch, for the version that it was made from."""

    kind: Kind
    namespace: str
    name: str
    version: str
    body: Object = field(hash=False)


def workload(kind: Kind, obj: Object, autoscaler: Autoscaler | None = None) -> Workload:
    """From the object as the API gives it."""
    metadata, spec = obj["metadata"], obj["spec"]
    status: Object = obj.get("status") or {}
    return Workload(
        kind=kind,
        namespace=metadata["namespace"],
        name=metadata["name"],
        version=metadata["resourceVersion"],
        replicas=spec.get("replicas", 1),
        ready=status.get("readyReplicas") or 0,
        settled=(status.get("observedGeneration") or 0) >= metadata.get("generation", 0),
        selector=_selector(spec.get("selector") or {}),
        note=note_of(metadata),
        autoscaler=autoscaler,
    )


def autoscalers(scaled_objects: Iterable[Object], own: Iterable[Object]) -> dict[tuple[str, str, str], Autoscaler]:
    """What scales what, by namespace, kind (in lower case) and name of the workload.

    The autoscalers that KEDA makes for its ScaledObjects are KEDA's business.
    """
    found: dict[tuple[str, str, str], Autoscaler] = {}
    for obj in own:
        if not any(owner.get("kind") == "ScaledObject" for owner in obj["metadata"].get("ownerReferences") or ()):
            found[_scaled(obj)] = _horizontal(obj)
    for obj in scaled_objects:
        found[_scaled(obj)] = _scaled_object(obj)
    return found


def patches(now: Workload, *, replicas: int | None, autoscaling: str | None) -> list[Patch]:
    """What to write so that the workload has that many replicas and its autoscaler is `on` or `off`; None is as it is.

    `released` takes back our own hold, while `on` also resumes what somebody paused and nobody noted.
    Going to sleep, the workload comes first, so that its note says what was found; KEDA sets the replicas by itself as
    soon as it is paused. Waking, the autoscaler is released first, since a held one would undo what is set; it may act
    at once, so what is then written is meant for whatever version there is.
    """
    wanted = now.replicas if replicas is None else replicas
    scaler = now.autoscaler
    held = _hold(now, scaler, wanted) if scaler is not None and autoscaling == "off" else None
    released = _release(now, scaler, autoscaling) if scaler is not None and autoscaling in ("on", "released") else None
    scaled = _replicas_patch(now, wanted, autoscaling)
    if scaled is not None and released is not None:
        scaled = replace(scaled, version="")
    return [patch for patch in (released, scaled, held) if patch is not None]


def bounds_patch(now: Workload, least: int | None, most: int | None) -> Patch | None:
    """What to write so that the autoscaler keeps to these bounds; None when it does. While our hold stands in for them,
    it is what the hold gives back that changes. Raises ValueError when nothing scales the workload."""
    scaler = now.autoscaler
    if scaler is None:
        raise ValueError(f"nothing scales {now.namespace}/{now.name}: give a number of replicas instead of bounds")
    bounds = (scaler.min if least is None else least, scaler.max if most is None else most)
    if bounds == scaler.bounds:
        return None
    if scaler.kind is AUTOSCALERS and scaler.note is not None and scaler.is_ours:
        note = Note({"minReplicas": bounds[0], "maxReplicas": bounds[1]}, scaler.note.set)
        return _patch(now, scaler, {"metadata": {"annotations": {NOTE: str(note)}}})
    names = ("minReplicas", "maxReplicas") if scaler.kind is AUTOSCALERS else ("minReplicaCount", "maxReplicaCount")
    return _patch(now, scaler, {"spec": dict(zip(names, bounds, strict=True))})


def _replicas_patch(now: Workload, wanted: int, autoscaling: str | None) -> Patch | None:
    body: Object = {}
    if wanted != now.replicas:
        body["spec"] = {"replicas": wanted}
        if autoscaling == "off":
            note = _noted(now.note, {"replicas": now.replicas}, {"replicas": wanted})
            body["metadata"] = {"annotations": {NOTE: str(note)}}
    if autoscaling in ("on", "released") and now.note is not None:
        body["metadata"] = {"annotations": {NOTE: None}}
    return Patch(now.kind, now.namespace, now.name, now.version, body) if body else None


def _hold(now: Workload, scaler: Autoscaler, replicas: int) -> Patch | None:
    if scaler.kind is SCALED_OBJECTS:
        if scaler.paused and not scaler.is_ours:
            return None  # somebody else paused it, and may resume it
        note = _noted(scaler.note if scaler.is_ours else None, scaler.now, {_PAUSED_AT: str(replicas)})
        if scaler.is_ours and scaler.note is not None and str(note) == str(scaler.note):
            return None
        return _patch(now, scaler, {"metadata": {"annotations": {**note.set, NOTE: str(note)}}})
    if replicas == 0:
        return None  # it leaves a workload without replicas alone, by itself
    bounds = {"minReplicas": replicas, "maxReplicas": replicas}
    if scaler.is_ours and scaler.now == bounds:
        return None
    note = _noted(scaler.note if scaler.is_ours else None, scaler.now, bounds)
    return _patch(now, scaler, {"metadata": {"annotations": {NOTE: str(note)}}, "spec": bounds})


def _release(now: Workload, scaler: Autoscaler, autoscaling: str) -> Patch | None:
    if scaler.note is None and not (scaler.paused and autoscaling == "on"):
        return None
    body: Object = {"metadata": {"annotations": {NOTE: None}}}
    if scaler.kind is SCALED_OBJECTS and (scaler.is_ours or scaler.note is None):
        given_back = scaler.note.found if scaler.note is not None else {_PAUSED: None, _PAUSED_AT: None}
        body["metadata"]["annotations"] |= dict(given_back)
    elif scaler.kind is AUTOSCALERS and scaler.note is not None and scaler.is_ours:
        body["spec"] = dict(scaler.note.found)
    return _patch(now, scaler, body)


def _noted(before: Note | None, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> Note:
    """What we found stays what we found first, as long as what we set is still there."""
    ours = before is not None and dict(before.set) == dict(found)
    return Note(before.found if before is not None and ours else dict(found), dict(wanted))


def _patch(now: Workload, scaler: Autoscaler, body: Object) -> Patch:
    return Patch(scaler.kind, now.namespace, scaler.name, scaler.version, body)


def _scaled(obj: Object) -> tuple[str, str, str]:
    target = obj["spec"]["scaleTargetRef"]
    return obj["metadata"]["namespace"], str(target.get("kind") or "Deployment").lower(), target["name"]


def _horizontal(obj: Object) -> Autoscaler:
    metadata, spec = obj["metadata"], obj["spec"]
    least, most = spec.get("minReplicas", 1), spec["maxReplicas"]
    now = {"minReplicas": least, "maxReplicas": most}
    return Autoscaler(
        AUTOSCALERS, metadata["name"], metadata["resourceVersion"], least, most, False, now, note_of(metadata)
    )


def _scaled_object(obj: Object) -> Autoscaler:
    metadata, spec = obj["metadata"], obj["spec"]
    annotations: Mapping[str, str] = metadata.get("annotations") or {}
    paused = _PAUSED_AT in annotations or annotations.get(_PAUSED, "false").lower() == "true"
    return Autoscaler(
        kind=SCALED_OBJECTS,
        name=metadata["name"],
        version=metadata["resourceVersion"],
        min=spec.get("minReplicaCount", 0),
        max=spec.get("maxReplicaCount", 100),
        paused=paused,
        now={_PAUSED_AT: annotations.get(_PAUSED_AT)},
        note=note_of(metadata),
    )


def note_of(metadata: Object) -> Note | None:
    """Ours, if it is there and in one piece: people can write annotations too."""
    annotations: Mapping[str, str] = metadata.get("annotations") or {}
    try:
        said: Any = json.loads(annotations[NOTE])
        found, given = said["found"], said["set"]
    except (KeyError, TypeError, ValueError):
        return None
    if not isinstance(found, dict) or not isinstance(given, dict):
        return None
    return Note(cast(Mapping[str, Any], found), cast(Mapping[str, Any], given))


def _selector(selector: Object) -> str:
    """As a label selector of a query; match expressions of the four operators included."""
    labels: Mapping[str, str] = selector.get("matchLabels") or {}
    parts = [f"{key}={value}" for key, value in labels.items()]
    for rule in selector.get("matchExpressions") or ():
        key, values = rule["key"], ",".join(rule.get("values") or ())
        forms = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key}
        parts.append(forms.get(rule["operator"], f"!{key}"))
    return ",".join(parts)
