"""AKS by the official client: what it does, and what it refuses."""

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.mgmt.containerservice import ContainerServiceClient, models

from local.azure.faults import Fault, OperationFault
from local.azure.managed_clusters.model import Cluster, Pool, Scale
from local.azure.managed_clusters.rates import AKS_RATES
from local.azure.simulator import AzureSimulator
from local.azure.throttling import Bucket
from local.kubernetes.resources import NODES
from local.kubernetes.simulator import KubernetesSimulator
from tests.local.azure.clients import GROUP, SUBSCRIPTION, Clients, request

EXAMPLES = Path(__file__).resolve().parents[4] / "shared" / "specs" / "examples"
VERSION = "?api-version=2026-08-01"
NAME = "aks-erp"
ID = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.ContainerService/managedClusters/{NAME}"


@pytest.fixture
def kubernetes(azure: AzureSimulator) -> Iterator[KubernetesSimulator]:
    with KubernetesSimulator(azure.authority, name=NAME, tenant=azure.tenant) as running:
        yield running


@pytest.fixture
def cluster(azure: AzureSimulator, kubernetes: KubernetesSimulator) -> Iterator[Cluster]:
    pools = [Pool("system", Scale(1), mode="System"), Pool("worker", Scale(2)), Pool("web", Scale(2, True, 1, 4))]
    yield azure.add_managed_cluster(ID, pools=pools, kubernetes=kubernetes)
    azure.clusters.behaviour.reset()
    azure.clusters.rates.reset()


@pytest.fixture
def aks(clients: Clients, azure: AzureSimulator, cluster: Cluster) -> Iterator[ContainerServiceClient]:
    with ContainerServiceClient(
        clients.credential, SUBSCRIPTION, azure.resource_manager_url, polling_interval=0.02, retry_total=0
    ) as client:
        yield client


def nodes(kubernetes: KubernetesSimulator, pool: str) -> int:
    return sum(node["metadata"]["labels"]["agentpool"] == pool for node in kubernetes.store.all(NODES))


def put(aks: ContainerServiceClient, pool: str, **changed: Any) -> models.AgentPool:
    found = aks.agent_pools.get(GROUP, NAME, pool)
    assert found.properties is not None
    for name, value in changed.items():
        setattr(found.properties, name, value)
    return aks.agent_pools.begin_create_or_update(GROUP, NAME, pool, found).result()


def refused(act: Callable[[], Any]) -> tuple[int | None, str]:
    with pytest.raises(HttpResponseError) as caught:
        act()
    return caught.value.status_code, str(caught.value.error.code if caught.value.error else "")


# --- clusters


def test_a_cluster_stops_and_starts_with_its_nodes(
    aks: ContainerServiceClient, kubernetes: KubernetesSimulator
) -> None:
    aks.managed_clusters.begin_stop(GROUP, NAME).result()
    stopped = aks.managed_clusters.get(GROUP, NAME).properties
    assert (stopped.power_state.code, stopped.provisioning_state) == ("Stopped", "Succeeded")
    assert (kubernetes.reachable, len(kubernetes.store.all(NODES))) == (False, 0)
    aks.managed_clusters.begin_start(GROUP, NAME).result()
    assert aks.managed_clusters.get(GROUP, NAME).properties.power_state.code == "Running"
    assert (kubernetes.reachable, nodes(kubernetes, "worker"), nodes(kubernetes, "web")) == (True, 2, 2)


def test_while_it_stops_it_says_so_and_nothing_else_is_allowed(
    aks: ContainerServiceClient, azure: AzureSimulator
) -> None:
    azure.clusters.behaviour.seconds["stop"] = 3
    stopping = aks.managed_clusters.begin_stop(GROUP, NAME)
    assert aks.managed_clusters.get(GROUP, NAME).properties.provisioning_state == "Stopping"
    assert refused(lambda: aks.managed_clusters.begin_start(GROUP, NAME)) == (409, "OperationNotAllowed")
    with pytest.raises(ResourceExistsError, match="in progress stop"):
        put(aks, "worker", count=3)
    stopping.result()


