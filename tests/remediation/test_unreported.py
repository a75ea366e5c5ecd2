"""What the poll takes for news: not what an alert told of, nor what is old, nor what came right by itself."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.job_remediation.collapse import Fault
from shared.job_remediation.evidence import Evidence
from shared.job_remediation.register import Known
from shared.job_remediation.signal import Condition, Severity, Signal, Source, Target
from shared.job_remediation.symptoms import Symptom
from shared.job_remediation.unreported import Finding, common_alert, failed_jobs, of_odoo, untold

NOW = datetime(2026, 1, 15, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
CLUSTER = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/aks-erp"
FOUND = Finding(
    symptom=Symptom.JOB_FAILED, title="Job dump-1 failed", since=NOW - HOUR, environment="production",
    cluster=CLUSTER, namespace="odoo", object="job/dump-1", also=frozenset({"cronjob/dump"}),
)  # fmt: skip


def known(symptom: Symptom, target: Target, *, fired: datetime, resolved: datetime | None = None) -> Known:
    signal = Signal(
        source=Source.PLAIN, condition=Condition.FIRED, fingerprint="f", symptom=symptom, title="t",
        severity=Severity.WARNING, target=target, environment="production", fired_at=fired, received_at=fired, raw="",
    )  # fmt: skip
    return Known(fault=Fault("f", fired, resolved, occurrences=1), signal=signal, begun_at=fired)


JOB = Target(CLUSTER, None, "odoo", "job/dump-1")
OPEN = {"fired": NOW}


@pytest.mark.parametrize(
    ("symptom", "target", "times", "is_told"),
    [
        (Symptom.JOB_FAILED, JOB, OPEN, True),
        (Symptom.JOB_FAILED, Target(None, "AKS-ERP", "odoo", "job/dump-1"), OPEN, True),
        (Symptom.BACKUP_FAILED, Target(CLUSTER, None, "odoo", "cronjob/dump"), OPEN, True),
        (Symptom.OUT_OF_MEMORY, Target(CLUSTER, None, "odoo", "pod/dump-1-x7x7x"), OPEN, True),
        (Symptom.JOB_FAILED, Target(CLUSTER, None, "odoo"), OPEN, True),
        (Symptom.JOB_FAILED, Target(CLUSTER, None, "odoo", "job/dump-2"), OPEN, False),
        (Symptom.JOB_FAILED, Target(CLUSTER, None, "other", "job/dump-1"), OPEN, False),
        (Symptom.CRASH_LOOP, JOB, OPEN, False),
        (Symptom.JOB_FAILED, JOB, {"fired": NOW - 3 * HOUR, "resolved": NOW}, True),
        (
            Symptom.JOB_FAILED,
            JOB,
            {"fired": NOW - 3 * HOUR, "resolved": NOW - 2 * HOUR},
            False,
        ),
    ],
)  # fmt: skip
def test_what_an_alert_told_of_in_its_words_is_no_news(
    symptom: Symptom, target: Target, times: dict[str, datetime], is_told: bool
) -> None:
    assert untold([FOUND], [known(symptom, target, **times)]) == ([] if is_told else [FOUND])


def test_what_is_told_again_is_the_same_fault() -> None:
    later = replace(FOUND, since=NOW)
    assert (FOUND.body["fault"], FOUND.body["fired_at"]) != (later.body["fault"], later.body["fired_at"])
    assert FOUND.body["fault"] == later.body["fault"]
    assert FOUND.body["fault"] != replace(FOUND, object="job/dump-2").body["fault"]


def job(name: str, state: str, ended: datetime, owner: str = "", **metadata: Any) -> dict[str, Any]:
    condition = {"type": state, "status": "True", "lastTransitionTime": ended.isoformat()}
    owners = [{"kind": "CronJob", "name": owner}] if owner else []
    made = {"name": name, "namespace": "odoo", "uid": f"u-{name}", "ownerReferences": owners, **metadata}
    made["creationTimestamp"] = (ended - HOUR).isoformat()
    pod = {"spec": {"containers": [{"name": "c"}]}}
    return {"metadata": made, "spec": {"template": pod}, "status": {"conditions": [condition]}}


@pytest.mark.parametrize(
    ("jobs", "found"),
    [
        ([job("a", "Failed", NOW - HOUR)], ["job/a"]),
        ([job("a", "Complete", NOW - HOUR)], []),
        ([job("a", "Failed", NOW - 25 * HOUR)], []),
        ([job("a", "Failed", NOW - 2 * HOUR, "cron"), job("b", "Failed", NOW - HOUR, "cron")], ["job/b"]),
        ([job("a", "Failed", NOW - 2 * HOUR, "cron"), job("b", "Complete", NOW - HOUR, "cron")], []),
        ([job("a", "Failed", NOW - HOUR, annotations={"closekeeper.io/rerun-of": "u"})], []),
    ],
)
def test_jobs_are_news_when_they_failed_lately_and_nothing_succeeded_since(
    jobs: list[dict[str, Any]], found: list[str]
) -> None:
    assert [one.object for one in failed_jobs("production", CLUSTER, jobs, NOW)] == found


def test_odoo_shows_what_is_news_and_a_neutralised_copy_stands_still_on_purpose() -> None:
    queue = Evidence(
        {
            "queue.failed": 2,
            "queue.newest": (NOW - HOUR).isoformat(),
            "queue.stuck": 1,
            "queue.stuck_since": (NOW - 2 * HOUR).isoformat(),
        }
    )
    crons = Evidence({"crons.overdue": 1, "crons.deactivated": 0, "crons.since": (NOW - HOUR).isoformat()})
    found = list(of_odoo("production", "contoso", queue, crons, NOW))
    assert [one.symptom for one in found] == [
        Symptom.QUEUE_JOBS_FAILED,
        Symptom.QUEUE_JOBS_STUCK,
        Symptom.CRON_OVERDUE,
    ]
    old = Evidence({"queue.failed": 2, "queue.newest": (NOW - 48 * HOUR).isoformat()})
    copy = Evidence({**crons.facts, "crons.neutralised": True})
    assert list(of_odoo("production", "contoso", old, copy, NOW)) == []


@pytest.mark.parametrize(
    ("changed", "is_told"),
    [
        ({}, True),
        ({"alertState": "Acknowledged"}, True),
        ({"alertState": "Closed"}, False),
        ({"monitorCondition": "Resolved"}, False),
        ({"startDateTime": (NOW - 72 * HOUR).isoformat()}, True),
        ({"startDateTime": (NOW - 72 * HOUR).isoformat(), "monitorService": "ActivityLog Administrative"}, False),
    ],
)
def test_alerts_are_told_that_are_open_and_still_mean_something(changed: dict[str, str], is_told: bool) -> None:
    essentials = {
        "alertState": "New",
        "monitorCondition": "Fired",
        "monitorService": "Platform",
        "startDateTime": (NOW - HOUR).isoformat(),
        "targetResource": "/subscriptions/s/x",
        **changed,
    }
    shown = {"id": "/a", "name": "rule", "properties": {"essentials": essentials}}
    assert (common_alert(shown, NOW) is not None) == is_told


@pytest.mark.parametrize(
    ("over", "told"),
    [(None, None), (NOW - HOUR / 2, None), (NOW - 2 * HOUR, NOW)],
    ids=["still remediated", "over lately", "over long ago"],
)
def test_an_alert_that_was_told_is_told_again_only_when_it_insists(
    over: datetime | None, told: datetime | None
) -> None:
    essentials = {
        "alertState": "New",
        "monitorCondition": "Fired",
        "monitorService": "Platform",
        "startDateTime": (NOW - 3 * HOUR).isoformat(),
        "targetResource": "/subscriptions/s/x",
    }
    shown = {"id": "/a", "name": "rule", "properties": {"essentials": essentials}}
    fault = known(Symptom.SESSIONS_BLOCKED, Target("/subscriptions/s/x"), fired=NOW - 3 * HOUR, resolved=over)
    body = common_alert(shown, NOW, fault)
    assert (body and body["data"]["essentials"]["firedDateTime"]) == (told and told.isoformat())
