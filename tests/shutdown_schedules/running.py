"""A real environment that sleeps, whose declared hours change under it: a week of them takes a minute."""

import json
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, LiteralString

import httpx
import psycopg

from local.embedded_estate import EmbeddedEstate
from local.functions_host.host import FunctionsHost
from local.kubernetes.resources import Resource, of_kind
from tests.drills.running import App
from tests.shutdown_schedules.declared import CLUSTER, SERVER

AUDIENCE = "api://closekeeper"
ESTATE = f"""
estate: contoso
calendar: {{ time_zone: Etc/UTC }}
tiers: {{ relaxed: {{ rpo: 1d, rto: 8h, drill: quarterly }} }}
rates: {{ currency: EUR, postgres_hour: {{ Standard_D2ds_v5: 0.25, Standard_D4ds_v5: 0.5 }} }}
changes:
  gate: {{ share_at_once: 100%, attempts_per_target: 30 per 1d, verify_every: 1s, retry_after: 1s }}
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
  sandbox: {{ stage: test, tier: relaxed, location: westeurope }}
shutdown_schedules:
  nights:
    covers: {{ environment: staging }}
    awake: HOURS
    holidays: as any day
    grace: 1s
    defer: {{ up_to: 3d }}
    order: [workers, pools, postgres]
"""
_TODAY = datetime.now(UTC)
_YESTERDAY, _TOMORROW = (f"{_TODAY + timedelta(days=days):%a}" for days in (-1, 1))


class Declaration:
    """The estate's file. Each day and each night of the week is declared as hours that differ from those before."""

    def __init__(self, file: Path) -> None:
        self.file = file

    @staticmethod
    def day(number: int) -> str:
        """Hours that go on."""
        return f"{_YESTERDAY} {number:02}:00-{_TOMORROW} 12:00"

    @staticmethod
    def night(number: int) -> str:
        """Hours that are over."""
        return f"{_YESTERDAY} {number:02}:00-{number:02}:30"

    def hours(self, hours: str) -> None:
        new = self.file.with_suffix(".new")
        new.write_text(ESTATE.replace("HOURS", hours))
        new.replace(self.file)


class Running(App):
    """The app, with what is in the environment, and the timer that drives it."""

    timer = "shutdown_schedules_tick"

    def __init__(self, host: FunctionsHost, estate: EmbeddedEstate, declared: Declaration) -> None:
        super().__init__(host, estate)
        self.declared = declared

    def as_person(self, name: str, *roles: str) -> httpx.Client:
        token = self.estate.azure.tenant.user_token(name, AUDIENCE, roles=["reader", *roles]).value
        headers = {"x-functions-key": self.host.function_key, "authorization": f"Bearer {token}"}
        return httpx.Client(base_url=f"{self.host.url}/api/", headers=headers, timeout=60)

    def environment(self) -> dict[str, Any]:
        return self.patiently(lambda: self.api.get("/api/environments/staging")).json()

    def tick(self) -> None:
        """One tick, to its end: Azure never lets two of one timer overlap."""
        before = self._ticks()
        self.fire(self.timer)
        self.await_that(lambda: self._ticks() > before, 120)
        self.await_idle()

    def _ticks(self) -> int:
        log = (self.host.config.data / "logs" / "host.jsonl").read_text()
        return log.count(f"Executed 'Functions.{self.timer}'")

    def until(self, condition: Callable[[], bool], seconds: float = 120) -> None:
        """Tick until it is so."""
        deadline = time.monotonic() + seconds
        self.tick()
        while not condition():
            assert time.monotonic() < deadline, (self.environment(), self.log())
            time.sleep(0.2)
            self.tick()

    def states(self) -> dict[str, str]:
        return {each["name"]: each["state"] for each in self.environment()["resources"]}

    def all_are(self, state: str) -> bool:
        """Whether everything is so, and no plan is under way."""
        return set(self.states().values()) == {state} and not self.plans_under_way()

    def plans_under_way(self) -> list[str]:
        answer = httpx.get(
            f"{self.host.url}/runtime/webhooks/durabletask/instances",
            params={
                "code": self.host.system_key("durabletask"),
                "runtimeStatus": "Running,Pending",
                "instanceIdPrefix": "plan:",
            },
        )
        return [each["instanceId"] for each in answer.json()]

    def day(self, number: int) -> None:
        """It is declared to be day, and everything wakes."""
        self.declared.hours(Declaration.day(number))
        self.until(lambda: self.all_are("awake"))

    def night(self, number: int) -> None:
        """It is declared to be night, and everything goes to sleep."""
        self.declared.hours(Declaration.night(number))
        self.until(lambda: self.all_are("asleep"))
        assert self.worker()["replicas"] == 0
        assert self.server.state == "Stopped"

    @property
    def server(self) -> Any:
        return self.estate.server("staging", "erp")

    def rows(self, query: LiteralString) -> list[Any]:
        with psycopg.connect(self.server.cluster.dsn("contoso"), autocommit=True) as connection:
            cursor = connection.execute(query)
            return cursor.fetchall() if cursor.description else []

    def worker(self) -> dict[str, Any]:
        """What the Deployment and its autoscaler say that is ours to change."""
        deployment, scaler = (
            self.estate.clusters["staging", "main"].get(kind, "odoo", "worker") for kind in (_DEPLOYMENT, _AUTOSCALER)
        )
        notes = [name for each in (deployment, scaler) for name in each["metadata"].get("annotations", {})]
        return {
            "replicas": deployment["spec"]["replicas"],
            "bounds": (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]),
            "notes": [name for name in notes if "closekeeper" in name],
        }

    def scale_by_hand(self, replicas: int) -> None:
        self.estate.clusters["staging", "main"].edit(_DEPLOYMENT, "odoo", "worker", replicas=replicas)

    def evidence_of(self, kind: str) -> list[dict[str, Any]]:
        container = self.estate.evidence
        records = (
            json.loads(container.download_blob(blob.name).readall())
            for blob in container.list_blobs(name_starts_with="records/")
        )
        return [record for record in records if record["kind"] == kind]

    def story(self) -> str:
        """What was done, in the order of time."""
        records = sorted(self.evidence_of("applied"), key=lambda record: record["time"])
        return "\n".join(
            f"{record['time']} {record['subject']} {record['body']['observed']} > {record['body']['wanted']}"
            for record in records
        )

    def transitions(self) -> Counter[str]:
        """What was done to the environment by the records, such as `power Ready > Stopped`."""
        bodies = [record["body"] for record in self.evidence_of("applied")]
        return Counter(
            f"{fact} {body['observed'].get(fact)} > {body['wanted'][fact]}"
            for body in bodies
            for fact in ("replicas", "power")
            if fact in body["wanted"]
        )


def _known(api_version: str, kind: str) -> Resource:
    found = of_kind(api_version, kind)
    assert found is not None
    return found


_DEPLOYMENT = _known("apps/v1", "Deployment")
_AUTOSCALER = _known("autoscaling/v2", "HorizontalPodAutoscaler")


@contextmanager
def quiet(_: str) -> Generator[Callable[[str], None]]:
    yield lambda _: None
