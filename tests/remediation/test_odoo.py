"""Queue jobs and crons of Odoo: failed in a real database, repaired through Odoo's external API, verified."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from local.embedded_estate import EmbeddedEstate
from local.odoo_server import OdooServer, Work
from shared.platforms.odoo import Endpoint, Odoo, OdooRefusedError, OdooSilentError, OdooUserError
from tests.drills.running import app
from tests.long import variants
from tests.remediation.running import Team, quick_estate

TENANT = "contoso"
KEY = "the-api-key"
TRANSIENT = ("psycopg2.errors.SerializationFailure", "could not serialize access due to concurrent update")


OWN = """
name: slow-ledger
title: The ledger is slower than it should be
symptoms: [anomaly]
collect: [queue-jobs]
cases:
  - name: quiet
    when: { queue.failed: 0 }
    says: "{signal.title}: no queue job failed."
    over: true
  - name: left-over
    cause: transient
    says: "{signal.title}: {queue.failed} jobs failed."
    do: requeue-jobs
    most: 5
    ask: Look at the queue.
well: { queue.failed: 0 }
"""


class Books:
    """The tenant's database, as its owner sees it."""

    def __init__(self, estate: EmbeddedEstate, tenant: str = TENANT) -> None:
        environment = estate.environments["production"]
        self.tenant = environment.tenants[tenant]
        cluster = estate.server("production", self.tenant.database.server).cluster
        assert cluster is not None
        self.dsn = cluster.dsn
        self.name = self.tenant.database.database

    def run(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.dsn(self.name)) as connection:
            cursor = connection.execute(query, values)
            return cursor.fetchall() if cursor.description else []

    def fail_jobs(self, model: str, method: str, records: list[int], error: tuple[str, str]) -> list[int]:
        """Failed queue jobs, and none but these; returns their ids."""
        self.run("delete from queue_job where state in ('failed', 'pending')")
        return [
            self.run(
                "insert into queue_job (uuid, model_name, method_name, state, exc_name, exc_message, records,"
                " date_created, date_started, retry)"
                " values ('test-' || gen_random_uuid(), %s, %s, 'failed', %s, %s, %s,"
                " now() at time zone 'utc', (now() at time zone 'utc') - interval '1 hour', 5) returning id",
                model,
                method,
                *error,
                json.dumps({"_type": "odoo_recordset", "model": model, "ids": [record]}),
            )[0][0]
            for record in records
        ]

    def states(self, jobs: list[int]) -> list[str]:
        return [self.run("select state from queue_job where id = %s", job)[0][0] for job in jobs]


@pytest.fixture(scope="module")
def books(estate: EmbeddedEstate) -> Books:
    return Books(estate)


@pytest.fixture(scope="module")
def server(estate: EmbeddedEstate, books: Books) -> Iterator[OdooServer]:
    with OdooServer(estate.authority, books.dsn, user="closekeeper", key=KEY) as running:
        running.serve(books.name)
        running.install_guard(books.name)
        yield running


