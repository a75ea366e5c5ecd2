"""Metrics as Azure Monitor gives them: grains, gaps, dimensions, refusals, throttling."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from azure.core.exceptions import HttpResponseError

from local.azure.faults import Fault
from local.azure.simulator import AzureSimulator
from shared.platforms import metrics, quotas
from tests.clusters.places import Place, cluster_id, server_id
from tests.local.azure.clients import request

SERVER, CLUSTER = server_id("pg-measured"), cluster_id("aks-measured")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
EXAMPLE = Path(__file__).resolve().parents[2] / "../shared/specs/examples/monitor_GetMetric_2024-02-01.json"


@pytest.fixture(autouse=True)
def at_six(azure: AzureSimulator) -> None:
    azure.add_resource_group(*SERVER.split("/")[2:5:2])
    azure.metrics.now = lambda: NOON + timedelta(hours=6)


def read(
    names: list[str], aggregation: str = "Average", hours: float = 1, interval: str = "PT15M"
) -> list[list[float]]:
    found = metrics.read(SERVER, names, aggregation, NOON, NOON + timedelta(hours=hours), interval)
    return [[point.value for point in series.points] for series in found]  # type: ignore[misc]


def test_grains_are_made_of_what_was_measured_and_gaps_have_no_value(azure: AzureSimulator) -> None:
    azure.metrics.declare(SERVER, "cpu_percent", lambda at: None if 15 <= at.minute < 30 else float(at.minute))
    assert read(["cpu_percent"]) == [[7.0, None, 37.0, 52.0]]
    assert read(["cpu_percent"], "Maximum") == [[14.0, None, 44.0, 59.0]]
    assert read(["cpu_percent"], "Count", interval="PT1H") == [[23]], "a grain may be measured in part"
    [series] = metrics.read(SERVER, ["cpu_percent"], "Average", NOON, NOON + timedelta(hours=1), "PT15M")
    assert [point.at for point in series.points] == [NOON + timedelta(minutes=15) * index for index in range(4)]


def test_nothing_is_known_of_the_future_or_after_ninety_three_days(azure: AzureSimulator) -> None:
    azure.metrics.declare(SERVER, "cpu_percent", lambda at: 50.0)
    assert read(["cpu_percent"], hours=8, interval="PT1H")[0][-2:] == [None, None]
    azure.metrics.now = lambda: NOON + timedelta(days=94)
    assert read(["cpu_percent"]) == [[None] * 4]


def test_a_metric_is_split_by_its_dimension(azure: AzureSimulator) -> None:
    for pool, value in (("worker", 80.0), ("web", 20.0)):
        azure.metrics.declare(
            CLUSTER, "node_cpu_usage_percentage", lambda at, value=value: value, dimension="nodepool", of=pool
        )
    found = metrics.read(
        CLUSTER,
        ["node_cpu_usage_percentage"],
        "Average",
        NOON,
        NOON + timedelta(minutes=5),
        "PT5M",
        split_by="nodepool",
    )
    assert {series.of: series.points[0].value for series in found} == {"worker": 80.0, "web": 20.0}


def test_what_the_resource_does_not_measure_is_refused(azure: AzureSimulator) -> None:
    azure.metrics.declare(SERVER, "cpu_percent", lambda at: 50.0)
    with pytest.raises(HttpResponseError, match="Failed to find metric configuration"):
        read(["cpu_per_cent"])
    with pytest.raises(ValueError, match="PT15M"):
        read(["cpu_percent"], interval="PT7M")


def test_too_many_requests_are_made_again_when_azure_says(azure: AzureSimulator) -> None:
    azure.metrics.declare(SERVER, "cpu_percent", lambda at: 50.0)
    busy = azure.faults.add(
        Fault(service="arm", path="microsoft.insights/metrics", status=429, code="TooManyRequests", retry_after=1)
    )
    assert read(["cpu_percent"]) == [[50.0] * 4]
    assert (busy.applied, busy.matched) == (1, 2)


@pytest.mark.skipif(not EXAMPLE.exists(), reason="the official examples are not beside this checkout")
def test_the_answer_has_the_shape_of_the_official_example(azure: AzureSimulator) -> None:
    azure.metrics.declare(SERVER, "cpu_percent", lambda at: 50.0)
    query = "timespan=2026-11-20T12:00:00Z/2026-11-20T13:00:00Z&interval=PT15M&metricnames=cpu_percent"
    answer: httpx.Response = request(
        azure,
        "GET",
        f"{SERVER}/providers/Microsoft.Insights/metrics?api-version=2024-02-01&{query}&aggregation=average",
    )
    official = json.loads(EXAMPLE.read_text())["responses"]["200"]["body"]
    ours, theirs = answer.json(), official
    assert set(ours) == set(theirs)
    assert set(ours["value"][0]) == set(theirs["value"][0])
    [series], example = ours["value"][0]["timeseries"], theirs["value"][0]["timeseries"][0]
    assert set(series) == set(example)
    assert set(series["data"][0]) <= set(example["data"][0])


def test_quotas_are_told_by_family_and_in_all(place: Place) -> None:
    place.azure.clusters.behaviour.cores_quota |= {"cores": 100_000, "standardDSv5Family": 50_000}
    found = quotas.compute(place.id.split("/")[2], "westeurope")
    assert found["standarddsv5family"].limit == 50_000
    assert found["cores"].used == found["standarddsv5family"].used >= 12
    assert quotas.size("Standard_E16-4ads_v5") == quotas.Size(4, "standardeadsv5family")
    assert quotas.postgres(place.id.split("/")[2], "westeurope")["cores"].limit == 100
