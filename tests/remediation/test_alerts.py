"""Alerts of Azure: closed after a verified repair, left alone where others had their word; and what no alert told."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from local.azure.alerts import Alert
from local.azure.faults import Fault
from local.kubernetes.simulator import KubernetesSimulator
from tests.remediation import test_kubernetes
from tests.remediation.running import Team
from tests.remediation.test_kubernetes import a_failed_job, repetitions
from tests.remediation.test_kubernetes import told as job_told
from tests.remediation.test_sessions import a_lock, server_of, waiters

cluster = test_kubernetes.cluster
RULE = "odoo-lock-waits"
METRIC = "sessions_by_wait_event_type"


def fired(team: Team, target: str, rule: str = RULE, **said: Any) -> Alert:
    """Azure Monitor raises an alert about sessions that wait for locks."""
    criterion = {
        "metricName": METRIC,
        "metricNamespace": "Microsoft.DBforPostgreSQL/flexibleServers",
        "operator": "GreaterThan",
        "threshold": "3",
        "timeAggregation": "Maximum",
        "dimensions": [{"name": "WaitEventType", "value": "Lock"}],
        "metricValue": 5,
    }
    context = {
        "conditionType": "SingleResourceMultipleMetricCriteria",
        "condition": {"windowSize": "PT5M", "allOf": [criterion]},
    }
    return team.estate.azure.alerts.fire(target, rule, context, **said)


def delivered(team: Team, alert: Alert) -> str:
    """The remediation of the alert that an action group delivers."""
    (signal,) = team.tell(alert.delivery)["signals"]
    return signal["remediation"]


@pytest.fixture(autouse=True)
def no_faults(team: Team) -> Iterator[None]:
    yield
    team.estate.azure.faults.clear()
    team.estate.azure.arm.denied.clear()
    team.estate.clusters["production", "main"].faults.clear()


def test_the_alert_is_closed_with_a_comment_once_the_repair_is_verified(team: Team) -> None:
    server, dsn = server_of(team.estate)
    alert = fired(team, server)
    with a_lock(dsn, waiting=1):
        remediation = delivered(team, alert)
        assert team.outcome(remediation)["outcome"] == "fixed"
        assert waiters(dsn) == 0
    assert (alert.state, alert.condition) == ("Closed", "Fired")
    (change,) = [each for each in alert.history if each["modificationEvent"] == "StateChange"]
    assert remediation in change["comments"]
    assert "idle in a transaction" in change["comments"]
    (record,) = team.app.records(f"{remediation}:{alert.name}")
    assert (record["kind"], record["body"]["became"]) == ("alert_closed", "closed")


@pytest.mark.parametrize("word", ["resolved", "closed-by-another"])
def test_what_azure_monitor_resolved_or_a_person_closed_is_left_alone(team: Team, word: str) -> None:
    server, dsn = server_of(team.estate)
    alert = fired(team, server, f"{RULE}-{word}")
    with a_lock(dsn, waiting=1):
        if word == "resolved":
            remediation = delivered(team, alert)
            team.estate.azure.alerts.resolve(alert)
        else:
            team.estate.azure.alerts.change_state(alert, "Closed", "ada@contoso.com", "known")
            remediation = delivered(team, alert)
        history = len(alert.history)
        assert team.outcome(remediation)["outcome"] == "fixed"
    assert len(alert.history) == history
    (record,) = team.app.records(f"{remediation}:{alert.name}")
    assert record["body"]["became"] == word


def test_a_repair_stands_when_azure_does_not_let_its_alert_be_closed_and_the_poll_closes_it(team: Team) -> None:
    server, dsn = server_of(team.estate)
    alert = fired(team, server, f"{RULE}-denied")
    team.estate.azure.arm.denied.add("Microsoft.AlertsManagement/alerts/changestate/action")
    with a_lock(dsn, waiting=1):
        remediation = delivered(team, alert)
        assert team.outcome(remediation)["outcome"] == "fixed"
    assert alert.state == "New"
    (record,) = team.app.records(f"{remediation}:alerts")
    assert record["kind"] == "alert_not_closed"
    assert "does not have authorization" in record["body"]["failed"]
    team.estate.azure.arm.denied.clear()
    # The answer to the closing is lost: it is closed all the same, and once.
    lost = team.estate.azure.faults.add(Fault(service="arm", path="changestate", drop="after"))
    team.reconciled(lambda: bool(team.app.records(f"{remediation}:{alert.name}")))
    assert lost.applied == 1
    changes = [each for each in alert.history if each["modificationEvent"] == "StateChange"]
    assert [change["newValue"] for change in changes] == ["Closed"]
    (closed,) = team.app.records(f"{remediation}:{alert.name}")
    assert closed["body"]["became"] == "closed"


def test_an_open_alert_that_nobody_delivered_is_found_and_delivered_late_it_is_the_same_fault(team: Team) -> None:
    server, dsn = server_of(team.estate)
    alert = fired(team, server, f"{RULE}-lost")
    with a_lock(dsn, waiting=1):
        found = team.reconciled(lambda: titled(team, alert.rule))
        assert found["outcome"] == "fixed", found
    team.app.await_that(lambda: alert.state == "Closed", 60)
    (late,) = team.tell(alert.delivery)["signals"]
    assert (late["verdict"], late["remediation"]) == ("outdated", found["id"])


def test_a_failed_job_that_no_alert_told_of_is_run_again_and_a_late_alert_does_nothing_more(
    team: Team, cluster: KubernetesSimulator
) -> None:
    a_failed_job(cluster, "nightly-dump-71", log="Connection refused")
    found = team.reconciled(lambda: titled(team, "nightly-dump-71"))
    assert (found["outcome"], found["symptom"]) == ("fixed", "job-failed"), found
    assert len(repetitions(cluster, "nightly-dump-71")) == 1
    late = team.outcome(job_told(team, "job-failed", "job/nightly-dump-71"))
    assert late["outcome"] == "nothing-wrong", late
    assert len(repetitions(cluster, "nightly-dump-71")) == 1


def test_one_place_that_cannot_be_reached_does_not_hold_up_the_others_and_is_told_once(team: Team) -> None:
    server, dsn = server_of(team.estate)
    faults = team.estate.clusters["production", "main"].faults
    faults.add(Fault(service="kubernetes", path="/jobs", status=403, times=None, message="you may not list jobs"))
    alert = fired(team, server, f"{RULE}-beside")
    with a_lock(dsn, waiting=1):
        assert team.reconciled(lambda: titled(team, alert.rule))["outcome"] == "fixed"
    name = team.estate.environments["production"].clusters["main"].id.name
    listed = team.api.get("/api/remediations").json()["not_looked_at"]
    (missing,) = [one for one in listed if one["place"] == f"cluster {name}"]
    assert "you may not list jobs" in missing["why"]
    events = [kept.event for kept in team.estate.azure.events.received if kept.event.type.endswith(".NotLookedAt")]
    told = {event.id: event.body for event in events if "you may not list jobs" in str(event.body)}
    assert len(told) == 1, ("once, though it was looked again", told)
    faults.clear()
    places = lambda: [one["place"] for one in team.api.get("/api/remediations").json()["not_looked_at"]]  # noqa: E731
    team.reconciled(lambda: f"cluster {name}" not in places())


def test_who_gets_a_fault_is_shown_what_went_on_around_it(team: Team) -> None:
    server, dsn = server_of(team.estate)
    team.estate.azure.activity_log.add(server, "Microsoft.DBforPostgreSQL/flexibleServers/restart/action")
    with a_lock(dsn, waiting=1, application="pg_dump"):
        alert = team.fires("sessions-blocked", "around", resource=server)
        (signal,) = team.tell(alert)["signals"]
        result = team.outcome(signal["remediation"])
    assert (result["outcome"], result["case"]) == ("escalated", "protected"), result
    told = "\n".join(result["around"])
    assert "flexibleServers/restart/action Succeeded" in told
    assert "ada@contoso.com" not in told, "who did it is nobody's business here"
    assert "changed by us in the last two hours" in told, "the sessions that were ended before"


def test_what_only_explains_is_not_missed(team: Team) -> None:
    server, dsn = server_of(team.estate)
    team.estate.azure.arm.denied.add("Microsoft.Insights/*")
    with a_lock(dsn, waiting=1):
        (signal,) = team.tell(team.fires("sessions-blocked", "unseen", resource=server))["signals"]
        result = team.outcome(signal["remediation"])
    assert result["outcome"] == "fixed", result
    assert any(line.startswith("could not be seen: operations") for line in result["around"]), result


def test_a_certificate_near_its_expiry_goes_to_a_human_with_what_to_do(team: Team) -> None:
    event = {
        "id": "expiry-1",
        "topic": "/subscriptions/s/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv-erp",
        "subject": "ebics-bank",
        "eventType": "Microsoft.KeyVault.CertificateNearExpiry",
        "eventTime": datetime.now(UTC).isoformat(),
        "data": {"VaultName": "kv-erp", "ObjectType": "Certificate", "ObjectName": "ebics-bank", "EXP": 1893456000},
        "dataVersion": "1",
    }
    (signal,) = team.tell([event])["signals"]
    result = team.outcome(signal["remediation"])
    assert (result["outcome"], result["case"]) == ("escalated", "certificate"), result
    assert "ebics-bank of kv-erp, at 2030-01-01" in result["says"]
    assert (
        "az keyvault certificate create --vault-name kv-erp --name ebics-bank --policy @policy.json"
        in (result["commands"])
    )


def titled(team: Team, title: str) -> dict[str, Any]:
    """The remediation of that title that has an outcome; nothing until it has."""
    listed = team.api.get("/api/remediations", params={"open": "false"}).json()["value"]
    return next((one for one in listed if title in one["title"] and one["outcome"]), {})
