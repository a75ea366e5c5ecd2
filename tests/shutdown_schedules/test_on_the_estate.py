"""A night of a whole environment on the functions host: real PostgreSQL, AKS and Kubernetes with an API of their own.

The app's clock is the machine's, so the environment is one that sleeps until it is woken on request.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from local.embedded_estate import EmbeddedEstate
from local.kubernetes.resources import Resource, of_kind
from tests.drills.running import App, app
from tests.shutdown_schedules.declared import CLUSTER, SERVER

ESTATE = f"""
estate: contoso
calendar: {{ time_zone: Europe/Berlin }}
tiers: {{ relaxed: {{ rpo: 1d, rto: 8h, drill: quarterly }} }}
rates: {{ currency: EUR, postgres_hour: {{ Standard_D2ds_v5: 0.25, Standard_D4ds_v5: 0.5 }} }}
changes: {{ gate: {{ share_at_once: 100%, attempts_per_target: 30 per 1d }} }}
environments:
  staging:
    stage: staging
    tier: relaxed
    location: westeurope
    postgres: {{ erp: {{ id: {SERVER}, databases: [contoso] }} }}
    clusters:
      main:
        id: {CLUSTER}
        pools: {{ system: {{ mode: system }}, work: {{ mode: user }} }}
        namespaces: [odoo]
        workloads:
          worker: {{ object: deployment/odoo/worker, role: worker, pool: work, autoscaler: hpa }}
    tenants: {{ contoso: {{ placement: hybrid, database: erp/contoso }} }}
shutdown_schedules:
  nights: {{ covers: {{ environment: staging }}, grace: 1s, order: [workers, pools, postgres] }}
"""


class Running(App):
    """The app, with what is in the environment."""

    def environment(self) -> dict[str, Any]:
        return self.api.get("/api/environments/staging").json()

    def tick(self) -> None:
        self.fire("shutdown_schedules_tick")

    def until(self, condition: Callable[[], bool], seconds: float = 240) -> None:
        """Tick until it is so."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, (self.environment(), self.log())
            self.tick()
            time.sleep(1)

    def states(self) -> dict[str, str]:
        return {each["name"]: each["state"] for each in self.environment()["resources"]}

    def all_are(self, state: str) -> bool:
        return set(self.states().values()) == {state}

    def wake(self, reason: str) -> str:
        until = (datetime.now(UTC) + timedelta(hours=8)).isoformat()
        answer = self.patiently(
            lambda: self.api.post("/api/environments/staging/wake", json={"reason": reason, "until": until})
        )
        assert answer.status_code == 202, answer.text
        return answer.json()["override"]["id"]

    def finish_jobs(self) -> None:
        server = self.estate.server("staging", "erp")
        assert server.cluster is not None
        with psycopg.connect(server.cluster.dsn("contoso")) as connection:
            connection.execute("UPDATE queue_job SET state = 'done' WHERE state = 'started'")

    def replicas(self, name: str) -> int:
        found = self.estate.clusters["staging", "main"].get(_DEPLOYMENT, "odoo", name)
        return found["spec"]["replicas"]

    def evidence_of(self, kind: str) -> list[dict[str, Any]]:
        container = self.estate.evidence
        records = (
            json.loads(container.download_blob(blob.name).readall())
            for blob in container.list_blobs(name_starts_with="records/")
        )
        return [record for record in records if record["kind"] == kind]


def _known(api_version: str, kind: str) -> Resource:
    found = of_kind(api_version, kind)
    assert found is not None
    return found


_DEPLOYMENT = _known("apps/v1", "Deployment")


@contextmanager
def _quiet(_: str) -> Iterator[Callable[[str], None]]:
    yield lambda _: None


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("estate")
    declared = folder / "estate.yaml"
    declared.write_text(ESTATE)
    with (
        EmbeddedEstate(
            folder / "running", declared, environments=("staging",), progress=_quiet, journal_items=200
        ) as estate,
        app(estate, folder / "host", AKS_SETTLE_SECONDS="0") as started,
    ):
        yield Running(started.host, estate)


def test_an_environment_sleeps_when_its_jobs_are_done_and_wakes_on_request(running: Running) -> None:
    worker = running.replicas("worker")
    assert worker > 0
    running.until(lambda: "queue jobs run in contoso" in running.environment()["why"][0])
    assert running.all_are("awake"), "what Odoo works on puts sleep off"
    running.finish_jobs()
    running.until(lambda: running.all_are("asleep"))
    assert running.replicas("worker") == 0
    assert running.estate.server("staging", "erp").state == "Stopped"

    override = running.wake("demo for the auditors")
    running.until(lambda: running.all_are("awake"))
    assert running.replicas("worker") == worker
    server = running.estate.server("staging", "erp")
    assert server.cluster is not None
    with psycopg.connect(server.cluster.dsn("contoso")) as connection:
        assert connection.execute("SELECT count(*) FROM account_move").fetchone() != (0,)
    shown = running.environment()
    assert shown["state"] == "awake"
    assert shown["why"][0].endswith("demo for the auditors")
    assert "demo for the auditors" in running.api.get("/api/status").text
    (set_by,) = running.evidence_of("override_set")
    assert set_by["subject"] == f"override:{override}"
    assert running.evidence_of("plan_failed") == []
