"""The app with people who log in, an Odoo whose jobs make payment files, and an estate that can be declared anew."""

import copy
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import yaml

from local.azure.identity import ManagedIdentity, Tenant
from local.embedded_estate import EmbeddedEstate
from local.functions_host.config import HostConfig
from local.functions_host.easy_auth import EasyAuth
from local.functions_host.host import FunctionsHost
from local.odoo_server import OdooServer, Work
from tests.drills.running import PROJECT, App
from tests.remediation.running import Team, quick_estate

TENANT = "contoso"
KEY = "the-api-key"
MODEL, METHOD = "account.payment.order", "generate_payment_file"
JOB = f"{MODEL}.{METHOD}"
PASSES = ("psycopg2.errors.SerializationFailure", "could not serialize access due to concurrent update")
LOST = ("requests.exceptions.ReadTimeout", "POST https://bank.example/files: Read timed out")
_AUDIENCE = "api://closekeeper"
_NEVER = "0 0 0 1 1 *"
_PEOPLE = Tenant([ManagedIdentity("closekeeper")])


class Treasury(Team):
    """Who pays: the books, the bank's files, the alerts, and the people who approve."""

    def __init__(self, running: App, odoo: OdooServer, file: Path) -> None:
        super().__init__(running)
        self.odoo = odoo
        self._file = file
        self._declared: dict[str, Any] = yaml.safe_load(file.read_text())
        self._dsn, self._database = _books(running.estate)

    def declare(self, repeat: str | None, *, frozen: bool = False, expire_after: str = "1h") -> None:
        """Declare the payment job anew, and wait until that is in force."""
        declared = copy.deepcopy(self._declared)
        jobs = declared["job_remediation"]["jobs"]
        jobs.pop(JOB, None)
        if repeat:
            jobs[JOB] = {"repeat": repeat, "proof": "sent"}
        declared["changes"]["approvals"] = {"expire_after": expire_after}
        if frozen:
            today = datetime.now(UTC).date()
            days = {"from": str(today - timedelta(days=2)), "to": str(today + timedelta(days=2))}
            declared["calendar"]["events"]["test-freeze"] = {"title": "Freeze", "kinds": "freeze", **days}
        before, text = self.api.get("/api/estate").json()["version"], yaml.safe_dump(declared, sort_keys=False)
        if text == self._file.read_text():
            return
        self._file.write_text(text)
        self.app.await_that(lambda: self.api.get("/api/estate").json()["version"] != before)

    def fail(self, *payments: int, error: tuple[str, str] = PASSES) -> int:
        """Payments whose one job has failed, and no other failed job."""
        self.run("delete from queue_job where state in ('failed', 'pending')")
        records = json.dumps({"_type": "odoo_recordset", "model": MODEL, "ids": payments})
        return self.run(
            "insert into queue_job (uuid, model_name, method_name, state, exc_name, exc_message, records,"
            " identity_key, date_created, date_started, retry)"
            " values ('test-' || gen_random_uuid(), %s, %s, 'failed', %s, %s, %s, %s,"
            " now() at time zone 'utc', clock_timestamp() at time zone 'utc', 5) returning id",
            MODEL, METHOD, *error, records, f"payments-{payments}",
        )[0][0]  # fmt: skip

    def requeue_by_hand(self, job: int) -> None:
        """What Odoo's button does."""
        self.run("update queue_job set state = 'pending', date_started = null where id = %s", job)

    def state(self, job: int) -> str:
        return self.run("select state from queue_job where id = %s", job)[0][0]

    def files(self, payment: int) -> int:
        """How many files the bank has for the payment."""
        return self.run("select count(*) from bank_file where payment = %s", payment)[0][0]

    def requeues(self, job: int) -> int:
        """How often the app had Odoo requeue it."""
        return sum(1 for _, method, ids in self.odoo.calls if method == "requeue" and ids == (job,))

    def told(self, fault: str, by: httpx.Client | None = None) -> str:
        """The remediation of failed queue jobs that somebody tells of now."""
        alert = self.fires("queue-jobs-failed", fault, tenant=TENANT)
        answer = self.app.patiently(lambda: (by or self.api).post("/api/signals", json=alert))
        assert answer.status_code == 202, answer.text
        return answer.json()["signals"][0]["remediation"]

    def person(self, name: str, *roles: str) -> httpx.Client:
        """A person who has logged in."""
        token = _PEOPLE.user_token(f"{name}@example.org", _AUDIENCE, roles=["reader", *roles]).value
        headers = {"x-functions-key": self.app.host.function_key, "authorization": f"Bearer {token}"}
        return httpx.Client(base_url=self.app.host.url, headers=headers, timeout=60)

    def asked(self, remediation: str) -> dict[str, Any]:
        """The request for approval that the remediation waits for, as an approver sees it."""

        def mine() -> dict[str, Any] | None:
            for request in self.api.get("/api/approvals").json()["value"]:
                shown = self.api.get(f"/api/approvals/{request['id']}").json()
                if any(one["occasion"].startswith(f"{remediation}:") for one in shown["covered"]):
                    return {**request, **shown}
            return None

        return self.app.await_that(mine, 90)

    def look_again(self, request: dict[str, Any]) -> None:
        """Wake what waits for the approval, as its timer does after minutes."""
        (change,) = request["change_ids"]
        instance = self.api.get(f"/api/changes/{change}").json()["instance"]
        httpx.post(
            f"{self.app.host.url}/runtime/webhooks/durabletask/instances/{instance}/raiseEvent/recheck",
            params={"code": self.app.host.system_key("durabletask")},
            json=None,
        )

    def answer(self, request: dict[str, Any], by: httpx.Client, granted: bool = True) -> httpx.Response:
        body = {"plan_hash": request["plan_hash"], "granted": granted, "note": "seen"}
        return by.post(f"/api/approvals/{request['id']}/answer", json=body)

    def books(self) -> psycopg.Connection[Any]:
        """A connection to the database, as its owner."""
        return psycopg.connect(self._dsn(self._database))

    def run(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.books() as connection:
            cursor = connection.execute(query, values)
            return cursor.fetchall() if cursor.description else []


def _books(estate: EmbeddedEstate) -> tuple[Any, str]:
    tenant = estate.environments["production"].tenants[TENANT]
    cluster = estate.server("production", tenant.database.server).cluster
    assert cluster is not None
    return cluster.dsn, tenant.database.database


@contextmanager
def paying(estate: EmbeddedEstate, folder: Path) -> Iterator[Treasury]:
    """The app, and an Odoo with the guarded requeue whose payment jobs send a file to the bank."""
    dsn, database = _books(estate)
    with psycopg.connect(dsn(database)) as connection:
        connection.execute("create table bank_file (payment int, at timestamptz default clock_timestamp())")
        connection.execute("grant select on bank_file to public")
    with OdooServer(estate.authority, dsn, user="closekeeper", key=KEY) as odoo:
        odoo.serve(database)
        odoo.install_guard(database)
        odoo.work[JOB] = Work(effect="insert into bank_file (payment) values (%(record)s)")
        file = quick_estate(estate, folder / "declared")
        declared = yaml.safe_load(file.read_text())
        declared["environments"]["production"]["odoo"]["main"]["url"] = odoo.url
        for event in declared["calendar"]["events"].values():
            if "when" in event:  # what is tested must not depend on the day
                event["since"] = "2099-01-01"
        probe = {"sql": "select payment from bank_file where payment = %(job)s"}
        declared["job_remediation"].setdefault("probes", {})["sent"] = probe
        file.write_text(yaml.safe_dump(declared, sort_keys=False))
        by_hand = dict.fromkeys(
            ("ANCHORS_SCHEDULE", "BACKUP_INVENTORY_SCHEDULE", "BACKUP_VERIFICATION_SCHEDULE", "DRILL_REAPER_SCHEDULE",
             "DUMP_VERIFICATION_SCHEDULE", "EVIDENCE_SEALING_SCHEDULE", "PEAK_SCALING_SCHEDULE",
             "RECOVERY_REHEARSAL_SCHEDULE", "REMEDIATION_POLL_SCHEDULE", "REMEDIATION_SCHEDULE",
             "SHUTDOWN_SCHEDULES_SCHEDULE", "STORAGE_TIERING_SCHEDULE"),
            _NEVER,
        )  # fmt: skip
        own = {"ESTATE_FILE": str(file), "ESTATE_CHECK_SECONDS": "0.1", "ODOO_API_KEY": KEY}
        settings = estate.settings() | by_hand | own
        config = HostConfig(PROJECT, folder / "host", settings=settings, easy_auth=EasyAuth(_AUDIENCE))
        with FunctionsHost(config) as host:
            host.wait_ready()
            yield Treasury(App(host, estate), odoo, file)


def until(condition: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)
