"""Fortnights at five-minute ticks, with lost ticks, restarts and people: it always converges, and nothing is lost."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from shared.shutdown_schedules import tending
from shared.shutdown_schedules.wishes import Want
from tests.shutdown_schedules.declared import CRON, NIGHTS, POOL, REPLICAS, SERVER, WEB, WORKER, sleep
from tests.shutdown_schedules.staging import TICK, Staging
from tests.shutdown_schedules.test_hours import keep_awake, utc

LONG = bool(os.environ.get("CLOSEKEEPER_TEST_LONG"))
"""Many fortnights instead of a few."""
SPRING = utc("2026-03-23T00:00")
"""The fortnight from here has the clocks' change on 29 March, the month's end on Tuesday, Good Friday and Easter."""
FORTNIGHT = timedelta(days=14)
ALL = {WEB, WORKER, CRON, POOL, SERVER, *REPLICAS}
QUIET_FOR = timedelta(hours=3)
"""After so long without an edit or a lost tick everything is as it should be: an hour of grace, and the way there."""


@dataclass(frozen=True)
class Deed:
    """What somebody does, so many ticks after the beginning."""

    tick: int
    what: str
    number: int

    @property
    def at(self) -> datetime:
        return SPRING + self.tick * TICK

    def do(self, staging: Staging) -> None:
        asleep = WEB in staging.asleep()
        match self.what:
            case "scale" if staging.state[POOL]["power"] == "Running":
                staging.edit(WEB, replicas=1 + self.number)
            case "suspend" if not asleep:
                staging.edit(CRON, suspend=self.number % 2 == 0)
            case "start":
                staging.edit(SERVER, power="Ready")
            case "stop" if not asleep:
                staging.edit(SERVER, power="Stopped")
            case "keep awake":
                end = staging.now + timedelta(minutes=30 * (1 + self.number))
                staging.override(
                    keep_awake(staging.now.replace(tzinfo=None).isoformat(), end.replace(tzinfo=None).isoformat())
                )
            case "lose ticks" | "restart" | "scale" | "suspend" | "stop":
                pass
            case _:
                raise AssertionError(self.what)


TICKS = int(FORTNIGHT / TICK)
deeds = st.lists(
    st.builds(
        Deed,
        st.integers(0, TICKS - 1),
        st.sampled_from(["scale", "suspend", "start", "stop", "keep awake", "lose ticks", "restart"]),
        st.integers(1, 12),
    ),
    max_size=25,
)


@settings(
    max_examples=20 if LONG else 2,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],  # a fortnight takes seconds: no time to shrink
    suppress_health_check=list(HealthCheck),
)
@given(deeds=deeds, crashes=st.sampled_from([0.0, 0.05, 0.3]), seed=st.integers(0, 1000))
def test_whatever_happens_it_converges_originals_are_kept_and_transitions_happen_once(
    deeds: list[Deed], crashes: float, seed: int
) -> None:
    play(deeds, crashes, seed)


@pytest.mark.parametrize("seed", range(20 if LONG else 1))
def test_an_eventful_fortnight(seed: int) -> None:
    import random

    chance = random.Random(seed)
    kinds = ["scale", "suspend", "start", "stop", "keep awake", "lose ticks", "restart"]
    eventful = [Deed(chance.randrange(TICKS), chance.choice(kinds), chance.randint(1, 12)) for _ in range(60)]
    play(eventful, 0.2, seed)


def play(deeds: list[Deed], crashes: float, seed: int) -> None:
    staging = Staging(
        SPRING, sleep(NIGHTS + "  needed_for: [month-end]\n  retire_after: 1\n"), seed=seed, crashes=crashes
    )
    lost: list[tuple[datetime, datetime]] = [
        (deed.at, deed.at + timedelta(hours=deed.number * 4)) for deed in deeds if deed.what == "lose ticks"
    ]
    restless = SPRING
    checked = 0
    by_tick: dict[int, list[Deed]] = {}
    for deed in deeds:
        by_tick.setdefault(deed.tick, []).append(deed)
    for number in range(TICKS):
        for deed in by_tick.get(number, []):
            deed.do(staging)
            restless = max(
                restless, staging.now + (timedelta(minutes=30 * deed.number) if "awake" in deed.what else TICK)
            )
            if deed.what == "restart":
                restart(staging)
        away = any(start <= staging.now < end for start, end in lost)
        if away:
            restless = staging.now
        staging.pass_to(staging.now + TICK, lost=lambda _, away=away: away)
        if staging.now - restless > QUIET_FOR and settled(staging) and not staging.moving:
            check(staging)
            checked += 1
    assert checked > 100
    once(staging, undisturbed=not deeds and not crashes)


def restart(staging: Staging) -> None:
    """All that was in memory is gone; blobs and the orchestrations' histories stay."""
    staging.sleep = sleep(NIGHTS + "  needed_for: [month-end]\n  retire_after: 1\n")


def wanted(staging: Staging, at: datetime) -> Want:
    server = next(each for each in staging.sleep.resources if each.target == WEB)
    memory = tending.remembered(staging.services.store, "staging")
    overrides = tending.overrides(staging.services.store)
    return staging.sleep.timeline(server, overrides, memory, at, at).wish(at, "").want


def settled(staging: Staging) -> bool:
    """Whether the same has been wanted for so long that it is to be so."""
    web = next(each for each in staging.sleep.resources if each.target == WEB)
    memory = tending.remembered(staging.services.store, "staging")
    overrides = tending.overrides(staging.services.store)
    start, end = staging.now - QUIET_FOR, staging.now + TICK
    return not staging.sleep.timeline(web, overrides, memory, start, end).transitions(start, end)


def check(staging: Staging) -> None:
    """Everything is as the schedule wants it, and what is awake is as people want it."""
    if wanted(staging, staging.now) is Want.ASLEEP:
        assert staging.asleep() == ALL, staging.now
    else:
        assert staging.state == staging.truth, staging.now


def once(staging: Staging, *, undisturbed: bool) -> None:
    """No target was put to sleep, or woken, twice in a row by us unless a person came in between."""
    last: dict[str, Mapping[str, Any]] = {}
    for effect in staging.effects:
        assert effect.before != effect.wanted
        if undisturbed:
            assert effect.wanted != last.get(effect.target), effect
        last[effect.target] = effect.wanted


def test_a_fortnight_over_the_clocks_change_a_month_end_and_easter_that_nobody_disturbs() -> None:
    staging = Staging(SPRING, sleep(NIGHTS + "  needed_for: [month-end]\n"))
    staging.pass_to(SPRING + FORTNIGHT)
    once(staging, undisturbed=True)
    zone = staging.sleep.zone
    local = [each.at.astimezone(zone) for each in staging.effects if each.target == WEB]
    days = ["Mon 23", "Tue 24", "Wed 25", "Thu 26", "Fri 27", "Mon 30", "Thu 02"]
    assert [f"{at:%a %d}" for at in local[1::2]] == days, "the month's end is awake from Monday on, Good Friday is not"
    assert [f"{at:%a %d}" for at in local[2::2]] == [*days[:5], "Wed 01", "Thu 02"]
    assert {f"{at:%H:%M}" for at in local[2::2]} == {"20:00"}, "by the clock on the wall, before and after its change"
    assert all(at.hour in (5, 6) for at in local[1::2]), "awake before people come"
