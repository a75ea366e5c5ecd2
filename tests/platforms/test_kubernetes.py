"""The adapter against the simulator and, where asked for, against a real API server.

KUBECONFIG=... CLOSEKEEPER_TEST_KUBERNETES=1 runs the first part against that server too, in a namespace of its own.
"""

import os
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from functions.adapters.workloads import Workloads
from local.azure.certificates import CertificateAuthority
from local.azure.faults import Fault
from local.azure.identity import IdentityEndpoint, ManagedIdentity, Tenant
from local.azure.serving import BackgroundServer
from local.azure.throttling import Bucket
from local.kubernetes.access import AKS_SERVER, Denial
from local.kubernetes.clock import ClusterClock
from local.kubernetes.controllers.pods import PodPlan
from local.kubernetes.simulator import KubernetesSimulator
from shared.changes.change import Change
from shared.changes.ports import Act
from shared.platforms import kubernetes
from shared.platforms.credentials import credential
from shared.platforms.kubernetes import (
    AUTOSCALERS,
    CRON_JOBS,
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    JOBS,
    NAMESPACES,
    PODS,
    SCALED_OBJECTS,
    STATEFUL_SETS,
    AlreadyExistsError,
    Cluster,
    ClusterEndpoint,
    ClusterError,
    ConflictError,
    DisruptionBudgetError,
    ExpiredError,
    NotFoundError,
    RefusedError,
    ThrottledError,
    UnavailableError,
)
from shared.platforms.kubernetes_workloads import NOTE
from tests.clusters.places import change
from tests.local.kubernetes import objects

CLUSTER_ID = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-erp/providers"
    "/Microsoft.ContainerService/managedClusters/aks-erp"
)

_SERVERS = ["simulator"]
if os.environ.get("KUBECONFIG") and os.environ.get("CLOSEKEEPER_TEST_KUBERNETES"):
    _SERVERS.append("KUBECONFIG")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return CertificateAuthority(tmp_path_factory.mktemp("certificates"))


def start(authority: CertificateAuthority, name: str = "main") -> KubernetesSimulator:
    clock = ClusterClock(datetime(2026, 11, 20, 6, 0, 30, tzinfo=UTC))
    return KubernetesSimulator(authority, name=name, tenant=Tenant([ManagedIdentity("closekeeper")]), clock=clock)


def endpoint(simulator: KubernetesSimulator) -> ClusterEndpoint:
    return ClusterEndpoint(simulator.url, simulator.certificate_authority)


def connect(simulator: KubernetesSimulator, audience: str = AKS_SERVER) -> Cluster:
    assert simulator.tenant is not None
    identity, tenant = simulator.tenant.identities[0], simulator.tenant
    return Cluster(kubernetes.api_client(endpoint(simulator), lambda: tenant.token(identity, audience).value))


@pytest.fixture
def simulator(authority: CertificateAuthority) -> Iterator[KubernetesSimulator]:
    with start(authority) as running:
        running.add_node("node-1")
        yield running


