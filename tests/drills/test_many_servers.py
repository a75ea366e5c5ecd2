"""Many servers drilled under a budget of four at once, by the real host and durable engine.

So many PostgreSQL clusters are more than a laptop carries: the sources are resources over one real cluster.
What is restored is real each time: a base backup, its log, a server of its own. How many were alive is counted from
the simulator's own log of lives, not from what the app says. 10 servers; DRILL_SERVERS=50 for the long run.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from local.azure.flexible_servers.registry import Life
from local.embedded_estate import EmbeddedEstate
from local.functions_host.faults import Faults
from tests.drills.running import App, app

SERVERS, AT_ONCE = int(os.environ.get("DRILL_SERVERS", "10")), 4
GROUP = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups"
SERVER = f"{GROUP}/rg-erp/providers/Microsoft.DBforPostgreSQL/flexibleServers"


def declaration() -> str:
    many = "\n".join(f"      s{n:02}: {{ id: {SERVER}/pg-{n:02}, databases: [books] }}" for n in range(SERVERS))
    return f"""
estate: many
calendar:
  time_zone: Europe/Berlin
  business_days: {{ holidays: DE-BY }}
  fiscal_year: {{ starts: 1 January }}
tiers:
  standard: {{ rpo: 1h, rto: 1h, drill: monthly }}
environments:
  origin:
    stage: test
    tier: standard
    location: westeurope
    postgres:
      books: {{ id: {SERVER}/pg-origin, databases: [books] }}
  many:
    stage: test
    tier: standard
    location: westeurope
    postgres:
{many}
changes:
  gates:
    origin: {{ automations: [] }}
backup_verification:
  drills:
    resource_group: {GROUP}/rg-drills
    at_once: {AT_ONCE}
    not_during: []
    targets: [latest]
    time_limit: 10m
"""


@contextmanager
def _silently(title: str) -> Iterator[object]:
    yield lambda word: None


@pytest.fixture
def many(tmp_path: Path) -> Iterator[EmbeddedEstate]:
    file = tmp_path / "estate.yaml"
    file.write_text(declaration())
    with EmbeddedEstate(
        tmp_path / "estate",
        file,
        environments=("origin",),
        progress=_silently,
        journal_items=100,
        event_time_scale=0.01,
    ) as running:
        origin = running.server("origin", "books")
        for number in range(SERVERS):
            running.azure.servers.add_alias(f"{SERVER}/pg-{number:02}", origin)
        running.azure.servers.behaviour.cores_quota = 10_000
        yield running


def most_alive(lives: list[Life]) -> int:
    """The most drill servers that were alive together, by the simulator's log."""
    changes: list[tuple[float, int]] = []
    for life in lives:
        if "-drill-" in life.name:
            changes.append((life.began.timestamp(), 1))
            if life.ended is not None:
                changes.append((life.ended.timestamp(), -1))
    alive = most = 0
    for _, change in sorted(changes):
        alive += change
        most = max(most, alive)
    return most


def test_all_servers_are_drilled_and_never_more_than_four_are_alive(many: EmbeddedEstate, tmp_path: Path) -> None:
    faults = Faults(kill_after=frozenset({100, 300}))
    with app(many, tmp_path / "host", faults, DRILL_POLL_SECONDS="0.5", APP_ADDRESSES="10.0.0.4") as running:
        with ThreadPoolExecutor() as callers:
            ticks = [callers.submit(running.fire, "backup_verification_tick") for _ in range(2)]
            one, other = [callers.submit(ask_for_everything, running) for _ in range(2)]
            drills = one.result()
            assert other.result() == drills
            assert [tick.result() for tick in ticks] == [None, None]
        reports = [running.await_drill(drill, 300)["report"] for drill in drills]
        assert [report["failures"] for report in reports] == [[]] * SERVERS
        restored = [life for life in many.azure.servers.lives if "-drill-" in life.name]
        assert len(restored) == SERVERS, "each once"
        assert most_alive(restored) == AT_ONCE, "the budget is used, and never exceeded"
        assert [life.name for life in restored if life.ended is None] == []
        listed = running.api.get("/api/drills").json()["value"]
        assert sorted(one["id"] for one in listed if one["id"].startswith("drill:many:")) == sorted(drills)
        coverage = running.api.get("/api/drills/coverage").json()["value"]
        assert {one["server"] for one in coverage if one["proven_until"]} == {
            f"s{number:02}" for number in range(SERVERS)
        }
        assert running.host.worker_restarts == 2


def ask_for_everything(running: App) -> list[str]:
    """The ids of a whole environment's drills, asked for by hand; again when the worker died meanwhile."""
    answer = running.patiently(lambda: running.api.post("/api/drills", json={"environment": "many"}))
    assert answer.status_code == 202, answer.text
    return [drill["id"] for drill in answer.json()["drills"]]
