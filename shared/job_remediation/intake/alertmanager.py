"""Alertmanager's webhook, version 4 (prometheus/alertmanager docs/configuration.md, `webhook_config`)."""

from shared.job_remediation.intake.kubernetes_labels import kubernetes_target
from shared.job_remediation.intake.observation import Found, Observation, Unreadable
from shared.job_remediation.intake.values import Fields, Json
from shared.job_remediation.signal import Condition, Severity, Source, Target
from shared.job_remediation.symptoms import Symptom, symptom_of_rule

_CONDITIONS = {"firing": Condition.FIRED, "fired": Condition.FIRED, "resolved": Condition.RESOLVED}
_SEVERITIES = {
    "critical": Severity.CRITICAL,
    "page": Severity.CRITICAL,
    "error": Severity.ERROR,
    "major": Severity.ERROR,
    "info": Severity.INFORMATIONAL,
    "informational": Severity.INFORMATIONAL,
    "none": Severity.VERBOSE,
}
_MOST_ALERTS = 5_000


def is_alertmanager(item: Fields) -> bool:
    """Whether it is meant as a notification of Alertmanager."""
    return "alerts" in item and ("groupKey" in item or "receiver" in item or "groupLabels" in item)


def read_alertmanager(item: Fields) -> Found:
    """What each of its alerts says. One that cannot be read does not hold up the others."""
    alerts = item.items("alerts")
    found: Found = [_read(alert, item) for alert in alerts[:_MOST_ALERTS]]
    left_out = len(alerts[_MOST_ALERTS:]) + int(item.number("truncatedAlerts") or 0)
    if left_out > 0:
        found.append(Unreadable(f"{left_out} alerts left out: set max_alerts of the webhook_config to 0", ("alerts",)))
    return found or [Unreadable("a notification without alerts", ("alerts",))]


def _read(alert: Json, group: Fields) -> Observation | Unreadable:
    """Alerts are told apart by their labels alone, as Alertmanager does; the group's own status is that of any."""
    fields = Fields(alert)
    labels = dict(fields.fields("labels").words())
    condition = _CONDITIONS.get((fields.text("status") or "").casefold())
    if condition is None or not labels:
        absent = (("alerts[].status", condition is None), ("alerts[].labels", not labels))
        return Unreadable("an alert that does not say what of, or its state", tuple(path for path, no in absent if no))
    annotations = fields.fields("annotations")
    rule = labels.get("alertname", "")
    cluster_id, cluster = labels.get("microsoft.resourceid"), labels.get("cluster")
    target = kubernetes_target(labels, cluster_id, cluster)
    return Observation(
        source=Source.ALERTMANAGER,
        condition=condition,
        symptom=symptom_of_rule(rule) or Symptom.OTHER,
        title=annotations.text("summary", "title", "message", "description") or rule,
        identity=tuple(f"{name}={value}" for name, value in sorted(labels.items())),
        severity=_SEVERITIES.get(labels.get("severity", "").casefold(), Severity.WARNING),
        target=target or Target(resource=cluster_id, cluster=None if cluster_id else cluster),
        fired_at=fields.time("startsAt"),
        resolved_at=fields.time("endsAt") if condition is Condition.RESOLVED else None,
        labels=labels,
        facts={
            "rule": rule or None,
            "description": annotations.text("description", "message"),
            "runbook_url": annotations.text("runbook_url"),
            "generator": fields.text("generatorURL"),
            "receiver": group.text("receiver"),
            "group": group.text("groupKey"),
            "alertmanager": group.text("externalURL"),
        },
    )
