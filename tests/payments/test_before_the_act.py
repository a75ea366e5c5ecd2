"""What is asked just before a job is repeated, and what the diagnosis of the queue must not mix up."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shared.estate.policies.job_remediation import Job, JobClass
from shared.job_remediation.decision import Course
from shared.job_remediation.odoo_jobs import QueueJob, attempt_of, queue_evidence, records_of
from shared.job_remediation.repetition import Applied, Permission, Standing, objection, rule
from shared.job_remediation.symptoms import Symptom
from tests.job_remediation.test_playbooks import decided

NOW = datetime(2026, 11, 22, 3, 0, 0, 123456, tzinfo=UTC)
FAILED = QueueJob(
    id=1,
    uuid="u",
    model="account.payment.order",
    method="generate_payment_file",
    state="failed",
    exception="psycopg2.OperationalError",
    message="could not serialize access",
    records=(17,),
    date_started=NOW,
    twin=False,
)
JOB = "account.payment.order.generate_payment_file"


@pytest.mark.parametrize("approved", [False, True])
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("applied", Applied)
@pytest.mark.parametrize("letter", JobClass)
def test_what_may_not_be_done_now_is_not_done_though_it_was_planned(
    letter: JobClass, applied: Applied, frozen: bool, approved: bool
) -> None:
    job = Job(repeat=letter, proof="sent")
    permission = rule(job, applied, frozen=frozen, ambiguous=False).permission
    said = objection(Standing(job, frozen), applied, ambiguous=False, approved=approved, proven=False)
    allowed = permission is Permission.REPEAT or (permission is Permission.APPROVAL and approved)
    assert (not said) == allowed, said


def test_a_proof_that_is_lost_stops_what_rested_on_it() -> None:
    standing = Standing(Job(repeat=JobClass.C, proof="sent"), frozen=False)
    for proven, stopped in ((True, True), (False, False)):
        said = objection(standing, Applied.UNKNOWN, ambiguous=False, approved=True, proven=proven)
        assert bool(said) == stopped, said


def test_lost_answers_are_not_counted_as_lost_locks_of_the_same_exception() -> None:
    timeouts = [replace(FAILED, id=id, message="upload to the bank: Read timed out") for id in (7, 8)]
    found = queue_evidence("main", "books", [FAILED, *timeouts], [], True, lambda _: "no")
    assert found.facts["queue.cause"] == "ambiguous"
    assert [item["id"] for item in found.items] == ["7", "8"]
    more = [replace(FAILED, id=id) for id in (2, 3)]
    found = queue_evidence("main", "books", [FAILED, *timeouts, *more], [], True, lambda _: "no")
    assert found.facts["queue.cause"] == "transient"
    assert [item["id"] for item in found.items] == ["1", "2", "3"]


def test_an_attempt_is_named_as_odoo_names_it() -> None:
    assert attempt_of(NOW) == "2026-11-22 03:00:00.123456"
    assert attempt_of(None) == ""


@pytest.mark.parametrize(
    ("value", "records"),
    [
        ('{"ids": [4, 5]}', (4, 5)),
        ({"ids": [4]}, (4,)),
        ('{"ids": ["x", 5]}', ()),
        ("{}", ()),
        ("no json", ()),
        (None, ()),
    ],
)
def test_all_records_of_a_job_are_known_or_none(value: object, records: tuple[int, ...]) -> None:
    assert records_of(value) == records


@pytest.mark.parametrize(("letter", "acts"), [("A", True), ("B", False), ("C", False)])
def test_without_a_guard_in_odoo_only_class_a_is_requeued(letter: str, acts: bool) -> None:
    found = queue_evidence("main", "books", [FAILED], [], False, lambda _: "no")
    decision = decided(
        Symptom.QUEUE_JOBS_FAILED,
        dict(found.facts),
        *found.items,
        jobs={JOB: Job(repeat=JobClass(letter), proof="sent")},
    )
    assert (decision.course is Course.ACT) == acts
    if not acts:
        assert "no guarded requeue" in decision.left[0]
