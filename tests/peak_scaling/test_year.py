"""The plan of a year: who, what, when, why, at what cost; and what is new since the last one."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest

from functions.command_line import main
from shared.peak_scaling.money import hourly, stays
from shared.peak_scaling.needs import Scaling, wanted_at
from shared.peak_scaling.readiness import connections
from shared.peak_scaling.targets import levels_of, merged, sku_rank
from shared.peak_scaling.year import PlannedPeak, as_json, as_text, differences, plan_year
from tests.peak_scaling.world import EXAMPLE, PRODUCTION, group

START = datetime(2026, 11, 20, tzinfo=UTC)
END = START + timedelta(days=60)


def test_the_plan_says_who_what_when_why_and_what_it_costs() -> None:
    text = as_text(plan_year(*group(), START, END))
    assert "Thu 2026-11-26 06:00 to Thu 2026-12-03 20:00 Europe/Berlin  production  Group period close" in text
    assert "for platform, group-finance, finance-americas, finance-asia, costs" in text
    assert "    ready by Wed 2026-11-25 18:00\n" in text
    assert (
        "Sat 2026-11-21 22:00  server parent: Standard_D8ds_v5 -> Standard_D16ds_v5, back from Sat 2026-12-05" in text
    )
    assert "interrupts 2-10 min: a server with replicas takes the slow path" in text


def test_the_cost_is_what_the_hours_above_the_baseline_cost_and_no_hour_counts_twice() -> None:
    estate, calendar = group()
    year = plan_year(estate, calendar, START, datetime(2026, 12, 7, tzinfo=UTC))
    close = next(peak for peak in year.peaks if peak.need.event == "period-close")
    by_name = {target.name: target for target in close.targets}
    hours = (by_name["server parent"].until - by_name["server parent"].begin).total_seconds() / 3600
    assert by_name["server parent"].cost == pytest.approx(hours * (1.48 - 0.74))
    scaling = Scaling(estate, PRODUCTION, calendar)
    holds = scaling.holds(START, END)
    nodes = 0.0
    minutes = int((datetime(2026, 12, 7, tzinfo=UTC) - START).total_seconds() // 60)
    for minute in range(0, minutes, 5):
        level = wanted_at(holds, START + timedelta(minutes=minute)).get("pool main/worker", {"min": 4})
        nodes += (int(str(level["min"])) - 4) * 0.80 / 12
    planned = sum(t.cost or 0 for peak in year.peaks for t in peak.targets if t.name == "pool main/worker")
    assert planned == pytest.approx(nodes, rel=0.001)


def test_a_standby_another_region_and_provisioned_speed_are_counted() -> None:
    """At the year end the parent gets 32 cores and 20000 IOPS, of which its rate has 3000 included."""

    def with_standby(text: str) -> str:
        where = "/flexibleServers/pg-parent\n"
        assert text.count(where) == 1
        return text.replace(where, f"{where}        high_availability: true\n")

    def year_end(edit: Callable[[str], str] = str) -> PlannedPeak:
        return next(peak for peak in plan_year(*group(edit), START, END).peaks if peak.need.event == "year-end")

    estate, calendar = group()
    scaling = Scaling(estate, PRODUCTION, calendar)
    levels = levels_of(scaling.targets, scaling.policy.peaks["year-end"])
    an_hour = {name: hourly(scaling.targets[name], level, estate.rates) for name, level in levels.items()}
    assert an_hour["server parent"] == pytest.approx(2.96 + 17_000 * 0.0052 / 730)
    assert (an_hour["replica parent/read"], an_hour["replica parent/far"]) == (2.96, 2.80)
    alone, doubled = ({each.name: each.cost for each in year_end(edit).targets} for edit in (str, with_standby))
    assert alone["server parent"]
    assert doubled == pytest.approx({**alone, "server parent": 2 * alone["server parent"]})
    unpriced = year_end(lambda text: text.replace("postgres_speed:", "# ")).unpriced
    assert (year_end().unpriced, unpriced) == ([], ["server parent"])


def test_overlapping_needs_merge_to_the_larger_of_each_fact() -> None:
    estate, calendar = group()
    holds = Scaling(estate, PRODUCTION, calendar).holds(START, END)
    for stay in stays(holds, START, END):
        middle = stay.start + (stay.end - stay.start) / 2
        for hold in holds:
            if hold.target is stay.target and hold.active(middle):
                assert merged(stay.level, hold.level) == stay.level


@pytest.mark.parametrize(
    ("smaller", "larger"),
    [
        ("Standard_D8ds_v5", "Standard_D16ds_v5"),
        ("Standard_D16ds_v5", "Standard_E16ds_v5"),
        ("Standard_E8ds_v5", "Standard_D16ds_v5"),
        ("Standard_D16ds_v4", "Standard_D16ds_v5"),
        ("Standard_B2ms", "Standard_D2ds_v5"),
        ("Balanced_B5", "Balanced_B20"),
    ],
)
def test_a_sku_is_larger_by_cores_then_memory_then_generation(smaller: str, larger: str) -> None:
    assert sku_rank(smaller) < sku_rank(larger)


def test_compute_that_no_window_outside_of_freezes_can_take_is_said_to_be_impossible() -> None:
    estate, calendar = group(
        lambda text: text.replace("postgres_within: Sat 22:00-Sun 06:00", "postgres_within: Sun 22:00-Sun 22:30")
    )
    close = next(p for p in plan_year(estate, calendar, START, END).peaks if p.need.event == "period-close")
    impossible = {target.name: target.impossible for target in close.targets if target.impossible}
    assert impossible.keys() >= {"server parent", "replica parent/read"}
    assert "no window of Sun 22:00-Sun 22:30 outside of freezes" in impossible["server parent"]


def test_no_compute_is_planned_to_change_in_a_freeze_neither_way() -> None:
    estate, calendar = group()
    holds = Scaling(estate, PRODUCTION, calendar).holds(START, START + timedelta(days=365))
    changes = {(hold.need.key, edge) for hold in holds if hold.target.interrupts for edge in (hold.begin, hold.until)}
    assert len(changes) > 20
    for key, edge in changes:
        frozen = [
            each.key for each in calendar.events_between(edge, edge + timedelta(hours=1)) if "freeze" in each.kinds
        ]
        assert frozen == [], (key, edge)


def test_the_difference_to_the_last_plan_names_what_changed_and_nothing_else() -> None:
    was = as_json(plan_year(*group(), START, END))
    more = group(lambda text: text.replace("main/parent: { min: 4, max: 8 }", "main/parent: { min: 5, max: 8 }"))
    now = as_json(plan_year(*more, START, END))
    assert differences(was, was) == []
    found = differences(now, was)
    assert "~ production/period-close/default/2026-11-28: pool main/parent after 4-8 -> 5-8" in found
    assert not any("payroll" in line for line in found)
    gone = {**now, "peaks": {key: peak for key, peak in now["peaks"].items() if "payroll-germany" not in key}}
    assert any(line.startswith("- production/payroll-germany/germany/2026-11-25") for line in differences(gone, now))


def test_the_command_prints_the_plan_and_what_is_new_in_it(tmp_path: Path) -> None:
    def run(*more: str) -> tuple[int, str]:
        out = StringIO()
        code = main(
            ["peaks", "--from", "2026-11-20", "--days", "14", "--estate", str(EXAMPLE), *more], START, out, StringIO()
        )
        return code, out.getvalue()

    code, text = run("--format", "json")
    assert code == 0
    (tmp_path / "last.json").write_text(text)
    assert (
        json.loads(text)["peaks"]["production/period-close/default/2026-11-28"]["ready_by"]
        == "2026-11-25T17:00:00+00:00"
    )
    assert run("--against", str(tmp_path / "last.json")) == (0, "nothing changed\n")
    assert run("--environment", "staging")[0] == 2


def test_connections_are_reckoned_with_every_replica_holding_all_it_may() -> None:
    wanted = [("web", 40, 16), ("worker", 90, 8), ("cron", 1, 4)]
    good, bad = connections("europe", wanted, 5000, 15, 0.2), connections("europe", wanted, 1718, 15, 0.2)
    assert (good.ok, bad.ok, connections("europe", wanted, None, 15, 0.2).ok) == (True, False, None)
    assert (
        "1364 of 1718 connections may be held (web 40 x 16 + worker 90 x 8 + cron 1 x 4), 1359 is the most"
        in bad.detail
    )
    needed = int(bad.detail.partition("raise max_connections to ")[2].split()[0])
    assert connections("europe", wanted, needed, 15, 0.2).ok
