"""Workloads fall asleep and wake as changes, with what scales them, and with people who have ideas of their own."""

import json
from typing import Any

import pytest

from functions.adapters.workloads import Workloads
from local.azure.faults import Fault
from local.kubernetes.resources import of_kind
from shared.changes.change import Change, Originals
from shared.changes.execution import Result
from shared.platforms import kubernetes, managed_clusters
from shared.platforms.kubernetes_workloads import NOTE
from tests.clusters.driver import Driver
from tests.clusters.places import NAMESPACE, Place, autoscaler, change, scaled_object
from tests.local.azure.clients import wait_until

PAUSED_AT = "autoscaling.keda.sh/paused-replicas"
PAUSED = "autoscaling.keda.sh/paused"


def sleep(target: str, replicas: int = 0, **more: Any) -> Change:
    after = {"replicas": replicas, "autoscaling": "off"}
    return change("kubernetes-workload", target, "sleep", after, **more)


def wake(target: str, **more: Any) -> Change:
    after = {"replicas": 3, "autoscaling": "on"}
    more = {"occasion": "2026-11-23 morning", "originals": Originals.GIVE_BACK, **more}
    return change("kubernetes-workload", target, "wake", after, **more)


def annotations(place: Place, kind: str, name: str) -> dict[str, str]:
    return place.get(kind, name)["metadata"].get("annotations") or {}


def bounds(place: Place, name: str) -> tuple[int, int]:
    spec = place.get("HorizontalPodAutoscaler", name)["spec"]
    return spec["minReplicas"], spec["maxReplicas"]


def test_a_deployment_sleeps_without_pods_and_wakes_as_it_was(place: Place, driver: Driver) -> None:
    target = place.deploy("web", 3)
    slept = driver.run(sleep(target))
    assert (slept.result, slept.detail) == (Result.SUCCEEDED, "all pods are gone")
    assert place.replicas("web") == 0
    assert json.loads(annotations(place, "Deployment", "web")[NOTE]) == {
        "found": {"replicas": 3},
        "set": {"replicas": 0},
    }
    woken = driver.run(wake(target))
    assert (woken.result, woken.detail) == (Result.SUCCEEDED, "3 of 3 pods are Ready")
    assert place.replicas("web") == 3
    assert NOTE not in annotations(place, "Deployment", "web")


def test_the_original_is_written_in_the_same_patch_which_is_small(
    place: Place, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[str, str, Any]] = []
    send = kubernetes.Cluster._send  # pyright: ignore[reportPrivateUsage]

    def watched(self: Any, method: str, path: str, query: Any, body: Any = None, *more: Any) -> bytes:
        sent.append((method, path, body))
        return send(self, method, path, query, body, *more)

    monkeypatch.setattr(kubernetes.Cluster, "_send", watched)
    target = place.deploy("web", 3)
    assert driver.run(sleep(target)).result is Result.SUCCEEDED
    [(_, path, body)] = [call for call in sent if call[0] == "PATCH"]
    assert path.endswith("/deployments/web")
    assert body["spec"] == {"replicas": 0}
    assert NOTE in body["metadata"]["annotations"]
    assert len(json.dumps(body)) < 300, "a whole object would be 2 kB"


def test_twice_is_once(place: Place, driver: Driver) -> None:
    target = place.deploy("web", 3)
    adapter = Workloads()
    first = sleep(target)
    for _ in range(2):
        adapter.read_state(first)
        adapter.apply(first, first.after, "k")
    version = place.get("Deployment", "web")["metadata"]["generation"]
    adapter.apply(first, first.after, "k")
    assert place.get("Deployment", "web")["metadata"]["generation"] == version
    assert json.loads(annotations(place, "Deployment", "web")[NOTE])["found"] == {"replicas": 3}


def test_a_stateful_set_sleeps_too(place: Place, driver: Driver) -> None:
    spec = place.deploy("template", 0)
    del spec
    template = place.get("Deployment", "template")["spec"]
    place.kubernetes.create(
        {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"name": "cron", "namespace": NAMESPACE},
            "spec": {
                "replicas": 2,
                "serviceName": "cron",
                "selector": template["selector"],
                "template": template["template"],
            },
        }
    )
    target = place.workload("cron", "statefulset")
    assert driver.run(sleep(target)).result is Result.SUCCEEDED
    assert place.get("StatefulSet", "cron")["spec"]["replicas"] == 0
    assert driver.run(wake(target)).result is Result.SUCCEEDED
    assert place.get("StatefulSet", "cron")["spec"]["replicas"] == 2


def test_what_a_human_set_meanwhile_stays(place: Place, driver: Driver) -> None:
    target = place.deploy("web", 3)
    driver.run(sleep(target))
    place.scale_by_hand("web", 1)
    woken = driver.run(wake(target))
    assert woken.result is Result.LEFT_ALONE
    assert "drift" in woken.kinds
    assert place.replicas("web") == 1


