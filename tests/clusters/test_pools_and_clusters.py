"""Node pools and whole clusters fall asleep and wake as changes, by Azure's rules."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from functions.adapters.clusters import Clusters
from functions.adapters.node_pools import request
from local.azure.faults import Fault, OperationFault
from local.azure.managed_clusters.model import Pool, Scale
from local.kubernetes.resources import NODES
from shared.changes.change import Change, Originals
from shared.changes.execution import Result
from shared.platforms import kubernetes, managed_clusters
from shared.platforms.managed_clusters import PoolFacts
from tests.clusters.driver import Driver
from tests.clusters.places import Place, change
from tests.local.azure.clients import wait_until
from tests.local.kubernetes import objects

ZERO = {"count": 0, "autoscaler": False, "min": None, "max": None}


def pool_sleep(target: str, after: dict[str, object] | None = None, **more: object) -> Change:
    return change("aks-node-pool", target, "sleep", after or {"power": "Stopped"}, **more)


def pool_wake(target: str, after: dict[str, object] | None = None) -> Change:
    return change(
        *("aks-node-pool", target, "wake", after or {"power": "Running"}),
        occasion="morning",
        originals=Originals.GIVE_BACK,
    )


def cluster_sleep(target: str, **more: object) -> Change:
    return change("aks-cluster", target, "sleep", {"power": "Stopped"}, **more)


def cluster_wake(target: str, **more: object) -> Change:
    return change("aks-cluster", target, "wake", {"power": "Running"}, occasion="morning", **more)


def to_eight(place: Place) -> Change:
    return change(
        *("aks-node-pool", place.pool("worker"), "scale", {"count": 8}),
        automation="peak_scaling",
        apply_within=timedelta(minutes=5),
    )


def nodes(place: Place, pool: str) -> int:
    return sum(node["metadata"]["labels"]["agentpool"] == pool for node in place.kubernetes.store.all(NODES))


# --- pools


def test_a_pool_stops_and_starts(place: Place, driver: Driver) -> None:
    target = place.pool("worker")
    slept = driver.run(pool_sleep(target))
    assert (slept.result, slept.detail) == (Result.SUCCEEDED, "all nodes are gone")
    assert nodes(place, "worker") == 0
    place.azure.clusters.behaviour.node_ready_seconds = 0.2
    woken = driver.run(pool_wake(target))
    assert (woken.result, woken.detail) == (Result.SUCCEEDED, "2 of 2 nodes are Ready")


def test_a_pool_goes_to_zero_without_its_autoscaler_and_back_with_it(
    settle: Callable[..., Place], driver: Driver
) -> None:
    place = settle(pools=[Pool("system", Scale(1), mode="System"), Pool("worker", Scale(3, True, 2, 6))])
    target = place.pool("worker")
    slept = driver.run(pool_sleep(target, ZERO))
    assert slept.result is Result.SUCCEEDED, slept
    assert place.aks.pool("worker").scale == Scale(0)
    woken = driver.run(pool_wake(target, {"count": 3, "autoscaler": True, "min": 2, "max": 6}))
    assert woken.result is Result.SUCCEEDED, woken
    assert place.aks.pool("worker").scale == Scale(3, True, 2, 6)
    assert nodes(place, "worker") == 3


def test_bounds_that_a_human_set_meanwhile_stay(settle: Callable[..., Place], driver: Driver) -> None:
    place = settle(pools=[Pool("system", Scale(1), mode="System"), Pool("worker", Scale(3, True, 2, 6))])
    target = place.pool("worker")
    driver.run(pool_sleep(target, ZERO))
    at = managed_clusters.change_pool(place.id, "worker", lambda _: {"count": 1})
    wait_until(lambda: managed_clusters.operation(place.id, at).standing == "succeeded")
    woken = driver.run(pool_wake(target))
    assert "drift" in woken.kinds
    assert place.aks.pool("worker").scale.count >= 1


def test_another_operation_is_waited_for(place: Place, driver: Driver) -> None:
    target = place.pool("worker")
    with place.azure.clusters.upgrading(place.id):
        busy = driver.run(pool_sleep(target, apply_within=timedelta(minutes=1)))
    assert busy.result is Result.FAILED
    assert "out of time" in busy.detail
    assert "in progress upgrading" in busy.detail
    assert nodes(place, "worker") == 2
    assert driver.run(pool_sleep(target)).result is Result.SUCCEEDED


def test_a_refused_write_waits_as_long_as_azure_says(place: Place, driver: Driver) -> None:
    refused = place.azure.faults.add(
        Fault(service="arm", method="PUT", path="agentPools/worker", status=429, code="Throttled", retry_after=60)
    )
    slept = driver.run(pool_sleep(place.pool("worker")))
    assert slept.result is Result.SUCCEEDED
    assert refused.applied == 1, "the client does not try again by itself"
    assert max(slept.waits) >= timedelta(seconds=60)


def test_somebody_elses_write_in_between_is_not_overwritten(
    settle: Callable[..., Place], driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The autoscaler adds a node after the pool was read: the ETag says so, and the original is read anew."""
    place = settle(pools=[Pool("system", Scale(1), mode="System"), Pool("worker", Scale(2, True, 1, 6))])
    wanted, times = request, [0]

    def late(now: PoolFacts, facts: object) -> object:
        times[0] += 1
        if times[0] == 1:
            place.azure.clusters.autoscale(place.id, "worker", 4)
        return wanted(now, facts)  # type: ignore[arg-type]

    monkeypatch.setattr("functions.adapters.node_pools.request", late)
    slept = driver.run(pool_sleep(place.pool("worker"), ZERO))
    assert (slept.result, times[0]) == (Result.SUCCEEDED, 2)
    woken = driver.run(pool_wake(place.pool("worker")))
    assert woken.result is Result.SUCCEEDED, woken
    assert place.aks.pool("worker").scale == Scale(4, True, 1, 6)


