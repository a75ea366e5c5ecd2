"""Whatever comes twice, late, interleaved or crashed: no second payment file, and nothing without the word it needs."""

import os
from collections import Counter
from datetime import timedelta

import pytest

from shared.estate.policies.job_remediation import Job, JobClass
from tests.payments.bank import LOST, PASSES, By
from tests.payments.simulation import Case, Payments

SEEDS = 2_000 if os.environ.get("CLOSEKEEPER_TEST_LONG") else 12
A_PROOF = "was-paid"
B, C, D = (Job(repeat=letter, proof=A_PROOF) for letter in (JobClass.B, JobClass.C, JobClass.D))
UNDECLARED = Job(repeat=JobClass.C)

CASES = {
    "a proven job, asked for twice at once": Case(declared=B, error=PASSES),
    "a proven job, with crashes and lost answers": Case(declared=B, error=PASSES, crashes=0.01, faults=0.5),
    "an approved job": Case(declared=C, error=PASSES),
    "an approved job, with crashes and lost answers": Case(declared=C, error=PASSES, crashes=0.01, faults=0.5),
    "approvals that come late": Case(declared=C, error=PASSES, expire_after=timedelta(minutes=8), meddles=False),
    "a stop switch that is pulled meanwhile": Case(declared=B, error=PASSES, stops=True, meddles=False, faults=0.2),
    "a job that nobody declared": Case(declared=UNDECLARED, error=PASSES, crashes=0.005, faults=0.2),
    "an ambiguous timeout": Case(declared=C, error=LOST, crashes=0.005, faults=0.2),
    "an ambiguous timeout of a proven job": Case(declared=B, error=LOST, crashes=0.005, faults=0.2),
    "a job of class D": Case(declared=D, error=PASSES, crashes=0.005, faults=0.2),
    "a job that becomes D while it waits": Case(declared=C, error=PASSES, redeclared=D, faults=0.2),
    "a freeze that begins while it waits": Case(declared=B, error=PASSES, freezes=True, faults=0.2),
}


def played(seed: int, name: str) -> Payments:
    simulation = Payments(seed, CASES[name])
    simulation.play_payments()
    assert simulation.bank.wrong == [], (name, seed, simulation.bank)
    assert len(simulation.bank.files) <= 1, (name, seed, simulation.bank)
    return simulation


@pytest.mark.parametrize("name", CASES)
def test_no_interleaving_makes_a_second_file(name: str) -> None:
    acted, made = 0, Counter[By]()
    for seed in range(SEEDS):
        simulation = played(seed, name)
        acted += bool(simulation.requeued)
        made.update(simulation.bank.files)
    if CASES[name].error == LOST or CASES[name].declared.repeat is JobClass.D:
        assert acted == 0, "a human has it"
    else:
        assert acted > SEEDS // 10, "the suite must see machines act"
        assert made[By.MACHINE] > SEEDS // 20, "and files that they made"


@pytest.mark.parametrize(
    ("name", "seed"),
    [("a proven job, asked for twice at once", 427), ("a proven job, with crashes and lost answers", 557)],
)
def test_an_older_job_for_the_same_that_was_tried_since_is_heard(name: str, seed: int) -> None:
    """Its second attempt lost the bank's answer, so the file is there and no probe knows of it."""
    played(seed, name)


def test_a_seed_is_one_exact_interleaving() -> None:
    name = "an approved job, with crashes and lost answers"
    one, two = played(3, name), played(3, name)
    assert (one.requeued, one.bank.files, one.bank.rows) == (two.requeued, two.bank.files, two.bank.rows)
