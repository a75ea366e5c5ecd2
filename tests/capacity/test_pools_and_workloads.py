"""Node pools and workloads become larger and smaller as changes: whatever stands against it is handled, and told."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest

from functions.adapters.node_pools import request
from local.azure.managed_clusters.model import Pool, Scale, new_etag
from local.kubernetes.resources import NODES
from shared.changes.change import Change, Originals, State
from shared.changes.execution import Result
from shared.changes.ports import Act, Acted
from shared.platforms.managed_clusters import PoolFacts
from tests.clusters.driver import Driver
from tests.clusters.places import NAMESPACE, Place, autoscaler, change, scaled_object
from tests.local.azure.clients import wait_until

SYSTEM = Pool("system", Scale(1), mode="System")


def pool(place: Place, occasion: str = "month end", **after: Any) -> Change:
    target = place.pool("worker")
    return change(
        *("aks-node-pool", target, "scale", after),
        automation="peak_scaling",
        occasion=occasion,
        apply_within=timedelta(minutes=5),
    )


def workload(target: str, occasion: str = "month end", **after: Any) -> Change:
    return change(
        *("kubernetes-workload", target, "scale", after),
        automation="peak_scaling",
        occasion=occasion,
        apply_within=timedelta(minutes=2),
    )


def give_back(kind: str, target: str, **after: Any) -> Change:
    return change(
        *(kind, target, "scale", after), automation="peak_scaling", occasion="over", originals=Originals.GIVE_BACK
    )


def nodes(place: Place) -> int:
    return sum(node["metadata"]["labels"]["agentpool"] == "worker" for node in place.kubernetes.store.all(NODES))


def waited_for(driver: Driver) -> str:
    """What the evidence says of that, in the record that it was done."""
    (verified,) = [record for record in driver.world.records() if record["kind"] == "verified"]
    return verified["body"]["waited_for"]


def before_each_write(monkeypatch: pytest.MonkeyPatch, act: Callable[[int], None]) -> list[int]:
    """Have something happen between reading a pool and the `n`th time of writing it."""
    times: list[int] = []

    def late(now: PoolFacts, wanted: State) -> Mapping[str, object]:
        times.append(len(times) + 1)
        act(times[-1])
        return request(now, wanted)

    monkeypatch.setattr("functions.adapters.node_pools.request", late)
    return times


@pytest.fixture
def scaled(settle: Callable[..., Place]) -> Place:
    """A pool that the cluster autoscaler keeps between 1 and 4."""
    return settle(pools=[SYSTEM, Pool("worker", Scale(2, True, 1, 4))])


def test_the_write_budget_that_others_used_up_is_waited_for(place: Place, driver: Driver) -> None:
    """20 writes of a pool, then one a minute: Azure's word on it decides, whoever wrote."""
    rates = place.azure.clusters.rates
    rates.monotonic = lambda: driver.now.timestamp()
    try:
        for _ in range(20):
            rates.take("PUT AgentPool", place.pool("worker"))
        ended = driver.run(pool(place, count=4))
    finally:
        rates.monotonic = type(rates)().monotonic
    assert ended.result is Result.SUCCEEDED, ended
    assert max(ended.waits) >= timedelta(seconds=59)
    answers = [call.status for call in place.azure.arm.calls if call.path == place.pool("worker")]
    assert answers.count(429) == 1
    assert "limit has been exceeded" in waited_for(driver)


