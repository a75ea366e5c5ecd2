"""Playbooks: what is shipped is whole, what is wrong is refused in words, each case does as its data says."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import yaml

from shared.estate.policies.job_remediation import Job, JobClass, JobRemediation
from shared.job_remediation.actions import Context
from shared.job_remediation.decision import Circumstances, Course, Decision, Why, decide
from shared.job_remediation.evidence import Evidence, Item
from shared.job_remediation.library import (
    PlaybookInvalidError,
    by_name,
    parse_playbook,
    playbook_for,
    shipped_playbooks,
)
from shared.job_remediation.signal import Signal
from shared.job_remediation.storm import Weather
from shared.job_remediation.symptoms import Symptom
from shared.risk import Risk
from tests.job_remediation import deliveries
from tests.job_remediation.places import NOW, the_signal

SIGNAL = the_signal(deliveries.azure_alert(deliveries.metric_context()))
SESSION: Item = {
    "kind": "session", "id": "4711", "server": "/pg", "pid": 4711, "backend_start": "s", "xact_start": "x",
    "state": "idle in transaction", "user": "odoo", "database": "erp", "endable": True, "weight": 3,
}  # fmt: skip
JOB: Item = {
    "kind": "job", "id": "dump-1", "uid": "u-1", "name": "dump-1", "base": "dump", "namespace": "jobs",
    "cluster": "/aks", "job": "cronjob/jobs/dump", "memory": 1024.0, "applied": "unknown",
}  # fmt: skip
CLASS_A = {"cronjob/jobs/dump": Job(repeat=JobClass.A)}
FAILED = {"job.state": "failed", "job.cause": "transient", "job.name": "dump-1", "job.raised": False}


def decided(
    symptom: Symptom,
    facts: dict[str, Any],
    *items: Item,
    jobs: dict[str, Job] | None = None,
    frozen: bool = False,
    missing: dict[str, str] | None = None,
    **around: Any,
) -> Decision:
    context = Context(
        remediation="remediation:f:1",
        attempt=1,
        environment="production",
        tenant=None,
        policy=JobRemediation(jobs=jobs or {}),
        frozen=frozen,
    )
    signal: Signal = replace(SIGNAL, symptom=symptom)
    circumstances = {"now": NOW, "attempts": 0, "context": context, **around}
    return decide(
        signal,
        playbook_for(shipped_playbooks(), symptom),
        Evidence(facts, tuple(items), missing or {}),
        Circumstances(**circumstances),
    )


def test_the_shipped_playbooks_answer_what_the_product_promises() -> None:
    assert len(shipped_playbooks()) == 11
    for symptom in (
        Symptom.JOB_FAILED, Symptom.OUT_OF_MEMORY, Symptom.CRASH_LOOP, Symptom.QUEUE_JOBS_FAILED,
        Symptom.QUEUE_JOBS_STUCK, Symptom.CRON_DEACTIVATED, Symptom.CRON_OVERDUE, Symptom.SESSIONS_BLOCKED,
        Symptom.CONNECTIONS_HIGH, Symptom.BACKUP_FAILED, Symptom.CREDENTIAL_NEAR_EXPIRY, Symptom.START_STUCK,
    ):  # fmt: skip
        assert playbook_for(shipped_playbooks(), symptom), symptom


GOOD = """
name: mine
title: Mine
symptoms: [job-failed]
collect: [kubernetes-job]
cases: [{name: all, says: "{job.name} failed", do: rerun-job, ask: look}]
well: {job.state: complete}
"""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"symptoms": ["rain"]}, "symptoms.0"),
        ({"cases": [{"name": "all", "says": "x"}]}, "ask is empty"),
        (
            {"cases": [{"name": "all", "says": "{queue.failed} x", "ask": "look"}]},
            "queue.failed, which nothing collects",
        ),
        ({"well": {}}, "well is empty"),
        ({"well": {"job.colour": "red"}}, "job.colour"),
        (
            {"cases": [{"name": "all", "when": {"job.state": "failed"}, "says": "x", "ask": "y"}]},
            "last case has conditions",
        ),
        ({"cases": [{"name": "all", "when": {"job.state": {}}, "says": "x", "ask": "y"}]}, "says nothing"),
        ({"cases": [{"name": "all", "says": "x", "do": "reboot", "ask": "y"}]}, "cases.0.do"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_playbook_is_refused_with_the_field(change: dict[str, Any], words: str) -> None:
    document = {**yaml.safe_load(GOOD), **change}
    with pytest.raises(PlaybookInvalidError, match="mine") as refused:
        parse_playbook(yaml.safe_dump(document), "mine.yaml")
    assert words in str(refused.value)


@pytest.mark.parametrize("text", ["", "[]", "a: [", "just words"])
def test_what_is_no_playbook_is_refused(text: str) -> None:
    with pytest.raises(PlaybookInvalidError, match="mine"):
        parse_playbook(text, "mine.yaml")


def test_two_playbooks_for_one_symptom_are_refused() -> None:
    mine = parse_playbook(GOOD, "mine.yaml")
    with pytest.raises(PlaybookInvalidError, match="both answer job-failed"):
        by_name([mine, mine.model_copy(update={"name": "yours"})])


def test_a_session_that_blocks_is_ended_by_its_identity() -> None:
    facts = {"sessions.waiting": 3, "sessions.prepared": 0, "sessions.endable": 1, "sessions.longest_wait": 70.0}
    decision = decided(Symptom.SESSIONS_BLOCKED, facts, SESSION, {**SESSION, "id": "1", "endable": False})
    assert (decision.course, decision.case) == (Course.ACT, "idle-in-transaction")
    assert "block 3 others, the longest for 70 seconds" in decision.says
    (change,) = decision.changes
    assert (change.kind, change.action, change.target) == ("postgres-session", "end", "/pg//sessions/4711")
    assert change.before["backend_start"] == "s"
    assert change.risk is Risk.DISRUPTIVE


def test_the_session_that_holds_up_most_is_ended_first() -> None:
    facts = {"sessions.waiting": 3, "sessions.prepared": 0, "sessions.endable": 2}
    decision = decided(Symptom.SESSIONS_BLOCKED, facts, SESSION, {**SESSION, "id": "9", "weight": 8})
    assert [change.target for change in decision.changes] == ["/pg//sessions/9"]


def test_the_same_plan_again_is_the_same_intent_and_another_attempt_is_not() -> None:
    facts = {"sessions.waiting": 3, "sessions.prepared": 0, "sessions.endable": 1}
    one, two = (decided(Symptom.SESSIONS_BLOCKED, facts, SESSION).changes[0] for _ in range(2))
    assert one.id == two.id
    assert replace(one, occasion="remediation:f:1:2").id != one.id


@pytest.mark.parametrize(
    ("jobs", "applied", "course"),
    [
        (CLASS_A, "unknown", Course.ACT),
        ({"cronjob/jobs/dump": Job(repeat=JobClass.B, proof="p")}, "no", Course.ACT),
        ({"cronjob/jobs/dump": Job(repeat=JobClass.B, proof="p")}, "yes", Course.HUMAN),
        ({"cronjob/jobs/dump": Job(repeat=JobClass.D)}, "no", Course.HUMAN),
    ],
)
def test_a_failed_job_runs_again_as_its_class_says(jobs: dict[str, Job], applied: str, course: Course) -> None:
    decision = decided(Symptom.JOB_FAILED, FAILED, {**JOB, "applied": applied}, jobs=jobs)
    assert decision.course is course
    assert [change.requires_approval for change in decision.changes] == [False] * (course is Course.ACT)


def test_an_undeclared_job_runs_again_by_approval_with_the_proof() -> None:
    (change,) = decided(Symptom.JOB_FAILED, FAILED, {**JOB, "applied": "no"}).changes
    assert change.requires_approval
    assert change.risk is Risk.FINANCIAL
    assert "class C" in change.reason
    assert "Applied already: not applied." in change.reason


def test_in_a_freeze_a_ledger_job_of_class_b_needs_an_approval() -> None:
    jobs = {"cronjob/jobs/dump": Job(repeat=JobClass.B, proof="p")}
    (change,) = decided(Symptom.JOB_FAILED, FAILED, {**JOB, "applied": "no"}, jobs=jobs, frozen=True).changes
    assert change.requires_approval


def test_an_unknown_error_is_tried_again_for_class_a_only() -> None:
    facts = {**FAILED, "job.cause": "unknown"}
    assert decided(Symptom.JOB_FAILED, facts, JOB, jobs=CLASS_A).course is Course.ACT
    other = decided(Symptom.JOB_FAILED, facts, {**JOB, "applied": "no"})
    assert (other.course, other.why) == (Course.HUMAN, Why.NOT_REPEATED)
    assert "only class A" in other.left[0]


@pytest.mark.parametrize("cause", ["ambiguous", "permanent-data", "permanent-configuration", "capacity"])
def test_what_fails_again_or_may_have_worked_is_never_run_again(cause: str) -> None:
    assert decided(Symptom.JOB_FAILED, {**FAILED, "job.cause": cause}, JOB, jobs=CLASS_A).course is Course.HUMAN


def test_memory_is_raised_once_and_within_bounds() -> None:
    facts = {**FAILED, "job.container_reason": "OOMKilled", "job.memory": 1000.0}
    item = {**JOB, "memory": 1000.0}
    (change,) = decided(Symptom.OUT_OF_MEMORY, facts, item, jobs=CLASS_A).changes
    assert change.after["memory"] == 1500
    again = decided(Symptom.OUT_OF_MEMORY, {**facts, "job.raised": True}, item, jobs=CLASS_A)
    assert again.course is Course.HUMAN
    full = decided(Symptom.OUT_OF_MEMORY, facts, {**item, "memory": 8.0 * 1024**3}, jobs=CLASS_A)
    assert full.course is Course.HUMAN
    assert "memory.most" in full.left[0]


def test_the_repeated_job_has_one_name_for_one_attempt() -> None:
    name = decided(Symptom.JOB_FAILED, FAILED, {**JOB, "base": "x" * 63}, jobs=CLASS_A).changes[0].after["rerun"]
    assert isinstance(name, str)
    assert len(name) <= 63
    assert name.startswith("x" * 46 + "-r1-")


def test_one_queue_job_is_tried_before_the_rest_of_its_cause() -> None:
    items = [
        {"kind": "queue-job", "id": str(number), "odoo": "main", "database": "erp", "job": "res.currency.rate.get",
         "failed": True, "applied": "unknown"}
        for number in range(5)
    ]  # fmt: skip
    facts = {"queue.failed": 5, "queue.cause": "transient", "queue.method": "res.currency.rate.get"}
    jobs = {"res.currency.rate.*": Job(repeat=JobClass.A)}
    canary, *rest = decided(Symptom.QUEUE_JOBS_FAILED, facts, *items, jobs=jobs).changes
    assert canary.depends_on == ()
    assert [change.depends_on for change in rest] == [(canary.id,)] * 4


def test_a_payment_order_in_the_queue_is_left_alone_while_others_go_on() -> None:
    items = [
        {"kind": "queue-job", "id": "1", "odoo": "main", "database": "erp", "job": "account.payment.order.generate",
         "failed": True, "applied": "no"},
        {"kind": "queue-job", "id": "2", "odoo": "main", "database": "erp", "job": "res.currency.rate.get",
         "failed": True, "applied": "no"},
    ]  # fmt: skip
    jobs = {"res.currency.rate.*": Job(repeat=JobClass.A), "account.payment.order.*": Job(repeat=JobClass.D)}
    facts = {"queue.failed": 2, "queue.cause": "transient"}
    decision = decided(Symptom.QUEUE_JOBS_FAILED, facts, *items, jobs=jobs)
    assert [change.target for change in decision.changes] == ["main//erp/queue.job/2"]
    assert decision.left == ("1: a job of class D is never repeated by a machine",)


def test_what_could_not_be_looked_at_is_never_taken_for_health() -> None:
    missing = {"postgres-sessions": "the server does not answer"}
    well = decided(Symptom.SESSIONS_BLOCKED, {"sessions.waiting": 0}, missing=missing)
    assert (well.course, well.why) == (Course.HUMAN, Why.EVIDENCE_MISSING)


def test_nothing_is_repaired_in_a_storm_without_a_place_or_when_the_estate_says_no() -> None:
    facts = {"sessions.waiting": 3, "sessions.prepared": 0, "sessions.endable": 1}
    weather = Weather(storm_since=NOW, storm_until=NOW + timedelta(minutes=30))
    stormy = decided(Symptom.SESSIONS_BLOCKED, facts, SESSION, weather=weather)
    assert (stormy.course, stormy.why, stormy.until) == (Course.WAIT, Why.STORM, NOW + timedelta(minutes=30))
    assert decided(Symptom.SESSIONS_BLOCKED, facts, SESSION, context=None).why is Why.UNKNOWN_PLACE
    assert decided(Symptom.SESSIONS_BLOCKED, facts, SESSION, attempts=3).why is Why.NOT_HELPED
    off = frozenset({"blocking-session"})
    assert decided(Symptom.SESSIONS_BLOCKED, facts, SESSION, disabled=off).why is Why.DISABLED
    proposed = decided(Symptom.SESSIONS_BLOCKED, facts, SESSION, propose_only=off)
    assert (proposed.course, proposed.changes) == (Course.HUMAN, ())
    assert "would end production /pg//sessions/4711" in proposed.left[0]


def test_a_symptom_without_a_playbook_goes_to_a_human() -> None:
    assert decided(Symptom.ANOMALY, {}).why is Why.NO_PLAYBOOK


def test_sleep_on_purpose_is_no_fault() -> None:
    assert decided(Symptom.CRASH_LOOP, {"around.asleep": True}).course is Course.OVER


def test_a_worker_with_a_broken_image_is_not_restarted() -> None:
    where = {"workload.path": "deployment/web", "workload.namespace": "odoo"}
    facts = {"workload.crashing": 2, "workload.reason": "ImagePullBackOff", "workload.name": "web", **where}
    decision = decided(Symptom.CRASH_LOOP, facts)
    assert (decision.course, decision.case) == (Course.HUMAN, "no-image")
    assert decision.commands == ("kubectl rollout undo deployment/web -n odoo",), "and none with a gap"
