"""The simulated Azure as one object: identity, Resource Manager and Event Grid on loopback ports."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from starlette.applications import Starlette

from local.azure import identity, resource_groups
from local.azure.activity_log import ActivityLog
from local.azure.alerts import Alerts
from local.azure.arm import ResourceManager
from local.azure.certificates import CertificateAuthority
from local.azure.event_grid import EventGrid, Topic
from local.azure.faults import FaultMiddleware, FaultPlan, Service
from local.azure.flexible_servers import access, backups, creation, model, networks, parameters, refusals, regional
from local.azure.flexible_servers.creation import NewServer
from local.azure.flexible_servers.model import Server, Sku
from local.azure.flexible_servers.provider import NAMESPACE, FlexibleServers
from local.azure.flexible_servers.registry import Registry
from local.azure.flexible_servers.schedule import keep_backups
from local.azure.identity import Clock, IdentityEndpoint, ManagedIdentity, Tenant
from local.azure.key_vault import KeyVaults
from local.azure.managed_clusters import model as clusters
from local.azure.managed_clusters.model import Cluster, Pool
from local.azure.managed_clusters.provider import NAMESPACE as CONTAINER_SERVICE
from local.azure.managed_clusters.provider import ManagedClusters
from local.azure.metrics import Metrics
from local.azure.operations import Operations
from local.azure.redis_enterprise.answering import RedisListener
from local.azure.redis_enterprise.provider import NAMESPACE as REDIS
from local.azure.redis_enterprise.provider import Cache, RedisCaches
from local.azure.serving import BackgroundServer
from local.azure.storage_accounts.management_policies import AccountPolicies
from local.azure.storage_accounts.provider import StorageAccounts
from local.azure.throttling import Throttle
from local.kubernetes.simulator import KubernetesSimulator

APP_IDENTITY = "closekeeper"
TOPIC = "outcomes"


class AzureSimulator:
    """A context manager for synchronous code; the servers run in threads of this process.

    `folder` receives the database servers. `clock` and `token_lifetime` are those of tokens, `event_time_scale` the
    seconds that Event Grid waits for each second of its retry schedule, `retry_after` the seconds that clients are
    told to wait between polls of a long-running operation. What may be changed while it runs: `faults`, `throttle`,
    `arm.locks`, `arm.denied`, `servers.behaviour`, `clusters.behaviour`, `clusters.rates`, `events.time_scale`.
    """

    def __init__(
        self,
        folder: Path,
        authority: CertificateAuthority,
        *,
        identities: Sequence[ManagedIdentity] | None = None,
        clock: Clock = identity.utc_now,
        token_lifetime: timedelta = timedelta(hours=24),
        topics: Sequence[Topic] | None = None,
        event_time_scale: float = 1.0,
        retry_after: int | None = None,
    ) -> None:
        self.authority = authority
        self.faults = FaultPlan()
        self.throttle = Throttle()
        self.tenant = Tenant(identities or [ManagedIdentity(APP_IDENTITY)], clock=clock, lifetime=token_lifetime)
        self.arm = ResourceManager(self.tenant, self.faults, self.throttle)
        self._operations = Operations(NAMESPACE, retry_after)
        self._registry = Registry(folder, authority, self.tenant)
        self.servers = FlexibleServers(self.arm, self._registry, self._operations)
        for register in (backups.register, parameters.register, access.register, regional.register, networks.register):
            register(self.arm, self.servers)
        self.storage_accounts = StorageAccounts(self.arm)
        self.account_policies = AccountPolicies(self.arm, self.storage_accounts)
        self._cluster_operations = Operations(
            CONTAINER_SERVICE, retry_after, status="operations", result="operationresults"
        )
        self.clusters = ManagedClusters(self.arm, self._cluster_operations)
        self._redis_operations = Operations(REDIS, retry_after, status="operationsStatus")
        self.redis = RedisCaches(self.arm, self._redis_operations)
        self.metrics = Metrics(self.arm)
        resource_groups.register(self.arm)
        self.alerts = Alerts(self.arm)
        self.activity_log = ActivityLog(self.arm)
        self.events = EventGrid(
            self.tenant,
            self.faults,
            topics or [Topic(TOPIC)],
            bundle=str(authority.bundle),
            time_scale=event_time_scale,
        )
        self.vaults = KeyVaults(self.tenant, self.faults)
        self._identity = IdentityEndpoint(self.tenant, self.faults)
        certificate = authority.issue("azure", dns=["localhost"], addresses=["127.0.0.1"])
        self._identity_server = BackgroundServer(self._served("identity", self._identity.app))
        self._arm_server = BackgroundServer(self._served("arm", self.arm.app), certificate)
        self._event_server = BackgroundServer(self._served("event_grid", self.events.app), certificate)
        self._vault_server = BackgroundServer(self._served("key_vault", self.vaults.app), certificate)
        self._running = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(self._destroy_servers)
            stack.callback(self.redis.close)
            servers = (self._identity_server, self._arm_server, self._event_server, self._vault_server)
            for server in servers:
                stack.callback(server.stop)
                server.start()
            for server in servers:
                stack.callback(server.ask_to_stop)
            self._running = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()

    @property
    def resource_manager_url(self) -> str:
        return self._arm_server.url

    @property
    def identity_endpoint(self) -> str:
        return self._identity_server.url + identity.PATH

    @property
    def event_grid_url(self) -> str:
        return self._event_server.url

    def topic_endpoint(self, topic: str | None = None) -> str:
        """The endpoint that publishers use; of the first topic when none is named."""
        return f"{self._event_server.url}/{topic or next(iter(self.events.topics))}/api/events"

    @property
    def postgresql_port(self) -> int:
        """The one port of all database servers, as it is one in Azure; each has an address of its own."""
        return self._registry.addresses.port

    def settings(self) -> dict[str, str]:
        """The app's settings for this Azure, as environment variables."""
        bundle = str(self.authority.bundle)
        return {
            "IDENTITY_ENDPOINT": self.identity_endpoint,
            "IDENTITY_HEADER": self._identity.header,
            "AZURE_RESOURCE_MANAGER_URL": self.resource_manager_url,
            "EVENT_GRID_TOPIC_ENDPOINT": self.topic_endpoint(),
            "KEY_VAULT_URL": f"{self._vault_server.url}/{{vault}}",
            "REQUESTS_CA_BUNDLE": bundle,
            "SSL_CERT_FILE": bundle,
            "PGSSLROOTCERT": bundle,
            "PGSSLMODE": "verify-full",
            "PGPORT": str(self.postgresql_port),
            "PGUSER": self.tenant.identities[0].name,
        }

    def add_resource_group(self, subscription: str, name: str, location: str = "westeurope") -> None:
        self.arm.add_group(subscription, name, location)

    def add_flexible_server(
        self,
        resource_id: str,
        location: str = "westeurope",
        *,
        sku: str = "Standard_D2ds_v5",
        tier: str = "GeneralPurpose",
        version: str = creation.DEFAULT_VERSION,
        storage_gb: int = 128,
        retention_days: int = 7,
        geo_redundant_backup: str = "Disabled",
        administrator: str = "administrator_login",
        password: str | None = None,
        tags: dict[str, str] | None = None,
        subnet: str | None = None,
    ) -> Server:
        """Make a server, its resource group too, and wait until it is Ready and has its first backup.

        Each identity of the app has a role there that reads everything, as the operator of a real server would grant
        it. The administrator's password is made up unless given; see `flexible_server(...).password`. Whatever
        `version` says, the program is PostgreSQL 18.
        """
        parts = model.split_id(resource_id)
        if parts is None:
            raise ValueError(f"resource_id: not a flexible server's: {resource_id}")
        subscription, group, name = parts
        model.check_name(name)
        self.add_resource_group(subscription, group, location)
        wanted = NewServer(
            location=location,
            sku=Sku.parse({"name": sku, "tier": tier}),
            version=version,
            administrator=administrator,
            password=password or secrets.token_urlsafe(24),
            storage=model.storage({"storageSizeGB": storage_gb}),
            backup=model.backup({"backupRetentionDays": retention_days, "geoRedundantBackup": geo_redundant_backup}),
            availability_zone="1",
        )
        server = self.servers.create(
            subscription, group, name, wanted, readers=[identity.name for identity in self.tenant.identities]
        )
        server.tags = dict(tags or {})
        if subnet is not None:
            self.servers.subnets.add(subnet, location)
            server.network = {"delegatedSubnetResourceId": subnet, "publicNetworkAccess": "Disabled"}
        return server

    def flexible_server(self, resource_id: str) -> Server:
        """The server behind a resource id, e.g. to reach its cluster; raises ArmError ResourceNotFound."""
        parts = model.split_id(resource_id)
        if parts is None:
            raise refusals.invalid_parameter("resource_id")
        return self._registry.get(*parts)

    def start_by_itself(self, resource_id: str) -> None:
        """What Azure does seven days after a flexible server was stopped, and for maintenance: it starts it."""
        server = self.flexible_server(resource_id)
        assert server.state == "Stopped", f"{server.name} is {server.state}"
        assert server.cluster is not None
        with self._registry.operating(server, "start", "Starting", lambda: refusals.busy(server.name)), server.working:
            server.cluster.start()
            self._registry.renew_passwords(server)
        self._registry.settle(server, "Ready")

    def add_managed_cluster(
        self,
        resource_id: str,
        location: str = "westeurope",
        *,
        pools: Sequence[Pool] = (),
        kubernetes: KubernetesSimulator | None = None,
        node_auto_provisioning: bool = False,
    ) -> Cluster:
        """Make an AKS cluster, its resource group too. `kubernetes` is the API behind it, whose nodes follow the pools
        from now on, and which is out of reach while the cluster is stopped; whoever gives it starts and ends it."""
        parts = clusters.split_id(resource_id)
        if parts is None:
            raise ValueError(f"resource_id: not a managed cluster's: {resource_id}")
        subscription, group, name = parts
        self.add_resource_group(subscription, group, location)
        return self.clusters.add(
            Cluster(
                subscription,
                group,
                name,
                location,
                {pool.name: pool for pool in pools},
                node_auto_provisioning=node_auto_provisioning,
                kubernetes=kubernetes,
            )
        )

    def add_redis(self, resource_id: str, location: str = "westeurope", sku: str = "Balanced_B5") -> Cache:
        """Make an Azure Managed Redis, its resource group too, at whose port something answers."""
        name = resource_id.rpartition("/")[2]
        listener = RedisListener(self.authority.issue(f"redis-{name}", addresses=["127.0.0.1"]))
        return self.redis.add(resource_id, location, sku, listener)

    def _served(self, service: Service, app: Starlette) -> Any:
        app.router.lifespan_context = self._lifespan(service)
        return FaultMiddleware(app, self.faults, service)

    def _lifespan(self, service: Service) -> Any:
        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncGenerator[None]:
            schedule: asyncio.Task[None] | None = None
            if service == "event_grid":
                await self.events.start()
            elif service == "arm":
                await self._operations.start()
                await self._cluster_operations.start()
                await self._redis_operations.start()
                schedule = asyncio.create_task(keep_backups(self._registry, self.servers.behaviour))
            try:
                yield
            finally:
                if schedule is not None:
                    schedule.cancel()
                if service == "event_grid":
                    await self.events.stop()
                elif service == "arm":
                    await self._operations.stop()
                    await self._cluster_operations.stop()
                    await self._redis_operations.stop()

        def context(app: Starlette) -> AbstractAsyncContextManager[None]:
            return lifespan(app)

        return context

    def _destroy_servers(self) -> None:
        for server in self._registry.all():
            if server.cluster is not None:
                server.cluster.destroy()
