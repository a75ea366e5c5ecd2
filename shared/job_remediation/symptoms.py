"""What is wrong, in the words that the playbooks match; and the alert rules and metrics that are known to say it."""

from enum import StrEnum


class Symptom(StrEnum):
    """What is wrong, as it shows; the cause is the diagnosis' business."""

    JOB_FAILED = "job-failed"
    JOB_STUCK = "job-stuck"
    OUT_OF_MEMORY = "out-of-memory"
    CRASH_LOOP = "crash-loop"
    POD_NOT_READY = "pod-not-ready"
    IMAGE_UNAVAILABLE = "image-unavailable"
    START_STUCK = "start-stuck"

    QUEUE_JOBS_FAILED = "queue-jobs-failed"
    QUEUE_JOBS_STUCK = "queue-jobs-stuck"
    CRON_OVERDUE = "cron-overdue"
    CRON_DEACTIVATED = "cron-deactivated"

    SESSIONS_BLOCKED = "sessions-blocked"
    CONNECTIONS_HIGH = "connections-high"
    DATABASE_DOWN = "database-down"
    STORAGE_HIGH = "storage-high"
    CACHE_PRESSURE = "cache-pressure"
    CAPACITY_HIGH = "capacity-high"

    BACKUP_FAILED = "backup-failed"
    BACKUP_MISSING = "backup-missing"
    DRILL_FAILED = "drill-failed"

    CREDENTIAL_NEAR_EXPIRY = "credential-near-expiry"
    CREDENTIAL_EXPIRED = "credential-expired"

    ENDPOINT_DOWN = "endpoint-down"
    RESOURCE_UNHEALTHY = "resource-unhealthy"
    RESOURCE_ANNOTATED = "resource-annotated"
    RESOURCE_OPERATION_FAILED = "resource-operation-failed"
    SERVICE_INCIDENT = "service-incident"
    MAINTENANCE = "maintenance"
    ANOMALY = "anomaly"
    SECURITY = "security"
    AUTOSCALED = "autoscaled"
    BUDGET_EXCEEDED = "budget-exceeded"

    NODE_POOL_ROLLING = "node-pool-rolling"
    NODE_POOL_ROLLING_FAILED = "node-pool-rolling-failed"
    KUBERNETES_VERSION_AVAILABLE = "kubernetes-version-available"
    KUBERNETES_SUPPORT_ENDING = "kubernetes-support-ending"
    KUBERNETES_SUPPORT_ENDED = "kubernetes-support-ended"

    BLOB_CREATED = "blob-created"
    BLOB_DELETED = "blob-deleted"
    CACHE_MAINTAINED = "cache-maintained"
    CACHE_MAINTENANCE_FAILED = "cache-maintenance-failed"
    EVENT_DEAD_LETTERED = "event-dead-lettered"
    CHANGE_FAILED = "change-failed"
    OUTCOME_TOLD = "outcome-told"
    ESTATE_INVALID = "estate-invalid"
    EVIDENCE_LOG_BROKEN = "evidence-log-broken"

    OTHER = "other"
    """Told well, but nothing is known about it: a human reads the title."""

    @property
    def is_fault(self) -> bool:
        """Whether something is wrong then; the others are told because they explain what is."""
        return self not in _NEWS


_NEWS = frozenset(
    {
        Symptom.AUTOSCALED,
        Symptom.BLOB_CREATED,
        Symptom.BLOB_DELETED,
        Symptom.CACHE_MAINTAINED,
        Symptom.KUBERNETES_VERSION_AVAILABLE,
        Symptom.MAINTENANCE,
        Symptom.NODE_POOL_ROLLING,
        Symptom.OUTCOME_TOLD,
        Symptom.RESOURCE_ANNOTATED,
    }
)


def symptom_named(name: str) -> Symptom | None:
    """The symptom that the rule's author named, in any case and with `_` or blanks for `-`; None when there is none."""
    try:
        return Symptom(name.strip().casefold().replace("_", "-").replace(" ", "-"))
    except ValueError:
        return None


def symptom_of_rule(rule: str) -> Symptom | None:
    """What an alert rule of that name tells; None when the name is not known."""
    return _BY_RULE.get(_squeezed(rule))


def symptom_of_metric(metric: str) -> Symptom | None:
    """What it tells that this metric crossed its threshold; None when the metric is not known."""
    return _BY_METRIC.get(_squeezed(metric))


def _squeezed(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())


