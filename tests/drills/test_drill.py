"""Restore drills for real: the app on the host, a server restored from base backup and log, evidence in Azurite."""

import hashlib
from pathlib import Path
from typing import Literal

import httpx
import pytest

from local.embedded_estate import EmbeddedEstate
from local.functions_host.faults import Faults
from tests.drills.running import App, app, declare
from tests.long import variants


def assert_one_clean_drill(running: App, drill: str, report: dict[str, object]) -> None:
    """One verdict, one record, one event, and nothing left over."""
    assert report["id"] == drill
    assert (report["outcome"], report["failures"]) == ("passed", [])
    assert report["removed"] is True
    assert running.temporary_servers() == []
    (record,) = running.records(drill)
    assert record["body"]["outcome"] == "passed"
    (event,) = running.events(drill)
    assert event["data"]["report"]["id"] == drill


def test_a_drill_proves_the_books_and_leaves_evidence_and_no_server(running: App, estate: EmbeddedEstate) -> None:
    report = running.drill("plain")
    assert_one_clean_drill(running, report["id"], report)
    assert {books["tenant"] for books in report["books"]} == set(estate.environments["production"].tenants)
    for books in report["books"]:
        (expected,) = [kept.summary for kept in estate.books if kept.tenant == books["tenant"]]
        assert (books["moves"], books["lines"]) == (expected.posted_moves, expected.journal_items)
        assert books["hashed_moves"] == expected.hashed_moves > 0
    phases = report["phases"]
    assert sorted(phases.values()) == [
        phases[name]
        for name in (
            "requested",
            "accepted",
            "ready",
            "configured",
            "resolved",
            "answered",
            "verified",
            "removed",
        )
    ]
    assert 0 < report["rto_seconds"] < report["rto_objective_seconds"]
    blob = estate.evidence.download_blob(report["evidence"]["name"]).readall()
    assert hashlib.sha256(blob).hexdigest() == report["evidence"]["sha256"]


def test_the_same_key_is_the_same_drill(running: App) -> None:
    first = running.start_drill("same")
    assert running.start_drill("same") == first
    report = running.await_drill(first)["report"]
    assert running.start_drill("same") == first
    assert running.await_drill(first)["report"] == report
    assert_one_clean_drill(running, first, report)


def test_the_schedule_starts_the_drill_that_is_due_once(estate: EmbeddedEstate, tmp_path: Path) -> None:
    file = declare(estate, tmp_path, ("within: Mon-Thu 20:00-04:00", "not_during: []"))
    with app(estate, tmp_path / "host", ESTATE_FILE=file) as running:
        listed = {drill["id"] for drill in running.api.get("/api/drills").json()["value"]}
        for old in listed:  # as if nothing had ever been drilled
            estate.state.delete_blob(f"drills/{old}.json")
        running.fire("backup_verification_tick")
        running.fire("backup_verification_tick")
        (drill,) = running.await_listed(1)
        assert running.await_drill(drill)["report"]["outcome"] == "passed"
        running.fire("backup_verification_tick")
        running.await_idle()
        assert running.await_listed(1) == [drill]


@pytest.mark.parametrize("how", variants(["together"], ["in_turn", "late"]))
def test_every_activity_twice_is_one_drill(running: App, how: Literal["in_turn", "together", "late"]) -> None:
    running.host.set_faults(Faults(deliver_twice=how))
    drill = running.start_drill(f"twice-{how}")
    report = running.await_drill(drill)["report"]
    assert_one_clean_drill(running, drill, report)


def test_completions_that_are_lost_and_late_are_one_drill(estate: EmbeddedEstate, tmp_path: Path) -> None:
    faults = Faults(drop=frozenset(range(1, 60, 3)), delay=frozenset(range(2, 60, 3)), shuffle_seconds=0.1)
    with app(estate, tmp_path, faults) as running:
        drill = running.start_drill("lost")
        report = running.await_drill(drill)["report"]
        assert_one_clean_drill(running, drill, report)


def test_an_app_with_a_task_hub_of_its_own_leaves_anothers_drill_alone(
    running: App, estate: EmbeddedEstate, tmp_path: Path
) -> None:
    """As the deployment slot of an app does, that shares its state: its reaper does not know the drill."""
    with app(estate, tmp_path) as slot:
        drill = running.start_drill("anothers")
        running.await_progress(drill, "restoring")
        slot.fire("drill_reaper")
        slot.await_idle()
        assert_one_clean_drill(running, drill, running.await_drill(drill)["report"])


WORK_ITEMS = 20
"""The least that a drill consists of, however fast the restore and the removal are."""
APART = 4
"""Every so manieth work item meets a death of the worker."""
KILLS = variants(
    [(1, "before"), (3, "after")],
    [(3, "before"), (1, "after"), *((first, when) for first in (2, 4) for when in ("before", "after"))],
)


@pytest.mark.parametrize(("first", "when"), KILLS)
def test_a_worker_killed_at_any_work_item_is_one_drill(running: App, first: int, when: str) -> None:
    """However many there are. In the long variant at every one, before and after it."""
    host = running.host
    died = host.worker_restarts
    items = frozenset(host.work_items + item for item in range(first, 100, APART))
    host.set_faults(Faults(**{f"kill_{when}": items}))  # type: ignore[arg-type]
    drill = running.start_drill(f"killed-{when}-{first}")
    report = running.await_drill(drill)["report"]
    assert host.worker_restarts >= died + WORK_ITEMS // APART
    assert_one_clean_drill(running, drill, report)


def test_callers_are_told_what_is_wrong(running: App) -> None:
    url = running.host.url
    assert httpx.get(f"{url}/api/drills").status_code == 401
    assert httpx.get(f"{url}/api/drills", headers={"x-functions-key": "wrong"}).status_code == 401
    assert running.api.get("/api/nothing").status_code == 404
    assert running.api.get("/api/drills/drill:production:erp:never").status_code == 404
    for body, field in [
        (b"{not json", ""),
        (b"[]", ""),
        (b'{"server": "erp"}', "/environment"),
        (b'{"environment": "production", "server": 1}', "/server"),
        (b'{"environment": "production", "server": "unknown"}', "/server"),
        (b'{"environment": "nowhere", "server": "erp"}', "/environment"),
        (b'{"environment": "production", "server": "erp", "target": "2026-01-01T00:00:00"}', "/target"),
        (b'{"environment": "production", "server": "erp", "target": "2999-01-01T00:00:00Z"}', "/target"),
        (b'{"environment": "production", "server": "erp", "target": "newest"}', "/target"),
        (b'{"environment": "production", "tenant": "nobody"}', "/tenant"),
        (b'{"environment": "production", "kind": "tape"}', "/kind"),
        (b'{"environment": "production", "keep": "PT1H"}', "/keep"),
        (b'{"environment": "production", "event": "payroll"}', "/event"),
        (b'{"environment": "production", "server": "erp", "colour": "red"}', "/colour"),
    ]:
        answer = running.api.post("/api/drills", content=body)
        assert answer.status_code == 400, body
        assert answer.headers["content-type"] == "application/problem+json"
        assert [error["field"] for error in answer.json()["errors"]] == [field], answer.text
        assert "Traceback" not in answer.text
    assert running.temporary_servers() == []