def test_an_edit_between_reading_and_writing_is_the_new_original(place: Place, driver: Driver) -> None:
    """The window that a reader-then-writer leaves open: what was read is no longer so when the patch arrives."""
    target = place.deploy("web", 3)
    adapter = Workloads()
    asleep = sleep(target)
    assert adapter.read_state(asleep)["replicas"] == 3
    place.scale_by_hand("web", 5)
    answer = adapter.apply(asleep, asleep.after, "k")
    assert answer.act == "busy"
    assert place.replicas("web") == 5
    assert driver.run(asleep).result is Result.SUCCEEDED
    assert driver.run(wake(target)).result is Result.SUCCEEDED
    assert place.replicas("web") == 5


def test_an_hpa_leaves_a_sleeper_alone_and_works_again_afterwards(place: Place, driver: Driver) -> None:
    target = place.deploy("web", 3)
    place.kubernetes.create(autoscaler("web", 2, 6))
    place.kubernetes.autoscalers.wanted[NAMESPACE, "web"] = 4
    wait_until(lambda: place.replicas("web") == 4)
    assert driver.run(sleep(target)).result is Result.SUCCEEDED
    place.kubernetes.advance(2)
    assert place.replicas("web") == 0
    assert bounds(place, "web") == (2, 6), "at zero replicas nothing has to be done to it"
    assert driver.run(wake(target)).result is Result.SUCCEEDED
    place.kubernetes.autoscalers.wanted[NAMESPACE, "web"] = 5
    wait_until(lambda: place.replicas("web") == 5)


def test_an_hpa_is_held_where_some_replicas_stay(place: Place, driver: Driver) -> None:
    target = place.deploy("web", 4)
    place.kubernetes.create(autoscaler("web", 2, 6))
    place.kubernetes.autoscalers.wanted[NAMESPACE, "web"] = 4  # what the load asks for, whenever it is looked at
    slept = driver.run(sleep(target, 1))
    assert slept.result is Result.SUCCEEDED, slept
    place.kubernetes.advance(2)
    assert (place.replicas("web"), bounds(place, "web")) == (1, (1, 1))
    assert driver.run(wake(target)).result is Result.SUCCEEDED
    place.kubernetes.advance(2)
    assert (place.replicas("web"), bounds(place, "web")) == (4, (2, 6))
    assert NOTE not in annotations(place, "HorizontalPodAutoscaler", "web")


def test_bounds_that_a_human_gave_a_held_hpa_stay(place: Place, driver: Driver) -> None:
    target = place.deploy("web", 4)
    place.kubernetes.create(autoscaler("web", 2, 6))
    driver.run(sleep(target, 1))
    resource = of_kind("autoscaling/v2", "HorizontalPodAutoscaler")
    assert resource is not None
    place.kubernetes.edit(resource, NAMESPACE, "web", minReplicas=1, maxReplicas=9)
    driver.run(wake(target))
    assert bounds(place, "web") == (1, 9)


def test_keda_is_paused_so_that_nothing_wakes_the_sleeper(place: Place, driver: Driver) -> None:
    target = place.deploy("worker", 3)
    place.kubernetes.create(scaled_object("queue-depth", "worker", 2, 8))
    wait_until(lambda: place.get("HorizontalPodAutoscaler", "keda-hpa-queue-depth"))
    slept = driver.run(sleep(target))
    assert slept.result is Result.SUCCEEDED, slept
    assert annotations(place, "ScaledObject", "queue-depth")[PAUSED_AT] == "0"
    place.kubernetes.advance(2)
    assert place.replicas("worker") == 0
    assert driver.run(wake(target)).result is Result.SUCCEEDED
    assert place.replicas("worker") == 3
    assert not {PAUSED_AT, NOTE} & annotations(place, "ScaledObject", "queue-depth").keys()


def test_a_worker_that_keda_had_let_go_is_paused_all_the_same(place: Place, driver: Driver) -> None:
    """It has no replicas already, but a message in the queue would wake it in the night."""
    target = place.deploy("worker", 0)
    place.kubernetes.create(scaled_object("queue-depth", "worker", 0, 8))
    assert driver.run(sleep(target)).result is Result.SUCCEEDED
    assert annotations(place, "ScaledObject", "queue-depth")[PAUSED_AT] == "0"
    assert driver.run(wake(target)).result is Result.SUCCEEDED
    assert PAUSED_AT not in annotations(place, "ScaledObject", "queue-depth")
    assert place.replicas("worker") == 0


def test_what_somebody_had_paused_stays_paused(place: Place, driver: Driver) -> None:
    target = place.deploy("worker", 3)
    paused = scaled_object("queue-depth", "worker", 0, 8)
    paused["metadata"]["annotations"] = {PAUSED: "true"}
    place.kubernetes.create(paused)
    assert driver.run(sleep(target)).result is Result.SUCCEEDED
    assert annotations(place, "ScaledObject", "queue-depth") == {PAUSED: "true"}
    assert driver.run(wake(target)).result is Result.SUCCEEDED
    assert annotations(place, "ScaledObject", "queue-depth") == {PAUSED: "true"}
    assert place.replicas("worker") == 3