def test_a_stopped_cluster_can_only_be_started(aks: ContainerServiceClient) -> None:
    aks.managed_clusters.begin_stop(GROUP, NAME).result()
    assert refused(lambda: put(aks, "worker", count=3)) == (409, "OperationNotAllowed")
    aks.managed_clusters.begin_stop(GROUP, NAME).result()  # a second time is no error: 204


def test_a_start_soon_after_a_stop_can_be_refused(aks: ContainerServiceClient, azure: AzureSimulator) -> None:
    azure.clusters.behaviour.settle_seconds = 60
    aks.managed_clusters.begin_stop(GROUP, NAME).result()
    assert refused(lambda: aks.managed_clusters.begin_start(GROUP, NAME)) == (409, "OperationNotAllowed")


def test_a_cluster_with_node_auto_provisioning_cannot_stop(aks: ContainerServiceClient, cluster: Cluster) -> None:
    cluster.node_auto_provisioning = True
    profile = aks.managed_clusters.get(GROUP, NAME).properties.node_provisioning_profile
    assert profile.mode == models.NodeProvisioningMode.AUTO
    status, _ = refused(lambda: aks.managed_clusters.begin_stop(GROUP, NAME))
    assert status == 400
    assert refused(lambda: put(aks, "worker", power_state=models.PowerState(code="Stopped")))[0] == 400


def test_an_upgrade_keeps_others_away(aks: ContainerServiceClient, azure: AzureSimulator) -> None:
    with azure.clusters.upgrading(ID):
        assert aks.managed_clusters.get(GROUP, NAME).properties.provisioning_state == "Upgrading"
        assert refused(lambda: put(aks, "worker", count=3)) == (409, "OperationNotAllowed")
    put(aks, "worker", count=3)


def test_a_start_without_capacity_fails(aks: ContainerServiceClient, azure: AzureSimulator) -> None:
    aks.managed_clusters.begin_stop(GROUP, NAME).result()
    azure.clusters.behaviour.capacity["worker"] = 1
    with pytest.raises(HttpResponseError, match="AllocationFailed"):
        aks.managed_clusters.begin_start(GROUP, NAME).result()
    assert aks.managed_clusters.get(GROUP, NAME).properties.provisioning_state == "Failed"
    azure.clusters.behaviour.capacity.clear()
    aks.managed_clusters.begin_start(GROUP, NAME).result()
    assert aks.managed_clusters.get(GROUP, NAME).properties.provisioning_state == "Succeeded"


def test_clusters_are_listed_and_the_unknown_is_not_found(aks: ContainerServiceClient) -> None:
    assert NAME in [found.name for found in aks.managed_clusters.list_by_resource_group(GROUP)]
    assert NAME in [found.name for found in aks.managed_clusters.list()]
    with pytest.raises(ResourceNotFoundError):
        aks.managed_clusters.get(GROUP, "nowhere")
    with pytest.raises(ResourceNotFoundError):
        aks.agent_pools.get(GROUP, NAME, "nowhere")


def test_credentials_name_the_api_and_no_secret(aks: ContainerServiceClient, kubernetes: KubernetesSimulator) -> None:
    [file] = aks.managed_clusters.list_cluster_user_credentials(GROUP, NAME, format="exec").kubeconfigs
    text = bytes(file.value).decode()
    assert kubernetes.url in text
    assert "kubelogin" in text
    assert not re.search(r"(token|client-key-data|password):", text)


# --- agent pools


def test_a_pool_scales_with_its_nodes(aks: ContainerServiceClient, kubernetes: KubernetesSimulator) -> None:
    assert put(aks, "worker", count=4).properties.count == 4
    assert nodes(kubernetes, "worker") == 4
    assert put(aks, "worker", count=0).properties.provisioning_state == "Succeeded"
    assert nodes(kubernetes, "worker") == 0


def test_a_stopped_pool_shows_nothing_and_comes_back_as_it_was(
    aks: ContainerServiceClient, kubernetes: KubernetesSimulator
) -> None:
    stopped = put(aks, "web", power_state=models.PowerState(code="Stopped")).properties
    assert (stopped.count, stopped.enable_auto_scaling, nodes(kubernetes, "web")) == (0, False, 0)
    started = put(aks, "web", power_state=models.PowerState(code="Running")).properties
    assert (started.count, started.enable_auto_scaling, started.min_count, started.max_count) == (2, True, 1, 4)
    assert nodes(kubernetes, "web") == 2


