"""Deliveries as senders make them, by the documents of each format; the kinds that the recorded samples lack."""

import json
from typing import Any

SUBSCRIPTION = "/subscriptions/11111111-2222-3333-4444-555555555555"
GROUP = f"{SUBSCRIPTION}/resourceGroups/rg-erp"
CLUSTER = f"{GROUP}/providers/Microsoft.ContainerService/managedClusters/aks-erp"
SERVER = f"{GROUP}/providers/Microsoft.DBforPostgreSQL/flexibleServers/pg-erp"
VAULT = f"{GROUP}/providers/Microsoft.KeyVault/vaults/kv-erp"
ALERT = f"{SUBSCRIPTION}/providers/Microsoft.AlertsManagement/alerts/0a0a0a0a-1b1b-2c2c-3d3d-4e4e4e4e4e4e"


def azure_alert(context: dict[str, Any] | None = None, custom: Any = None, **essentials: Any) -> dict[str, Any]:
    """A common alert; `essentials` replace or, when None, remove the usual ones."""
    usual: dict[str, Any] = {
        "alertId": ALERT,
        "alertRule": "rule",
        "severity": "Sev2",
        "signalType": "Metric",
        "monitorCondition": "Fired",
        "monitoringService": "Platform",
        "alertTargetIDs": [SERVER],
        "configurationItems": ["pg-erp"],
        "originAlertId": "origin",
        "firedDateTime": "2026-11-20T10:00:00.1234567Z",
        "description": "what the rule says",
        "essentialsVersion": "1.0",
        "alertContextVersion": "1.0",
    }
    merged = {name: value for name, value in {**usual, **essentials}.items() if value is not None}
    data: dict[str, Any] = {"essentials": merged}
    if context is not None:
        data["alertContext"] = context
    if custom is not None:
        data["customProperties"] = custom
    return {"schemaId": "azureMonitorCommonAlertSchema", "data": data}