# The names of kubernetes-mixin and of Azure's recommended Prometheus rules (Azure/prometheus-collector), then our own.
_BY_RULE = {
    "kubejobfailed": Symptom.JOB_FAILED,
    "kubejobstale": Symptom.JOB_STUCK,
    "kubejobnotcompleted": Symptom.JOB_STUCK,
    "kubejobcompletion": Symptom.JOB_STUCK,
    "kubecronjobrunning": Symptom.JOB_STUCK,
    "kubecontaineroomkilledcount": Symptom.OUT_OF_MEMORY,
    "kubecontaineroomkilled": Symptom.OUT_OF_MEMORY,
    "kubepodcrashlooping": Symptom.CRASH_LOOP,
    "kubepodcontainerrestart": Symptom.CRASH_LOOP,
    "kubepodnotready": Symptom.POD_NOT_READY,
    "kubepodreadystatelow": Symptom.POD_NOT_READY,
    "kubepodfailedstate": Symptom.POD_NOT_READY,
    "kubecontainerwaiting": Symptom.POD_NOT_READY,
    "kubedeploymentreplicasmismatch": Symptom.POD_NOT_READY,
    "kubestatefulsetreplicasmismatch": Symptom.POD_NOT_READY,
    "kubepvusagehigh": Symptom.STORAGE_HIGH,
    "kubepersistentvolumefillingup": Symptom.STORAGE_HIGH,
    "kubequotaalmostfull": Symptom.CAPACITY_HIGH,
    "kubecpuquotaovercommit": Symptom.CAPACITY_HIGH,
    "kubememoryquotaovercommit": Symptom.CAPACITY_HIGH,
    "kubenodenotready": Symptom.RESOURCE_UNHEALTHY,
    "kubenodeunreachable": Symptom.RESOURCE_UNHEALTHY,
    "odooqueuejobsfailed": Symptom.QUEUE_JOBS_FAILED,
    "odooqueuejobsstuck": Symptom.QUEUE_JOBS_STUCK,
    "odoocronoverdue": Symptom.CRON_OVERDUE,
    "odoocrondeactivated": Symptom.CRON_DEACTIVATED,
    "postgressessionsblocked": Symptom.SESSIONS_BLOCKED,
    "postgresconnectionshigh": Symptom.CONNECTIONS_HIGH,
    "postgresdown": Symptom.DATABASE_DOWN,
    "backupfailed": Symptom.BACKUP_FAILED,
    "backupmissing": Symptom.BACKUP_MISSING,
    "certificatenearexpiry": Symptom.CREDENTIAL_NEAR_EXPIRY,
    "certificateexpired": Symptom.CREDENTIAL_EXPIRED,
}

# Azure Monitor's supported metrics of flexible servers, AKS, Azure Cache for Redis and Azure Managed Redis.
_BY_METRIC = {
    "isdbalive": Symptom.DATABASE_DOWN,
    "activeconnections": Symptom.CONNECTIONS_HIGH,
    "connectionsfailed": Symptom.CONNECTIONS_HIGH,
    "longesttransactiontimesec": Symptom.SESSIONS_BLOCKED,
    "sessionsbywaiteventtype": Symptom.SESSIONS_BLOCKED,
    "storagepercent": Symptom.STORAGE_HIGH,
    "txlogsstorageused": Symptom.STORAGE_HIGH,
    "nodediskusagepercentage": Symptom.STORAGE_HIGH,
    "cpupercent": Symptom.CAPACITY_HIGH,
    "memorypercent": Symptom.CAPACITY_HIGH,
    "diskiopsconsumedpercentage": Symptom.CAPACITY_HIGH,
    "diskbandwidthconsumedpercentage": Symptom.CAPACITY_HIGH,
    "cpucreditsremaining": Symptom.CAPACITY_HIGH,
    "nodecpuusagepercentage": Symptom.CAPACITY_HIGH,
    "nodememoryworkingsetpercentage": Symptom.CAPACITY_HIGH,
    "clusterautoscalerunschedulablepodscount": Symptom.CAPACITY_HIGH,
    "kubepodstatusready": Symptom.POD_NOT_READY,
    "kubenodestatuscondition": Symptom.RESOURCE_UNHEALTHY,
    "serverload": Symptom.CACHE_PRESSURE,
    "usedmemorypercentage": Symptom.CACHE_PRESSURE,
    "evictedkeys": Symptom.CACHE_PRESSURE,
    "failedlocation": Symptom.ENDPOINT_DOWN,
}
