"""Azure Managed Redis becomes larger and smaller as a change, within what Azure offers it, and has to answer."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from functions.adapters.redis_caches import RedisCaches
from local.azure.faults import Fault, OperationFault
from local.azure.redis_enterprise.provider import Cache
from local.azure.simulator import AzureSimulator
from shared.changes.change import Change, Originals
from shared.changes.execution import Result
from shared.changes.ports import Act
from shared.platforms import redis_scaling
from tests.clusters.driver import Driver
from tests.clusters.places import GROUP, SUBSCRIPTION, change
from tests.local.azure.clients import wait_until

REDIS = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.Cache/redisEnterprise/redis-erp"


@pytest.fixture
def cache(azure: AzureSimulator) -> Iterator[Cache]:
    made = azure.add_redis(REDIS, sku="Balanced_B5")
    yield made
    made.listener.close()


def scale(sku: str, occasion: str = "month end", **more: Any) -> Change:
    return change(
        *("redis", REDIS, "scale", {"sku": sku}),
        automation="peak_scaling",
        occasion=occasion,
        apply_within=timedelta(minutes=10),
        **more,
    )


def test_a_cache_is_scaled_and_given_back(cache: Cache, driver: Driver) -> None:
    larger = driver.run(scale("Balanced_B20"))
    assert (larger.result, larger.detail) == (Result.SUCCEEDED, "it is Balanced_B20 and answers")
    over = driver.run(scale("Balanced_B5", "over", originals=Originals.GIVE_BACK))
    assert over.result is Result.SUCCEEDED, over
    assert cache.sku == "Balanced_B5"


def test_what_does_not_fit_is_not_asked_for_and_told(azure: AzureSimulator, cache: Cache, driver: Driver) -> None:
    """Given back only when what is in it fits: the cache stays as it is, and people are told."""
    assert driver.run(scale("Balanced_B20")).result is Result.SUCCEEDED
    cache.used_gb = 10
    azure.arm.calls.clear()
    refused = driver.run(scale("Balanced_B5", "over", originals=Originals.GIVE_BACK))
    assert refused.result is Result.FAILED
    assert "Azure does not offer Balanced_B5 to a cache that is Balanced_B20 as full as it is" in refused.detail
    assert not [call for call in azure.arm.calls if call.method == "PATCH"]
    said = RedisCaches().predict(scale("Balanced_B1"), {"sku": "Balanced_B20"})
    assert said.startswith("would fail: Azure does not offer Balanced_B1")


def test_a_cache_that_scales_is_waited_for(cache: Cache) -> None:
    cache.seconds = 0.5
    adapter, wanted = RedisCaches(), scale("Balanced_B50")
    assert adapter.apply(wanted, wanted.after, "1").act is Act.RUNNING
    assert (adapter.read_state(wanted), adapter.apply(wanted, wanted.after, "2").act) == ({}, Act.BUSY)
    assert not adapter.verify(wanted, wanted.after).reached
    wait_until(lambda: adapter.verify(wanted, wanted.after).reached, 60)


def test_another_operation_on_a_cache_is_waited_for_and_told(
    azure: AzureSimulator, cache: Cache, driver: Driver
) -> None:
    azure.faults.add(Fault(service="arm", method="PATCH", path="redis-erp$", status=409, code="AnotherOperation"))
    assert driver.run(scale("Balanced_B20")).result is Result.SUCCEEDED
    assert cache.sku == "Balanced_B20"
    (told,) = [record for record in driver.world.records() if record["kind"] == "verified"]
    assert "AnotherOperation" in told["body"]["waited_for"]


def test_a_scaling_that_fails_is_told_and_asked_for_again_by_a_later_run(
    azure: AzureSimulator, cache: Cache, driver: Driver
) -> None:
    failure = OperationFault(code="InternalServerError", message="no machines")
    azure.faults.add(Fault(service="arm", method="PATCH", path="redis-erp$", operation=failure))
    failed = driver.run(scale("Balanced_B20"))
    assert (failed.result, failed.detail) == (Result.FAILED, "InternalServerError: no machines")
    assert cache.state == "ScalingFailed"
    assert driver.run(scale("Balanced_B20")).result is Result.SUCCEEDED


def test_one_that_has_its_size_but_does_not_answer_is_not_ready(cache: Cache) -> None:
    wanted = scale("Balanced_B5")
    assert RedisCaches().verify(wanted, wanted.after).reached
    cache.listener.close()
    seen = RedisCaches().verify(wanted, wanted.after)
    assert not seen.reached
    assert seen.detail.startswith("it does not answer: ")


def test_an_azure_cache_for_redis_is_refused_with_the_reason() -> None:
    with pytest.raises(ValueError, match="is not scaled, but retired"):
        redis_scaling.read(REDIS.replace("redisEnterprise", "redis"))
