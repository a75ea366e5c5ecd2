"""Ticks, plans, HTTP and the status page on the functions host: a peak that is on is scaled for, then given back."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.embedded_estate import EmbeddedEstate
from local.functions_host.config import HostConfig
from local.functions_host.easy_auth import EasyAuth
from local.functions_host.host import FunctionsHost
from tests.drills.running import PROJECT
from tests.peak_scaling.playing import kind
from tests.shutdown_schedules.declared import CLUSTER, SERVER
from tests.shutdown_schedules.running import AUDIENCE, Declaration, Running, quiet

NEVER = "0 0 0 1 1 *"
ESTATE = f"""
estate: contoso
calendar:
  time_zone: Etc/UTC
  events:
    close: {{ title: Month end, FROM, kinds: peak }}
tiers: {{ relaxed: {{ rpo: 1d, rto: 8h, drill: quarterly }} }}
rates: {{ currency: EUR, postgres_hour: {{ Standard_D2ds_v5: 0.25, Standard_D8ds_v5: 1.0 }} }}
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
        pools: {{ system: {{ mode: system }}, work: {{ role: worker }} }}
        namespaces: [odoo]
        workloads:
          worker: {{ object: deployment/odoo/worker, role: worker, pool: work, autoscaler: hpa }}
    tenants: {{ contoso: {{ placement: hybrid, database: erp/contoso }} }}
peak_scaling:
  staging:
    peaks:
      close:
        pools: {{ main/work: {{ min: 3, max: 8 }} }}
        workloads: {{ main/worker: {{ min: 5, max: 9 }} }}
        postgres: {{ erp: {{ sku: Standard_D8ds_v5 }} }}
        ready_before: 5d
        give_back: {{ after: 1m, steps: 1, queue_below: 100000 }}
"""


def day(days: int) -> str:
    return f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%d}"


class Peaks(Running):
    """The app with a peak that tests move."""

    timer = "peak_scaling_tick"

    def declare(self, event: str) -> None:
        new = self.declared.file.with_suffix(".new")
        new.write_text(ESTATE.replace("FROM", event))
        new.replace(self.declared.file)

    def until(self, condition: Any, seconds: float = 120) -> None:
        """Tick while waiting, as timers do."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{self.found()} {self.state_of_peaks()} {self.log()[-1500:]}"
            self.tick()
            time.sleep(0.5)

    def peaks(self) -> list[dict[str, Any]]:
        return self.patiently(lambda: self.api.get("/api/peaks")).json()["value"]

    def state_of_peaks(self) -> str:
        """What the app remembers."""
        return self.estate.state.download_blob("peaks/staging.json").readall().decode()

    def found(self) -> dict[str, Any]:
        spec = self.estate.clusters["staging", "main"].get(kind("HorizontalPodAutoscaler"), "odoo", "worker")["spec"]
        scale = self.estate.azure.clusters.get(CLUSTER).pools["work"].scale
        return {
            "worker": (spec["minReplicas"], spec["maxReplicas"]),
            "pool": (scale.least, scale.most),
            "server": self.server.sku.name,
        }


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peaks]:
    folder = tmp_path_factory.mktemp("peaks")
    file = folder / "estate.yaml"
    file.write_text(ESTATE.replace("FROM", f"from: {day(20)}, to: {day(21)}"))
    with EmbeddedEstate(
        folder / "running", file, environments=("staging",), progress=quiet, journal_items=100
    ) as estate:
        settings = estate.settings() | {"ESTATE_FILE": str(file), "ESTATE_CHECK_SECONDS": "0.1"}
        settings |= {name: NEVER for name in settings if name.endswith("_SCHEDULE")}
        # Ten minutes pass between ticks elsewhere; here AKS, which takes one read a second, would answer 429.
        estate.azure.clusters.rates.monotonic = lambda: 600 * time.monotonic()
        config = HostConfig(PROJECT, folder / "host", settings=settings, easy_auth=EasyAuth(AUDIENCE))
        with FunctionsHost(config) as host:
            host.wait_ready()
            yield Peaks(host, estate, Declaration(Path(file)))


def test_a_peak_is_scaled_for_shown_reported_and_given_back_exactly(app: Peaks) -> None:
    before = app.found()
    app.declare(f"from: {day(1)}, to: {day(2)}")
    app.until(lambda: app.found() == {"worker": (5, 9), "pool": (3, 8), "server": "Standard_D8ds_v5"})
    app.until(lambda: bool(app.peaks()) and app.peaks()[0]["answer"] is not None)
    (listed,) = app.peaks()
    assert (listed["title"], listed["environment"]) == ("Month end", "staging")
    assert listed["answer"] in ("no-go", "unknown", "go")

    shown: dict[str, Any] = {}

    def ready() -> bool:
        shown.update(app.api.get(f"/api/peaks/staging/{listed['peak']}").json())
        return all(each["ready"] for each in shown["targets"])

    app.until(ready)
    assert {each["name"] for each in shown["targets"]} == {"pool main/work", "workload main/worker", "server erp"}
    assert any(look["check"] == "connections" for look in shown["looks"])
    page = app.api.get("/api/status").text
    assert "<h2>Peaks</h2>" in page
    assert "Month end" in page

    app.declare(f"from: {day(-3)}, to: {day(-2)}")
    app.until(lambda: app.found() == before)
    app.until(lambda: bool(app.evidence_of("given_back")) and not app.plans_under_way())
    assert app.evidence_of("failed") == []
    assert len(app.evidence_of("peak_ready")) + len(app.evidence_of("peak_not_ready")) >= 1


def test_who_may_ask_what(app: Peaks) -> None:
    assert app.api.get("/api/peaks/staging/close/default/1999-01-01").status_code == 404
    assert app.api.get("/api/peaks?environment=nowhere").status_code == 404
    approve = "/api/peaks/staging/recommendations/0123456789ab/approve"
    assert app.api.post(approve).status_code == 403, "a key never approves"
    assert app.api.get("/api/peaks/staging/recommendations").json() == {"value": []}
    with app.as_person("rita@example.org") as reader, app.as_person("anna@example.org", "approver") as approver:
        assert reader.post("peaks/staging/recheck").status_code == 403
        assert approver.post(approve.removeprefix("/api/")).status_code == 404
    with app.as_person("olga@example.org", "operator") as operator:
        answer: httpx.Response = operator.post("peaks/staging/recheck")
        assert answer.status_code == 202, answer.text
