"""Alerts of Azure: closed after a verified repair, left alone where others had their word; and what no alert told."""

from collections.abc import Iterator
from typing import Any

import pytest

from local.azure.alerts import Alert
from local.azure.faults import Fault
from tests.remediation.running import Team
from tests.remediation.test_sessions import a_lock, server_of, waiters

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
    reconciled(team, lambda: bool(team.app.records(f"{remediation}:{alert.name}")))
    assert lost.applied == 1
    changes = [each for each in alert.history if each["modificationEvent"] == "StateChange"]
    assert [change["newValue"] for change in changes] == ["Closed"]
    (closed,) = team.app.records(f"{remediation}:{alert.name}")
    assert closed["body"]["became"] == "closed"


def reconciled(team: Team, holds: Any, seconds: float = 90) -> Any:
    """Fire the poll, as its timer does again and again, until that holds."""

    def fire_and_ask() -> Any:
        team.app.fire("remediation_reconcile")
        team.app.await_idle()
        return holds()

    return team.app.await_that(fire_and_ask, seconds)
