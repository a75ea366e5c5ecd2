"""The operations on clusters and agent pools: read, stop, start, scale, credentials."""

import base64
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import yaml

from local.azure.arm import Answer, Call, ResourceManager, Route, page
from local.azure.managed_clusters import model, nodes, quotas, refusals
from local.azure.managed_clusters.behaviour import Behaviour
from local.azure.managed_clusters.model import Cluster, Pool, Scale, new_etag
from local.azure.managed_clusters.quotas import Quotas
from local.azure.managed_clusters.rates import Rates
from local.azure.operations import Operations
from local.kubernetes.access import AKS_SERVER

NAMESPACE = "Microsoft.ContainerService"
API_VERSIONS = ("2026-08-01",)

_GROUP = "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}"
CLUSTERS = f"{_GROUP}/providers/{NAMESPACE}/managedClusters"
CLUSTER = f"{CLUSTERS}/{{resourceName}}"
POOL = f"{CLUSTER}/agentPools/{{agentPoolName}}"

_SETTLED = ("Succeeded", "Failed", "Canceled")


class ManagedClusters:
    """The resource provider's clusters."""

    def __init__(self, arm: ResourceManager, operations: Operations) -> None:
        self.behaviour = Behaviour()
        self.rates = Rates()
        self._operations = operations
        self._clusters: dict[str, Cluster] = {}
        self.quotas = Quotas(self.behaviour, self._clusters.values())
        arm.register(quotas.API_VERSIONS, [Route("GET", quotas.USAGES, self.quotas.usages)])
        arm.register(
            API_VERSIONS,
            [
                *(replace(route, handler=self._metered(route.handler)) for route in operations.routes()),
                Route("GET", CLUSTER, self._get),
                Route("GET", CLUSTERS, self._list_group),
                Route("GET", f"/subscriptions/{{subscriptionId}}/providers/{NAMESPACE}/managedClusters", self._list),
                Route("POST", f"{CLUSTER}/start", self._start),
                Route("POST", f"{CLUSTER}/stop", self._stop),
                Route("POST", f"{CLUSTER}/listClusterUserCredential", self._credentials),
                Route("GET", f"{CLUSTER}/agentPools", self._list_pools),
                Route("GET", f"{CLUSTER}/maintenanceConfigurations", self._list_maintenance),
                Route("GET", POOL, self._get_pool),
                Route("PUT", POOL, self._put_pool, blocking=True),
            ],
        )

    def add(self, cluster: Cluster) -> Cluster:
        """Make a cluster outside of any request, with its nodes."""
        self._clusters[cluster.id.lower()] = cluster
        nodes.switch_on(cluster, self.behaviour, self.quotas)
        return cluster

    def get(self, resource_id: str) -> Cluster:
        """The cluster behind a resource id; raises ArmError ResourceNotFound."""
        found = self._clusters.get(resource_id.lower())
        if found is None:
            _, group, name = model.split_id(resource_id) or ("", "", resource_id)
            raise refusals.not_found(group, name)
        return found

    def autoscale(self, resource_id: str, pool: str, count: int) -> None:
        """The cluster autoscaler wants that many nodes; it keeps to its bounds."""
        cluster = self.get(resource_id)
        found = cluster.pool(pool)
        scale = found.scale
        assert scale.autoscaling, f"the autoscaler of {pool} is off"
        assert scale.least is not None
        assert scale.most is not None
        found.scale = replace(scale, count=max(scale.least, min(count, scale.most)))
        found.etag = new_etag()
        nodes.settle(cluster, found, self.behaviour, self.quotas)

    @contextmanager
    def upgrading(self, resource_id: str) -> Generator[None]:
        """An upgrade goes on meanwhile, in a maintenance window say; nothing else is allowed."""
        cluster = self.get(resource_id)
        with self._operating(cluster, "upgrading", "Upgrading"):
            yield
        self._settle(cluster, "Succeeded")

    # --- clusters

    def _cluster(self, call: Call, rate: str = "other") -> Cluster:
        names = call.names
        base = CLUSTER.format(**names)
        self.rates.take(rate, base)
        found = self._clusters.get(base.lower())
        if found is None:
            raise refusals.not_found(names["resourceGroupName"], names["resourceName"])
        return found

    def _metered(self, handler: Callable[[Call], Answer]) -> Callable[[Call], Answer]:
        def metered(call: Call) -> Answer:
            self.rates.take("GET Operation", call.names["subscriptionId"])
            return handler(call)

        return metered

    def _get(self, call: Call) -> Answer:
        return Answer(200, model.show(self._cluster(call, "GET ManagedCluster")))

    def _list(self, call: Call) -> Answer:
        subscription = call.names["subscriptionId"].lower()
        return self._page(call, (c for c in self._clusters.values() if c.subscription.lower() == subscription))

    def _list_group(self, call: Call) -> Answer:
        wanted = (call.names["subscriptionId"].lower(), call.names["resourceGroupName"].lower())
        return self._page(
            call, (c for c in self._clusters.values() if (c.subscription.lower(), c.group.lower()) == wanted)
        )

    def _page(self, call: Call, found: Iterable[Cluster]) -> Answer:
        self.rates.take("LIST ManagedClusters", call.path)
        return page(call, [model.show(cluster) for cluster in found], self.behaviour.page_size)

    def _start(self, call: Call) -> Answer:
        cluster = self._cluster(call)
        if cluster.operation is None and cluster.power == "Running" and cluster.provisioning == "Succeeded":
            return Answer(204)
        stopped_at = cluster.stopped_at
        if stopped_at is not None and time.monotonic() - stopped_at < self.behaviour.settle_seconds:
            raise refusals.too_soon(cluster.name)

        def work() -> None:
            cluster.power = "Running"
            short = nodes.switch_on(cluster, self.behaviour, self.quotas)
            for pool in short:
                pool.provisioning = "Failed"
            if short:
                raise refusals.allocation_failed(short[0].name, len(short[0].nodes), short[0].wanted_nodes)
            self._settle(cluster, "Succeeded")

        return self._power(call, cluster, "start", "Starting", work)

    def _stop(self, call: Call) -> Answer:
        cluster = self._cluster(call)
        if cluster.operation is None and cluster.power == "Stopped" and cluster.provisioning == "Succeeded":
            return Answer(204)
        if cluster.node_auto_provisioning:
            raise refusals.provisions_itself(cluster.name)

        def work() -> None:
            cluster.power, cluster.stopped_at = "Stopped", time.monotonic()
            nodes.switch_off(cluster, self.behaviour, self.quotas)
            self._settle(cluster, "Succeeded")

        return self._power(call, cluster, "stop", "Stopping", work)

    def _power(self, call: Call, cluster: Cluster, name: str, during: str, work: Callable[[], None]) -> Answer:
        with self._operating(cluster, name, during):
            answer = self._operations.begin(
                call,
                location=cluster.location,
                name=name,
                work=work,
                failed=lambda _: self._settle(cluster, "Failed"),
                seconds=self.behaviour.seconds.get(name, 0.0),
            )
        return Answer(202, None, _without(answer, "Azure-AsyncOperation"))

    @contextmanager
    def _operating(self, cluster: Cluster, operation: str, state: str) -> Generator[None]:
        """Mark the cluster as busy with an operation; undone only by an error."""
        with cluster.lock:
            self._refuse_if_busy(cluster)
            for pool in cluster.pools.values():
                if pool.provisioning not in _SETTLED:
                    raise refusals.in_progress("agent pool", pool.name, pool.provisioning.lower())
            before = cluster.provisioning
            cluster.operation, cluster.provisioning = operation, state
        try:
            yield
        except BaseException:
            self._settle(cluster, before)
            raise

    def _settle(self, cluster: Cluster, provisioning: str) -> None:
        with cluster.lock:
            cluster.operation, cluster.provisioning, cluster.etag = None, provisioning, new_etag()

    def _refuse_if_busy(self, cluster: Cluster) -> None:
        if cluster.operation is not None:
            raise refusals.in_progress("managed cluster", cluster.name, cluster.operation)

    def _credentials(self, call: Call) -> Answer:
        """The kubeconfig of a user: where the API is, and that a token of Entra opens it."""
        cluster = self._cluster(call)
        kubernetes = cluster.kubernetes
        data = base64.b64encode(kubernetes.certificate_authority.encode()).decode() if kubernetes else ""
        server = kubernetes.url if kubernetes else f"https://{cluster.fqdn}:443"
        user = f"clusterUser_{cluster.group}_{cluster.name}"
        login = {
            "apiVersion": "client.authentication.k8s.io/v1beta1",
            "command": "kubelogin",
            "args": ["get-token", "--login", "devicecode", "--server-id", AKS_SERVER],
            "provideClusterInfo": False,
        }
        content: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": cluster.name, "cluster": {"certificate-authority-data": data, "server": server}},
            ],
            "contexts": [{"name": cluster.name, "context": {"cluster": cluster.name, "user": user}}],
            "current-context": cluster.name,
            "preferences": {},
            "users": [{"name": user, "user": {"exec": login}}],
        }
        value = base64.b64encode(yaml.safe_dump(content).encode()).decode()
        return Answer(200, {"kubeconfigs": [{"name": "clusterUser", "value": value}]})

    def _list_maintenance(self, call: Call) -> Answer:
        cluster = self._cluster(call)
        kind = "maintenanceConfigurations"
        found = [
            {
                "id": f"{cluster.id}/{kind}/{name}",
                "name": name,
                "type": f"{model.TYPE}/{kind}",
                "properties": properties,
            }
            for name, properties in cluster.maintenance.items()
        ]
        return page(call, found, self.behaviour.page_size)

    # --- agent pools

    def _get_pool(self, call: Call) -> Answer:
        cluster = self._cluster(call)
        return Answer(200, model.show_pool(cluster, cluster.pool(call.names["agentPoolName"])))

    def _list_pools(self, call: Call) -> Answer:
        cluster = self._cluster(call)
        return page(
            call,
            [model.show_pool(cluster, pool) for pool in cluster.pools.values()],
            self.behaviour.page_size,
        )

    def _put_pool(self, call: Call) -> Answer:
        cluster = self._cluster(call)
        name = call.names["agentPoolName"]
        self.rates.take("PUT AgentPool", call.path)
        with cluster.lock:
            existing = cluster.pools.get(name.lower())
            self._check_etag(call, existing, name)
            self._refuse_if_busy(cluster)
            if cluster.power == "Stopped":
                raise refusals.stopped(cluster.name)
            if existing is None:
                new = model.changed_pool(Pool(name, Scale(call.properties.get("count", 1))), call.properties)
                new.vm_size = str(call.properties.get("vmSize", new.vm_size))
                pool = cluster.pools[name.lower()] = replace(new, provisioning="Creating")
                during = "Creating"
            else:
                pool = existing
                if pool.provisioning not in _SETTLED:
                    raise refusals.in_progress("agent pool", name, pool.provisioning.lower())
                new = model.changed_pool(pool, call.properties)
                during = _during(pool, new)
                if during in ("Starting", "Stopping"):
                    self._check_power(cluster, pool)
                self.quotas.check(cluster, pool, new.wanted_nodes)
            pool.provisioning, pool.etag = during, new_etag()
        operation = self._operations.begin(
            call,
            location=cluster.location,
            name="pool",
            work=lambda: self._change(cluster, pool, new),
            failed=lambda _: _settle_pool(pool, "Failed"),
            seconds=self.behaviour.seconds.get("pool", 0.0),
        )
        shown = model.show_pool(cluster, replace(new, provisioning=during, etag=pool.etag))
        return Answer(201 if existing is None else 200, shown, _without(operation, "Location"))

    def _check_etag(self, call: Call, pool: Pool | None, name: str) -> None:
        wanted = call.headers.get("if-match", "").strip('"')
        if wanted and (pool is None or wanted not in ("*", pool.etag)):
            raise refusals.stale(name)
        if call.headers.get("if-none-match") == "*" and pool is not None:
            raise refusals.stale(name)

    def _check_power(self, cluster: Cluster, pool: Pool) -> None:
        if cluster.node_auto_provisioning:
            raise refusals.provisions_itself(cluster.name)
        if pool.provisioning != "Succeeded":
            raise refusals.not_settled(pool.name, pool.provisioning)

    def _change(self, cluster: Cluster, pool: Pool, new: Pool) -> None:
        with cluster.lock:
            pool.mode, pool.scale, pool.power, pool.before_stop = new.mode, new.scale, new.power, new.before_stop
            pool.settings = new.settings
            got = nodes.settle(cluster, pool, self.behaviour, self.quotas)
            if got < pool.wanted_nodes and self.quotas.left(cluster.location, pool.vm_size) == 0:
                raise refusals.quota_exceeded(pool.name, got, pool.wanted_nodes)
            if got < pool.wanted_nodes:
                raise refusals.allocation_failed(pool.name, got, pool.wanted_nodes)
            _settle_pool(pool, "Succeeded")


def _without(answer: Answer, header: str) -> dict[str, str]:
    return {name: text for name, text in answer.headers.items() if name != header}


def _during(pool: Pool, new: Pool) -> str:
    if new.power != pool.power:
        return "Stopping" if new.power == "Stopped" else "Starting"
    return "Scaling" if new.scale.count != pool.scale.count else "Updating"


def _settle_pool(pool: Pool, provisioning: str) -> None:
    pool.provisioning, pool.etag = provisioning, new_etag()