@pytest.fixture(scope="module")
def team(estate: EmbeddedEstate, server: OdooServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """The app whose estate names the running Odoo, and the classes of the jobs of these tests."""
    folder: Path = tmp_path_factory.mktemp("remediation")
    file = quick_estate(estate, folder / "declared", cron_overdue="1m", queue_stuck="10s")
    declared = yaml.safe_load(file.read_text())
    declared["environments"]["production"]["odoo"]["main"]["url"] = server.url
    declared["job_remediation"]["jobs"] |= {
        "res.partner.compute_statistics": {"repeat": "A", "changes_ledger": False},
        "account.move.action_post_batch": {"repeat": "B", "proof": "posted"},
        "account.payment.order.*": {"repeat": "D"},
        "test.*": {"repeat": "A"},
    }
    declared["job_remediation"]["probes"]["posted"] = {
        "sql": "select id from account_move where id = %(job)s and state = 'posted'",
    }
    declared["job_remediation"]["playbooks"] = {"own": ["own"]}
    own = file.parent / "own"
    own.mkdir()
    (own / "slow-ledger.yaml").write_text(OWN)
    file.write_text(yaml.safe_dump(declared, sort_keys=False))
    with app(estate, folder / "host", ESTATE_FILE=str(file), ODOO_API_KEY=KEY) as running:
        yield Team(running)


def told(team: Team, symptom: str, fault: str) -> dict[str, Any]:
    """How the remediation ended of a fault that is told of now."""
    (signal,) = team.tell(team.fires(symptom, fault, tenant=TENANT))["signals"]
    return team.outcome(signal["remediation"])


def test_failed_jobs_of_one_cause_are_tried_one_first_and_all_are_done_once(
    team: Team, books: Books, server: OdooServer
) -> None:
    jobs = books.fail_jobs("res.partner", "compute_statistics", [1, 2, 3], TRANSIENT)
    before = len(server.done)
    result = told(team, "queue-jobs-failed", "all")
    assert (result["outcome"], result["case"]) == ("fixed", "passing-error"), result
    assert books.states(jobs) == ["done"] * 3
    done = [each.job for each in server.done[before:]]
    assert sorted(done) == sorted(jobs), "each once"
    assert done[0] == jobs[0], "the canary first"


def test_when_the_canary_fails_again_the_rest_is_left_alone(team: Team, books: Books, server: OdooServer) -> None:
    jobs = books.fail_jobs("res.partner", "compute_statistics", [4, 5, 6], TRANSIENT)
    server.work["res.partner.compute_statistics"] = Work(error=TRANSIENT[0], message=TRANSIENT[1])
    try:
        result = told(team, "queue-jobs-failed", "canary")
    finally:
        server.work.clear()
    assert result["outcome"] == "escalated", result
    assert [job for _, method, (job,) in server.calls if method == "requeue" and job in jobs] == [jobs[0]]


def test_a_job_of_class_b_runs_again_only_when_the_probe_says_that_it_was_not_applied(
    team: Team, books: Books, server: OdooServer
) -> None:
    posted = books.run("select id from account_move where state = 'posted' order by id limit 1")[0][0]
    draft = books.run("select id from account_move where state = 'draft' order by id limit 1")[0][0]
    (applied,) = books.fail_jobs("account.move", "action_post_batch", [posted], TRANSIENT)
    result = told(team, "queue-jobs-failed", "applied")
    assert result["outcome"] == "escalated"
    assert "the probe says that it was applied" in result["left"][0]
    assert books.states([applied]) == ["failed"]
    (open_,) = books.fail_jobs("account.move", "action_post_batch", [draft], TRANSIENT)
    assert told(team, "queue-jobs-failed", "not applied")["outcome"] == "fixed"
    assert books.states([open_]) == ["done"]


def test_a_playbook_of_the_users_own_acts_and_while_it_cannot_be_read_nothing_does(
    team: Team, books: Books, server: OdooServer
) -> None:
    own = Path(team.app.host.config.settings["ESTATE_FILE"]).parent / "own" / "slow-ledger.yaml"
    jobs = books.fail_jobs("res.partner", "compute_statistics", [21], TRANSIENT)
    calls = len(server.calls)
    own.write_text("name: [")
    try:
        broken = told(team, "anomaly", "slow, and the playbook is broken")
        shipped = told(team, "queue-jobs-failed", "failed, and the playbook is broken")
    finally:
        own.write_text(OWN)
    for result in (broken, shipped):
        assert (result["outcome"], result["why"]) == ("escalated", "no-playbook"), result
        assert "slow-ledger.yaml is no YAML" in result["left"][0]
    assert (books.states(jobs), len(server.calls)) == (["failed"], calls)
    result = told(team, "anomaly", "slow")
    assert (result["outcome"], result["playbook"], result["case"]) == ("fixed", "slow-ledger", "left-over"), result
    assert books.states(jobs) == ["done"]


def test_a_payment_order_is_never_requeued(team: Team, books: Books, server: OdooServer) -> None:
    jobs = books.fail_jobs("account.payment.order", "generate_payment_file", [1], TRANSIENT)
    result = told(team, "queue-jobs-failed", "payment")
    assert result["outcome"] == "escalated"
    assert "class D" in result["left"][0]
    assert books.states(jobs) == ["failed"]
    assert not [call for call in server.calls if call[2] == (jobs[0],)]


def test_what_the_data_is_to_blame_for_is_not_tried_again(team: Team, books: Books, server: OdooServer) -> None:
    error = ("odoo.exceptions.UserError", "The lock date does not allow an entry on this date.")
    jobs = books.fail_jobs("res.partner", "compute_statistics", [7], error)
    result = told(team, "queue-jobs-failed", "data")
    assert (result["outcome"], result["case"]) == ("escalated", "wrong-data")
    assert books.states(jobs) == ["failed"]


def strand_jobs(books: Books, method: str, records: list[int], seconds: int, state: str = "started") -> list[int]:
    """Queue jobs that a worker has begun, and that have not ended; returns their ids."""
    jobs = books.fail_jobs("res.partner", method, records, ("", ""))
    books.run("update queue_job set state = 'done' where state in ('started', 'enqueued') and not id = any(%s)", jobs)
    books.run(
        "update queue_job set state = %s, exc_name = null, exc_message = null, identity_key = null,"
        " date_enqueued = (now() at time zone 'utc') - make_interval(secs => %s),"
        " date_started = case when %s = 'started' then (now() at time zone 'utc') - make_interval(secs => %s) end"
        " where id = any(%s)",
        state,
        seconds,
        state,
        seconds,
        jobs,
    )
    return jobs


@pytest.fixture
def older_runner(books: Books) -> Iterator[None]:
    """A job runner that does not know by locks which jobs are dead."""
    books.run("alter table queue_job_lock rename to no_queue_job_lock")
    yield
    books.run("alter table no_queue_job_lock rename to queue_job_lock")


@pytest.mark.usefixtures("older_runner")
@pytest.mark.parametrize("state", variants(["started"], ["enqueued"]))
def test_jobs_whose_worker_is_gone_are_marked_as_failed_and_done_one_first(
    team: Team, books: Books, server: OdooServer, state: str
) -> None:
    jobs = strand_jobs(books, "compute_statistics", [11, 12, 13], 7200, state)
    before, calls = len(server.done), len(server.calls)
    result = told(team, "queue-jobs-stuck", f"zombies {state}")
    assert (result["outcome"], result["case"]) == ("fixed", "worker-gone"), result
    assert books.states(jobs) == ["done"] * 3
    done = [each.job for each in server.done[before:]]
    assert sorted(done) == sorted(jobs), "each once"
    assert done[0] == jobs[0], "the canary first"
    marked = [job for model, method, (job,) in server.calls[calls:] if (model, method) == ("queue.job", "write")]
    assert sorted(marked) == sorted(jobs), "failed before it was requeued"


@pytest.mark.usefixtures("older_runner")
def test_a_job_that_a_worker_may_still_have_is_left_to_a_human(team: Team, books: Books) -> None:
    with psycopg.connect(books.dsn(books.name)) as worker:
        worker.execute("select 1")  # in a transaction since before the job counts as stuck
        (job,) = strand_jobs(books, "compute_statistics", [14], 30)
        result = told(team, "queue-jobs-stuck", "a long one")
    assert (result["outcome"], result["case"]) == ("escalated", "at-work"), result
    assert books.states([job]) == ["started"]


def test_a_runner_that_tells_dead_jobs_by_locks_takes_them_up_itself(team: Team, books: Books) -> None:
    (job,) = strand_jobs(books, "compute_statistics", [16], 7200)
    result = told(team, "queue-jobs-stuck", "the runner stands still")
    assert (result["outcome"], result["case"]) == ("escalated", "runner-knows"), result
    assert books.states([job]) == ["started"]


@pytest.mark.usefixtures("older_runner")
def test_a_dead_payment_job_is_never_touched(team: Team, books: Books, server: OdooServer) -> None:
    (job,) = strand_jobs(books, "compute_statistics", [15], 7200)
    books.run("update queue_job set model_name = 'account.payment.order' where id = %s", job)
    calls = len(server.calls)
    result = told(team, "queue-jobs-stuck", "a dead payment")
    assert (result["outcome"], result["case"]) == ("escalated", "worker-gone"), result
    assert "class D" in result["left"][0]
    assert books.states([job]) == ["started"]
    assert len(server.calls) == calls


def test_an_overdue_cron_is_triggered_and_runs(team: Team, books: Books, server: OdooServer) -> None:
    cron = _a_cron(books, "test.overdue", active=True, late="2 hours")
    result = told(team, "cron-overdue", "overdue")
    assert (result["outcome"], result["case"]) == ("fixed", "overdue"), result
    assert ("ir.cron.trigger", "create", (cron,)) in server.calls


def test_a_cron_that_odoo_deactivated_is_active_again(team: Team, books: Books, server: OdooServer) -> None:
    cron = _a_cron(books, "test.deactivated", active=False, late="2 hours")
    result = told(team, "cron-deactivated", "deactivated")
    assert result["case"] == "deactivated", result
    assert books.run("select active from ir_cron where id = %s", cron) == [(True,)]


def test_what_no_alert_told_of_is_found_and_repaired(team: Team, estate: EmbeddedEstate, server: OdooServer) -> None:
    """In the books of a tenant of whom nobody said anything."""
    other = Books(estate, "fabrikam")
    server.serve(other.name)
    server.install_guard(other.name)
    other.run("delete from queue_job")
    jobs = other.fail_jobs("res.partner", "compute_statistics", [1, 2], TRANSIENT)
    cron = _a_cron(other, "test.forgotten", active=False, late="2 hours")

    def repaired() -> dict[str, str]:
        listed = team.api.get("/api/remediations", params={"open": "false"}).json()["value"]
        found = {one["symptom"]: one["outcome"] for one in listed if one["tenant"] == "fabrikam"}
        return found if len(found) > 1 and all(found.values()) else {}

    found = team.reconciled(repaired)
    assert found == {"queue-jobs-failed": "fixed", "cron-deactivated": "fixed"}
    assert other.states(jobs) == ["done"] * 2
    assert other.run("select active from ir_cron where id = %s", cron) == [(True,)]
    team.reconciled(lambda: True)
    done = [each.job for each in server.done if each.database == other.name]
    assert sorted(done) == sorted(jobs), "each once, however often it is looked"


def _a_cron(books: Books, name: str, *, active: bool, late: str) -> int:
    """One cron that is late or off, while all others are in time."""
    books.run("update ir_cron set nextcall = (now() at time zone 'utc') + interval '1 day', write_uid = 2")
    (cron,) = books.run(
        "update ir_cron set cron_name = %s, active = %s, write_uid = 1,"
        " lastcall = (now() at time zone 'utc') - interval '3 hours',"
        " nextcall = (now() at time zone 'utc') - %s::interval where id = (select max(id) from ir_cron) returning id",
        name,
        active,
        late,
    )[0]
    return cron


@pytest.fixture(params=[18, 19], ids=["xml-rpc", "json-2"])
def client(
    estate: EmbeddedEstate,
    server: OdooServer,
    books: Books,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Odoo:
    """The app's own client, by either protocol."""
    _trust(monkeypatch, estate)
    return Odoo(Endpoint(server.url, request.param, books.name, "closekeeper", KEY))


def test_both_protocols_read_call_write_and_create(client: Odoo, books: Books, server: OdooServer) -> None:
    (job,) = books.fail_jobs("res.partner", "compute_statistics", [1], TRANSIENT)
    assert client.read("queue.job", [job], ("state",)) == [{"id": job, "state": "failed"}]
    assert client.call("queue.job", "search_count", (), domain=[["state", "=", "failed"]]) == 1
    client.call("queue.job", "requeue", [job])
    assert server.calls[-1] == ("queue.job", "requeue", (job,))
    client.write("ir.cron", [1], {"active": True})
    assert server.calls[-1] == ("ir.cron", "write", (1,))
    client.create("ir.cron.trigger", {"cron_id": 1, "call_at": "2026-01-01 00:00:00"})
    assert server.calls[-1] == ("ir.cron.trigger", "create", (1,))


def test_both_protocols_tell_why_not(client: Odoo, books: Books, server: OdooServer) -> None:
    with pytest.raises(OdooRefusedError, match=r"[Pp]rivate|not exist"):
        client.call("ir.cron", "_trigger", [1])
    with psycopg.connect(books.dsn(books.name)) as running:
        running.execute("select id from ir_cron where id = 1 for update")
        with pytest.raises(OdooUserError, match="currently being executed"):
            client.write("ir.cron", [1], {"active": True})
    with pytest.raises(OdooRefusedError, match="ot allowed"):
        client.write("queue.job", [1], {"method_name": "unlink"})


def test_a_wrong_key_is_refused_and_never_shown(server: OdooServer, estate: EmbeddedEstate, books: Books) -> None:
    for version in (18, 19):
        wrong = Endpoint(server.url, version, books.name, "closekeeper", "a-wrong-key")
        assert "a-wrong-key" not in repr(wrong)
        with pytest.MonkeyPatch.context() as patch:
            _trust(patch, estate)
            with pytest.raises(OdooRefusedError) as refused:
                Odoo(wrong).read("queue.job", [1], ("state",))
        assert "a-wrong-key" not in str(refused.value)


def test_an_answer_that_is_lost_is_told_as_lost_and_the_call_is_made_once(
    estate: EmbeddedEstate, server: OdooServer, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    _trust(monkeypatch, estate)
    client = Odoo(Endpoint(server.url, 18, books.name, "closekeeper", KEY))
    (job,) = books.fail_jobs("res.partner", "compute_statistics", [1], TRANSIENT)
    server.faults.silent["requeue"] = 1
    before = len(server.calls)
    with pytest.raises(OdooSilentError):
        client.call("queue.job", "requeue", [job])
    assert server.calls[before:] == [("queue.job", "requeue", (job,))], "asked once, though nobody answered"


def _trust(patch: pytest.MonkeyPatch, estate: EmbeddedEstate) -> None:
    """As in a process of the app: what was trusted when a page was first opened in this one is forgotten."""
    patch.setenv("SSL_CERT_FILE", str(estate.authority.bundle))
    patch.setattr(urllib.request, "_opener", None)
