"""One cluster as an object: its API on a loopback port, its controllers, and what tests may do to it."""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from local.azure.certificates import CertificateAuthority
from local.azure.faults import FaultMiddleware, FaultPlan
from local.azure.identity import Tenant
from local.azure.serving import BackgroundServer
from local.kubernetes.access import AKS_SERVER, Access, PriorityAndFairness
from local.kubernetes.clock import ClusterClock, written
from local.kubernetes.controllers.autoscaling import Autoscalers
from local.kubernetes.controllers.disruption import Disruptions
from local.kubernetes.controllers.jobs import Jobs
from local.kubernetes.controllers.loop import ControlLoop
from local.kubernetes.controllers.pods import Kubelets
from local.kubernetes.controllers.workloads import Workloads
from local.kubernetes.errors import ApiError
from local.kubernetes.registry import Registry, Writer
from local.kubernetes.resources import NAMESPACES, NODES, Resource, of_kind
from local.kubernetes.server import ApiServer
from local.kubernetes.store import Object, Store

_LONGEST_SLEEP_SECONDS = 0.25
_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")


class KubernetesSimulator:
    """A context manager for synchronous code; the server runs in a thread of this process.

    With a `tenant`, callers need its tokens for AKS; without one everybody may do everything. `controllers` False
    leaves objects as they are written. What may be changed while it runs: `clock`, `faults`, `flow` (429 by priority
    and fairness), `access.denied`, `kubelets` (how pods live), `autoscalers`, `reachable`.
    """

    def __init__(
        self,
        authority: CertificateAuthority,
        *,
        name: str = "cluster",
        tenant: Tenant | None = None,
        clock: ClusterClock | None = None,
        faults: FaultPlan | None = None,
        controllers: bool = True,
        history: int = 5000,
        port: int = 0,
    ) -> None:
        self.name = name
        self.authority = authority
        self.tenant = tenant
        self.clock = clock or ClusterClock()
        self.faults = faults or FaultPlan()
        self.flow = PriorityAndFairness()
        self.access = Access(tenant)
        self.reachable = True
        """False while the cluster is stopped: nobody answers then."""
        self.store = Store(history)
        self.registry = Registry(self.store, self.clock)
        self._loop = ControlLoop(self.registry)
        self.kubelets = Kubelets(self._loop)
        self._disruptions = Disruptions(self._loop)
        if controllers:
            Workloads(self._loop)
            Jobs(self._loop)
        self.autoscalers = Autoscalers(self._loop)
        self.clock.works(self._loop.tick)
        for namespace in _NAMESPACES:
            self.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        self.api = ApiServer(
            self.registry,
            self.access,
            self.flow,
            self.faults,
            evict=self._disruptions.evict,
            read_log=self.kubelets.read_log,
            settle=self._loop.settle,
        )
        self.api.app.router.lifespan_context = self._lifespan
        served = FaultMiddleware(self.api.app, self.faults, "kubernetes", refusal=_refusal)
        certificate = authority.issue(f"kubernetes-{name}", dns=["localhost"], addresses=["127.0.0.1"])
        self._server = BackgroundServer(self._reached(served), certificate, port)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def certificate_authority(self) -> str:
        """PEM, as AKS hands it out with its credentials."""
        return self.authority.root.read_text()

    def kubeconfig(self, path: Path) -> Path:
        """Write a kubeconfig with a token of the tenant's first identity."""
        data = base64.b64encode(self.authority.root.read_bytes()).decode()
        user: dict[str, Any] = {}
        if self.tenant is not None:
            user["token"] = self.tenant.token(self.tenant.identities[0], AKS_SERVER).value
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": self.name,
            "clusters": [{"name": self.name, "cluster": {"server": self.url, "certificate-authority-data": data}}],
            "users": [{"name": "app", "user": user}],
            "contexts": [{"name": self.name, "context": {"cluster": self.name, "user": "app"}}],
        }
        path.write_text(json.dumps(content))
        path.chmod(0o600)
        return path

    def create(self, obj: Object) -> Object:
        """Make any object, past faults and rights; namespaces come into being as needed. Raises ApiError."""
        resource, metadata = _resource(obj), obj["metadata"]
        namespace = metadata.get("namespace", "default") if resource.namespaced else ""
        with self.store.lock:
            if namespace and self.store.find(NAMESPACES, "", namespace) is None:
                self.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
            made = self.registry.create(resource, namespace, obj, Writer(manager="closekeeper-simulator"))
            self._loop.settle()
            return made

    def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """The object as it is now; raises ApiError 404."""
        return self.registry.get(resource, namespace, name)

    def edit(self, resource: Resource, namespace: str, name: str, manager: str = "kubectl-edit", **spec: Any) -> Object:
        """Change fields of an object's spec as a person would."""
        with self.store.lock:
            old = self.registry.get(resource, namespace, name)
            new = self.registry.update(resource, old, {**old, "spec": {**old["spec"], **spec}}, Writer(manager=manager))
            self._loop.settle()
            return new

    def delete(self, resource: Resource, namespace: str, name: str) -> None:
        with self.store.lock:
            self.registry.delete(
                resource, self.registry.get(resource, namespace, name), {"propagationPolicy": "Background"}
            )
            self._loop.settle()

    def add_node(
        self,
        name: str,
        *,
        pool: str = "agentpool",
        cpu: str = "4",
        memory: str = "16Gi",
        pods: int = 110,
        ready_after: float = 0.0,
        labels: dict[str, str] | None = None,
        taints: list[dict[str, str]] | None = None,
    ) -> Object:
        """A node with a kubelet; it takes pods from `ready_after` seconds on."""
        with self.store.lock:
            self.kubelets.nodes.add(name)
            room = {"cpu": cpu, "memory": memory, "pods": str(pods)}
            node = self.create(
                {
                    "apiVersion": "v1",
                    "kind": "Node",
                    "metadata": {"name": name, "labels": _node_labels(name, pool) | (labels or {})},
                    "spec": {"taints": [_NOT_READY, *(taints or [])]},
                    "status": {"capacity": room, "allocatable": room, "conditions": [_ready(self.clock, ready=False)]},
                }
            )
            self._loop.later(ready_after, lambda: self.set_node_ready(name, ready=True))
            self._loop.tick()
            return node

    def set_node_ready(self, name: str, *, ready: bool) -> None:
        with self.store.lock:
            node = self.store.find(NODES, "", name)
            if node is None:
                return
            taints = [taint for taint in node["spec"].get("taints") or [] if taint["key"] != _NOT_READY["key"]]
            spec = {**node["spec"], "taints": taints if ready else [_NOT_READY, *taints]}
            if not spec["taints"]:
                del spec["taints"]
            status = {**node["status"], "conditions": [_ready(self.clock, ready=ready)]}
            self.store.put(NODES, {**node, "spec": spec, "status": status})
            self._loop.settle()

    def remove_node(self, name: str) -> None:
        """The machine is gone, and what ran on it; controllers put it elsewhere."""
        with self.store.lock:
            self.registry.delete(NODES, self.registry.get(NODES, "", name))
            self.kubelets.forget(name)
            self._loop.settle()

    def advance(self, seconds: float) -> None:
        """Let the cluster's time pass; what falls due has happened when this returns."""
        self.clock.advance(timedelta(seconds=seconds))

    def expire_history(self) -> None:
        """Old watches and continued lists get 410 from now on, as after a compaction."""
        self.registry.compact()

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncGenerator[None]:
        task = asyncio.create_task(self._pass_time())
        try:
            yield
        finally:
            task.cancel()

    async def _pass_time(self) -> None:
        while True:
            due = self._loop.tick()
            wait = _LONGEST_SLEEP_SECONDS
            if due is not None:
                wait = min(wait, max(0.005, (due - self.clock.now()).total_seconds()))
            await asyncio.sleep(wait)

    def _reached(self, app: Any) -> Any:
        async def reach(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http" and not self.reachable:
                send.__self__.transport.abort()  # type: ignore[attr-defined]
                return
            await app(scope, receive, send)

        return reach


_NOT_READY = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}


def _node_labels(name: str, pool: str) -> dict[str, str]:
    return {
        "agentpool": pool,
        "kubernetes.azure.com/agentpool": pool,
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
    }


def _ready(clock: ClusterClock, *, ready: bool) -> Object:
    now = written(clock.now())
    reason = "KubeletReady" if ready else "KubeletNotReady"
    status = "True" if ready else "False"
    said = "kubelet is posting ready status" if ready else "container runtime network not ready"
    times = {"lastHeartbeatTime": now, "lastTransitionTime": now}
    return {"type": "Ready", "status": status, "reason": reason, "message": said, **times}


def _resource(obj: Object) -> Resource:
    resource = of_kind(obj["apiVersion"], obj["kind"])
    if resource is None:
        raise ValueError(f"no such kind here: {obj['apiVersion']} {obj['kind']}")
    return resource


_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


def _refusal(status: int, code: str, message: str) -> Any:
    """A fault's answer as this API would give it; the plan's `code` is an Azure term and has no place here."""
    return ApiError(status, _REASONS.get(status, code), message).status
