import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.job_remediation.signal import Condition, Severity
from shared.job_remediation.symptoms import Symptom
from tests.job_remediation import deliveries
from tests.job_remediation.deliveries import CLUSTER, SERVER, azure_alert, metric_context, prometheus_alert
from tests.job_remediation.places import NOW, reading, the_signal


def test_metric_alert_says_what_crossed_which_threshold() -> None:
    signal = the_signal(azure_alert(metric_context()))
    assert signal.symptom is Symptom.CONNECTIONS_HIGH
    assert (signal.facts["value"], signal.facts["operator"], signal.facts["threshold"]) == (97.0, "GreaterThan", 85.0)
    assert signal.fired_at == datetime(2026, 11, 20, 10, 0, 0, 123456, tzinfo=UTC)
    assert signal.severity is Severity.WARNING
    assert signal.alert_id == deliveries.ALERT


def test_numbers_may_be_text_and_text_may_be_numbers() -> None:
    signal = the_signal(azure_alert(metric_context(metricValue="97.5", threshold=85), severity=1))
    assert (signal.facts["value"], signal.facts["threshold"], signal.severity) == (97.5, 85.0, Severity.ERROR)


def test_dynamic_threshold() -> None:
    signal = the_signal(deliveries.DYNAMIC)
    assert (signal.facts["threshold"], signal.facts["sensitivity"]) == (47658.25, "High")


def test_availability_test_in_both_spellings() -> None:
    for metric in ("Failed Location", "FailedLocation"):
        context = metric_context(metric, metricNamespace=None, webTestName="login page")
        context["conditionType"] = "WebtestLocationAvailabilityCriteria"
        signal = the_signal(azure_alert(context))
        assert signal.symptom is Symptom.ENDPOINT_DOWN
        assert signal.facts["web_test"] == "login page"


def test_old_log_alert_with_its_own_times_and_names() -> None:
    signal = the_signal(deliveries.LOG_V1)
    assert signal.fired_at == datetime(2019, 3, 22, 13, 52, 5, tzinfo=UTC)
    assert (signal.facts["value"], signal.facts["threshold"], signal.facts["window"]) == (2.0, 10000.0, "PT15M")
    assert signal.facts["label.computer"] == "one"


def test_activity_log_in_both_spellings_is_one_fault_and_names_nobody() -> None:
    one, other = the_signal(deliveries.ACTIVITY_LOG), the_signal(deliveries.ACTIVITY_LOG_WITHOUT_BLANK)
    assert one.symptom is other.symptom is Symptom.RESOURCE_OPERATION_FAILED
    assert one.fingerprint == other.fingerprint
    assert one.fired_at == datetime(2026, 11, 20, 9, 59, tzinfo=UTC)
    assert "alice" not in str(one)


def test_recovery_of_a_resource_is_told_by_another_record_that_fired() -> None:
    down = the_signal(deliveries.resource_health("Unavailable", "2026-11-20T10:00:00Z"))
    up = the_signal(deliveries.resource_health("Available", "2026-11-20T10:07:00Z", "Resource Health"))
    assert (down.condition, up.condition) == (Condition.FIRED, Condition.RESOLVED)
    assert down.fingerprint == up.fingerprint
    assert (down.fired_at, up.fired_at) == (datetime(2026, 11, 20, 10, tzinfo=UTC), None)
    assert up.resolved_at == datetime(2026, 11, 20, 10, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    "services",
    [
        [{"ServiceName": "Storage", "ImpactedRegions": [{"RegionName": "West Europe"}]}],
        '[{"ImpactedRegions":[{"RegionName":"West Europe"}],"ServiceName":"Storage"}]',
    ],
    ids=["list", "JSON text"],
)
def test_service_health_is_one_fault_by_its_tracking_id(services: Any) -> None:
    active = the_signal(deliveries.service_health("Active", "2026-11-20T10:00:00Z", services))
    over = the_signal(deliveries.service_health("Resolved", "2026-11-20T11:00:00Z", services))
    assert active.symptom is Symptom.SERVICE_INCIDENT
    assert active.facts["services"] == "Storage (West Europe)"
    assert (active.condition, over.condition) == (Condition.FIRED, Condition.RESOLVED)
    assert active.fingerprint == over.fingerprint


def test_prometheus_alert_is_about_the_object_that_its_labels_name() -> None:
    signal = the_signal(prometheus_alert())
    assert signal.symptom is Symptom.JOB_FAILED
    assert (signal.target.resource, signal.target.namespace, signal.target.object) == (
        CLUSTER,
        "odoo-acme",
        "job/dump-1",
    )
    assert str(signal.target) == "aks-erp/job/odoo-acme/dump-1"
    assert (signal.environment, signal.tenant) == ("production", "acme")


def test_prometheus_alert_without_the_cluster_id_names_the_cluster() -> None:
    signal = the_signal(prometheus_alert(**{"microsoft.resourceid": ""}))
    assert (signal.target.resource, signal.target.cluster) == (None, "aks-erp")
    assert (signal.environment, signal.tenant) == ("production", "acme")


