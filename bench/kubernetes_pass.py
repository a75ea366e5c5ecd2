"""One pass over a large cluster: calls, seconds, bytes and memory, beside a naive loop against the same API server.

    python -m bench.kubernetes_pass            5,000 Deployments in 200 namespaces, 500 to change, 20 ms of latency
    python -m bench.kubernetes_pass --smoke    a small one, to see that it works

The API server is the project's simulator in a process of its own, so that the measured process holds the client only.
The naive loop does what peers do: it lists all pods (to see who is exempt), then reads and writes back one object
after the other, each as a whole. Source of that comparison: py-kube-downscaler 26, measured at 503 calls and 11.8 s for
500 Deployments at 20 ms, 2.1 kB a patch, memory growing with the pods. Exits 1 when a pass with nothing to change
takes more than one list per kind, a patch is as large as theirs, the naive loop is faster, or memory follows the pods.
"""

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from functions.adapters.observation import observe_cluster
from functions.adapters.workloads import Workloads
from shared.changes.change import Change
from shared.platforms import kubernetes
from shared.platforms.kubernetes import DEPLOYMENTS, NAMESPACES, PODS, Cluster, ClusterEndpoint
from shared.risk import Risk

CLUSTER = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/bench/providers"
    "/Microsoft.ContainerService/managedClusters/bench"
)
AT_ONCE = 20
PEER_PATCH_BYTES = 2100
FLAT = 1.1


@dataclass(frozen=True)
class Size:
    deployments: int
    namespaces: int
    changes: int
    latency: float
    pods: int


@dataclass
class Meter:
    """Counts what goes out through a cluster's client."""

    calls: int = 0
    patch_bytes: list[int] = field(default_factory=list[int])

    def watch(self, cluster: Cluster) -> Cluster:
        client: Any = cluster._client
        send: Callable[..., Any] = client.call_api

        def counted(method: str, *rest: Any, **more: Any) -> Any:
            self.calls += 1
            if method in ("PATCH", "PUT"):
                self.patch_bytes.append(len(json.dumps(rest[2])))
            return send(method, *rest, **more)

        client.call_api = counted
        return cluster


@dataclass(frozen=True)
class Measured:
    name: str
    calls: int
    seconds: float
    patch_bytes: float
    peak_mb: float


def serve(size: Size, pipe: Connection) -> None:
    """The API server: it answers each request `latency` later, and its controllers rest."""
    import asyncio

    from local.azure.certificates import CertificateAuthority
    from local.kubernetes.simulator import KubernetesSimulator
    from tests.local.kubernetes import objects

    folder = Path(tempfile.mkdtemp())
    simulator = KubernetesSimulator(CertificateAuthority(folder), name="bench", controllers=False)
    for number in range(size.deployments):
        namespace = f"tenant-{number % size.namespaces:03}"
        deployment = objects.deployment(f"app-{number:04}", 2, namespace=namespace)
        deployment["spec"]["template"]["spec"]["containers"][0] |= _CONTAINER
        simulator.create(deployment)
        for pod in range(size.pods):
            simulator.create(_pod(f"app-{number:04}-{pod}", namespace))
    served = simulator.api.app

    class Slow:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                await asyncio.sleep(size.latency)
            await self.app(scope, receive, send)

    served.add_middleware(Slow)
    with simulator:
        pipe.send((simulator.url, simulator.certificate_authority))
        pipe.recv()


_CONTAINER: dict[str, Any] = {
    "env": [{"name": f"ODOO_SETTING_{number}", "value": "x" * 40} for number in range(8)],
    "resources": {"requests": {"cpu": "250m", "memory": "512Mi"}, "limits": {"memory": "2Gi"}},
    "readinessProbe": {"httpGet": {"path": "/web/health", "port": 8069}, "periodSeconds": 10},
}


def _pod(name: str, namespace: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {"containers": [{"name": "main", "image": "odoo:19", **_CONTAINER}]},
    }


def asleep(target: str) -> Change:
    return Change(
        automation="shutdown_schedules",
        environment="bench",
        kind="kubernetes-workload",
        target=target,
        action="sleep",
        occasion="tonight",
        after={"replicas": 0, "autoscaling": "off"},
        reason="measured",
        risk=Risk.DISRUPTIVE,
    )


def ours(cluster: Cluster, size: Size, changes: int) -> None:
    """Observe all; put so many of them to sleep by the app's own adapter, a bounded number at once."""
    namespaces = [f"tenant-{number:03}" for number in range(size.namespaces)]
    seen = observe_cluster(CLUSTER, namespaces, connect=lambda _: cluster)
    assert seen.answers, seen.why
    assert len(seen.workloads) == size.deployments
    awake = [asleep(one.target) for one in seen.workloads if one.state["replicas"] != 0][:changes]
    adapter = Workloads(lambda _: cluster)

    def put_to_sleep(change: Change) -> None:
        adapter.read_state(change)
        acted = adapter.apply(change, change.after, change.id)
        assert acted.act == "done", acted

    with ThreadPoolExecutor(AT_ONCE) as threads:
        list(threads.map(put_to_sleep, awake))