def test_a_write_of_somebody_else_in_between_is_read_anew_and_told(
    scaled: Place, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person raises the upper bound after the pool was read: our write is refused, theirs is the original."""

    def meanwhile(time: int) -> None:
        if time == 1:
            known = scaled.aks.pool("worker")
            known.scale, known.etag = Scale(2, True, 1, 6), new_etag()

    times = before_each_write(monkeypatch, meanwhile)
    ended = driver.run(pool(scaled, min=5, max=9))
    assert (ended.result, len(times)) == (Result.SUCCEEDED, 2)
    assert scaled.aks.pool("worker").scale == Scale(5, True, 5, 9)
    assert "412" in waited_for(driver)
    over = driver.run(give_back("aks-node-pool", scaled.pool("worker"), min=1, max=4))
    assert over.result is Result.SUCCEEDED
    scale = scaled.aks.pool("worker").scale
    assert (scale.least, scale.most) == (1, 6), "as the person left it"


def test_an_upgrade_that_runs_is_waited_for_and_told(
    place: Place, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as upgrade:
        upgrade.enter_context(place.azure.clusters.upgrading(place.id))
        before_each_write(monkeypatch, lambda time: upgrade.close() if time == 3 else None)
        ended = driver.run(pool(place, count=4))
    assert (ended.result, ended.detail) == (Result.SUCCEEDED, "4 of 4 nodes are Ready")
    assert "in progress upgrading" in waited_for(driver)


def test_a_quota_refuses_before_anything_happens_and_is_told_at_once(place: Place, driver: Driver) -> None:
    place.azure.clusters.behaviour.cores_quota["standardDSv5Family"] = 20
    before = len(place.azure.arm.calls)
    refused = driver.run(pool(place, count=8))
    assert refused.result is Result.FAILED
    assert "ErrCode_InsufficientVCPUQuota: Insufficient vcpu quota requested 24, remaining" in refused.detail
    assert nodes(place) == 2
    assert len([call for call in list(place.azure.arm.calls)[before:] if call.method == "PUT"]) == 1


def test_a_quota_that_others_take_meanwhile_leaves_part_of_the_nodes_which_are_given_back(
    place: Place, driver: Driver
) -> None:
    quotas = place.azure.clusters.quotas
    checked = quotas.check

    def check_and_lose(*arguments: Any) -> None:
        checked(*arguments)
        left = quotas.used("westeurope", "standardDSv5Family") + 3 * 4
        place.azure.clusters.behaviour.cores_quota["standardDSv5Family"] = left

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(quotas, "check", check_and_lose)
        ended = driver.run(pool(place, count=8))
    assert ended.result is Result.FAILED
    assert "QuotaExceeded: The agent pool 'worker' has 5 of 8 nodes" in ended.detail
    assert nodes(place) == 5
    assert driver.run(give_back("aks-node-pool", place.pool("worker"), count=2)).result is Result.SUCCEEDED
    assert nodes(place) == 2


def test_a_count_that_the_autoscaler_would_undo_is_refused_with_the_remedy(scaled: Place, driver: Driver) -> None:
    refused = driver.run(pool(scaled, count=8))
    assert (refused.result, refused.detail) == (
        Result.FAILED,
        "its autoscaler keeps it between 1 and 4 nodes: give min and max instead",
    )
    assert scaled.aks.pool("worker").scale == Scale(2, True, 1, 4)


def test_bounds_without_an_autoscaler_are_refused_with_the_remedy(place: Place, driver: Driver) -> None:
    refused = driver.run(pool(place, min=5, max=9))
    assert refused.result is Result.FAILED
    assert "give a count instead" in refused.detail


def test_a_pool_that_sleeps_is_woken_first(place: Place, driver: Driver) -> None:
    place.aks.pool("worker").set_power("Stopped")
    asked = pool(place, count=4)
    refused = driver.services.adapters.find(asked).apply(asked, asked.after, "1")
    assert (refused.act, refused.detail) == (Act.BUSY, "the pool is Stopped: it has to be woken first")


def test_what_the_autoscaler_wants_above_the_peak_does_not_keep_it_from_being_ready(
    scaled: Place, driver: Driver
) -> None:
    scaled.azure.clusters.behaviour.capacity["worker"] = 6
    asked = pool(scaled, min=5, max=9)
    assert driver.run(asked).result is Result.SUCCEEDED
    scaled.azure.clusters.autoscale(scaled.id, "worker", 9)
    seen = driver.services.adapters.find(asked).verify(asked, asked.after)
    assert (seen.reached, seen.detail) == (True, "6 of 5 nodes are Ready")
    over = driver.run(give_back("aks-node-pool", scaled.pool("worker"), min=1, max=4))
    assert over.result is Result.SUCCEEDED
    scale = scaled.aks.pool("worker").scale
    assert (scale.least, scale.most) == (1, 4)


def test_a_bound_that_a_person_set_during_the_peak_stays(scaled: Place, driver: Driver) -> None:
    assert driver.run(pool(scaled, min=3, max=9)).result is Result.SUCCEEDED
    scaled.aks.pool("worker").scale = Scale(3, True, 3, 12)
    over = driver.run(give_back("aks-node-pool", scaled.pool("worker"), min=1, max=4))
    assert "drift" in over.kinds
    assert scaled.aks.pool("worker").scale == Scale(3, True, 1, 12)


def test_bounds_that_somebody_sets_in_between_are_read_anew_and_told(
    place: Place, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API server refuses our patch of the autoscaler as it was read (409), and what it says now is the original."""
    target = place.deploy("web", 2)
    place.kubernetes.create(autoscaler("web", 2, 4))
    adapter = driver.services.adapters.find(workload(target, min=5, max=12))
    write, times = adapter.apply, list[int]()

    def late(change: Change, wanted: State, key: str) -> Acted:
        times.append(len(times) + 1)
        if len(times) == 1:
            place.edit("HorizontalPodAutoscaler", "web", maxReplicas=7)
        return write(change, wanted, key)

    monkeypatch.setattr(adapter, "apply", late)
    ended = driver.run(workload(target, min=5, max=12))
    assert (ended.result, len(times)) == (Result.SUCCEEDED, 2)
    assert "Conflict" in waited_for(driver)
    assert driver.run(give_back("kubernetes-workload", target, min=2, max=4)).result is Result.SUCCEEDED
    spec = place.get("HorizontalPodAutoscaler", "web")["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 7), "as the person left it"


def test_a_deployment_is_scaled_and_given_back(place: Place, driver: Driver) -> None:
    target = place.deploy("worker", 2)
    assert driver.run(workload(target, replicas=6)).detail == "6 of 6 pods are Ready"
    assert driver.run(give_back("kubernetes-workload", target, replicas=2)).result is Result.SUCCEEDED
    assert place.replicas("worker") == 2


@pytest.mark.parametrize("by", ["hpa", "keda"])
def test_what_an_autoscaler_keeps_is_scaled_by_its_bounds(place: Place, driver: Driver, by: str) -> None:
    target = place.deploy("web", 2)
    scaler = autoscaler("web", 2, 4) if by == "hpa" else scaled_object("web", "web", 2, 4)
    place.kubernetes.create(scaler)
    fought = driver.run(workload(target, replicas=8))
    assert (fought.result, fought.detail) == (
        Result.FAILED,
        "web keeps web between 2 and 4 replicas: give min and max instead",
    )
    raised = driver.run(workload(target, "with bounds", min=5, max=12))
    assert raised.result is Result.SUCCEEDED, raised
    assert place.replicas("web") >= 5
    assert driver.run(give_back("kubernetes-workload", target, min=2, max=4)).result is Result.SUCCEEDED
    kind = "HorizontalPodAutoscaler" if by == "hpa" else "ScaledObject"
    names = ("minReplicas", "maxReplicas") if by == "hpa" else ("minReplicaCount", "maxReplicaCount")
    assert [place.get(kind, "web")["spec"][name] for name in names] == [2, 4]


def test_an_autoscaler_that_a_person_paused_is_left_and_told(place: Place, driver: Driver) -> None:
    target = place.deploy("web", 2)
    paused = scaled_object("web", "web", 2, 4)
    paused["metadata"]["annotations"] = {"autoscaling.keda.sh/paused": "true"}
    place.kubernetes.create(paused)
    ended = driver.run(workload(target, min=5, max=12))
    assert (ended.result, ended.detail) == (
        Result.FAILED,
        "somebody has paused web, so that it keeps no bounds: resume it",
    )


def test_what_sleeps_is_not_ready_for_a_peak(place: Place, driver: Driver) -> None:
    target = place.deploy("web", 0)
    place.kubernetes.create(autoscaler("web", 2, 4))
    asked = workload(target, min=5, max=12)
    adapter = driver.services.adapters.find(asked)
    assert adapter.apply(asked, asked.after, "1").act is Act.DONE
    wait_until(lambda: adapter.verify(asked, asked.after).detail.startswith("0 of at least 5"))
    seen = adapter.verify(asked, asked.after)
    assert not seen.reached
    assert seen.detail == "0 of at least 5 pods are Ready: it has none, and an autoscaler leaves that alone"
    back = give_back("kubernetes-workload", target, min=2, max=4)
    assert adapter.verify(back, {"min": 5, "max": 12}).reached, "bounds are given back to what sleeps, too"


def test_bounds_without_anything_that_scales_are_refused(place: Place, driver: Driver) -> None:
    target = place.deploy("web", 2)
    ended = driver.run(workload(target, min=5, max=12))
    assert (ended.result, ended.detail) == (
        Result.FAILED,
        f"nothing scales {NAMESPACE}/web: give a number of replicas instead of bounds",
    )
    wait_until(lambda: place.replicas("web") == 2)