def test_prometheus_alerts_of_one_rule_are_told_apart_by_labels() -> None:
    assert the_signal(prometheus_alert()).fingerprint != the_signal(prometheus_alert(job_name="dump-2")).fingerprint
    resolved = the_signal(prometheus_alert(condition="Resolved"))
    assert resolved.fingerprint == the_signal(prometheus_alert()).fingerprint


def test_same_fault_whatever_the_case_and_the_order() -> None:
    dimensions = [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}]
    one = azure_alert(metric_context(dimensions=dimensions), alertTargetIDs=[SERVER, CLUSTER])
    other = azure_alert(
        metric_context(dimensions=dimensions[::-1], metricValue=99),
        alertTargetIDs=[CLUSTER.upper(), SERVER.lower() + "/"],
        alertId="another",
        monitorCondition="Resolved",
        resolvedDateTime="2026-11-20T10:20:00Z",
        severity="Sev0",
    )
    assert the_signal(one).fingerprint == the_signal(other).fingerprint


@pytest.mark.parametrize(
    "changed",
    [
        {"alertRule": "another rule"},
        {"alertTargetIDs": [CLUSTER]},
        {"context": metric_context(dimensions=[{"name": "a", "value": "1"}])},
        {"context": metric_context("is_db_alive")},
    ],
    ids=["rule", "target", "dimension", "metric"],
)
def test_another_fault(changed: dict[str, Any]) -> None:
    usual = the_signal(azure_alert(metric_context()))
    assert the_signal(azure_alert(**{"context": metric_context(), **changed})).fingerprint != usual.fingerprint


def test_custom_properties_tell_tenant_and_symptom_and_may_be_missing_when_it_resolves() -> None:
    custom = {"Tenant": "globex", "symptom": "SESSIONS_BLOCKED"}
    fired = the_signal(azure_alert(metric_context(), custom))
    resolved = the_signal(azure_alert(metric_context(), monitorCondition="Resolved"))
    assert (fired.symptom, fired.tenant) == (Symptom.SESSIONS_BLOCKED, "globex")
    assert resolved.fingerprint == fired.fingerprint
    assert resolved.tenant is None, "the server is shared, and nothing says whose it is"


def test_unknown_symptom_is_said_and_ignored() -> None:
    signal = the_signal(azure_alert(metric_context(), {"symptom": "bad luck"}))
    assert signal.symptom is Symptom.CONNECTIONS_HIGH
    assert signal.notes == ("symptom bad luck is not known: taken as connections-high",)


@pytest.mark.parametrize("custom", [None, [], "", "text", {"tenant": None}])
def test_custom_properties_may_be_anything(custom: Any) -> None:
    alert = azure_alert(metric_context())
    alert["data"]["customProperties"] = custom
    assert the_signal(alert).tenant is None


@pytest.mark.parametrize("absent", ["alertContext", "customProperties"])
def test_parts_may_be_missing(absent: str) -> None:
    alert = azure_alert(metric_context(), {})
    del alert["data"][absent]
    assert the_signal(alert).target.resource == SERVER


@pytest.mark.parametrize("allof", [None, [], [None], "", {}, [[]], {"metricName": "active_connections"}])
def test_criteria_may_be_empty_odd_or_a_single_one(allof: Any) -> None:
    context = metric_context()
    context["condition"]["allOf"] = allof
    expected = Symptom.CONNECTIONS_HIGH if isinstance(allof, dict) and allof else Symptom.OTHER
    assert the_signal(azure_alert(context)).symptom is expected


@pytest.mark.parametrize(
    ("targets", "resource"),
    [([], None), (SERVER, SERVER), (f'["{SERVER}"]', SERVER), ([None, SERVER, True, {}], SERVER), (None, None)],
)
def test_targets_may_be_a_list_one_or_json_text(targets: Any, resource: str | None) -> None:
    alert = azure_alert(metric_context())
    alert["data"]["essentials"]["alertTargetIDs"] = targets
    assert the_signal(alert).target.resource == resource


def test_resolution_without_its_time_speaks_of_the_time_it_fired() -> None:
    signal = the_signal(azure_alert(metric_context(), monitorCondition="Resolved"))
    assert signal.resolved_at is None
    assert signal.as_of == signal.fired_at


