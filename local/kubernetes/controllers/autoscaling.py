"""HorizontalPodAutoscalers keep workloads within their bounds; KEDA makes one for each ScaledObject unless paused.

There are no metrics here: what an autoscaler wants follows from its bounds, and from `wanted` where a test sets it.
"""

from local.kubernetes.controllers.loop import ControlLoop, owner_reference, with_conditions
from local.kubernetes.registry import CONTROLLERS, Writer
from local.kubernetes.resources import AUTOSCALERS, SCALED_OBJECTS, Resource, of_kind
from local.kubernetes.store import Object

_WRITER = Writer(manager=CONTROLLERS, subresource="scale")
_PAUSED = "autoscaling.keda.sh/paused"
_PAUSED_REPLICAS = "autoscaling.keda.sh/paused-replicas"


class Autoscalers:
    """Look at their workloads every `sync_seconds`, 15 as in a real cluster."""

    def __init__(self, loop: ControlLoop) -> None:
        self.sync_seconds = 15.0
        self.wanted: dict[tuple[str, str], int] = {}
        """Replicas that the load asks for, by the autoscaler's namespace and name."""
        self._loop = loop
        self._started: set[str] = set()
        loop.reconcilers[AUTOSCALERS] = self._noticed
        loop.reconcilers[SCALED_OBJECTS] = self._scaled_object

    def _noticed(self, autoscaler: Object) -> None:
        uid = autoscaler["metadata"]["uid"]
        if uid not in self._started:
            self._started.add(uid)
            self._loop.later(self.sync_seconds, lambda: self._sync(autoscaler))

    def _sync(self, known: Object) -> None:
        metadata = known["metadata"]
        autoscaler = self._loop.store.find(AUTOSCALERS, metadata["namespace"], metadata["name"])
        if autoscaler is None or autoscaler["metadata"]["uid"] != metadata["uid"]:
            self._started.discard(metadata["uid"])
            return
        self._loop.later(self.sync_seconds, lambda: self._sync(known))
        spec = autoscaler["spec"]
        resource, target = self._target(metadata["namespace"], spec["scaleTargetRef"])
        if resource is None or target is None:
            said = f"the HPA controller was unable to get the target's current scale: {spec['scaleTargetRef']['name']}"
            self._tell(autoscaler, 0, 0, ("AbleToScale", False, "FailedGetScale", said))
            return
        now = target["spec"].get("replicas", 1)
        if now == 0:
            said = "scaling is disabled since the replica count of the target is zero"
            self._tell(autoscaler, 0, 0, ("ScalingActive", False, "ScalingDisabled", said))
            return
        asked = self.wanted.get((metadata["namespace"], metadata["name"]), now)
        desired = max(spec.get("minReplicas", 1), min(asked, spec["maxReplicas"]))
        if desired != now:
            self._scale(resource, target, desired)
        active = ("ScalingActive", True, "ValidMetricFound", "the HPA was able to compute the replica count")
        self._tell(autoscaler, now, desired, active)

    def _tell(self, autoscaler: Object, now: int, desired: int, said: tuple[str, bool, str, str]) -> None:
        able = (
            "AbleToScale",
            True,
            "SucceededGetScale",
            "the HPA controller was able to get the target's current scale",
        )
        conditions = with_conditions(self._loop, autoscaler, *((said,) if said[0] == able[0] else (able, said)))
        status = {**(autoscaler.get("status") or {}), "currentReplicas": now, "desiredReplicas": desired}
        self._loop.registry.write_status(AUTOSCALERS, autoscaler, {**status, "conditions": conditions})

    def _target(self, namespace: str, reference: Object) -> tuple[Resource | None, Object | None]:
        resource = of_kind(reference.get("apiVersion", "apps/v1"), reference.get("kind", "Deployment"))
        if resource is None or not resource.scale:
            return None, None
        return resource, self._loop.store.find(resource, namespace, reference["name"])

    def _scale(self, resource: Resource, target: Object, replicas: int) -> None:
        new = {**target, "spec": {**target["spec"], "replicas": replicas}}
        self._loop.registry.update(resource, target, new, _WRITER)

    def _scaled_object(self, item: Object) -> None:
        metadata, spec = item["metadata"], item["spec"]
        annotations = metadata.get("annotations") or {}
        fixed = annotations.get(_PAUSED_REPLICAS)
        paused = fixed is not None or annotations.get(_PAUSED, "false").lower() == "true"
        name = f"keda-hpa-{metadata['name']}"
        made = self._loop.store.find(AUTOSCALERS, metadata["namespace"], name)
        resource, target = self._target(metadata["namespace"], spec["scaleTargetRef"])
        if paused:
            if made is not None:
                self._loop.registry.delete(AUTOSCALERS, made)
            if fixed is not None and resource is not None and target is not None:
                self._scale(resource, target, int(fixed))
        else:
            self._keep_autoscaler(item, made, name)
        reason = ("ScaledObjectPaused", "ScaledObject is paused") if paused else ("ScaledObjectUnpaused", "")
        ready = (
            "Ready",
            target is not None,
            "ScaledObjectReady" if target is not None else "ScaledObjectCheckFailed",
            "",
        )
        status = {
            **(item.get("status") or {}),
            "hpaName": name,
            "scaleTargetKind": "apps/v1.Deployment",
            "conditions": with_conditions(self._loop, item, ready, ("Paused", paused, *reason)),
        }
        if fixed is not None:
            status["pausedReplicaCount"] = int(fixed)
        else:
            status.pop("pausedReplicaCount", None)
        self._loop.registry.write_status(SCALED_OBJECTS, item, status)

    def _keep_autoscaler(self, item: Object, made: Object | None, name: str) -> None:
        spec = item["spec"]
        reference = {"apiVersion": "apps/v1", "kind": "Deployment", **spec["scaleTargetRef"]}
        wanted = {
            "scaleTargetRef": reference,
            "minReplicas": max(1, spec.get("minReplicaCount", 0)),
            "maxReplicas": spec.get("maxReplicaCount", 100),
        }
        writer = Writer(manager=CONTROLLERS)
        if made is None:
            body = {"metadata": {"name": name, "ownerReferences": [owner_reference(item)]}, "spec": wanted}
            self._loop.registry.create(AUTOSCALERS, item["metadata"]["namespace"], body, writer)
        elif made["spec"] != {**made["spec"], **wanted}:
            new = {**made, "spec": {**made["spec"], **wanted}}
            self._loop.registry.update(AUTOSCALERS, made, new, writer)
