"""The month end of November 2026 on the big example: real servers, nodes and pods, in compressed time.

The group's period 11 ends on Saturday, 28 November 2026. Its close begins on Thursday, the 26th, which is Thanksgiving
in the United States: Wednesday is their last business day before the holiday weekend. Payrolls of Germany and of the
United States overlap with it and with each other.
"""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.peak_scaling.playing import Playing, playing

CLOSE = "period-close/default/2026-11-28"


def at(month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


def assert_targets_are_ready(play: Playing, peak: str) -> None:
    """Every target of the peak was proven at the last look."""
    looks = [look for look in play.memory.courses[peak].looks if look.check == "target"]
    assert looks
    assert [look for look in looks if not look.ok] == []


@pytest.mark.skipif(
    os.environ.get("CLOSEKEEPER_TEST_LONG") != "1", reason="takes two minutes: set CLOSEKEEPER_TEST_LONG=1"
)
def test_the_month_end_of_november_2026(tmp_path: Path) -> None:
    with playing(tmp_path, at(11, 21, 20)) as play:
        before = play.found()
        azure = play.estate.azure

        # The window opens at 21:00 UTC, and the first hour's ticks are lost. One server is really away for a while.
        azure.servers.behaviour.scaling_falls_back = True
        azure.servers.behaviour.seconds["scale slowly"] = 1.0
        play.pass_to(at(11, 21, 22), ticks=False)
        assert play.found() == before
        play.pass_to(at(11, 22, 5))
        scaled = {name for name, state in play.found().items() if state.get("sku") == "Standard_D16ds_v5"}
        assert scaled == {f"server {name}" for name in ("parent", "parent/read", "parent/far", "europe", "europe/far")}
        assert any("it was seen not to answer" in each for each in play.details("verified")), "the slow path is told"

        # Two payrolls overlap, and then the close: the larger need wins.
        play.pass_to(at(11, 24, 12, 30))
        assert play.found()["pool main/worker"]["min"] == 6
        assert play.found()["ScaledObject odoo/queue-depth"]["minReplicaCount"] == 20
        play.pass_to(at(11, 24, 15))
        assert play.found()["pool main/worker"]["min"] == 8
        assert_targets_are_ready(play, "payroll-germany/germany/2026-11-25")

        # The parent's pool gets three of its four nodes, until somebody at Azure finds another one.
        azure.clusters.behaviour.capacity["parent"] = 3
        play.pass_to(at(11, 25, 16, 50))
        late = play.told("capacity_late")
        assert any("pool main/parent" in each and "left until it has to be ready" in each for each in late), late
        assert not any("pool main/worker" in each for each in late), late
        azure.clusters.behaviour.capacity.clear()
        play.pass_to(at(11, 25, 21))
        assert any("pool main/parent" in each for each in play.told("capacity_recovered"))
        assert_targets_are_ready(play, CLOSE)
        assert play.found()["pool main/worker"] == {"auto": True, "min": 10, "max": 30}
        assert play.found()["pool main/parent"] == {"auto": True, "min": 4, "max": 8}
        (no_go,) = [each for each in play.told("peak_not_ready") if each.startswith(CLOSE)]
        assert "no restore of it was ever proven" in no_go, "what is no target is told as well"

        # A person raises the web tier in the middle of it.
        play.pass_to(at(11, 27, 10))
        play.edit_bounds(16)
        play.pass_to(at(11, 27, 14))
        (edited,) = play.told("edited_by_person")
        assert edited.endswith("workload main/web: left alone until the peak is over")

        # It is over on 3 December; jobs still wait when giving back would begin.
        play.queue("nw_ag", "parent", "pending")
        play.pass_to(at(12, 5, 12))
        assert play.found()["pool main/worker"]["min"] == 10
        assert len(play.told("give_back_waits")) >= 1
        for server, place in play.place.postgres.items():
            for database in place.databases:
                play.queue(database, server, "done")
        play.pass_to(at(12, 6, 5))
        after = play.found()
        edited = after.pop("HPA odoo/web")
        assert (edited["minReplicas"], edited["maxReplicas"]) == (16, 40), "a person's edit stays, and what it rests on"
        assert after == {name: state for name, state in before.items() if name != "HPA odoo/web"}, "originals exact"
        assert not play.memory.held
        (failed,) = play.told("failed")
        assert "AllocationFailed" in failed, "nothing but the pool that waited for nodes, until its time was up"
        assert any(each.startswith(CLOSE) for each in play.told("after_action"))