def naive(cluster: Cluster, size: Size, changes: int) -> None:
    """List namespaces, all pods and, namespace by namespace, the Deployments; write back whole objects in turn."""
    namespaces = [one["metadata"]["name"] for one in cluster.list(NAMESPACES, page_size=0)]
    pods = list(cluster.list(PODS, page_size=0))
    left = changes
    for namespace in (one for one in namespaces if one.startswith("tenant-")):
        for deployment in list(cluster.list(DEPLOYMENTS, namespace, page_size=0)):
            if not left or deployment["spec"]["replicas"] == 0:
                continue
            left -= 1
            metadata = deployment["metadata"]
            deployment["spec"]["replicas"] = 0
            metadata["annotations"] = {"original-replicas": "2"}
            cluster.patch(DEPLOYMENTS, namespace, metadata["name"], deployment)
    assert len(pods) == size.pods * size.deployments


def measure(
    name: str,
    act: Callable[[Cluster, Size, int], None],
    size: Size,
    changes: int,
    at: ClusterEndpoint,
    pipe: Connection,
) -> None:
    """In a process of its own, so that its peak of memory is its own."""
    cluster = Cluster(kubernetes.api_client(at, lambda: "none"))
    meter = Meter()
    meter.watch(cluster)
    cluster.version()
    meter.calls = 0
    began = time.monotonic()
    act(cluster, size, changes)
    seconds = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    average = sum(meter.patch_bytes) / len(meter.patch_bytes) if meter.patch_bytes else 0
    pipe.send(Measured(name, meter.calls, seconds, average, peak))


def bench(size: Size) -> list[Measured]:
    """All passes, each over a fresh cluster."""
    results: list[Measured] = []
    for name, act, changes in (
        ("ours, nothing to change", ours, 0),
        ("naive, nothing to change", naive, 0),
        ("ours", ours, size.changes),
        ("naive", naive, size.changes),
    ):
        results.append(_alone(name, act, size, changes))
    return results


def _alone(name: str, act: Callable[[Cluster, Size, int], None], size: Size, changes: int) -> Measured:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    server = context.Process(target=serve, args=(size, there), daemon=True)
    server.start()
    url, authority = here.recv()
    mine, theirs = context.Pipe()
    client = context.Process(
        target=measure, args=(name, act, size, changes, ClusterEndpoint(url, authority), theirs), daemon=True
    )
    client.start()
    client.join()
    result: Measured = mine.recv() if mine.poll() else Measured(f"{name}: FAILED", 0, 0, 0, 0)
    here.send("over")
    server.join(10)
    server.kill()
    return result


def tell(size: Size, results: list[Measured]) -> None:
    print(
        f"\n{size.deployments} Deployments in {size.namespaces} namespaces, {size.pods} pods each; "
        f"{size.changes} to change; {size.latency * 1000:.0f} ms of latency; at most {AT_ONCE} at once"
    )
    print(f"{'':28}{'calls':>8}{'seconds':>10}{'bytes/patch':>13}{'peak MB':>9}")
    for one in results:
        print(f"{one.name:28}{one.calls:8}{one.seconds:10.2f}{one.patch_bytes:13.0f}{one.peak_mb:9.0f}")
    by_name = {one.name: one for one in results}
    if {"ours", "naive"} <= by_name.keys():
        print(f"seconds against the naive loop: 1 : {by_name['naive'].seconds / by_name['ours'].seconds:.1f}")


def verdict(size: Size, results: list[Measured]) -> list[str]:
    """What is not as promised."""
    by_name = {one.name: one for one in results}
    idle, busy, peer = by_name["ours, nothing to change"], by_name["ours"], by_name["naive"]
    pages = 4 + -(-size.deployments // 500)
    said: list[str] = []
    if any(one.calls == 0 for one in results):
        said.append("a pass did not end")
    if idle.calls > pages:
        said.append(f"{idle.calls} calls where nothing must change, {pages} pages would do")
    if busy.patch_bytes >= PEER_PATCH_BYTES:
        said.append(f"{busy.patch_bytes:.0f} bytes a patch")
    if size.latency >= 0.02 and busy.seconds >= peer.seconds:
        said.append("not faster than the naive loop")
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--smoke", action="store_true", help="a small cluster")
    if parser.parse_args().smoke:
        size = Size(deployments=60, namespaces=6, changes=10, latency=0.005, pods=1)
        results = bench(size)
        tell(size, results)
        sys.exit("; ".join(verdict(size, results)) or 0)
    size = Size(deployments=5000, namespaces=200, changes=500, latency=0.02, pods=0)
    results = bench(size)
    tell(size, results)
    failures = verdict(size, results)
    print("\nmemory and pods:")
    peaks: list[float] = []
    for pods in (1, 10):
        each = Size(1000, 40, 0, 0.02, pods)
        measured = [_alone(name, act, each, 0) for name, act in (("ours, idle", ours), ("naive, idle", naive))]
        tell(each, measured)
        peaks.append(measured[0].peak_mb)
    if peaks[1] > peaks[0] * FLAT:
        failures.append(f"memory follows the pods: {peaks[0]:.0f} MB, then {peaks[1]:.0f} MB")
    sys.exit("; ".join(failures) or 0)


if __name__ == "__main__":
    main()