def metric_context(metric: str = "active_connections", **criterion: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {
        "metricName": metric,
        "metricNamespace": "Microsoft.DBforPostgreSQL/flexibleServers",
        "operator": "GreaterThan",
        "threshold": "85",
        "timeAggregation": "Maximum",
        "dimensions": [],
        "metricValue": 97,
    }
    return {
        "conditionType": "SingleResourceMultipleMetricCriteria",
        "condition": {"windowSize": "PT5M", "allOf": [{**usual, **criterion}]},
    }


DYNAMIC = azure_alert(
    {
        **metric_context(
            alertSensitivity="High",
            failingPeriods={"numberOfEvaluationPeriods": 4, "minFailingPeriodsToAlert": 3},
            ignoreDataBefore=None,
            threshold="47658.25",
        ),
        "conditionType": "DynamicThresholdCriteria",
    }
)

LOG_V1 = azure_alert(
    {
        "SearchQuery": "PGSQLServerLogs | where ErrorLevel == 'FATAL'",
        "SearchIntervalStartTimeUtc": "3/22/2019 1:36:31 PM",
        "SearchIntervalEndtimeUtc": "3/22/2019 1:51:31 PM",
        "ResultCount": 2,
        "LinkToSearchResultsAPI": "https://api.loganalytics.io/v1/workspaces/w/query",
        "SearchIntervalInMinutes": "15",
        "Threshold": 10000.0,
        "Operator": "Less Than",
        "Dimensions": [{"name": "Computer", "value": "one"}],
        "SearchResults": {"tables": [{"name": "PrimaryResult", "columns": [], "rows": [["a", "b"]]}]},
        "IncludedSearchResults": "True",
        "AlertType": "Metric measurement",
    },
    signalType="Log",
    monitoringService="Log Analytics",
    firedDateTime="3/22/2019 1:52:05 PM",
)

_RECORD = {
    "authorization": {"action": "restart", "scope": SERVER},
    "channels": "Operation",
    "claims": '{"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name":"alice@contoso.example"}',
    "caller": "alice@contoso.example",
    "correlationId": "c0",
    "eventSource": "Administrative",
    "eventTimestamp": "2026-11-20T09:59:00+00:00",
    "level": "Error",
    "operationName": "Microsoft.DBforPostgreSQL/flexibleServers/restart/action",
    "properties": {"statusMessage": "conflict"},
    "status": "Failed",
    "subStatus": "",
    "submissionTimestamp": "2026-11-20T10:00:00Z",
    "Activity Log Event Description": "",
}
ACTIVITY_LOG = azure_alert(_RECORD, signalType="Activity Log", monitoringService="Activity Log - Administrative")
ACTIVITY_LOG_WITHOUT_BLANK = azure_alert(
    _RECORD, signalType="ActivityLog", monitoringService="ActivityLog-Administrative"
)


def resource_health(status: str, time: str, service: str = "ResourceHealth") -> dict[str, Any]:
    return azure_alert(
        {
            "eventSource": "ResourceHealth",
            "eventTimestamp": time,
            "operationName": "Microsoft.Resourcehealth/healthevent/Activated/action",
            "properties": {"title": "database", "currentHealthStatus": status, "cause": "PlatformInitiated"},
            "status": "Active",
        },
        alertRule=f"health {status}",
        alertId=f"{ALERT}-{status}",
        signalType="ActivityLog",
        monitoringService=service,
    )


def service_health(stage: str, time: str, services: Any) -> dict[str, Any]:
    return azure_alert(
        {
            "channels": 1,
            "eventSource": 2,
            "level": 3,
            "eventTimestamp": time,
            "operationName": "Microsoft.ServiceHealth/incident/action",
            "properties": {
                "title": "storage is slow",
                "incidentType": "Incident",
                "trackingId": "ABCD-123",
                "stage": stage,
                "impactedServices": services,
                "isHIR": "false",
            },
            "status": "Active",
        },
        alertRule="service health",
        alertId=f"{ALERT}-{stage}",
        signalType="ActivityLog",
        monitoringService="ServiceHealth",
        alertTargetIDs=[SUBSCRIPTION],
    )


def prometheus_alert(rule: str = "KubeJobFailed", condition: str = "Fired", **labels: str) -> dict[str, Any]:
    usual = {
        "alertname": rule,
        "cluster": "aks-erp",
        "namespace": "odoo-acme",
        "job_name": "dump-1",
        "job": "kube-state-metrics",
        "microsoft.resourceid": CLUSTER,
    }
    return azure_alert(
        {
            "interval": "PT1M",
            "expression": "kube_job_failed > 0",
            "expressionValue": "1",
            "for": "PT15M",
            "labels": {name: value for name, value in {**usual, **labels}.items() if value},
            "annotations": {},
            "ruleGroup": f"{GROUP}/providers/Microsoft.AlertsManagement/prometheusRuleGroups/odoo",
        },
        alertRule=f"odoo/{rule}",
        monitorCondition=condition,
        monitoringService="Prometheus",
        alertTargetIDs=[f"{GROUP}/providers/microsoft.monitor/accounts/prom"],
        configurationItems=["aks-erp"],
        resolvedDateTime="2026-11-20T10:30:00Z" if condition == "Resolved" else None,
    )


def event_grid(type_: str, source: str, data: Any, subject: str = "", id_: str = "e1", **more: Any) -> dict[str, Any]:
    return {
        "id": id_,
        "topic": source,
        "subject": subject,
        "eventType": type_,
        "eventTime": "2026-11-20T10:00:00.0000000Z",
        "data": data,
        "dataVersion": "1",
        "metadataVersion": "1",
        **more,
    }


def cloud_event(type_: str, source: str, data: Any, subject: str = "", id_: str = "e1", **more: Any) -> dict[str, Any]:
    return {
        "id": id_,
        "source": source,
        "subject": subject,
        "type": type_,
        "time": "2026-11-20T10:00:00.0000000Z",
        "data": data,
        "specversion": "1.0",
        **more,
    }


# As the document has it: a blank at the end of a name and before a value, times as text.
KEY_VAULT_DATA = {
    "Id": "https://kv-erp.vault.azure.net/secrets/bank-key/ee05",
    "VaultName": "kv-erp",
    "ObjectType": "Secret",
    "ObjectName ": "bank-key",
    "Version": " ee05",
    "NBF": "1559081980",
    "EXP": "1797811200",
}


def scheduled_event(status: str, time: str = "2026-11-20T10:00:00.1032748") -> dict[str, Any]:
    data = {
        "resourceInfo": {
            "id": f"{CLUSTER}/scheduledEvents/s1",
            "properties": {
                "description": "ScheduledEvents",
                "eventId": "s1",
                "eventSource": "AutoUprader",
                "eventStatus": status,
                "eventDetails": "Start to upgrade security vhd",
                "scheduledTime": "2026-11-27T22:17:12.103268606Z",
                "startTime": "0001-01-01T00:00:00.0000000Z",
                "resources": [CLUSTER],
                "resourceType": "ManagedCluster",
            },
        },
        "operationalInfo": {"resourceEventTime": time},
    }
    type_ = "Microsoft.ResourceNotifications.ContainerServiceEventResources.ScheduledEventEmitted"
    return cloud_event(type_, SUBSCRIPTION, data, f"{CLUSTER}/scheduledEvents/s1", id_=f"s1-{status}", time=f"{time}Z")


def alertmanager(*alerts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "version": "4",
        "groupKey": '{}:{alertname="KubePodCrashLooping"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "closekeeper",
        "groupLabels": {"alertname": "KubePodCrashLooping"},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "https://alertmanager.example",
        "alerts": list(alerts),
        **more,
    }


def crash_loop(status: str = "firing", pod: str = "odoo-worker-1", **more: Any) -> dict[str, Any]:
    ends = {"firing": "0001-01-01T00:00:00Z", "resolved": "2026-11-20T10:20:00.5Z"}
    return {
        "status": status,
        "labels": {
            "alertname": "KubePodCrashLooping",
            "cluster": "aks-erp",
            "namespace": "odoo-acme",
            "pod": pod,
            "severity": "critical",
        },
        "annotations": {"summary": "a worker crashes"},
        "startsAt": "2026-11-20T12:00:00.123456789+02:00",
        "endsAt": ends[status],
        "generatorURL": "https://prometheus.example/graph",
        "fingerprint": "b0b0b0",
        **more,
    }


PLAIN = {
    "condition": "fired",
    "fault": "nightly upload",
    "title": "The nightly upload has failed",
    "symptom": "job failed",
    "severity": "error",
    "tenant": "acme",
    "resource": SERVER,
    "fired_at": "2026-11-20T10:00:00+01:00",
    "facts": {"attempts": 3},
}

ALL: dict[str, Any] = {
    "metric": azure_alert(metric_context()),
    "dynamic": DYNAMIC,
    "log v1": LOG_V1,
    "activity log": ACTIVITY_LOG,
    "activity log without blank": ACTIVITY_LOG_WITHOUT_BLANK,
    "resource health": resource_health("Unavailable", "2026-11-20T10:00:00Z"),
    "service health": service_health(
        "Active", "2026-11-20T10:00:00Z", [{"ServiceName": "Storage", "ImpactedRegions": []}]
    ),
    "prometheus": prometheus_alert(),
    "key vault": event_grid("Microsoft.KeyVault.SecretNearExpiry", VAULT, KEY_VAULT_DATA, "bank-key"),
    "scheduled": scheduled_event("Scheduled"),
    "resource operation": event_grid(
        "Microsoft.Resources.ResourceWriteFailure",
        SUBSCRIPTION,
        {"operationName": "Microsoft.ContainerService/managedClusters/write", "status": "Failed"},
        CLUSTER,
    ),
    "own": cloud_event(
        "closekeeper.change.failed",
        "/closekeeper",
        {"automation": "shutdown_schedules", "reason": "no capacity"},
        "environments/production/tenants/acme/change:1",
    ),
    "alertmanager": alertmanager(crash_loop(), crash_loop("resolved", "odoo-worker-2")),
    "plain": PLAIN,
}


def body(value: Any) -> bytes:
    return json.dumps(value).encode()
