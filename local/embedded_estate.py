"""The declared estate, come alive on this machine: Azurite, simulated Azure, real PostgreSQL servers with books."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg
from azure.core.credentials import AzureNamedKeyCredential
from azure.storage.blob import BlobServiceClient

from local import azurite, declared_clusters
from local.azure.certificates import CertificateAuthority
from local.azure.flexible_servers.model import Server
from local.azure.simulator import AzureSimulator
from local.estate_file import with_blob_endpoints
from local.kubernetes.simulator import KubernetesSimulator
from local.odoo import Profile, Summary, generate
from local.postgres.binaries import binary
from shared.estate.estate import Estate
from shared.estate.inventory.environments import Environment
from shared.estate.inventory.tenants import Tenant
from shared.estate.loading import load_estate

_OWN_ACCOUNT = "closekeeper"
_OWN_CONTAINERS = ("state", "evidence", "estate")
_UPLOADS_AT_ONCE = 8
_REDUNDANCY = {"none": "Standard_LRS", "replicated": "Standard_GRS", "readable": "Standard_RAGRS"}

type Progress = Callable[[str], AbstractContextManager[Callable[[str], None]]]
"""Announces a step; what it yields takes a word on how it ended."""


@dataclass(frozen=True, slots=True)
class Books:
    """One tenant's generated database."""

    environment: str
    server: str
    tenant: str
    summary: Summary