def test_part_of_the_nodes_is_no_success_and_is_told(place: Place, driver: Driver) -> None:
    place.azure.clusters.behaviour.capacity["worker"] = 5
    ended = driver.run(to_eight(place))
    assert ended.result is Result.FAILED
    assert "AllocationFailed" in ended.detail
    assert "5 of 8" in ended.detail
    wait_until(lambda: place.aks.pool("worker").provisioning == "Failed")  # it was asked for again just before
    assert nodes(place, "worker") == 5


def test_capacity_that_comes_in_time_is_taken(place: Place, driver: Driver) -> None:
    failure = OperationFault(code="AllocationFailed", message="no capacity")
    place.azure.faults.add(Fault(service="arm", method="PUT", path="agentPools/worker", operation=failure))
    ended = driver.run(to_eight(place))
    assert ended.result is Result.SUCCEEDED
    assert nodes(place, "worker") == 8


def test_a_cluster_that_found_no_capacity_is_started_again_and_a_later_run_goes_on(
    place: Place, driver: Driver
) -> None:
    assert driver.run(cluster_sleep(place.id)).result is Result.SUCCEEDED
    place.azure.clusters.behaviour.capacity["worker"] = 0
    wake = cluster_wake(place.id, originals=Originals.GIVE_BACK, apply_within=timedelta(minutes=5))
    first = driver.run(wake)
    assert first.result is Result.FAILED
    assert "AllocationFailed" in first.detail
    assert len([call for call in place.azure.arm.calls if call.path == f"{place.id}/start"]) >= 2
    wait_until(lambda: place.aks.provisioning == "Failed")
    place.azure.clusters.behaviour.capacity.clear()
    assert driver.run(wake).result is Result.SUCCEEDED
    assert nodes(place, "worker") == 2


def test_a_quota_is_not_tried_again(place: Place, driver: Driver) -> None:
    failure = OperationFault(code="QuotaExceeded", message="Insufficient regional vcpu quota left 4")
    quota = place.azure.faults.add(Fault(service="arm", method="PUT", path="agentPools/worker", operation=failure))
    ended = driver.run(to_eight(place))
    assert (ended.result, quota.matched) == (Result.FAILED, 1)
    assert "Insufficient regional vcpu quota" in ended.detail


def test_a_peak_raises_count_and_bounds_in_one_write(settle: Callable[..., Place], driver: Driver) -> None:
    place = settle(pools=[Pool("system", Scale(1), mode="System"), Pool("worker", Scale(2, True, 1, 4))])
    ended = driver.run(
        change("aks-node-pool", place.pool("worker"), "scale", {"min": 5, "max": 9}, automation="peak_scaling")
    )
    assert ended.result is Result.SUCCEEDED, ended
    assert place.aks.pool("worker").scale == Scale(5, True, 5, 9)


def test_a_budget_that_lets_no_pod_go_keeps_the_cluster(place: Place, driver: Driver) -> None:
    place.deploy("edi", 1)
    place.kubernetes.create(objects.budget("edi", minAvailable=1))
    wait_until(lambda: place.get("Deployment", "edi").get("status", {}).get("readyReplicas"))
    ended = driver.run(cluster_sleep(place.id, apply_within=timedelta(minutes=1)))
    assert ended.result is Result.FAILED
    assert "odoo/edi let no pod go" in ended.detail
    assert place.aks.power == "Running"


