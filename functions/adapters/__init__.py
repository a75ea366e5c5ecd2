"""What a change can do to what, by kind of target: one module each, all of them `shared.changes.ports.Adapter`s."""

from shared.changes.ports import Adapters


def register(adapters: Adapters) -> None:
    """Make all of them known. Twice is once: they are kept in their modules."""
    from functions.adapters import (
        blob_containers,
        clusters,
        cron_jobs,
        dead_queue_jobs,
        kubernetes_jobs,
        lifecycle_rules,
        node_pools,
        odoo_crons,
        postgres_scaling,
        postgres_servers,
        postgres_sessions,
        queue_jobs,
        redis_caches,
        restarts,
        workloads,
    )

    for action in ("sleep", "wake"):
        adapters.register("kubernetes-workload", action, workloads.ADAPTER)
        adapters.register("kubernetes-cronjob", action, cron_jobs.ADAPTER)
        adapters.register("aks-node-pool", action, node_pools.ADAPTER)
        adapters.register("aks-cluster", action, clusters.ADAPTER)
        adapters.register("postgres-server", action, postgres_servers.ADAPTER)
    for kind, adapter in (("kubernetes-workload", workloads.ADAPTER), ("aks-node-pool", node_pools.ADAPTER)):
        adapters.register(kind, "scale", adapter)
    for action in ("scale", "grow"):
        adapters.register("postgres-server", action, postgres_scaling.ADAPTER)
    adapters.register("redis", "scale", redis_caches.ADAPTER)
    adapters.register("postgres-session", "end", postgres_sessions.ADAPTER)
    adapters.register("kubernetes-workload", "restart", restarts.ADAPTER)
    for action in ("rerun", "raise-memory"):
        adapters.register("kubernetes-job", action, kubernetes_jobs.ADAPTER)
    for action in ("tier", "delete", "rehydrate"):
        adapters.register(blob_containers.KIND, action, blob_containers.ADAPTER)
    adapters.register(lifecycle_rules.KIND, "export-rules", lifecycle_rules.ADAPTER)
    adapters.register("odoo-queue-job", "requeue", queue_jobs.ADAPTER)
    adapters.register("odoo-queue-job", "mark-failed", dead_queue_jobs.ADAPTER)
    for action in ("activate", "trigger"):
        adapters.register("odoo-cron", action, odoo_crons.ADAPTER)