def test_a_write_with_an_old_etag_is_refused(aks: ContainerServiceClient, azure: AzureSimulator) -> None:
    old = aks.agent_pools.get(GROUP, NAME, "web")
    azure.clusters.autoscale(ID, "web", 3)
    old.properties.max_count = 9
    with pytest.raises(ResourceModifiedError):
        aks.agent_pools.begin_create_or_update(
            GROUP,
            NAME,
            "web",
            old,
            etag=old.properties.e_tag,
            match_condition=MatchConditions.IfNotModified,
        )
    assert aks.agent_pools.get(GROUP, NAME, "web").properties.max_count == 4


@pytest.mark.parametrize(
    ("pool", "changed"),
    [
        ("system", {"count": 0}),
        ("system", {"power_state": models.PowerState(code="Stopped")}),
        ("web", {"count": 0}),
        ("worker", {"min_count": 1, "max_count": 4}),
        ("web", {"min_count": 5}),
        ("worker", {"enable_auto_scaling": True}),
        ("worker", {"count": 1001}),
        ("worker", {"vm_size": "Standard_D16s_v5"}),
    ],
)
def test_what_cannot_be_is_refused(aks: ContainerServiceClient, pool: str, changed: dict[str, Any]) -> None:
    before = aks.agent_pools.get(GROUP, NAME, pool)
    status, code = refused(lambda: put(aks, pool, **changed))
    assert (status, code) in ((400, "InvalidParameter"), (400, "PropertyChangeNotAllowed"))
    assert aks.agent_pools.get(GROUP, NAME, pool) == before


def test_two_writes_at_once_are_one_too_many(aks: ContainerServiceClient, azure: AzureSimulator) -> None:
    azure.clusters.behaviour.seconds["pool"] = 0.3
    found = aks.agent_pools.get(GROUP, NAME, "worker")
    found.properties.count = 3
    first = aks.agent_pools.begin_create_or_update(GROUP, NAME, "worker", found)
    assert aks.agent_pools.get(GROUP, NAME, "worker").properties.provisioning_state == "Scaling"
    assert refused(lambda: put(aks, "worker", count=5)) == (409, "OperationNotAllowed")
    assert refused(lambda: aks.managed_clusters.begin_stop(GROUP, NAME)) == (409, "OperationNotAllowed")
    assert first.result().properties.count == 3


def test_a_pool_has_twenty_writes_and_then_one_a_minute(aks: ContainerServiceClient, azure: AzureSimulator) -> None:
    now = [1000.0]
    azure.clusters.rates.monotonic = lambda: now[0]
    azure.clusters.rates.buckets = {**AKS_RATES, "other": Bucket(1000, 1)}
    try:
        for number in range(20):
            put(aks, "worker", count=1 + number % 2)
        with pytest.raises(HttpResponseError) as caught:
            put(aks, "worker", count=1)
        assert caught.value.status_code == 429
        assert caught.value.response is not None
        assert caught.value.response.headers["Retry-After"] == "60"
        put(aks, "web", max_count=5)  # a bucket of its own
        now[0] += 60
        put(aks, "worker", count=1)
    finally:
        azure.clusters.rates.monotonic = time.monotonic


def test_a_pool_may_get_only_part_of_its_nodes(
    aks: ContainerServiceClient, azure: AzureSimulator, kubernetes: KubernetesSimulator
) -> None:
    azure.clusters.behaviour.capacity["worker"] = 5
    with pytest.raises(HttpResponseError, match="5 of 8 nodes"):
        put(aks, "worker", count=8)
    assert aks.agent_pools.get(GROUP, NAME, "worker").properties.provisioning_state == "Failed"
    assert nodes(kubernetes, "worker") == 5
    azure.clusters.behaviour.capacity.clear()
    assert put(aks, "worker", count=8).properties.provisioning_state == "Succeeded"


def test_the_fault_plan_befalls_operations(aks: ContainerServiceClient, azure: AzureSimulator) -> None:
    failure = OperationFault(code="QuotaExceeded", message="Insufficient regional vcpu quota left")
    azure.faults.add(Fault(service="arm", method="PUT", path="agentPools/worker$", operation=failure))
    with pytest.raises(HttpResponseError, match="QuotaExceeded"):
        put(aks, "worker", count=8)