class EmbeddedEstate:
    """A context manager: entering starts everything that `environments` declare, leaving removes all of it.

    Each database gets `journal_items` journal items that end `now`. Two at the same time need two folders only.
    """

    def __init__(
        self,
        folder: Path,
        estate_file: Path,
        *,
        environments: tuple[str, ...],
        progress: Progress,
        journal_items: int = 2000,
        event_time_scale: float = 1.0,
    ) -> None:
        self.folder = folder
        self.estate_file = estate_file
        self.declared: Estate = load_estate(estate_file.read_text(encoding="utf-8"), str(estate_file))
        self.environments: dict[str, Environment] = {name: self.declared.environments[name] for name in environments}
        self.books: list[Books] = []
        self.clusters: dict[tuple[str, str], KubernetesSimulator] = {}
        """The API behind each declared cluster, by the names of its environment and its own."""
        self._progress = progress
        self._journal_items = journal_items
        self._event_time_scale = event_time_scale
        self._running = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.authority = CertificateAuthority(self.folder / "certificates")
            with self._progress("Azurite, the blob service") as ended:
                certificate = self.authority.issue("azurite", dns=["localhost"], addresses=["127.0.0.1"])
                accounts = [_OWN_ACCOUNT, *self._declared_accounts()]
                self.azurite = azurite.start(self.folder / "azurite", certificate, accounts=accounts, in_memory=True)
                stack.callback(self.azurite.stop)
                for container in _OWN_CONTAINERS:
                    self.blobs(_OWN_ACCOUNT).create_container(container)
                self._declare_locally()
                ended(self.azurite.blob_url)
            with self._progress("Azure's control plane: identity, Resource Manager, Event Grid") as ended:
                self.azure = stack.enter_context(
                    AzureSimulator(
                        self.folder / "azure", self.authority, retry_after=1, event_time_scale=self._event_time_scale
                    )
                )
                if self.declared.backup_verification is not None:
                    group = self.declared.backup_verification.drills.resource_group
                    self.azure.add_resource_group(group.subscription, group.resource_group)
                    self._make_subnets()
                ended(self.azure.resource_manager_url)
            for name, environment in self.environments.items():
                self._start_servers(name, environment)
                self._start_clusters(name, environment, stack)
                for cache in environment.redis.values():
                    if cache.id.kind == "microsoft.cache/redisenterprise":
                        self.azure.add_redis(str(cache.id), environment.location)
            self._start_scratch_server()
            self._running = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()

    def settings(self) -> dict[str, str]:
        """The app settings that point the app at this estate, as they would point it at Azure."""
        own = self.azurite.account_url(_OWN_ACCOUNT)
        return {
            **self.azure.settings(),
            "ESTATE_FILE": str(self.local_estate_file),
            "STATE_URL": f"{own}/state",
            "EVIDENCE_URL": f"{own}/evidence",
            "DRILL_POLL_SECONDS": "0.5",
            "ANCHORS_SCHEDULE": "0 */10 * * * *",
            "BACKUP_INVENTORY_SCHEDULE": "0 7 * * * *",
            "BACKUP_VERIFICATION_SCHEDULE": "0 0 2 * * *",
            "DUMP_VERIFICATION_SCHEDULE": "0 23 * * * *",
            "RECOVERY_REHEARSAL_SCHEDULE": "0 0 5 * * *",
            "PG_RESTORE": str(binary("pg_restore")),
            "DRILL_REAPER_SCHEDULE": "0 */5 * * * *",
            "DECLARED_ESTATE_SCHEDULE": "0 * * * * *",
            "EVIDENCE_SEALING_SCHEDULE": "0 */15 * * * *",
            "STORAGE_TIERING_SCHEDULE": "0 */15 * * * *",
            "REMEDIATION_SCHEDULE": "0 */5 * * * *",
            "REMEDIATION_POLL_SCHEDULE": "0 17 * * * *",
            "SHUTDOWN_SCHEDULES_SCHEDULE": "0 */5 * * * *",
            "PEAK_SCALING_SCHEDULE": "0 2-59/5 * * * *",
            "REMEDIATION_SETTLE_SECONDS": "0.5",
            "AKS_SETTLE_SECONDS": "1",
        }

    def server(self, environment: str, server: str) -> Server:
        """The simulated flexible server, with its real cluster."""
        return self.azure.flexible_server(str(self.environments[environment].postgres[server].id))

    def blobs(self, account: str) -> BlobServiceClient:
        """A client with the account's own key: the estate's owner, not the app."""
        return BlobServiceClient(
            self.azurite.account_url(account),
            credential=AzureNamedKeyCredential(account, self.azurite.keys[account]),
            connection_verify=str(self.authority.bundle),
        )

    @property
    def evidence(self) -> Any:
        """The container of evidence."""
        return self.blobs(_OWN_ACCOUNT).get_container_client("evidence")

    @property
    def state(self) -> Any:
        """The container of the app's state."""
        return self.blobs(_OWN_ACCOUNT).get_container_client("state")

    @property
    def local_estate_file(self) -> Path:
        """The declared estate with the local addresses of its storage accounts: what the app reads."""
        return self.folder.resolve() / "estate.yaml"

    def _declare_locally(self) -> None:
        text = self.estate_file.read_text(encoding="utf-8")
        self.local_estate_file.write_text(with_blob_endpoints(text, self.azurite.account_url), encoding="utf-8")

    def _start_scratch_server(self) -> None:
        """Where dumps are restored to: the app may create databases there."""
        policy = self.declared.backup_verification
        if policy is None or policy.dumps is None or policy.dumps.scratch is None:
            return
        with self._progress("A PostgreSQL server to restore dumps on") as ended:
            server = self.azure.add_flexible_server(str(policy.dumps.scratch))
            for identity in self.azure.tenant.identities:
                _cluster(server).run_sql(f'alter role "{identity.name}" createdb')
            ended(f"{_cluster(server).address}:{self.azure.postgresql_port}")

    def _make_subnets(self) -> None:
        """Those that restored servers are put into, here and in the paired region."""
        policy = self.declared.backup_verification
        for environment in self.environments.values():
            if policy and policy.drills.network:
                self.azure.servers.subnets.add(str(policy.drills.network.subnet), environment.location)
            if policy and policy.drills.paired_network and environment.paired_location:
                self.azure.servers.subnets.add(str(policy.drills.paired_network.subnet), environment.paired_location)

    def _subnet_of_servers(self, environment: Environment) -> str | None:
        """Servers are in a network when their restored copies are to be: Azure does not restore from one kind to the
        other."""
        policy = self.declared.backup_verification
        if policy is None or policy.drills.network is None:
            return None
        network = str(policy.drills.network.subnet).rpartition("/subnets/")[0]
        return f"{network}/subnets/servers-{environment.location}"

    def _declared_accounts(self) -> list[str]:
        return [
            account.id.name for environment in self.environments.values() for account in environment.storage.values()
        ]

    def _start_clusters(self, environment_name: str, environment: Environment, stack: ExitStack) -> None:
        for name, declared in environment.clusters.items():
            with self._progress(f"AKS cluster {declared.id.name} of {environment_name}") as ended:
                running = stack.enter_context(declared_clusters.start(self.azure, declared, environment.location))
                self.clusters[environment_name, name] = running
                ended(running.url)

    def _start_servers(self, environment_name: str, environment: Environment) -> None:
        for account in environment.storage.values():
            for container in account.containers:
                self.blobs(account.id.name).create_container(container)
            resource = self.azure.storage_accounts.add(
                str(account.id), environment.location, sku=_REDUNDANCY[account.secondary], containers=account.containers
            )
            kept = account.soft_delete.days if account.soft_delete else None
            resource.keep_deleted(kept, versions=account.versioning)
        for server_name, declared in environment.postgres.items():
            with self._progress(f"PostgreSQL server {declared.id.name} of {environment_name}") as ended:
                server = self.azure.add_flexible_server(
                    str(declared.id),
                    environment.location,
                    subnet=self._subnet_of_servers(environment),
                    retention_days=declared.point_in_time_window.days,
                    geo_redundant_backup="Enabled" if declared.geo_redundant else "Disabled",
                )
                server.standby = "ZoneRedundant" if declared.high_availability else "Disabled"
                ended(f"{_cluster(server).address}:{self.azure.postgresql_port}")
            for database in declared.databases:
                tenants = {
                    name: tenant
                    for name, tenant in environment.tenants.items()
                    if (tenant.database.server, tenant.database.database) == (server_name, database)
                }
                tenant_name, tenant = next(iter(tenants.items()), (database, None))
                with self._progress(f"The books of {tenant_name}") as ended:
                    summary = self._keep_books(server, database, environment, tenant)
                    self.books.append(Books(environment_name, server_name, tenant_name, summary))
                    ended(
                        f"{summary.journal_items} journal items, {summary.hashed_moves} sealed entries, "
                        f"{summary.documents} documents"
                    )
            with self._progress(f"A base backup of {declared.id.name}") as ended:
                ended(_cluster(server).take_base_backup().name)

    def _keep_books(self, server: Server, database: str, environment: Environment, tenant: Tenant | None) -> Summary:
        cluster = _cluster(server)
        cluster.run_sql(f'create database "{database}"')
        documents = tenant.documents[0] if tenant and tenant.documents else None
        account = environment.storage[documents.account].id.name if documents else None
        container = self.blobs(account).get_container_client(documents.container) if account and documents else None
        profile = Profile(
            database=database, as_of=datetime.now(UTC), journal_items=self._journal_items, seed=len(self.books) + 1
        )
        with psycopg.connect(cluster.dsn(database)) as connection, ThreadPoolExecutor(_UPLOADS_AT_ONCE) as uploads:
            pending: list[Any] = []

            def upload(path: str, content: bytes) -> None:
                if container is not None:
                    pending.append(uploads.submit(container.upload_blob, path, content, overwrite=True))

            summary = generate(connection, profile, upload)
            for each in pending:
                each.result()
        return summary


def _cluster(server: Server) -> Any:
    if server.cluster is None:
        raise RuntimeError(f"{server.name} has no running cluster")
    return server.cluster


def sample_settings(settings: Mapping[str, str]) -> dict[str, object]:
    """Those settings as `local.settings.json`, for `func start`."""
    values = {"FUNCTIONS_WORKER_RUNTIME": "python", "AzureWebJobsStorage": "UseDevelopmentStorage=true", **settings}
    return {"IsEncrypted": False, "Values": values}
