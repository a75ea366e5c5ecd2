"""PodDisruptionBudgets, and evictions, which obey them."""

from math import ceil

from local.kubernetes import selectors
from local.kubernetes.controllers.loop import ControlLoop, is_active, is_ready
from local.kubernetes.errors import ApiError
from local.kubernetes.resources import DISRUPTION_BUDGETS, PODS
from local.kubernetes.store import Change, Object


class Disruptions:
    """Budgets count the pods that their selectors find."""

    def __init__(self, loop: ControlLoop) -> None:
        self._loop = loop
        loop.reconcilers[DISRUPTION_BUDGETS] = self._budget
        loop.observers.append(self._observe)

    def evict(self, pod: Object, dry_run: bool) -> None:
        """Delete the pod as the eviction subresource does; raises ApiError 429 when a budget forbids it."""
        metadata = pod["metadata"]
        for budget in self._budgets(pod) if is_active(pod) else ():
            status = budget.get("status") or {}
            name = budget["metadata"]["name"]
            always = budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow"
            enough = status.get("currentHealthy", 0) >= status.get("desiredHealthy", 0) > 0
            if not is_ready(pod) and (always or enough or pod["status"].get("phase") == "Pending"):
                continue
            if status.get("disruptionsAllowed", 0) < 1:
                cause = {
                    "reason": "DisruptionBudget",
                    "message": f"The disruption budget {name} needs {status.get('desiredHealthy', 0)} healthy pods and "
                    f"has {status.get('currentHealthy', 0)} currently",
                }
                said = "Cannot evict pod as it would violate the pod's disruption budget."
                raise ApiError(429, "TooManyRequests", said, {"causes": [cause]})
        if not dry_run:
            self._loop.registry.delete(PODS, pod, {"preconditions": {"uid": metadata["uid"]}})

    def _budgets(self, pod: Object) -> list[Object]:
        labels = pod["metadata"].get("labels") or {}
        budgets = self._loop.store.all(DISRUPTION_BUDGETS, pod["metadata"]["namespace"])
        return [budget for budget in budgets if selectors.of_object(budget["spec"].get("selector"))(labels)]

    def _budget(self, budget: Object) -> None:
        spec = budget["spec"]
        fits = selectors.of_object(spec.get("selector"))
        pods = [
            pod
            for pod in self._loop.store.all(PODS, budget["metadata"]["namespace"])
            if fits(pod["metadata"].get("labels") or {}) and is_active(pod)
        ]
        expected, healthy = len(pods), sum(is_ready(pod) for pod in pods)
        if "maxUnavailable" in spec:
            desired = max(0, expected - _share(spec["maxUnavailable"], expected))
        else:
            desired = _share(spec.get("minAvailable", 1), expected)
        status = {
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "disruptionsAllowed": max(0, healthy - desired),
            "expectedPods": expected,
            "observedGeneration": budget["metadata"]["generation"],
        }
        self._loop.registry.write_status(DISRUPTION_BUDGETS, budget, status)

    def _observe(self, change: Change) -> None:
        if change.resource is PODS:
            for budget in self._budgets(change.object):
                self._loop.enqueue(DISRUPTION_BUDGETS, budget)


def _share(value: int | str, of: int) -> int:
    return ceil(int(value.rstrip("%")) * of / 100) if isinstance(value, str) else value