def test_replicas_that_a_human_set_stay_and_the_hold_is_released(place: Place, driver: Driver) -> None:
    target = place.deploy("worker", 3)
    place.kubernetes.create(scaled_object("queue-depth", "worker", 2, 8))
    driver.run(sleep(target))
    place.scale_by_hand("worker", 1)
    woken = driver.run(wake(target))
    assert woken.result is Result.SUCCEEDED, woken
    assert "drift" in woken.kinds
    assert PAUSED_AT not in annotations(place, "ScaledObject", "queue-depth")


@pytest.mark.parametrize("make", [autoscaler, lambda name, least, most: scaled_object(name, name, least, most)])
def test_a_peak_raises_the_bounds_and_gives_them_back(place: Place, driver: Driver, make: Any) -> None:
    target = place.deploy("web", 2)
    place.kubernetes.create(make("web", 2, 6))
    after = {"min": 4, "max": 12}
    raised = driver.run(change("kubernetes-workload", target, "scale", after, automation="peak_scaling"))
    assert raised.result is Result.SUCCEEDED, raised
    assert place.replicas("web") >= 4
    given_back = change(
        "kubernetes-workload",
        target,
        "scale",
        after,
        automation="peak_scaling",
        occasion="after",
        originals=Originals.GIVE_BACK,
    )
    assert driver.run(given_back).result is Result.SUCCEEDED
    state = Workloads().read_state(given_back)
    assert (state["min"], state["max"]) == (2, 6)


def test_bounds_without_an_autoscaler_are_refused(place: Place, driver: Driver) -> None:
    target = place.deploy("web", 2)
    ended = driver.run(change("kubernetes-workload", target, "scale", {"min": 4, "max": 12}))
    assert ended.result is Result.FAILED
    assert "give a number of replicas" in ended.detail


def test_a_cron_job_is_suspended_and_resumed(place: Place, driver: Driver) -> None:
    from tests.local.kubernetes import objects

    place.kubernetes.create(objects.cron_job("nightly-dump", "0 1 * * *", namespace=NAMESPACE))
    target = place.workload("nightly-dump", "cronjob")
    off = change("kubernetes-cronjob", target, "sleep", {"suspend": True})
    on = change(
        "kubernetes-cronjob", target, "wake", {"suspend": False}, occasion="morning", originals=Originals.GIVE_BACK
    )
    assert driver.run(off).result is Result.SUCCEEDED
    assert place.get("CronJob", "nightly-dump")["spec"]["suspend"] is True
    assert driver.run(on).result is Result.SUCCEEDED
    assert place.get("CronJob", "nightly-dump")["spec"]["suspend"] is False
    assert NOTE not in annotations(place, "CronJob", "nightly-dump")


def test_a_cron_job_that_was_suspended_is_not_resumed(place: Place, driver: Driver) -> None:
    from tests.local.kubernetes import objects

    place.kubernetes.create(objects.cron_job("nightly-dump", "0 1 * * *", namespace=NAMESPACE, suspend=True))
    target = place.workload("nightly-dump", "cronjob")
    assert driver.run(change("kubernetes-cronjob", target, "sleep", {"suspend": True})).result is Result.UNCHANGED
    on = change(
        "kubernetes-cronjob", target, "wake", {"suspend": False}, occasion="morning", originals=Originals.GIVE_BACK
    )
    assert driver.run(on).result is Result.LEFT_ALONE
    assert place.get("CronJob", "nightly-dump")["spec"]["suspend"] is True


def test_pods_that_do_not_become_ready_are_no_success(place: Place, driver: Driver) -> None:
    from datetime import timedelta

    from local.kubernetes.controllers.pods import PodPlan

    place.kubernetes.kubelets.usual = PodPlan(waiting="ImagePullBackOff")
    target = place.deploy("web", 0)
    ended = driver.run(
        change("kubernetes-workload", target, "wake", {"replicas": 2}, apply_within=timedelta(seconds=5))
    )
    assert ended.result is Result.FAILED
    assert "0 of 2 pods are Ready" in ended.detail


def test_too_many_requests_are_answered_by_patience(place: Place, driver: Driver) -> None:
    target = place.deploy("web", 3)
    refused = place.kubernetes.faults.add(
        Fault(service="kubernetes", method="PATCH", path="/web", status=429, retry_after=7, times=2)
    )
    slept = driver.run(sleep(target))
    assert slept.result is Result.SUCCEEDED
    assert refused.applied == 2
    assert sum(7 <= wait.total_seconds() < 18 for wait in slept.waits) >= 2, "as long as it was told to wait"
    assert place.replicas("web") == 0


def test_a_dry_run_names_the_budget_that_would_block(place: Place) -> None:
    target = place.deploy("web", 3)
    place.kubernetes.create(
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": "web-up", "namespace": NAMESPACE},
            "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}},
        }
    )
    adapter = Workloads(managed_clusters.connect)
    said = adapter.predict(sleep(target, 1), {"replicas": 3, "autoscaling": "off"})
    assert "from 3 to 1 replicas" in said
    assert "web-up then lets none of its pods go" in said
    assert "web-up" not in adapter.predict(sleep(target), {"replicas": 3, "autoscaling": "off"})