@pytest.fixture(params=_SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Any API server."""
    if request.param == "simulator":
        cluster = connect(request.getfixturevalue("simulator"))
    else:
        from kubernetes import config  # type: ignore[import-untyped]

        cluster = Cluster(config.new_client_from_config(os.environ["KUBECONFIG"]))
    yield cluster
    cluster.close()


@pytest.fixture
def namespace(server: Cluster) -> Iterator[str]:
    name = f"closekeeper-{uuid.uuid4().hex[:8]}"
    server.create(NAMESPACES, "", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    server.delete(NAMESPACES, "", name)


type Make = Callable[[str, int], dict[str, Any]]


@pytest.fixture
def make(server: Cluster, namespace: str) -> Make:
    """Make a Deployment."""
    return lambda name, replicas: server.create(
        DEPLOYMENTS, namespace, objects.deployment(name, replicas, namespace=namespace)
    )


# --- any API server


def test_the_adapter_puts_a_workload_to_sleep_and_wakes_it(server: Cluster, namespace: str, make: Make) -> None:
    make("web", 2)
    adapter = Workloads(lambda _: server)
    target = f"{CLUSTER_ID}//deployment/{namespace}/web"
    asleep = change("kubernetes-workload", target, "sleep", {"replicas": 0, "autoscaling": "off"})
    awake = change("kubernetes-workload", target, "wake", {"replicas": 2, "autoscaling": "on"})
    assert adapter.read_state(asleep)["replicas"] == 2
    until_done(adapter, asleep)
    found = server.get(DEPLOYMENTS, namespace, "web")
    assert (found["spec"]["replicas"], found["metadata"]["annotations"][NOTE]) == (
        0,
        '{"found":{"replicas":2},"set":{"replicas":0}}',
    )
    until_done(adapter, awake)
    found = server.get(DEPLOYMENTS, namespace, "web")
    assert found["spec"]["replicas"] == 2
    assert NOTE not in (found["metadata"].get("annotations") or {})


def until_done(adapter: Workloads, wanted: Change) -> None:
    """A controller's own write in between is a conflict, after which the executor reads anew."""
    for _ in range(20):
        adapter.read_state(wanted)
        if adapter.apply(wanted, wanted.after, "k").act is Act.DONE:
            return
    raise AssertionError(f"busy twenty times: {wanted.target}")


def test_version(server: Cluster) -> None:
    assert server.version().startswith("v1.")


def test_list_pages_through_everything_once(server: Cluster, namespace: str, make: Make) -> None:
    for number in range(5):
        make(f"web-{number}", 0)
    names = [item["metadata"]["name"] for item in server.list(DEPLOYMENTS, namespace, page_size=2)]
    assert names == [f"web-{number}" for number in range(5)]
    everywhere = {item["metadata"]["namespace"] for item in server.list(DEPLOYMENTS, page_size=2)}
    assert namespace in everywhere


def test_list_selects(server: Cluster, namespace: str, make: Make) -> None:
    make("web", 0)
    make("worker", 0)
    by_label = [item["metadata"]["name"] for item in server.list(DEPLOYMENTS, namespace, labels="app in (web,cron)")]
    by_field = [item["metadata"]["name"] for item in server.list(DEPLOYMENTS, namespace, fields="metadata.name!=web")]
    assert (by_label, by_field) == (["web"], ["worker"])


def test_get_and_its_absence(server: Cluster, namespace: str, make: Make) -> None:
    make("web", 3)
    assert server.get(DEPLOYMENTS, namespace, "web")["spec"]["replicas"] == 3
    with pytest.raises(NotFoundError, match="404 NotFound"):
        server.get(DEPLOYMENTS, namespace, "nope")


def test_patch_merges_and_names_its_author(server: Cluster, namespace: str, make: Make) -> None:
    make("web", 0)
    server.patch(DEPLOYMENTS, namespace, "web", {"metadata": {"annotations": {"a/keep": "1", "a/drop": "2"}}})
    after = server.patch(DEPLOYMENTS, namespace, "web", {"metadata": {"annotations": {"a/drop": None}}})
    assert after["metadata"]["annotations"]["a/keep"] == "1"
    assert "a/drop" not in after["metadata"]["annotations"]
    managers = {entry["manager"] for entry in after["metadata"]["managedFields"]}
    assert "closekeeper" in managers


def test_patch_refuses_another_version(server: Cluster, namespace: str, make: Make) -> None:
    make("web", 0)
    before = server.get(DEPLOYMENTS, namespace, "web")["metadata"]["resourceVersion"]
    server.patch(DEPLOYMENTS, namespace, "web", {"metadata": {"labels": {"touched": "yes"}}})
    with pytest.raises(ConflictError) as caught:
        server.patch(DEPLOYMENTS, namespace, "web", {"spec": {"paused": True}}, resource_version=before)
    assert not isinstance(caught.value, AlreadyExistsError)
    assert "paused" not in server.get(DEPLOYMENTS, namespace, "web")["spec"]


def test_patch_refuses_misspelt_and_invalid_fields(server: Cluster, namespace: str, make: Make) -> None:
    make("web", 0)
    with pytest.raises(RefusedError, match=r'unknown field "spec\.replcas"'):
        server.patch(DEPLOYMENTS, namespace, "web", {"spec": {"replcas": 2}})
    with pytest.raises(RefusedError, match="must be greater than or equal to 0"):
        server.patch(DEPLOYMENTS, namespace, "web", {"spec": {"replicas": -1}})
    with pytest.raises(RefusedError, match="cannot unmarshal string"):
        server.patch(DEPLOYMENTS, namespace, "web", {"spec": {"replicas": "2"}})


def test_scale(server: Cluster, namespace: str, make: Make) -> None:
    make("web", 1)
    answer = server.scale(DEPLOYMENTS, namespace, "web", 0)
    assert (answer["kind"], answer["spec"].get("replicas", 0)) == ("Scale", 0)
    assert server.get(DEPLOYMENTS, namespace, "web")["spec"]["replicas"] == 0
    with pytest.raises(ConflictError):
        server.scale(DEPLOYMENTS, namespace, "web", 4, resource_version="1")
    with pytest.raises(NotFoundError):
        server.scale(STATEFUL_SETS, namespace, "web", 4)


def test_dry_runs_change_nothing(server: Cluster, namespace: str, make: Make) -> None:
    make("web", 0)
    server.scale(DEPLOYMENTS, namespace, "web", 7, dry_run=True)
    server.patch(DEPLOYMENTS, namespace, "web", {"metadata": {"labels": {"dry": "run"}}}, dry_run=True)
    server.create_job(namespace, objects.job("import", namespace=namespace), dry_run=True)
    server.delete(DEPLOYMENTS, namespace, "web", dry_run=True)
    after = server.get(DEPLOYMENTS, namespace, "web")
    assert after["spec"]["replicas"] == 0
    assert "dry" not in after["metadata"]["labels"]
    with pytest.raises(NotFoundError):
        server.get(JOBS, namespace, "import")


def test_create_job_twice_is_once(server: Cluster, namespace: str) -> None:
    made = server.create_job(namespace, objects.job("import", namespace=namespace))
    with pytest.raises(AlreadyExistsError):
        server.create_job(namespace, objects.job("import", namespace=namespace))
    with pytest.raises(ConflictError):
        server.delete(JOBS, namespace, "import", uid=str(uuid.uuid4()))
    server.delete(JOBS, namespace, "import", uid=made["metadata"]["uid"])
    with pytest.raises(NotFoundError):
        server.delete(JOBS, namespace, "another")


def test_cron_jobs_and_autoscalers_are_patched(server: Cluster, namespace: str, make: Make) -> None:
    make("web", 0)
    server.create(CRON_JOBS, namespace, objects.cron_job("mail", "0 3 * * *", namespace=namespace))
    server.create(AUTOSCALERS, namespace, objects.autoscaler("web", 2, 6, namespace=namespace))
    assert server.patch(CRON_JOBS, namespace, "mail", {"spec": {"suspend": True}})["spec"]["suspend"] is True
    bounds = server.patch(AUTOSCALERS, namespace, "web", {"spec": {"minReplicas": 1, "maxReplicas": 1}})["spec"]
    assert (bounds["minReplicas"], bounds["maxReplicas"]) == (1, 1)


def test_evict_a_pod_that_runs_nowhere(server: Cluster, namespace: str) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "alone"},
        "spec": {"containers": [{"name": "main", "image": "odoo:19"}], "nodeSelector": {"no": "such-node"}},
    }
    server.create(PODS, namespace, pod)
    server.evict(namespace, "alone", dry_run=True)
    assert server.get(PODS, namespace, "alone")
    server.evict(namespace, "alone")
    with pytest.raises(NotFoundError):
        server.get(PODS, namespace, "alone")
    with pytest.raises(NotFoundError):
        server.evict(namespace, "alone")


