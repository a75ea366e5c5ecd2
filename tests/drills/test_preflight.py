"""What keeps a drill from beginning: each is said, recorded, and nothing is created."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from local.azure.arm import Lock
from local.embedded_estate import EmbeddedEstate
from shared.backup_verification.drill import Held, NotDone
from shared.backup_verification.registry import Entry, EntryState
from tests.backup_verification.sample_report import PLAN
from tests.drills.running import App, app, declare
from tests.drills.test_isolated_drill import source_of

type Obstacle = Callable[[EmbeddedEstate], object]


def subnet_of_drills(estate: EmbeddedEstate) -> str:
    assert estate.declared.backup_verification is not None
    assert estate.declared.backup_verification.drills.network is not None
    return str(estate.declared.backup_verification.drills.network.subnet)


def lock_of(estate: EmbeddedEstate) -> Lock:
    assert estate.declared.backup_verification is not None
    return Lock("keep", str(estate.declared.backup_verification.drills.resource_group))


def maintained(estate: EmbeddedEstate) -> None:
    start = datetime.now(UTC) + timedelta(hours=2)
    event = {"maintenanceEventId": "M-1", "maintenanceType": "PlannedMaintenance", "status": "Planned"}
    source_of(estate).maintenance.append(
        {**event, "startTime": start.isoformat(), "endTime": (start + timedelta(hours=1)).isoformat()}
    )


OBSTACLES: dict[str, tuple[Obstacle, str, str]] = {
    "a lock": (
        lambda estate: estate.azure.arm.locks.append(lock_of(estate)),
        "locks",
        "locked against removal: keep (CanNotDelete)",
    ),
    "no quota": (
        lambda estate: setattr(
            estate.azure.servers.behaviour, "cores_quota", estate.azure.servers.cores_in("westeurope") + 1
        ),
        "vCore quota",
        "2 vCores needed, 1 of",
    ),
    "no address": (
        lambda estate: estate.azure.servers.subnets.add(subnet_of_drills(estate), "westeurope", 0),
        "network",
        "0 addresses are left",
    ),
    "maintenance": (maintained, "maintenance", "is within the drill"),
}


@contextmanager
def hindered(estate: EmbeddedEstate, obstacle: Obstacle) -> Iterator[None]:
    obstacle(estate)
    try:
        yield
    finally:
        estate.azure.arm.locks.clear()
        estate.azure.servers.behaviour.reset()
        estate.azure.servers.subnets.add(subnet_of_drills(estate), "westeurope")
        source_of(estate).maintenance.clear()


def assert_refused(running: App, drill: str, words: str) -> dict[str, object]:
    report = running.await_drill(drill)["report"]
    assert (report["outcome"], words in report["reason"]) == ("refused", True), report["reason"]
    (record,) = running.records(drill)
    assert (record["kind"], record["body"]["preflight"]) == ("refused", report["preflight"])
    (event,) = running.events(drill)
    assert (event["type"], words in event["data"]["reason"]) == ("Closekeeper.BackupVerification.DrillRefused", True)
    restored = [life.name for life in running.estate.azure.servers.lives if "-drill-" in life.name]
    assert [name for name in restored if name == report["plan"]["server_id"].rpartition("/")[2]] == [], (
        "nothing was made"
    )
    return report


@pytest.fixture(scope="module")
def running(estate: EmbeddedEstate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with app(estate, tmp_path_factory.mktemp("preflight")) as running:
        yield running


@pytest.mark.parametrize("what", OBSTACLES)
def test_an_obstacle_is_seen_before_anything_is_made(running: App, what: str) -> None:
    obstacle, check, words = OBSTACLES[what]
    with hindered(running.estate, obstacle):
        report = assert_refused(running, running.start_drill(f"preflight-{check}"), words)
    states = {one["name"]: one["state"] for one in report["preflight"]}
    assert [name for name, state in states.items() if state == "refused"] == [check]


def test_what_may_not_be_looked_at_keeps_nobody_and_is_said(running: App) -> None:
    running.estate.azure.arm.denied.add("Microsoft.Authorization/locks/read")
    try:
        report = running.drill("blind")
    finally:
        running.estate.azure.arm.denied.clear()
    assert report["outcome"] == "passed"
    (locks,) = [one for one in report["preflight"] if one["name"] == "locks"]
    assert (locks["state"], "AuthorizationFailed" in locks["message"]) == ("unknown", True)


def test_a_dry_run_looks_ahead_without_a_turn(running: App) -> None:
    report = running.await_drill(running.start_drill("ahead", dry_run=True, target="random"))["report"]
    assert report["outcome"] == "dry_run"
    assert {one["state"] for one in report["preflight"]} == {"good"}
    assert report["plan"]["target_chosen"].startswith("a random instant since")
    assert report["cost"]["bound"] > 0


def test_what_a_drill_may_cost_is_bounded_before_and_measured_after(
    running: App, estate: EmbeddedEstate, tmp_path: Path
) -> None:
    report = running.drill("cost")
    cost = report["cost"]
    # Standard_D2ds_v5 with 128 GB: 0.178 + 128 * 0.115 / 730 an hour; ten hours at most, one begun
    assert (cost["currency"], cost["hour"], cost["limit"]) == ("EUR", 0.1982, 25)
    assert (cost["bound"], cost["spent"]) == (1.9816, 0.1982)
    file = declare(estate, tmp_path, ("cost_limit: 25", "cost_limit: 1.9"))
    with app(estate, tmp_path / "host", ESTATE_FILE=file) as dear:
        assert_refused(dear, dear.start_drill("dear"), "at most 1.98 EUR, more than cost_limit 1.90")
    file = declare(estate, tmp_path, ("Standard_D2ds_v5: 0.178, ", ""))
    with app(estate, tmp_path / "other", ESTATE_FILE=file) as unknown:
        assert_refused(unknown, unknown.start_drill("unknown"), "name no price of Standard_D2ds_v5")


def test_a_second_drill_of_a_living_copy_is_refused_and_another_key_later_is_not(running: App) -> None:
    first = running.start_drill("first-of-two")
    running.await_progress(first, "restoring")
    assert_refused(running, running.start_drill("second-of-two"), f"another drill of this server is alive: {first}")
    assert running.await_drill(first)["report"]["outcome"] == "passed"
    assert running.drill("third-of-two")["outcome"] == "passed"


def test_a_key_is_for_one_wish(running: App) -> None:
    running.drill("one-wish")
    body = {"environment": "production", "server": "erp", "target": "random"}
    answer = running.api.post("/api/drills", json=body, headers={"Idempotency-Key": "one-wish"})
    assert (answer.status_code, "Idempotency-Key" in answer.json()["detail"]) == (409, True)


def test_a_turn_that_nobody_holds_any_more_is_given_back(running: App) -> None:
    """A worker that dies between taking a turn and registering its server, and an orchestration that is ended then."""
    store = running.estate.state
    lost = {"environment": "production", "server": "erp", "since": "2026-01-01T00:00:00Z"}
    source = str(source_of(running.estate).id)
    anothers = {"environment": "elsewhere", "server": "erp", "since": datetime.now(UTC).isoformat(), "source_id": "x"}
    turns = {"taken": {"drill:lost": {**lost, "source_id": source}}, "waiting": {"drill:anothers": anothers}}
    store.upload_blob("drill-turns.json", json.dumps(turns), overwrite=True)
    assert_refused(running, running.start_drill("behind-the-lost"), "alive: drill:lost")
    running.fire("drill_reaper")
    running.await_that(lambda: b"drill:lost" not in store.download_blob("drill-turns.json").readall())
    assert b"drill:anothers" in store.download_blob("drill-turns.json").readall()
    assert running.drill("after-the-lost")["outcome"] == "passed"


def test_drills_are_listed_page_by_page(running: App) -> None:
    """Held ones, which nobody looks after."""
    held = Held(outcome=NotDone.REFUSED, reason="a lock")
    names = [f"drill:listed:erp:{number:03}" for number in range(150)]
    store = running.estate.state
    try:
        for name in names:
            plan = PLAN.model_copy(update={"id": name, "environment": "listed"})
            entry = Entry(plan=plan, state=EntryState.CLOSED, closed_at=plan.requested_at, held=held)
            store.upload_blob(f"drills/{name}.json", entry.model_dump_json())
        listed: list[str] = []
        sizes: list[int] = []
        query: dict[str, str] = {}
        while not listed or query:
            page = running.api.get("/api/drills", params=query).json()
            listed += [one["id"] for one in page["value"]]
            sizes.append(len(page["value"]))
            query = {"continuation": page["continuation"]} if page["continuation"] else {}
        assert [name for name in listed if name in set(names)] == names
        assert sizes[0] == 100
        assert len(listed) == len(set(listed)) == sum(sizes)
    finally:
        for name in names:
            store.delete_blob(f"drills/{name}.json")
