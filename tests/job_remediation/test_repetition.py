"""Whether a job may be repeated: the whole table, since a payment that is made twice is a loss."""

import pytest

from shared.estate.policies.job_remediation import Job, JobClass
from shared.job_remediation.repetition import Applied, Permission, job_of, rule

JOBS = {
    "account.payment.order.*": Job(repeat=JobClass.D),
    "account.payment.order.archive": Job(repeat=JobClass.A),
    "res.currency.rate.*": Job(repeat=JobClass.A, changes_ledger=False),
    "*": Job(repeat=JobClass.B, proof="posted"),
}


@pytest.mark.parametrize(
    ("name", "letter"),
    [
        ("account.payment.order.open2generated", "D"),
        ("account.payment.order.archive", "A"),
        ("account.payment.order.archived", "D"),
        ("res.currency.rate.update", "A"),
        ("anything.else", "B"),
    ],
)
def test_the_longest_name_that_fits_says_the_class(name: str, letter: str) -> None:
    assert job_of(JOBS, name).repeat == letter


def test_a_job_that_nobody_declared_is_of_class_c() -> None:
    job = job_of({}, "anything")
    assert (job.repeat, job.changes_ledger) == ("C", True)


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("ambiguous", [False, True])
@pytest.mark.parametrize("changes_ledger", [False, True])
@pytest.mark.parametrize("applied", Applied)
@pytest.mark.parametrize("letter", JobClass)
def test_every_combination(
    letter: JobClass, applied: Applied, changes_ledger: bool, ambiguous: bool, frozen: bool
) -> None:
    given = rule(Job(repeat=letter, changes_ledger=changes_ledger), applied, frozen=frozen, ambiguous=ambiguous)
    proven_free = applied is Applied.NO and not ambiguous and not (frozen and changes_ledger)
    if letter == "D":
        expected = Permission.NEVER
    elif applied is Applied.YES:
        expected = Permission.NEEDLESS
    elif letter == "A" or (letter == "B" and proven_free):
        expected = Permission.REPEAT
    else:
        expected = Permission.APPROVAL
    assert given.permission is expected, given
    assert given.why
