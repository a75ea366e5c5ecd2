"""The month end of November 2026 on the big example, in memory: every incident, at every ten minutes that matter."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.changes.ports import Act, Acted
from shared.peak_scaling import tending
from shared.peak_scaling.readiness import Look
from tests.peak_scaling.world import PRODUCTION, World, group

WEB, WORKERS = "workload main/web", "workload main/worker"
CLOSE_STARTS = datetime(2026, 11, 26, 5, tzinfo=UTC)


def at(month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


@pytest.fixture
def world() -> World:
    return World(at(11, 21, 20), *group())


def quickly_to(world: World, until: datetime) -> None:
    """Hourly ticks where nothing is expected."""
    world.pass_to(until, every=timedelta(hours=1))


def told_of(world: World, kind: str, name: str) -> list[str]:
    return [each for each in world.told(kind) if name in each]


def test_everything_is_ready_before_the_window_and_given_back_exactly_though_much_goes_wrong(world: World) -> None:
    world.now = at(11, 21, 22, 30)  # the ticks of the first hour and a half of the window are lost
    world.answers["server europe"] = [Acted(Act.BUSY, detail="another operation runs")] * 2
    world.pass_to(at(11, 22, 3))
    assert {name for _, name, _ in world.acts} == {
        *("replica parent/read", "replica parent/far", "replica europe/far", "server parent", "server europe")
    }
    order = [name for _, name, _ in world.acts]
    assert order.index("replica parent/read") < order.index("server parent") > order.index("replica parent/far")
    assert order.index("replica europe/far") < order.index("server europe")

    quickly_to(world, at(11, 24, 10))
    world.pass_to(at(11, 24, 16))
    assert world.state["pool main/worker"] == {"min": 8, "max": 20}, "of two payrolls the larger need"
    quickly_to(world, at(11, 25, 15))

    world.capacity["pool main/parent"] = 3
    world.pass_to(at(11, 25, 16, 40))
    (late,) = told_of(world, "capacity_late", "pool main/parent")
    assert "3 of 4 nodes are Ready" in late
    assert "left until it has to be ready" in late
    world.capacity.clear()
    world.pass_to(CLOSE_STARTS)
    assert len(told_of(world, "capacity_recovered", "period-close")) >= 1
    assert [each for each in world.told("capacity_missing") if "period-close" in each] == []
    ready = [entry for entry in world.entries if entry.kind == "peak_ready" and "period-close" in entry.subject]
    assert len(ready) == 1
    assert ready[0].time < CLOSE_STARTS

    quickly_to(world, at(11, 27, 8))
    world.edit(WEB, min=16)
    quickly_to(world, at(12, 4, 18))
    assert len(told_of(world, "edited_by_person", WEB)) == 1
    world.queue = 180
    world.pass_to(at(12, 4, 22))
    assert world.state["pool main/worker"]["min"] == 10, "nothing is given back while jobs wait"
    assert len(world.told("give_back_waits")) >= 1
    world.queue = 0
    world.pass_to(at(12, 5, 10))
    assert WEB not in tending.remembered(world.services.store, PRODUCTION).held
    world.pass_to(at(12, 6, 3))
    edited = {**world.originals[WEB], "min": 16}
    assert world.state == {**world.originals, WEB: edited}, "exactly as it was, but for what a person set"
    assert tending.remembered(world.services.store, PRODUCTION).held == {}
    back = [name for _, name, wanted in world.acts if wanted == {"sku": "Standard_D8ds_v5"}]
    assert back.index("server parent") < back.index("replica parent/read")
    assert [each for each in world.acts if each[1] == "pool main/worker"][-2:][0][2] == {"min": 7, "max": 30}, (
        "in steps"
    )


def test_a_look_twice_asks_for_nothing_twice_and_tells_nothing_twice(world: World) -> None:
    world.pass_to(at(11, 22, 1))
    acts, entries = list(world.acts), len(world.entries)
    for _ in range(3):
        assert world.tick().changes == ()
    assert (world.acts, len(world.entries)) == (acts, entries)


def test_a_window_that_is_missed_wholly_is_not_made_up_for_in_the_freeze_but_told(world: World) -> None:
    world.now = at(11, 22, 8)
    quickly_to(world, CLOSE_STARTS)
    assert not any(name.startswith(("server", "replica")) for _, name, _ in world.acts)
    assert not any("flexibleServers" in run.plan.changes[0].target for run in world.driver.runs)
    assert [entry for entry in world.entries if entry.kind == "refused"] == [], "it is not even asked for"
    (told,) = told_of(world, "capacity_late", "server parent")
    assert "the time in which it may change is over" in told


def test_what_cannot_be_had_is_told_weeks_before_and_a_no_go_names_its_reasons() -> None:
    world = World(at(11, 12), *group())
    world.quotas = [
        Look("quota", "standardDSv5Family", False, "64 more vCPUs are needed, 10 of 100 are free"),
        Look("quota", "databases", None, "AuthorizationFailed"),
    ]
    world.looks = [Look("backup", "parent", False, "no restore of it was proven"), Look("room", "main", None, "unseen")]
    world.tick()
    (short,) = told_of(world, "quota_short", "period-close")
    assert "64 more vCPUs are needed" in short
    assert "left to have it raised" in short
    (unseen,) = told_of(world, "not_foreseen", "period-close")
    assert unseen.endswith("databases: AuthorizationFailed"), "what cannot be seen is no good news"
    world.now = at(11, 25, 17)
    world.tick()
    (no_go,) = told_of(world, "peak_not_ready", "period-close")
    assert "parent: no restore of it was proven" in no_go
    assert no_go.index("parent: no restore") < no_go.index("main: unseen"), "what is bad comes first"


def test_maintenance_of_azure_in_the_time_of_scaling_is_told_before_and_anew_when_it_comes_again() -> None:
    """The window of PostgreSQL opens on Saturday, the 21st at 21:00 UTC; the pool begins on Wednesday, the 25th."""
    world = World(at(11, 18, 9), *group())
    world.maintained["server parent"] = (at(11, 21, 23), at(11, 22, 0))
    world.maintained["server europe"] = (at(11, 23, 23), at(11, 24, 0))
    world.maintained["pool main/worker"] = (at(11, 25, 9), at(11, 25, 20))
    world.tick()
    told = [each for each in world.told("maintenance_collides") if "period-close" in each]
    assert [each.partition("28/")[2].partition(";")[0] for each in told] == [
        "server parent: reschedule",
        "pool main/worker: reschedule",
    ]
    assert told[0].endswith("; 3 d 12 h left until then")

    world.maintained.clear()
    world.now = at(11, 19, 9)
    world.tick()
    world.maintained["server parent"] = (at(11, 21, 23), at(11, 22, 0))
    for hour in (9, 10):
        world.now = at(11, 20, hour)
        world.tick()
    again = [each for each in world.told("maintenance_collides") if "server parent" in each]
    assert [each.partition("; ")[2] for each in again] == ["3 d 12 h left until then", "1 d 12 h left until then"]


@pytest.mark.parametrize("lost", [at(11, 27, 12), at(12, 4, 12), at(12, 4, 21, 30)])
def test_a_memory_that_is_lost_takes_nothing_scaled_for_the_original_and_leaves_nothing_up(lost: datetime) -> None:
    """In the peak, between it and giving back, and in the middle of giving back."""
    world = World(at(11, 21, 21), *group())
    world.pass_to(at(11, 22, 0))
    assert world.state["server parent"]["sku"] == "Standard_D16ds_v5"
    for start, end in [(at(11, 25, 16), at(11, 25, 17)), (min(lost, at(12, 4, 17)), lost)]:
        world.now = start
        world.pass_to(end)
    assert world.state["pool main/worker"]["min"] > world.originals["pool main/worker"]["min"]
    world.blobs.delete(f"{tending.memory_name(PRODUCTION)}.json")
    assert tending.remembered(world.services.store, PRODUCTION).held == {}
    acts = len(world.acts)
    world.tick()
    held = tending.remembered(world.services.store, PRODUCTION).held
    assert held["server parent"].before == {"sku": "Standard_D8ds_v5"}
    world.now = max(world.now, at(12, 4, 18))
    quickly_to(world, at(12, 5, 8))
    world.now = at(12, 5, 21)
    world.pass_to(at(12, 6, 0))
    assert world.state == world.originals
    early = [
        name for when, name, _ in world.acts[acts:] if when < at(12, 5, 21) and name.startswith(("server", "repl"))
    ]
    assert early == [], "PostgreSQL goes back in its window only"


def dry(text: str) -> str:
    return text.replace(
        "    production:\n      approval_for", "    production:\n      dry_run: true\n      approval_for"
    )


def test_a_dry_run_is_told_as_one_and_nothing_is_missed_held_or_given_back() -> None:
    world = World(at(11, 21, 21), *group(dry))
    assert world.services.rules.policy(PRODUCTION).dry_run
    for start, end in [
        (at(11, 21, 21), at(11, 21, 22)),
        (at(11, 25, 16), at(11, 26, 6)),
        (at(12, 5, 20), at(12, 6, 3)),
    ]:
        world.now = start
        quickly_to(world, end)
    assert (world.acts, world.state) == ([], world.originals)
    told = {entry.kind for entry in world.entries if entry.subject.startswith("peak:")}
    assert told == {"capacity_rehearsed", "peak_rehearsed"}
    (server,) = [each for each in told_of(world, "capacity_rehearsed", "server parent") if "period-close" in each]
    assert server.endswith("production is in dry run: Standard_D16ds_v5 will not be there for the peak")
    (rehearsed,) = told_of(world, "peak_rehearsed", "period-close")
    assert "so it is only rehearsed" in rehearsed
    assert tending.remembered(world.services.store, PRODUCTION).held == {}


def test_a_dry_run_that_begins_in_a_peak_leaves_what_is_up_and_says_so(world: World) -> None:
    world.now = at(11, 25, 16)
    world.pass_to(at(11, 25, 17))
    assert world.state["pool main/worker"]["min"] == 10
    world.turn(*group(dry))
    world.now = at(12, 4, 20)
    world.pass_to(at(12, 4, 21))
    assert world.state["pool main/worker"]["min"] == 10
    waits = told_of(world, "give_back_waits", "workload main/web")
    assert [each.endswith("production is in dry run: workload main/web stays at 12-40") for each in waits] == [True]
    assert "workload main/web" in tending.remembered(world.services.store, PRODUCTION).held
    world.turn(*group())
    quickly_to(world, at(12, 5, 8))
    assert world.state["workload main/web"] == world.originals["workload main/web"]


def test_a_failed_change_is_told_with_its_reason_and_tried_again(world: World) -> None:
    world.answers["server parent"] = [Acted(Act.FAILED, detail="QuotaExceeded: ask for more")]
    world.pass_to(at(11, 22, 1))
    (late,) = told_of(world, "capacity_late", "server parent")
    assert "QuotaExceeded" in late
    assert world.state["server parent"]["sku"] == "Standard_D16ds_v5"


def test_capacity_that_was_ready_and_is_lost_is_told() -> None:
    world = World(at(11, 25, 15), *group())
    world.pass_to(at(11, 25, 18))
    world.capacity["pool main/worker"] = 7
    world.tick()
    world.tick()
    lost = told_of(world, "capacity_lost", "pool main/worker")
    assert any("period-close" in each and "7 of 10 nodes are Ready" in each for each in lost)
    looks = tending.remembered(world.services.store, PRODUCTION).courses["period-close/default/2026-11-28"].looks
    assert [look.ok for look in looks if look.subject == "pool main/worker"] == [False]
