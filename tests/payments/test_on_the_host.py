"""Payments on the real host: nobody's alert, approval or requeue makes a second file, and no killed worker does."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from local.embedded_estate import EmbeddedEstate
from local.functions_host.faults import Faults
from local.odoo_server import GUARD_ID as GUARD
from shared.job_remediation.odoo_jobs import attempt_of
from shared.platforms.odoo import Endpoint, Odoo, OdooUserError
from tests.long import LONG, variants
from tests.payments.running import KEY, LOST, TENANT, Treasury, paying, until
from tests.remediation import test_kubernetes as kubernetes
from tests.remediation.test_sessions import a_lock, server_of, waiters

FEWEST_ITEMS = 30
"""The least that such a remediation consists of."""
cluster = kubernetes.cluster


@pytest.fixture(scope="module")
def treasury(estate: EmbeddedEstate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Treasury]:
    with paying(estate, tmp_path_factory.mktemp("payments")) as running:
        yield running


def test_a_failed_payment_job_that_nobody_declared_waits_for_another_person_however_often_it_is_told(
    treasury: Treasury,
) -> None:
    treasury.declare(None)
    job = treasury.fail(1)
    with treasury.person("bert", "operator", "approver") as bert, treasury.person("anna", "approver") as anna:
        asked_for = treasury.told("by hand", bert)
        request = treasury.asked(asked_for)
        (covered,) = request["covered"]
        assert "is of class C" in covered["reason"]
        assert "Applied already: not known" in covered["reason"]
        assert treasury.told("by hand") == asked_for, "told again while it waits"
        other = treasury.told("by another rule")
        other_request = treasury.asked(other)
        assert treasury.answer(request, bert).status_code == 403, "who asked cannot approve"
        assert treasury.answer(request, treasury.api).status_code == 403, "a key cannot"
        assert (treasury.state(job), treasury.files(1)) == ("failed", 0)
        assert treasury.answer(request, anna).status_code == 200
        assert treasury.answer(request, anna).status_code == 200, "twice is once"
        assert treasury.answer(other_request, anna).status_code == 200
    assert treasury.outcome(asked_for)["outcome"] in ("fixed", "nothing-wrong")
    assert treasury.outcome(other)["outcome"] in ("fixed", "escalated", "nothing-wrong")
    assert (treasury.files(1), treasury.requeues(job)) == (1, 1)


def test_an_ambiguous_timeout_of_the_upload_is_left_to_a_human(treasury: Treasury) -> None:
    treasury.declare("B")
    job = treasury.fail(2, error=LOST)
    result = treasury.outcome(treasury.told("timeout"))
    assert (result["outcome"], result["case"]) == ("escalated", "unclear-end"), result
    assert result["ask"]
    assert (treasury.state(job), treasury.requeues(job)) == ("failed", 0)


def test_an_approval_after_its_time_does_nothing(treasury: Treasury) -> None:
    treasury.declare("C", expire_after="1s")
    job = treasury.fail(3)
    remediation = treasury.told("too late")
    request = treasury.asked(remediation)
    with treasury.person("anna", "approver") as anna:
        treasury.app.await_that(lambda: datetime.now(UTC) > datetime.fromisoformat(request["expires_at"]))
        assert treasury.answer(request, anna).status_code == 409
    while treasury.shown(remediation)["status"] == "running":
        treasury.look_again(request)
    result = treasury.outcome(remediation)
    assert result["outcome"] == "escalated"
    assert "approval" in result["tried"][0]
    assert (treasury.state(job), treasury.files(3), treasury.requeues(job)) == ("failed", 0, 0)


def test_a_job_that_somebody_requeued_meanwhile_is_not_run_again_by_the_approval(treasury: Treasury) -> None:
    treasury.declare("C")
    job = treasury.fail(4)
    remediation = treasury.told("meanwhile")
    request = treasury.asked(remediation)
    treasury.requeue_by_hand(job)
    until(lambda: treasury.state(job) == "done")
    with treasury.person("anna", "approver") as anna:
        assert treasury.answer(request, anna).status_code == 200
    assert treasury.outcome(remediation)["outcome"] == "fixed"
    assert (treasury.files(4), treasury.requeues(job)) == (1, 0)


def test_what_becomes_class_d_while_it_waits_is_not_done_even_though_it_was_approved(treasury: Treasury) -> None:
    treasury.declare("C")
    job = treasury.fail(5)
    remediation = treasury.told("forbidden")
    request = treasury.asked(remediation)
    treasury.declare("D")
    with treasury.person("anna", "approver") as anna:
        assert treasury.answer(request, anna).status_code == 200
    result = treasury.outcome(remediation)
    assert result["outcome"] == "escalated"
    assert "class D" in result["tried"][0]
    assert (treasury.state(job), treasury.files(5), treasury.requeues(job)) == ("failed", 0, 0)
    again = treasury.outcome(treasury.told("forbidden from the beginning"))
    assert again["outcome"] == "escalated"
    assert "class D" in again["left"][0], "nobody is asked to approve it"


@pytest.mark.parametrize("version", [18, 19], ids=["xml-rpc", "json-2"])
def test_odoo_lets_the_diagnosed_attempt_through_once(
    treasury: Treasury, estate: EmbeddedEstate, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(estate.authority.bundle))
    job = treasury.fail(version)
    ((started, database),) = treasury.run("select date_started, current_database() from queue_job where id = %s", job)
    odoo = Odoo(Endpoint(treasury.odoo.url, version, database, "closekeeper", KEY))
    other = {"closekeeper_job": job, "closekeeper_attempt": attempt_of(started - timedelta(seconds=1))}
    with pytest.raises(OdooUserError, match="not in the attempt"):
        odoo.call("ir.actions.server", "run", [GUARD], context=other)
    asked = {"closekeeper_job": job, "closekeeper_attempt": attempt_of(started)}
    odoo.call("ir.actions.server", "run", [GUARD], context=asked)
    with pytest.raises(OdooUserError, match="not in the attempt"):
        odoo.call("ir.actions.server", "run", [GUARD], context=asked)
    until(lambda: treasury.state(job) == "done")
    assert (treasury.files(version), treasury.requeues(job)) == (1, 1)


def test_a_job_for_several_payments_is_applied_when_one_of_them_is(treasury: Treasury) -> None:
    treasury.declare("B")
    job = treasury.fail(7, 8)
    treasury.run("insert into bank_file (payment) values (8)")
    result = treasury.outcome(treasury.told("half of it"))
    assert result["outcome"] == "escalated"
    assert "the probe says that it was applied" in result["left"][0]
    assert (treasury.requeues(job), treasury.files(7), treasury.files(8)) == (0, 0, 1)


def test_a_cron_that_is_at_work_for_hours_is_not_overdue(treasury: Treasury) -> None:
    treasury.run("update ir_cron set nextcall = (now() at time zone 'utc') + interval '1 day', write_uid = 2")
    ((cron,),) = treasury.run(
        "update ir_cron set active = true, nextcall = (now() at time zone 'utc') - interval '2 hours'"
        " where id = (select max(id) from ir_cron) returning id"
    )
    with treasury.books() as running:
        running.execute("select id from ir_cron where id = %s for update", (cron,))
        (signal,) = treasury.tell(treasury.fires("cron-overdue", "long run", tenant=TENANT))["signals"]
        assert treasury.outcome(signal["remediation"])["outcome"] == "nothing-wrong"
    assert ("ir.cron.trigger", "create", (cron,)) not in treasury.odoo.calls


def test_in_a_freeze_a_proven_job_of_class_b_needs_an_approval(treasury: Treasury) -> None:
    treasury.declare("B", frozen=True)
    job = treasury.fail(6)
    remediation = treasury.told("frozen")
    request = treasury.asked(remediation)
    assert "in a freeze class B counts as C" in request["covered"][0]["reason"]
    assert "Applied already: not applied" in request["covered"][0]["reason"]
    with treasury.person("anna", "approver") as anna:
        assert treasury.answer(request, anna).status_code == 200
    assert treasury.outcome(remediation)["outcome"] == "fixed"
    assert (treasury.files(6), treasury.requeues(job)) == (1, 1)


KILLS = variants(
    [("payment", 4, 11, 14)],
    [("payment", 1, 0, 1), ("payment", 0, 1, 1), ("job", 1, 0, 1), ("job", 0, 1, 1)],
)
"""At which work items of a remediation the worker dies: before every so manieth from the first number on, after every
so manieth from the second on, and how many these are apart."""


@pytest.mark.parametrize(("what", "before", "after", "apart"), KILLS)
def test_a_payment_and_a_job_are_repeated_once_by_a_worker_that_dies_at_its_work_items(
    treasury: Treasury, cluster: kubernetes.KubernetesSimulator, what: str, before: int, after: int, apart: int
) -> None:
    """One at a time: an act in the midst of which another item's death falls is given ten minutes to come back, which
    is tested where the clock is not real."""
    number, host = 200 + KILLS.index((what, before, after, apart)), treasury.app.host
    treasury.declare("B")
    payment, run = treasury.fail(number), f"nightly-dump-{number}"
    kubernetes.a_failed_job(cluster, run, log="psycopg2.errors.DeadlockDetected: deadlock detected")
    first, died = host.work_items, host.worker_restarts
    dies_before, dies_after = (
        frozenset(range(first + start, first + 400, apart)) if start else frozenset[int]() for start in (before, after)
    )
    host.set_faults(Faults(kill_before=dies_before, kill_after=dies_after))
    try:
        if what == "payment":
            remediation = treasury.told(f"payment {number}")
        else:
            remediation = kubernetes.told(treasury, "job-failed", f"job/{run}")
        result = treasury.outcome(remediation, 400)
    finally:
        host.set_faults(Faults())
    assert result["outcome"] == "fixed", result
    items = range(first + 1, host.work_items + 1)
    assert len(items) >= FEWEST_ITEMS
    deaths = len(dies_before.intersection(items)) + len(dies_after.intersection(items))
    assert host.worker_restarts - died >= deaths - 1 >= FEWEST_ITEMS // apart, "the last may be on its way back"
    repetitions = kubernetes.repetitions(cluster, run)
    if what == "payment":
        assert (treasury.files(number), treasury.requeues(payment), repetitions) == (1, 1, [])
    else:
        assert [kubernetes.state(cluster, one["metadata"]["name"]) for one in repetitions] == ["complete"]
        assert (treasury.files(number), treasury.requeues(payment)) == (0, 0)
    assert_told_once(treasury, [remediation])


def assert_told_once(treasury: Treasury, remediations: Iterable[str]) -> None:
    for remediation in remediations:
        assert len(treasury.app.records(remediation)) == 1, "one conclusion"
        assert len(treasury.app.events(f"{remediation}:fixed")) == 1


DELIVERED = {
    "twice together": Faults(deliver_twice="together", shuffle_seconds=0.05, seed=7),
    "twice in turn": Faults(deliver_twice="in_turn"),
    "late once more": Faults(deliver_twice="late", late_seconds=0.5),
    "completion lost": Faults(drop=frozenset({0}), redeliver_seconds=0.05),
}


@pytest.mark.skipif(not LONG, reason="set CLOSEKEEPER_TEST_LONG=1: half a minute for each of four deliveries")
@pytest.mark.parametrize("name", DELIVERED)
def test_a_payment_a_job_and_a_session_are_mended_once_though_every_activity_is_delivered_twice(
    treasury: Treasury, cluster: kubernetes.KubernetesSimulator, name: str
) -> None:
    number = 100 + list(DELIVERED).index(name)
    treasury.declare("B")
    payment, run = treasury.fail(number), f"nightly-dump-{number}"
    kubernetes.a_failed_job(cluster, run, log="psycopg2.errors.DeadlockDetected: deadlock detected")
    server, dsn = server_of(treasury.estate)
    with a_lock(dsn, waiting=1) as holder, psycopg.connect(dsn) as bystander:
        treasury.app.host.set_faults(DELIVERED[name])
        try:
            told = [
                treasury.told(f"payment {number}"),
                kubernetes.told(treasury, "job-failed", f"job/{run}"),
                treasury.tell(treasury.fires("sessions-blocked", str(number), resource=server))["signals"][0][
                    "remediation"
                ],
            ]
            results = [treasury.outcome(remediation, 180) for remediation in told]
        finally:
            treasury.app.host.set_faults(Faults())
        assert [result["outcome"] for result in results] == ["fixed"] * 3, results
        with pytest.raises(psycopg.errors.AdminShutdown):
            holder.execute("select 1")
        assert bystander.execute("select 1").fetchone() == (1,), "nobody else is ended"
        assert waiters(dsn) == 0
    assert (treasury.files(number), treasury.requeues(payment)) == (1, 1)
    (again,) = kubernetes.repetitions(cluster, run)
    assert kubernetes.state(cluster, again["metadata"]["name"]) == "complete"
    assert_told_once(treasury, told)