# --- as in the official examples


pytest_examples = pytest.mark.skipif(not EXAMPLES.is_dir(), reason=f"the official examples are not at {EXAMPLES}")


def example(name: str) -> Any:
    return json.loads((EXAMPLES / f"aks_{name}.json").read_text())


def missing(official: Any, ours: Any, where: str = "") -> list[str]:
    """What an example has and we have not, or with another type."""
    if isinstance(official, dict):
        if not isinstance(ours, dict):
            return [f"{where}: not an object"]
        known = {key.lower(): value for key, value in ours.items()}
        return [
            text
            for key, value in official.items()
            for text in (
                missing(value, known[key.lower()], f"{where}.{key}") if key.lower() in known else [f"{where}.{key}"]
            )
        ]
    if isinstance(official, list):
        return missing(official[0], ours[0], f"{where}[]") if official and ours else []
    return [] if type(official) is type(ours) else [f"{where}: {type(ours).__name__}"]


NOT_SHOWN = {
    ".properties.agentPoolProfiles[].availabilityZones",
    ".properties.diskEncryptionSetID",
    ".properties.linuxProfile",
    ".properties.networkProfile.loadBalancerProfile",
    ".properties.upgradeSettings",
    ".tags.archv2",
    ".tags.tier",
}


@pytest_examples
def test_a_cluster_has_what_the_example_has(aks: ContainerServiceClient, azure: AzureSimulator) -> None:
    official = example("ManagedClustersGet_2026-01-01")["responses"]["200"]["body"]
    ours = request(azure, "GET", ID + VERSION).json()
    assert set(missing(official, ours)) == NOT_SHOWN
    assert models.ManagedCluster(ours).properties.agent_pool_profiles[0].e_tag


@pytest_examples
def test_pools_have_what_the_examples_have(aks: ContainerServiceClient, azure: AzureSimulator) -> None:
    official = example("AgentPoolsGet")["responses"]["200"]["body"]
    assert missing(official, request(azure, "GET", f"{ID}/agentPools/worker{VERSION}").json()) == []
    listed = example("AgentPoolsList_2025-10-01")["responses"]["200"]["body"]
    assert missing(listed, request(azure, "GET", f"{ID}/agentPools{VERSION}").json()) == []


@pytest_examples
def test_stop_and_start_are_accepted_as_in_the_examples(aks: ContainerServiceClient, azure: AzureSimulator) -> None:
    for name, path in (("ManagedClustersStop", "stop"), ("ManagedClustersStart_2025-10-01", "start")):
        ours = request(azure, "POST", f"{ID}/{path}{VERSION}")
        official = example(name)["responses"]["202"]["headers"]["location"]
        assert (ours.status_code, ours.content) == (202, b"")
        assert "Azure-AsyncOperation" not in ours.headers
        assert pattern(ours.headers["Location"]) == pattern(official)
        place = ours.headers["Location"].removeprefix(azure.resource_manager_url)
        while (answer := request(azure, "GET", place)).status_code == 202:
            continue
        assert answer.status_code == 204


def pattern(url: str) -> str:
    anonymous = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", urlsplit(url).path)
    return re.sub(r"/locations/\w+/", "/locations/LOCATION/", anonymous)


@pytest_examples
@pytest.mark.parametrize("name", ["AgentPools_Stop_2026-01-01", "AgentPools_Start_2025-10-01"])
def test_pool_power_is_accepted_as_in_the_examples(
    aks: ContainerServiceClient, azure: AzureSimulator, name: str
) -> None:
    if "Start" in name:
        put(aks, "web", power_state=models.PowerState(code="Stopped"))
    official = example(name)
    body = official["parameters"]["parameters"]
    ours = request(azure, "PUT", f"{ID}/agentPools/web{VERSION}", body=body)
    assert ours.status_code == 200
    expected = official["responses"]["200"]["body"]
    assert missing(expected, ours.json()) == []
    for field in ("provisioningState", "powerState", "enableAutoScaling"):
        assert ours.json()["properties"][field] == expected["properties"][field]