# --- clusters


def test_a_cluster_stops_and_starts_with_what_ran_in_it(place: Place, driver: Driver) -> None:
    place.deploy("web", 2)
    assert driver.run(cluster_sleep(place.id)).result is Result.SUCCEEDED
    assert place.aks.power == "Stopped"
    with pytest.raises(kubernetes.UnavailableError):
        managed_clusters.connect(place.id).version()
    woken = driver.run(cluster_wake(place.id, originals=Originals.GIVE_BACK))
    assert woken.result is Result.SUCCEEDED
    assert woken.detail.startswith("its API answers: v1.")
    wait_until(lambda: place.get("Deployment", "web")["status"].get("readyReplicas") == 2)


def test_a_cluster_that_runs_already_is_not_started(place: Place, driver: Driver) -> None:
    assert driver.run(cluster_wake(place.id)).result is Result.UNCHANGED


def test_a_cluster_whose_nodes_aks_provisions_is_refused_before_azure_is_asked(
    settle: Callable[..., Place], driver: Driver
) -> None:
    place = settle(node_auto_provisioning=True)
    ended = driver.run(cluster_sleep(place.id))
    assert (ended.result, ended.detail) == (
        Result.FAILED,
        "AKS provisions its nodes itself: such a cluster cannot be stopped",
    )
    assert not [call for call in place.azure.arm.calls if call.path == f"{place.id}/stop"]


def test_a_start_waits_after_a_stop_as_azure_advises(
    place: Place, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AKS_SETTLE_SECONDS", "1800")
    assert driver.run(cluster_sleep(place.id)).result is Result.SUCCEEDED
    woken = driver.run(cluster_wake(place.id))
    assert woken.result is Result.SUCCEEDED
    assert timedelta(minutes=29) < max(woken.waits) <= timedelta(minutes=30)
    again = driver.run(cluster_sleep(place.id, occasion="the next night"))
    assert max(again.waits, default=timedelta()) < timedelta(minutes=1), "a stop does not wait"


def test_a_stop_whose_answer_is_lost_is_not_sent_twice(place: Place, driver: Driver) -> None:
    place.azure.faults.add(Fault(service="arm", method="POST", path=f"{place.id}/stop", drop="after"))
    slept = driver.run(cluster_sleep(place.id))
    assert slept.result is Result.SUCCEEDED
    assert len([call for call in place.azure.arm.calls if call.path == f"{place.id}/stop"]) == 1


def test_several_clusters_at_once_are_kept_apart(settle: Callable[..., Place], driver: Driver) -> None:
    one, other = settle(), settle()
    one.deploy("web", 1)
    names = {
        place.id: [obj["metadata"]["name"] for obj in managed_clusters.connect(place.id).list(kubernetes.DEPLOYMENTS)]
        for place in (one, other)
    }
    assert names == {one.id: ["web"], other.id: []}
    asked = [call for call in one.azure.arm.calls if call.path.endswith("listClusterUserCredential")]
    managed_clusters.connect(one.id)
    assert len([call for call in one.azure.arm.calls if call.path.endswith("listClusterUserCredential")]) == len(asked)


def test_a_dry_run_says_what_would_happen(place: Place) -> None:
    said = Clusters().predict(cluster_sleep(place.id), {"power": "Running"})
    assert said.startswith(f"would stop the cluster {place.id.rpartition('/')[2]}")


@pytest.mark.parametrize(
    ("facts", "wanted", "expected"),
    [
        ({}, {"power": "Running"}, {}),
        ({}, {"power": "Stopped"}, {"power": "Stopped"}),
        ({}, {"count": 5}, {"count": 5}),
        ({}, {"count": 3}, {}),
        ({"autoscaler": True, "min": 1, "max": 4}, ZERO, ZERO),
        ({}, {"autoscaler": True, "min": 5, "max": 9}, {"autoscaler": True, "min": 5, "max": 9, "count": 5}),
        ({"autoscaler": True, "min": 1, "max": 9}, {"max": 2}, {"max": 2, "count": 2}),
    ],
)
def test_what_one_write_says(facts: dict[str, object], wanted: dict[str, object], expected: dict[str, object]) -> None:
    given: dict[str, object] = {"power": "Running", "count": 3, "autoscaler": False, "min": None, "max": None} | facts
    now = PoolFacts(name="worker", mode="User", provisioning="Succeeded", size="", **given)  # type: ignore[arg-type]
    assert request(now, wanted) == expected  # type: ignore[arg-type]
