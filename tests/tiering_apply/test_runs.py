"""Runs of the whole app: planned from a listing, applied through the gate, on record."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pytest

from functions.tiering_steps import day_of
from local.functions_host import Faults
from tests.long import variants
from tests.tiering_apply.running import DATA, App, app
from tests.tiering_apply.world import Documents, Service


@pytest.fixture(scope="module")
def documents(running: Service) -> Documents:
    return running.container("exports")


@pytest.fixture(scope="module")
def _module_app(running: Service, documents: Documents, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with app(running, tmp_path_factory.mktemp("app"), "exports") as started:
        yield started


@pytest.fixture
def running_app(_module_app: App, documents: Documents) -> Iterator[App]:
    """The app, with an empty container."""
    documents.empty()
    _module_app.service.reset()
    yield _module_app
    _module_app.service.reset()
    _module_app.host.set_faults(Faults())


def by_action(report: dict[str, Any], field: str) -> dict[str, Any]:
    return {one["action"]: one[field] for one in report["changes"]}


def fill(documents: Documents, exports: int, waste: int = 0) -> list[str]:
    """Blobs that are due, and two that are not; returns those that are to be moved."""
    due = [f"2026/{number:04}.pdf" for number in range(exports)]
    documents.fill([*due, "kept/one.pdf", *(f"old/{number:04}" for number in range(waste))], data=DATA)
    documents.fill(["tiny.txt"], data=b"x")
    documents.await_age(1)
    return due


def test_a_dry_run_says_what_would_be_done_and_changes_nothing(running_app: App, documents: Documents) -> None:
    fill(documents, 300, waste=20)
    before = documents.tiers()
    report = running_app.run("dry", dry_run=True)
    assert documents.tiers() == before
    assert running_app.proxy.count("batch") == 0
    assert by_action(report, "result") == {"tier": "dry-run", "delete": "dry-run"}
    assert "would move 300 blobs of 330,000 bytes" in by_action(report, "detail")["tier"]
    (record,) = running_app.records("tiering:production:dry")
    assert record["kind"] == "dry_run"


def test_a_run_moves_and_deletes_what_is_due_and_says_so(running_app: App, documents: Documents) -> None:
    due = fill(documents, 600, waste=20)
    report = running_app.run("real")
    assert report["outcome"] == "completed"
    assert by_action(report, "result") == {"tier": "succeeded", "delete": "succeeded"}
    assert documents.tiers() == {**dict.fromkeys(due, "Cool"), "kept/one.pdf": "Hot", "tiny.txt": "Hot"}
    assert running_app.proxy.count("batch") == 3 + 1
    assert by_action(report, "progress")["tier"]["tallies"]["done"]["blobs"] == 600
    (record,) = running_app.records("tiering:production:real")
    assert record["body"]["changes"] == report["changes"]
    plan = running_app.api.get("/tiering/accounts/production/docs").json()
    assert plan["containers"]["exports"]["moves"] == 600
    assert plan["containers"]["exports"]["deletions"] == 20
    assert {row["reason"] for row in plan["blocked"]} == {"smaller than the class moves"}
    again = running_app.run("again")
    assert again["changes"] == []
    assert max(running_app.proxy.moved().values()) == 1


@pytest.mark.parametrize(
    ("now", "day"),
    [
        ("2026-11-22T22:49:00Z", "2026-11-21"),  # 23:49 in Berlin
        ("2026-11-22T22:50:00Z", "2026-11-22"),
        ("2026-11-23T05:00:00Z", "2026-11-22"),  # no tick came between 23:50 and midnight
        ("2026-03-29T21:50:00Z", "2026-03-29"),  # the day on which the clocks went forward
    ],
)
def test_a_days_run_begins_once_its_hour_was_there_and_not_only_before_midnight(now: str, day: str) -> None:
    assert str(day_of(datetime.fromisoformat(now), "23:50", ZoneInfo("Europe/Berlin"))) == day


def test_the_tick_starts_the_days_run_once(running_app: App, documents: Documents) -> None:
    due = fill(documents, 5)
    day = day_of(datetime.now(UTC), "00:00", ZoneInfo("Europe/Berlin"))
    for _ in range(2):
        running_app.fire("storage_tiering_tick")
    report = running_app.finished(f"tiering:production:{day}")
    assert (report["outcome"], report["requested_by"]) == ("completed", "storage_tiering")
    assert documents.tiers() == {**dict.fromkeys(due, "Cool"), "kept/one.pdf": "Hot", "tiny.txt": "Hot"}
    running_app.fire("storage_tiering_tick")
    (record,) = running_app.records(f"tiering:production:{day}")
    assert record["body"] == report


def test_too_many_deletions_wait_for_an_approval_as_a_whole(running_app: App, documents: Documents) -> None:
    fill(documents, 10, waste=90)
    run = running_app.start("mistake")
    waiting = running_app.until("/approvals", lambda found: bool(found["value"]))
    assert running_app.until(f"/tiering/runs/{run}", lambda state: state["progress"]["phase"] == "changing")
    assert sum(name.startswith("old/") for name in documents.tiers()) == 90
    assert "more than the ceiling of 20% of 102 blobs" in str(
        running_app.api.get(f"/approvals/{waiting['value'][0]['id']}").json()
    )
    assert not any(one.what == "delete" for one in running_app.proxy.asked)


def test_a_worker_that_is_killed_midway_moves_nothing_twice(running_app: App, documents: Documents) -> None:
    due = fill(documents, 1500)
    restarts = running_app.host.worker_restarts

    def kill(number: int) -> None:
        if number in (2, 4):
            running_app.host.kill_worker()

    running_app.proxy.before_batch = kill
    report = running_app.run("killed")
    assert running_app.host.worker_restarts >= restarts + 2
    assert report["outcome"] == "completed"
    moved = running_app.proxy.moved()
    assert sorted(moved) == due
    assert set(moved.values()) == {1}
    tallies = by_action(report, "progress")["tier"]["tallies"]
    assert sum(tally["blobs"] for tally in tallies.values()) == 1500
    assert tallies["already so"]["blobs"] > 0


@pytest.mark.parametrize("twice", variants(["together"], ["in_turn"]))
def test_messages_that_come_twice_move_nothing_twice(
    running_app: App, documents: Documents, twice: Literal["in_turn", "together"]
) -> None:
    due = fill(documents, 400)
    running_app.host.set_faults(Faults(deliver_twice=twice))
    report = running_app.run(f"twice {twice}")
    assert report["outcome"] == "completed"
    assert set(running_app.proxy.moved().values()) == {1}
    assert sorted(running_app.proxy.moved()) == due


def test_the_stop_switch_ends_a_run_between_two_batches(running_app: App, documents: Documents) -> None:
    fill(documents, 2000)
    running_app.proxy.latency = 1.5

    def pull(number: int) -> None:
        if number == 2:
            answer = running_app.api.put("/stop-switch", json={"pulled": True, "reason": "a test"})
            assert answer.status_code == 200, answer.text

    running_app.proxy.before_batch = pull
    report = running_app.run("stopped")
    assert report["outcome"] == "incomplete"
    assert "stop switch" in by_action(report, "detail")["tier"]
    assert 0 < len(running_app.proxy.moved()) < 2000
