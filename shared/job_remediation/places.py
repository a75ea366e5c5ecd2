"""Whose a signal is: looked up in what the estate declares, never guessed from names."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from shared.estate.estate import Estate
from shared.job_remediation.signal import Target


@dataclass(frozen=True, slots=True)
class Place:
    """An environment and a tenant in it; None where it is not known, or not one only."""

    environment: str | None = None
    tenant: str | None = None


class Places(Protocol):
    """The lookup that the intake needs."""

    def place_of(self, target: Target, labels: Mapping[str, str]) -> Place:
        """Whose the target is. `labels`, by lower-case name, are what the rule's author said about it."""
        ...


@dataclass(frozen=True, slots=True)
class DeclaredPlaces:
    """The lookup as plain data. All keys are folded in case.

    resources: environment and the tenants on it, by Azure resource id.
    clusters: the ids of the clusters of that name.
    namespaces: the tenants whose workloads are in it, by cluster id and namespace.
    databases: the tenant, by server id and database.
    tenants: the names of tenants by environment.
    """

    resources: Mapping[str, tuple[str, frozenset[str]]] = field(default_factory=dict[str, tuple[str, frozenset[str]]])
    clusters: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    namespaces: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict[tuple[str, str], frozenset[str]])
    databases: Mapping[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    tenants: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])

    def place_of(self, target: Target, labels: Mapping[str, str]) -> Place:
        """See `Places`. What the target says counts first; a label can only say more, and only what is declared."""
        resource = self._declared(target)
        environment, tenants = self.resources[resource] if resource else (None, None)
        if resource and target.namespace:
            tenants = self.namespaces.get((resource, target.namespace.casefold()), frozenset())
        if resource and (database := _first(labels, "database", "databasename", "datname")):
            owner = self.databases.get((resource, database.casefold()))
            tenants = frozenset({owner}) if owner else tenants
        if environment is None:
            environment = self._environment_named(labels)
        named = labels.get("tenant", "").strip().casefold()
        if environment is not None:
            if tenants is not None and len(tenants) == 1:
                return Place(environment, next(iter(tenants)))
            among = tenants or self.tenants.get(environment, frozenset())
            return Place(environment, named if named in among else None)
        return Place()

    def _declared(self, target: Target) -> str | None:
        """The declared resource that the target is, or is a part of."""
        if target.resource is None:
            found = self.clusters.get((target.cluster or "").casefold(), frozenset())
            return next(iter(found)) if len(found) == 1 else None
        path = target.resource.casefold().rstrip("/")
        while path:
            if path in self.resources:
                return path
            path = path.rpartition("/")[0]
        return None

    def _environment_named(self, labels: Mapping[str, str]) -> str | None:
        """The one that a label names; else the only one that has the tenant that a label names."""
        named = labels.get("environment", "").strip().casefold()
        if named in self.tenants:
            return named
        tenant = labels.get("tenant", "").strip().casefold()
        having = [environment for environment, tenants in self.tenants.items() if tenant in tenants]
        return having[0] if len(having) == 1 and not named else None


def declared_places(estate: "Estate") -> DeclaredPlaces:
    """The lookup for a declared estate."""
    resources: dict[str, tuple[str, frozenset[str]]] = {}
    clusters: dict[str, frozenset[str]] = {}
    namespaces: dict[tuple[str, str], frozenset[str]] = {}
    databases: dict[tuple[str, str], str] = {}
    for name, environment in estate.environments.items():
        tenants = environment.tenants
        for server_name, server in environment.postgres.items():
            own = {key: tenant for key, tenant in tenants.items() if tenant.database.server == server_name}
            for id in (server.id, *(replica.id for replica in server.replicas.values())):
                folded = str(id).casefold()
                resources[folded] = name, frozenset(own)
                databases |= {(folded, tenant.database.database.casefold()): key for key, tenant in own.items()}
        for cluster_name, cluster in environment.clusters.items():
            folded = str(cluster.id).casefold()
            everyone: frozenset[str] = frozenset()
            claimed = {str(part) for tenant in tenants.values() for part in tenant.workloads}
            for workload_name, workload in cluster.workloads.items():
                part = f"{cluster_name}/{workload_name}"
                users = frozenset(
                    key
                    for key, tenant in tenants.items()
                    if part in {str(own) for own in tenant.workloads} or (not tenant.workloads and part not in claimed)
                )
                place = folded, workload.object.namespace.casefold()
                namespaces[place] = namespaces.get(place, frozenset()) | users
                everyone |= users
            resources[folded] = name, everyone
            azure_name = cluster.id.name.casefold()
            clusters[azure_name] = clusters.get(azure_name, frozenset()) | {folded}
        for account_name, account in environment.storage.items():
            users = frozenset(
                key
                for key, tenant in tenants.items()
                if any(place.account == account_name for place in (*tenant.documents, tenant.dumps) if place)
            )
            resources[str(account.id).casefold()] = name, users
        for cache in environment.redis.values():
            resources[str(cache.id).casefold()] = name, frozenset(tenants)
    everywhere = {name: frozenset(environment.tenants) for name, environment in estate.environments.items()}
    return DeclaredPlaces(resources, clusters, namespaces, databases, everywhere)


def _first(labels: Mapping[str, str], *names: str) -> str | None:
    return next((labels[name] for name in names if labels.get(name)), None)
