"""References across the estate: every name that is used must be declared, and what is declared must fit together."""

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from shared.estate.azure_ids import AzureId
from shared.estate.estate import Estate
from shared.estate.inventory.clusters import Cluster
from shared.estate.inventory.environments import Environment
from shared.estate.inventory.places import ClusterPlace, ContainerPlace
from shared.estate.inventory.tenants import Placement, Tenant
from shared.estate.problems import Path, did_you_mean, written_path


class Broken(NamedTuple):
    """A reference that leads nowhere, or parts that do not fit. `name` is what was looked for in vain."""

    path: Path
    what: str
    remedy: str
    name: str = ""


def unknown(path: Path, thing: str, name: str, known: Collection[str]) -> Iterator[Broken]:
    """A problem unless the name is known."""
    if name not in known:
        yield Broken(path, f"no {thing} `{name}` is declared", did_you_mean(name, known), name)


def inventory_references(estate: Estate) -> Iterator[Broken]:
    """What is wrong between the parts of the inventory."""
    for name, environment in estate.environments.items():
        at: Path = ("environments", name)
        yield from unknown((*at, "tier"), "tier", environment.tier, estate.tiers)
        if environment.region is not None:
            yield from unknown((*at, "region"), "region of the calendar", environment.region, estate.calendar.regions)
        for index, recipient in enumerate(environment.recipients):
            yield from unknown((*at, "recipients", index), "recipient", recipient, estate.recipients)
        for server_name, server in environment.postgres.items():
            if server.tier is not None:
                yield from unknown((*at, "postgres", server_name, "tier"), "tier", server.tier, estate.tiers)
        for account_name, account in environment.storage.items():
            if account.inventory is not None:
                path = (*at, "storage", account_name, "inventory")
                yield from unknown_container(path, account.inventory, environment)
        for cluster_name, cluster in environment.clusters.items():
            yield from _cluster((*at, "clusters", cluster_name), cluster)
        yield from _tenants(estate, at, environment)
    yield from _same_resources(estate)


def unknown_container(path: Path, place: ContainerPlace, environment: Environment) -> Iterator[Broken]:
    """A problem unless the account and its container are declared in the environment."""
    if place.account not in environment.storage:
        yield from unknown(path, "storage account", place.account, environment.storage)
    else:
        yield from unknown(path, "container", place.container, environment.storage[place.account].containers)


def unknown_part(path: Path, place: ClusterPlace, environment: Environment, part: str) -> Iterator[Broken]:
    """A problem unless the cluster and its part are declared in the environment; `part` is `pools` or `workloads`."""
    if place.cluster not in environment.clusters:
        yield from unknown(path, "cluster", place.cluster, environment.clusters)
        return
    cluster = environment.clusters[place.cluster]
    if part == "pools":
        yield from unknown(path, "node pool", place.name, cluster.pools)
    else:
        yield from unknown(path, "workload", place.name, cluster.workloads)


def _cluster(at: Path, cluster: Cluster) -> Iterator[Broken]:
    seen: dict[str, str] = {}
    for name, workload in cluster.workloads.items():
        path = (*at, "workloads", name)
        yield from unknown((*path, "object"), "namespace", workload.object.namespace, cluster.namespaces)
        if workload.pool is not None:
            yield from unknown((*path, "pool"), "node pool", workload.pool, cluster.pools)
        if workload.autoscaler != "none" and workload.object.kind == "cronjob":
            yield Broken((*path, "autoscaler"), "a CronJob has no replicas to scale", "remove the autoscaler")
        if (other := seen.setdefault(str(workload.object), name)) != name:
            yield Broken((*path, "object"), f"is the workload `{other}` already", "remove one of the two")


def _tenants(estate: Estate, at: Path, environment: Environment) -> Iterator[Broken]:
    databases: dict[str, str] = {}
    for name, tenant in environment.tenants.items():
        path = (*at, "tenants", name)
        server = environment.postgres.get(tenant.database.server)
        if server is None:
            yield from unknown((*path, "database"), "PostgreSQL server", tenant.database.server, environment.postgres)
        else:
            yield from unknown((*path, "database"), "database", tenant.database.database, server.databases)
        if (other := databases.setdefault(str(tenant.database), name)) != name:
            yield Broken(
                (*path, "database"),
                f"is the database of tenant `{other}` already",
                "what is restored together is one tenant; declare them as one",
            )
        if tenant.tier is not None:
            yield from unknown((*path, "tier"), "tier", tenant.tier, estate.tiers)
        if tenant.region is not None:
            yield from unknown((*path, "region"), "region of the calendar", tenant.region, estate.calendar.regions)
        if tenant.odoo is not None:
            yield from unknown((*path, "odoo"), "Odoo endpoint", tenant.odoo, environment.odoo)
        for index, recipient in enumerate(tenant.recipients):
            yield from unknown((*path, "recipients", index), "recipient", recipient, estate.recipients)
        for index, workload in enumerate(tenant.workloads):
            yield from unknown_part((*path, "workloads", index), workload, environment, "workloads")
        for index, container in enumerate(tenant.documents):
            yield from unknown_container((*path, "documents", index), container, environment)
        if tenant.dumps is not None:
            yield from unknown_container((*path, "dumps"), tenant.dumps, environment)
    yield from _placements(at, environment.tenants)


def _placements(at: Path, tenants: Mapping[str, Tenant]) -> Iterator[Broken]:
    on_server: dict[str, list[str]] = {}
    on_workload: dict[ClusterPlace, list[str]] = {}
    for name, tenant in tenants.items():
        on_server.setdefault(tenant.database.server, []).append(name)
        for workload in tenant.workloads:
            on_workload.setdefault(workload, []).append(name)
    for name, tenant in tenants.items():
        path = (*at, "tenants", name, "placement")
        if tenant.placement is Placement.SHARED:
            continue
        if others := [other for other in on_server[tenant.database.server] if other != name]:
            yield Broken(
                path,
                f"{tenant.placement.value}, but server `{tenant.database.server}` also has the books of `{others[0]}`",
                "give it a server of its own, or write shared",
            )
        if tenant.placement is not Placement.DEDICATED:
            continue
        if not tenant.workloads:
            yield Broken(path, "dedicated, but no workloads are its own", "name them in `workloads`, or write hybrid")
        for workload in tenant.workloads:
            if others := [other for other in on_workload[workload] if other != name]:
                yield Broken(
                    path,
                    f"dedicated, but workload `{workload}` also serves `{others[0]}`",
                    "give it workloads of its own, or write hybrid",
                )


def resources(estate: Estate) -> Iterator[tuple[Path, AzureId]]:
    """Every Azure resource of the inventory, with the path of its id."""
    for name, environment in estate.environments.items():
        at: Path = ("environments", name)
        for server_name, server in environment.postgres.items():
            yield (*at, "postgres", server_name, "id"), server.id
            for replica_name, replica in server.replicas.items():
                yield (*at, "postgres", server_name, "replicas", replica_name, "id"), replica.id
        for section in ("clusters", "redis", "storage"):
            things: Mapping[str, Cluster] = getattr(environment, section)
            for thing_name, thing in things.items():
                yield (*at, section, thing_name, "id"), thing.id


def _same_resources(estate: Estate) -> Iterator[Broken]:
    seen: dict[AzureId, Path] = {}
    for path, resource in resources(estate):
        if (first := seen.setdefault(resource, path)) != path:
            yield Broken(path, "is declared twice", f"remove one; the first is {written_path(first[:-1])}")