# --- what only the simulator does on demand


def test_the_app_uses_its_own_identity_with_several_clusters(
    authority: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = start(authority, "one"), start(authority, "other")
    assert one.tenant is not None
    identity = IdentityEndpoint(one.tenant, one.faults)
    served = BackgroundServer(identity.app).start()
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{served.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", identity.header)
    monkeypatch.delenv("AZURE_CLIENT_ID", raising=False)
    credential.cache_clear()
    kubernetes.cluster.cache_clear()
    try:
        with one, other:
            one.create(objects.deployment("here", 0))
            other.create(objects.deployment("there", 0))
            names = [
                item["metadata"]["name"]
                for simulator in (one, other)
                for item in kubernetes.cluster(endpoint(simulator)).list(DEPLOYMENTS)
            ]
        assert names == ["here", "there"]
    finally:
        served.stop()
        credential.cache_clear()
        kubernetes.cluster.cache_clear()


def test_a_token_for_something_else_is_refused(simulator: KubernetesSimulator) -> None:
    with pytest.raises(RefusedError) as caught:
        connect(simulator, "https://management.azure.com").version()
    assert caught.value.status == 401


def test_missing_rights_are_named(simulator: KubernetesSimulator) -> None:
    simulator.create(objects.deployment("web", 0))
    simulator.access.denied.append(Denial("patch", "deployments/scale"))
    with pytest.raises(RefusedError, match='cannot patch resource "deployments"') as caught:
        connect(simulator).scale(DEPLOYMENTS, "odoo", "web", 1)
    assert caught.value.status == 403


def test_an_unknown_authority_is_not_trusted(simulator: KubernetesSimulator) -> None:
    with pytest.raises(UnavailableError, match="CERTIFICATE_VERIFY_FAILED"):
        Cluster(kubernetes.api_client(ClusterEndpoint(simulator.url), lambda: "token")).version()


def test_priority_and_fairness_says_when_to_come_back(simulator: KubernetesSimulator) -> None:
    simulator.flow.bucket, simulator.flow.retry_after = Bucket(2, 0.0), 7
    cluster = connect(simulator)
    for _ in range(2):
        list(cluster.list(DEPLOYMENTS))
    with pytest.raises(ThrottledError, match="Too many requests") as caught:
        list(cluster.list(DEPLOYMENTS))
    assert caught.value.retry_after == 7
    assert len(simulator.api.calls) == 3, "nothing was tried again behind the caller's back"
    simulator.flow.switch_off()
    assert list(cluster.list(DEPLOYMENTS)) == []


def test_faults_come_as_the_server_would_say_them(simulator: KubernetesSimulator) -> None:
    cluster = connect(simulator)
    simulator.faults.add(Fault(service="kubernetes", method="PATCH", status=503, message="etcd timeout", retry_after=3))
    simulator.create(objects.deployment("web", 0))
    with pytest.raises(UnavailableError, match="503 ServiceUnavailable: etcd timeout") as caught:
        cluster.scale(DEPLOYMENTS, "odoo", "web", 2)
    assert caught.value.retry_after == 3
    assert cluster.scale(DEPLOYMENTS, "odoo", "web", 2)["spec"]["replicas"] == 2


def test_a_write_whose_answer_is_lost_is_not_sent_again(simulator: KubernetesSimulator) -> None:
    simulator.create(objects.deployment("web", 0))
    cluster = connect(simulator)
    simulator.faults.add(Fault(service="kubernetes", method="PATCH", drop="after"))
    with pytest.raises(UnavailableError) as caught:
        cluster.scale(DEPLOYMENTS, "odoo", "web", 2)
    assert caught.value.status == 0
    assert [method for method, _ in simulator.api.calls] == ["PATCH"]
    assert cluster.get(DEPLOYMENTS, "odoo", "web")["spec"]["replicas"] == 2


def test_a_read_is_sent_again_once(simulator: KubernetesSimulator) -> None:
    simulator.faults.add(Fault(service="kubernetes", method="GET", drop="before"))
    assert connect(simulator).version()
    simulator.faults.add(Fault(service="kubernetes", method="GET", drop="before", times=2))
    with pytest.raises(UnavailableError):
        connect(simulator).version()


def test_a_stopped_cluster_does_not_answer(simulator: KubernetesSimulator) -> None:
    cluster = connect(simulator)
    simulator.reachable = False
    with pytest.raises(UnavailableError):
        cluster.version()
    simulator.reachable = True
    assert cluster.version()


def test_pages_show_one_instant_until_they_expire(simulator: KubernetesSimulator) -> None:
    for number in range(4):
        simulator.create(objects.deployment(f"web-{number}", 0))
    cluster = connect(simulator)
    pages = cluster.list(DEPLOYMENTS, page_size=2)
    assert next(pages)["metadata"]["name"] == "web-0"
    simulator.create(objects.deployment("web-00", 0))
    assert [item["metadata"]["name"] for item in pages] == ["web-1", "web-2", "web-3"]
    pages = cluster.list(DEPLOYMENTS, page_size=2)
    next(pages)
    simulator.expire_history()
    with pytest.raises(ExpiredError):
        list(pages)


def test_evictions_obey_budgets(simulator: KubernetesSimulator) -> None:
    simulator.create(objects.deployment("web", 2))
    simulator.create(objects.budget("web", minAvailable=1))
    simulator.advance(5)
    cluster = connect(simulator)
    first, second = [pod["metadata"]["name"] for pod in cluster.list(PODS, "odoo")]
    assert cluster.get(DISRUPTION_BUDGETS, "odoo", "web")["status"]["disruptionsAllowed"] == 1
    cluster.evict("odoo", first)
    with pytest.raises(DisruptionBudgetError, match="would violate the pod's disruption budget") as caught:
        cluster.evict("odoo", second)
    assert caught.value.retry_after is None
    simulator.advance(5)
    cluster.evict("odoo", second)


def test_logs(simulator: KubernetesSimulator) -> None:
    simulator.kubelets.plans.append(PodPlan("import-*", exit_code=1, log="one\ntwo\nthree"))
    simulator.create(objects.job("import", backoffLimit=0))
    cluster = connect(simulator)
    (pod,) = [pod["metadata"]["name"] for pod in cluster.list(PODS, "odoo", labels="job-name=import")]
    with pytest.raises(RefusedError, match="is waiting to start: ContainerCreating"):
        cluster.log_tail("odoo", pod)
    simulator.advance(10)
    assert cluster.log_tail("odoo", pod, lines=2) == ("two", "three")
    assert cluster.log_tail("odoo", pod, container="main") == ("one", "two", "three")
    with pytest.raises(RefusedError, match="previous terminated container"):
        cluster.log_tail("odoo", pod, previous=True)


def test_scaled_objects_are_paused_by_a_merge_patch(simulator: KubernetesSimulator) -> None:
    simulator.create(objects.deployment("worker", 2))
    simulator.create(objects.scaled_object("worker"))
    cluster = connect(simulator)
    annotations = {"autoscaling.keda.sh/paused-replicas": "0"}
    cluster.patch(SCALED_OBJECTS, "odoo", "worker", {"metadata": {"annotations": annotations}})
    assert cluster.get(DEPLOYMENTS, "odoo", "worker")["spec"]["replicas"] == 0
    cluster.patch(SCALED_OBJECTS, "odoo", "worker", {"metadata": {"annotations": dict.fromkeys(annotations, None)}})
    assert cluster.get(AUTOSCALERS, "odoo", "keda-hpa-worker")["spec"]["minReplicas"] == 2


def test_one_of_two_concurrent_writers_of_a_version_wins(simulator: KubernetesSimulator) -> None:
    simulator.create(objects.deployment("web", 0))
    cluster = connect(simulator)
    version = cluster.get(DEPLOYMENTS, "odoo", "web")["metadata"]["resourceVersion"]

    def write(number: int) -> str:
        try:
            cluster.scale(DEPLOYMENTS, "odoo", "web", number, resource_version=version)
        except ClusterError as error:
            return error.reason
        return "written"

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(write, range(1, 9)))
    assert sorted(outcomes) == ["Conflict"] * 7 + ["written"]


def test_a_kubeconfig_of_the_simulator_works(simulator: KubernetesSimulator, tmp_path: Path) -> None:
    from kubernetes import config  # type: ignore[import-untyped]

    path = simulator.kubeconfig(tmp_path / "kubeconfig")
    cluster = Cluster(config.new_client_from_config(str(path)))
    assert cluster.version() == connect(simulator).version()
