"""What sleep saved, what it will save, and what is asleep on purpose."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from shared.shutdown_schedules import purpose, tending
from shared.shutdown_schedules.memory import Memory
from shared.shutdown_schedules.purpose import AsleepOnPurpose, Phase
from shared.shutdown_schedules.savings import Month, months
from tests.shutdown_schedules.declared import CLUSTER, POOL, SERVER, WEB, estate
from tests.shutdown_schedules.staging import Staging
from tests.shutdown_schedules.test_hours import keep_awake, utc


def memory_of(staging: Staging) -> Memory:
    return tending.remembered(staging.services.store, "staging")


def saved(staging: Staging) -> dict[str, Month]:
    overrides = tending.overrides(staging.services.store)
    found = months(staging.sleep, memory_of(staging), overrides, estate().rates, staging.now)
    return {each.month: each for each in found}


def test_hours_and_money_are_counted_by_month_of_the_environments_zone() -> None:
    """From Friday evening over the month's end: November ends at 23:00 UTC on Monday."""
    staging = Staging(utc("2026-11-27T18:00"))
    staging.pass_to(utc("2026-11-30T22:30"))
    november = saved(staging)["2026-11"]
    server = november.by_target[SERVER]
    asleep = 58.4 + 2.9  # Friday 20:00 to Monday 06:30 or so, and Monday evening so far
    assert abs(server.hours - asleep) < 0.7, server
    assert server.money is not None
    assert abs(server.money - server.hours * 0.5) < 0.01
    assert november.by_target[WEB].money == 0, "pods cost by their nodes"
    assert november.by_target[POOL].money is None, "its nodes' price is not known, so it is not guessed"
    assert november.expected.hours > november.actual.hours
    staging.pass_to(utc("2026-12-01T04:00"))
    assert saved(staging).keys() == {"2026-11", "2026-12"}
    assert abs(saved(staging)["2026-12"].by_target[SERVER].hours - 5) < 0.2


def test_what_is_expected_follows_the_schedules_and_what_people_keep_awake() -> None:
    staging = Staging(utc("2026-11-02T09:00"))
    staging.tick()
    plain = saved(staging)["2026-11"].expected
    assert plain.money is not None
    servers = 3 * 0.5
    assert abs(plain.hours - plain.money / 0.5 * 4 / 3) < 1, "a pool without a price counts its hours"
    staging.override(keep_awake("2026-11-06T18:00", "2026-11-09T04:00"))
    kept = saved(staging)["2026-11"].expected
    assert kept.money is not None
    assert abs((plain.money - kept.money) / servers - 57) < 1


def asked(staging: Staging, **about: Any) -> AsleepOnPurpose | None:
    return purpose.asleep_on_purpose(staging.sleep, memory_of(staging), staging.now, **about)


def test_what_sleeps_on_purpose_is_known_with_the_reason_from_the_first_step_to_the_last() -> None:
    staging = Staging(utc("2026-11-20T18:00"))
    staging.pass_to(utc("2026-11-20T18:55"))
    assert asked(staging) is None
    staging.pass_to(utc("2026-11-20T19:04"))
    going = asked(staging, target=SERVER.upper())
    assert going is not None
    assert going.phase is Phase.GOING
    staging.pass_to(utc("2026-11-21T12:00"))
    asleep = asked(staging, workload="main/web")
    assert asleep is not None
    assert (asleep.phase, asleep.reason, asleep.until) == (
        Phase.ASLEEP,
        "weekend, outside the working hours",
        utc("2026-11-23T05:30"),
    )
    assert asked(staging, target=f"{SERVER}/databases/contoso") is not None, "a part of what sleeps"
    assert asked(staging, target=f"{CLUSTER}/agentPools/system") is None
    staging.pass_to(utc("2026-11-23T05:33"))
    waking = asked(staging, target=SERVER)
    assert waking is not None
    assert waking.phase is Phase.WAKING
    staging.pass_to(utc("2026-11-23T06:30"))
    assert asked(staging) is None


def test_what_does_not_wake_in_time_is_a_fault_again() -> None:
    staging = Staging(utc("2026-11-20T18:00"))
    staging.pass_to(utc("2026-11-23T05:31"))
    assert asked(staging, target=SERVER) is not None
    staging.now += timedelta(hours=2, minutes=1)
    assert asked(staging, target=SERVER) is None


def test_what_a_tenant_needs() -> None:
    staging = Staging(utc("2026-11-20T18:00"))
    staging.pass_to(utc("2026-11-20T21:00"))
    needs = purpose.needs_of_tenant(estate(), "staging", "fabrikam")
    assert needs == [SERVER.casefold(), WEB.casefold()]
    found = asked(staging, among=needs)
    assert found is not None
    assert found.target == WEB
    memory = memory_of(staging)
    awake = {key: each for key, each in memory.sleepers.items() if key not in needs}
    assert purpose.asleep_on_purpose(staging.sleep, replace(memory, sleepers=awake), staging.now, among=needs) is None
