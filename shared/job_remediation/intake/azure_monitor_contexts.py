"""The alertContext of each kind of Azure Monitor alert: what the rule saw, and what tells its alerts apart.

Only what a diagnosis can use is taken: never the claims and the caller of an activity log record, which name people.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from shared.job_remediation.intake.kubernetes_labels import kubernetes_target
from shared.job_remediation.intake.values import Fields
from shared.job_remediation.signal import Condition, Fact, Target
from shared.job_remediation.symptoms import Symptom, symptom_of_metric, symptom_of_rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What an alertContext says.

    dimensions: what the rule splits by, as (name, value).
    identity: what tells the fault apart where rule, targets and dimensions do not.
    is_record: each record of the activity log is told as fired; `condition` is what it really says, `told_at` when.
    """

    symptom: Symptom = Symptom.OTHER
    title: str | None = None
    target: Target | None = None
    dimensions: tuple[tuple[str, str], ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    identity: tuple[str, ...] = ()
    facts: Mapping[str, Fact | None] = field(default_factory=dict[str, Fact | None])
    notes: tuple[str, ...] = ()
    is_record: bool = False
    condition: Condition = Condition.FIRED
    told_at: datetime | None = None


def read_context(essentials: Fields, context: Fields, condition: Condition) -> Context:
    """What the context says. The kind is found by the service, in any spelling, else by what only that kind has."""
    service = _squeezed(essentials.text("monitoringService"))
    operation = _squeezed(context.text("operationName"))
    if service == "prometheus" or (not service and "labels" in context and "expression" in context):
        return _prometheus(essentials, context)
    if service == "servicehealth" or operation.startswith("microsoftservicehealth"):
        return _service_health(essentials, context)
    if service == "resourcehealth" or operation.startswith("microsoftresourcehealth"):
        return _resource_health(essentials, context)
    if service.startswith("activitylog") or _squeezed(essentials.text("signalType")) == "activitylog":
        return _activity_log(context, service, condition)
    if service == "smartdetector" or "SmartDetectorId" in context:
        return _smart_detector(context)
    if service == "costalerts" or "AlertCategory" in context:
        return _budget(context)
    if "SearchQuery" in context:
        return _log_v1(essentials, context)
    return _criteria(essentials, context)


def _criteria(essentials: Fields, context: Fields) -> Context:
    """Metric alerts (static, dynamic, availability test) and log alerts of today, which have one form."""
    criteria = context.fields("condition")
    all_of = [Fields(item) for item in criteria.items("allOf")]
    first = all_of[0] if all_of else Fields(None)
    dimensions = tuple(pair for criterion in all_of for pair in _dimensions(criterion))
    labels = dict(context.fields("properties").words())
    split = {name.casefold(): value for name, value in dimensions}
    symptom = symptom_of_rule(essentials.text("alertRule") or "")
    symptom = symptom or next((found for c in all_of if (found := symptom_of_metric(c.text("metricName") or ""))), None)
    cluster = next((t for t in essentials.texts("alertTargetIDs") if "/managedclusters/" in t.casefold()), None)
    cluster_name = split.get("clustername")
    return Context(
        symptom=symptom or Symptom.OTHER,
        target=kubernetes_target(split, cluster, cluster_name) if cluster or cluster_name else None,
        dimensions=dimensions,
        labels=labels,
        facts={
            "condition_type": context.text("conditionType"),
            "metric": first.text("metricName"),
            "metric_namespace": first.text("metricNamespace"),
            "value": first.number("metricValue"),
            "operator": first.text("operator"),
            "threshold": first.number("threshold"),
            "aggregation": first.text("timeAggregation"),
            "window": criteria.text("windowSize"),
            "sensitivity": first.text("alertSensitivity"),
            "web_test": first.text("webTestName"),
            "query": first.text("searchQuery"),
            "results": first.text("linkToFilteredSearchResultsAPI", "linkToSearchResultsAPI"),
            "criteria": float(len(all_of)) if len(all_of) > 1 else None,
        },
        notes=() if all_of else ("no criteria in alertContext.condition.allOf",),
    )


def _log_v1(essentials: Fields, context: Fields) -> Context:
    """Log alerts of before API version 2020-05-01. Their embedded rows are not taken: the query can be asked again."""
    return Context(
        symptom=symptom_of_rule(essentials.text("alertRule") or "") or Symptom.OTHER,
        dimensions=tuple(_dimensions(context)),
        facts={
            "condition_type": context.text("AlertType"),
            "value": context.number("ResultCount"),
            "operator": context.text("Operator"),
            "threshold": context.number("Threshold"),
            "window": _minutes(context.number("SearchIntervalInMinutes")),
            "query": context.text("SearchQuery"),
            "results": context.text("LinkToFilteredSearchResultsAPI", "LinkToSearchResultsAPI"),
        },
    )


def _prometheus(essentials: Fields, context: Fields) -> Context:
    """The target is the Azure Monitor workspace; what is wrong is in the cluster that the labels name."""
    labels = dict(context.fields("labels").words())
    rule = labels.get("alertname") or (essentials.text("alertRule") or "").partition("/")[2]
    cluster_id = labels.get("microsoft.resourceid")
    cluster = labels.get("cluster") or next(iter(essentials.texts("configurationItems")), None)
    annotations = context.fields("annotations")
    known = cluster_id or cluster
    somewhere = Target(resource=cluster_id, cluster=None if cluster_id else cluster) if known else None
    return Context(
        symptom=symptom_of_rule(rule) or Symptom.OTHER,
        title=annotations.text("summary", "title"),
        target=kubernetes_target(labels, cluster_id, cluster) or somewhere,
        dimensions=tuple(labels.items()),
        facts={
            "expression": context.text("expression"),
            "value": context.number("expressionValue"),
            "for": context.text("for"),
            "summary": annotations.text("description", "message"),
            "runbook_url": annotations.text("runbook_url"),
            "rule_group": context.text("ruleGroup"),
        },
    )


def _resource_health(essentials: Fields, context: Fields) -> Context:
    """A recovery is told by a further record that fired, with the status Available."""
    properties = context.fields("properties")
    status = properties.text("currentHealthStatus")
    recovered = status.casefold() == "available" if status else _squeezed(context.text("status")) == "resolved"
    targets = sorted(target.casefold().rstrip("/") for target in essentials.texts("alertTargetIDs"))
    return Context(
        symptom=Symptom.RESOURCE_UNHEALTHY,
        identity=("resource-health", *targets) if targets else (),
        title=properties.text("title"),
        is_record=True,
        condition=Condition.RESOLVED if recovered else Condition.FIRED,
        told_at=context.time("eventTimestamp", "submissionTimestamp"),
        facts={
            "status": status,
            "status_before": properties.text("previousHealthStatus"),
            "type": properties.text("type"),
            "cause": properties.text("cause"),
            "details": properties.text("details"),
        },
        notes=() if status else ("no currentHealthStatus",),
    )


def _service_health(essentials: Fields, context: Fields) -> Context:
    """One incident or maintenance is told in many records, which have a tracking id in common."""
    properties = context.fields("properties")
    stage = _squeezed(properties.text("stage"))
    over = stage in ("resolved", "complete", "completed", "canceled", "cancelled", "rca")
    kind = _squeezed(properties.text("incidentType")) or _squeezed(context.text("operationName"))
    tracking_id = properties.text("trackingId")
    targets = sorted(target.casefold().rstrip("/") for target in essentials.texts("alertTargetIDs"))
    symptom = Symptom.MAINTENANCE if "maintenance" in kind else Symptom.SERVICE_INCIDENT
    return Context(
        symptom=Symptom.SECURITY if "security" in kind else symptom,
        identity=("service-health", tracking_id, *targets) if tracking_id else (),
        title=properties.text("title", "defaultLanguageTitle"),
        is_record=True,
        condition=Condition.RESOLVED if over else Condition.FIRED,
        told_at=context.time("eventTimestamp", "submissionTimestamp"),
        facts={
            "tracking_id": tracking_id,
            "incident_type": properties.text("incidentType"),
            "stage": properties.text("stage"),
            "service": properties.text("service"),
            "region": properties.text("region"),
            "services": ", ".join(_impacted(properties)) or None,
            "impact_from": _instant(properties.time("impactStartTime")),
            "impact_until": _instant(properties.time("impactMitigationTime")),
        },
        notes=() if tracking_id else ("no trackingId",),
    )


def _impacted(properties: Fields) -> list[str]:
    """`Service (Region, Region)` for each; the list is a list, or one as JSON text."""
    found: list[str] = []
    for item in properties.items("impactedServices"):
        service = Fields(item)
        regions = [Fields(region).text("RegionName") for region in service.items("ImpactedRegions")]
        if name := service.text("ServiceName"):
            found.append(f"{name} ({', '.join(region for region in regions if region)})")
    return found


def _activity_log(context: Fields, service: str, condition: Condition) -> Context:
    status = context.text("status")
    by_service = {"activitylogsecurity": Symptom.SECURITY, "activitylogautoscale": Symptom.AUTOSCALED}
    failed = (status or "").casefold() in ("failed", "failure")
    operation = context.text("operationName")
    properties = context.fields("properties")
    return Context(
        symptom=by_service.get(service, Symptom.RESOURCE_OPERATION_FAILED if failed else Symptom.OTHER),
        dimensions=tuple((name, text) for name, text in (("operation", operation), ("status", status)) if text),
        is_record=True,
        condition=condition,
        told_at=context.time("eventTimestamp", "submissionTimestamp"),
        facts={
            "level": context.text("level"),
            "sub_status": context.text("subStatus"),
            "correlation_id": context.text("correlationId"),
            "status_code": properties.text("statusCode"),
            "message": properties.text("statusMessage", "description", "message"),
            "scope": context.fields("authorization").text("scope"),
        },
    )


def _smart_detector(context: Fields) -> Context:
    detector = context.text("SmartDetectorId")
    return Context(
        symptom=Symptom.ANOMALY,
        title=context.text("DetectionSummary"),
        dimensions=(("detector", detector),) if detector else (),
        facts={
            "detector": context.text("SmartDetectorName"),
            "detected": context.text("DetectedValue"),
            "normal": context.text("NormalValue"),
        },
    )


def _budget(context: Fields) -> Context:
    """Budgets have neither rule nor targets; amounts come as text with a currency and stay so."""
    data = context.fields("AlertData")
    budget = data.text("BudgetId", "BudgetName")
    threshold = data.text("NotificationThresholdAmount", "BudgetThreshold") or ""
    kind = data.text("ThresholdType") or ""
    scope = (data.text("Scope") or "").rstrip("/")
    return Context(
        symptom=Symptom.BUDGET_EXCEEDED,
        title=f"budget {data.text('BudgetName') or budget}: {kind.casefold() or 'spending'} over {threshold}",
        target=Target(resource=scope) if scope else None,
        identity=("budget", budget, kind, threshold) if budget else (),
        facts={
            "category": context.text("AlertCategory"),
            "budget": budget,
            "threshold_type": kind or None,
            "threshold": threshold or None,
            "spent": data.text("SpentAmount"),
            "forecast": data.text("ForecastedTotalForPeriod"),
            "unit": data.text("Unit"),
            "period_from": data.text("BudgetStartDate"),
        },
    )


def _dimensions(criterion: Fields) -> list[tuple[str, str]]:
    pairs = [Fields(item) for item in criterion.items("dimensions")]
    return [(name, pair.text("value") or "") for pair in pairs if (name := pair.text("name"))]


def _minutes(count: float | None) -> str | None:
    return f"PT{count:g}M" if count is not None else None


def _instant(time: datetime | None) -> str | None:
    return time.isoformat() if time else None


def _squeezed(text: str | None) -> str:
    return "".join(character for character in (text or "").casefold() if character.isalnum())
