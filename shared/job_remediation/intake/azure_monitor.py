"""Azure Monitor's common alert schema (alerts-common-schema, alerts-payload-samples, 2026-07-08).

A rule may fire once only while its alert is open, and one alert may be told several times, by several action groups.
The fault is therefore told apart by the rule, its targets and the dimensions that it was split by, which are the same
whenever it fires and resolves; not by the alert's id, of which a rule without state has a new one at each evaluation.
"""

from collections.abc import Mapping

from shared.job_remediation.intake.azure_monitor_contexts import Context, read_context
from shared.job_remediation.intake.observation import Found, Observation, Unreadable
from shared.job_remediation.intake.values import Fields, Json, as_text
from shared.job_remediation.signal import Condition, Severity, Source, Target

_CONDITIONS = {
    "fired": Condition.FIRED,
    "activated": Condition.FIRED,
    "resolved": Condition.RESOLVED,
    "deactivated": Condition.RESOLVED,
}
_LONGEST_ID = 1_000


def is_common_alert(item: Fields) -> bool:
    """Whether it is meant as the common alert schema."""
    return item.text("schemaId") == "azureMonitorCommonAlertSchema" or bool(item.fields("data").fields("essentials"))


def is_legacy_alert(item: Fields) -> bool:
    """Whether it is one of the schemas of before, which an action group sends when it is not told otherwise."""
    schema = (item.text("schemaId") or "").casefold()
    return schema in ("azuremonitormetricalert", "microsoft.insights/activitylogs", "microsoft.insights/logalert")


def read_common_alert(item: Fields) -> Found:
    """What the alert says."""
    data = item.fields("data")
    essentials = data.fields("essentials")
    condition = _CONDITIONS.get((essentials.text("monitorCondition") or "").casefold())
    rule = essentials.text("alertRule")
    alert_id = _resource_id(essentials.text("alertId"))
    targets = sorted({_trimmed(target) for target in essentials.texts("alertTargetIDs")}, key=_by_case_last)
    missing = tuple(
        path
        for path, absent in (
            ("data.essentials.monitorCondition", condition is None),
            ("data.essentials.alertRule", not (rule or targets or alert_id)),
        )
        if absent
    )
    if condition is None or missing:
        return [Unreadable("an alert that does not say what of, or whether it fired or resolved", missing)]

    context = read_context(essentials, data.fields("alertContext"), condition)
    target = context.target or Target(resource=targets[0] if targets else None)
    fired_at = essentials.time("firedDateTime")
    notes = list(context.notes)
    if not data.fields("alertContext"):
        notes.append("no alertContext")
    identity = context.identity or ("rule", rule or "", *targets, *_split(context.dimensions))
    if not context.identity and not rule and not targets:
        identity = ("alert", alert_id or "")
    resolved_at = essentials.time("resolvedDateTime")
    if context.is_record:
        # Each record is an alert that fired. The one that tells the end does not know when the fault began.
        told_at = context.told_at or fired_at
        condition = Condition.RESOLVED if condition is Condition.RESOLVED else context.condition
        fired_at, resolved_at = (told_at, None) if condition is Condition.FIRED else (None, told_at)
    return [
        Observation(
            source=Source.AZURE_MONITOR,
            condition=condition,
            symptom=context.symptom,
            title=context.title or _title(rule or essentials.text("description") or "alert", target),
            identity=identity,
            severity=_severity(essentials.raw("severity")),
            target=target,
            fired_at=fired_at,
            resolved_at=resolved_at if condition is Condition.RESOLVED else None,
            alert_id=alert_id,
            labels=_labels(data, context),
            facts={
                "rule": rule,
                "monitoring_service": essentials.text("monitoringService"),
                "description": essentials.text("description"),
                "other_targets": ", ".join(targets[1:]) or None,
                **context.facts,
            },
            notes=tuple(notes),
        )
    ]


def _labels(data: Fields, context: Context) -> Mapping[str, str]:
    """The rule's custom properties, and what the alert was split by, which counts more since it is not written once."""
    own = dict(data.fields("customProperties").words())
    return {**own, **context.labels, **{name.casefold(): value for name, value in context.dimensions}}


def _split(dimensions: tuple[tuple[str, str], ...]) -> list[str]:
    return sorted(f"{name}={value}".casefold() for name, value in dimensions)


def _title(rule: str, target: Target) -> str:
    where = str(target).rpartition("/")[2] if target.object is None else str(target)
    return f"{rule} on {where}" if where else rule


def _severity(value: Json) -> Severity:
    """`Sev2`, `2` or 2; null, as budgets have it, is a warning."""
    text = (as_text(value) or "").casefold().removeprefix("sev")
    return Severity(int(text)) if text in {"0", "1", "2", "3", "4"} else Severity.WARNING


def _resource_id(text: str | None) -> str | None:
    return text[:_LONGEST_ID] if text else None


def _by_case_last(text: str) -> tuple[str, str]:
    return text.casefold(), text


def _trimmed(target: str) -> str:
    return target[:_LONGEST_ID].rstrip("/")
