"""Worker-count arithmetic: who may hold how many connections of which server during a peak. Pure."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from shared.changes.change import State
from shared.peak_scaling.needs import Scaling
from shared.peak_scaling.readiness import Look, connections

if TYPE_CHECKING:  # whoever has an estate has loaded its models
    from shared.estate.inventory.environments import Environment

RESERVED = 15
"""Connections that Azure keeps for itself (concepts-limits, 2025-11-13)."""


def connection_looks(scaling: Scaling, levels: Mapping[str, State], limits: Mapping[str, int]) -> list[Look]:
    """Whether web, workers and crons fit into each server's connections at these levels, by name of the target.

    limits: `max_connections` by name of the server. What is not scaled counts as its baseline, else as one replica.
    """
    place = scaling.estate.environments[scaling.environment]
    free = scaling.policy.readiness.connections_free.of_one
    return [
        connections(
            server, list(_holders(place, server, {**scaling.baseline, **levels})), limits.get(server), RESERVED, free
        )
        for server in place.postgres
    ]


def _holders(place: "Environment", server: str, levels: Mapping[str, State]) -> Iterator[tuple[str, int, int]]:
    """Workloads that use the server: the tenants' own, and those that nobody has for himself."""
    tenants = [tenant for tenant in place.tenants.values() if tenant.database.server == server]
    named = {str(each) for tenant in place.tenants.values() for each in tenant.workloads}
    own = {str(each) for tenant in tenants for each in tenant.workloads}
    shared = any(not tenant.workloads for tenant in tenants)
    for cluster_name, cluster in place.clusters.items():
        for name, workload in cluster.workloads.items():
            label = f"{cluster_name}/{name}"
            if workload.connections and (label in own or (shared and label not in named)):
                level = levels.get(f"workload {label}", {})
                replicas = level.get("max", level.get("replicas", 1))
                yield label, replicas if isinstance(replicas, int) else 1, workload.connections