def test_future_and_missing_times_are_taken_as_received() -> None:
    for time in ("2099-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "soon", "", "9999-12-31T23:59:59-12:00"):
        signal = the_signal(azure_alert(metric_context(), firedDateTime=time))
        assert signal.fired_at == NOW, time
        assert len(signal.notes) == 1


@pytest.mark.parametrize(
    ("essentials", "missing"),
    [
        ({"monitorCondition": None}, ("data.essentials.monitorCondition",)),
        ({"monitorCondition": "Unsure"}, ("data.essentials.monitorCondition",)),
        ({"alertRule": None, "alertTargetIDs": None, "alertId": None}, ("data.essentials.alertRule",)),
    ],
)
def test_what_cannot_be_told_apart_is_kept(essentials: dict[str, Any], missing: tuple[str, ...]) -> None:
    alert = azure_alert(metric_context(), **essentials)
    found = reading(alert)
    assert found.signals == ()
    (kept,) = found.unrecognised
    assert kept.missing == missing
    assert kept.payload == deliveries.body(alert)


def test_old_schema_tells_how_to_get_the_common_one() -> None:
    (kept,) = reading({"schemaId": "AzureMonitorMetricAlert", "data": {"status": "Activated"}}).unrecognised
    assert "enable the common alert schema" in kept.reason


def test_large_alert_gives_a_small_signal() -> None:
    context = metric_context(dimensions=[{"name": f"d{n}", "value": "x" * 5000} for n in range(200)])
    signal = the_signal(azure_alert(context, {"a" * 3000: "b" * 3000}, description="c" * 9000, alertRule="d" * 9000))
    assert len(str(signal)) < 60_000
    assert len(signal.facts) == 60
    assert any("facts left out" in note for note in signal.notes)


def test_names_in_any_case_are_the_same() -> None:
    alert = azure_alert(metric_context(), {"tenant": "acme"})

    def shouted(value: Any) -> Any:
        if isinstance(value, dict):
            return {f" {name.upper()} ": shouted(item) for name, item in value.items()}
        return [shouted(item) for item in value] if isinstance(value, list) else copy.copy(value)

    quiet, loud = the_signal(alert), the_signal(shouted(alert))
    assert (quiet.fingerprint, quiet.facts, quiet.tenant) == (loud.fingerprint, loud.facts, loud.tenant)


@pytest.mark.parametrize(
    "kind", ["metric", "dynamic", "log v1", "activity log", "resource health", "service health", "prometheus"]
)
def test_what_resolves_has_the_fingerprint_of_what_fired_whatever_else_differs(kind: str) -> None:
    fired = copy.deepcopy(deliveries.ALL[kind])
    fired["data"]["customProperties"] = {"tenant": "acme", "symptom": "cron-overdue", "note": "x"}
    resolved = copy.deepcopy(deliveries.ALL[kind])
    essentials = resolved["data"]["essentials"]
    essentials |= {
        "monitorCondition": "Resolved",
        "resolvedDateTime": "2026-11-20T11:00:00.7654321Z",
        "severity": "Sev4",
    }
    essentials |= {
        "description": "",
        "originAlertId": None,
        "alertTargetIDs": [t.lower() for t in essentials["alertTargetIDs"]],
    }
    one, other = the_signal(fired), the_signal(resolved)
    assert (one.condition, other.condition) == (Condition.FIRED, Condition.RESOLVED)
    assert one.fingerprint == other.fingerprint


def test_the_first_target_of_several_does_not_depend_on_their_order() -> None:
    names = [f"/subscriptions/S/resourceGroups/{letter}" for letter in "bCAd"]
    orders = [names, names[::-1], names[2:] + names[:2]]
    signals = [the_signal(azure_alert(metric_context(), alertTargetIDs=order)) for order in orders]
    assert {signal.target.resource for signal in signals} == {"/subscriptions/S/resourceGroups/A"}
    assert signals[0].facts["other_targets"] == ", ".join(f"/subscriptions/S/resourceGroups/{one}" for one in "bCd")


def test_without_rule_and_targets_alerts_are_told_apart_by_their_ids() -> None:
    def alert(alert_id: str) -> Any:
        return azure_alert(metric_context(), alertRule=None, alertTargetIDs=None, alertId=alert_id)

    assert the_signal(alert("/a/1")).fingerprint == the_signal(alert("/A/1")).fingerprint
    assert the_signal(alert("/a/1")).fingerprint != the_signal(alert("/a/2")).fingerprint


def test_budgets_are_told_apart_by_budget_kind_and_threshold() -> None:
    def budget(**data: str) -> Any:
        usual = {
            "BudgetId": "/b/1",
            "BudgetName": "one",
            "ThresholdType": "Actual",
            "NotificationThresholdAmount": "$25",
        }
        context = {"AlertCategory": "budgets", "AlertData": {**usual, **data, "SpentAmount": "$11,111.00"}}
        return azure_alert(
            context, alertRule=None, alertTargetIDs=None, severity=None, signalType=None, monitoringService="CostAlerts"
        )

    usual = the_signal(budget())
    assert (usual.symptom, usual.severity, usual.facts["spent"]) == (
        Symptom.BUDGET_EXCEEDED,
        Severity.WARNING,
        "$11,111.00",
    )
    others = [budget(BudgetId="/b/2"), budget(ThresholdType="Forecasted"), budget(NotificationThresholdAmount="$50")]
    assert len({usual.fingerprint, *(the_signal(other).fingerprint for other in others)}) == 4
