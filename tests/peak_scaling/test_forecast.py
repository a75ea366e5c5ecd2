"""Forecasts: against a seasonal-naive baseline, on a published series and on synthetic closes, worst case included."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from statistics import mean

import pytest

from shared.evidence.canonical import Json
from shared.peak_scaling import tending
from shared.peak_scaling.aftermath import Advice, AfterAction, TargetReport
from shared.peak_scaling.forecast import BASELINE, Need, backtest, forecast, seasonal_naive
from shared.peak_scaling.recommending import recommend
from tests.peak_scaling.series import closes, published_weeks
from tests.peak_scaling.world import PRODUCTION, World, group

OURS = "level-and-season"
POOL: Mapping[str, Json] = {"min": 10, "max": 30}


def test_on_the_published_series_the_error_is_half_of_the_seasonal_naive_one_and_the_worst_case_smaller() -> None:
    weeks = published_weeks()
    assert len(weeks) == 422
    naive, ours = (backtest(name, weeks, 52, first=104) for name in (BASELINE, OURS))
    assert naive
    assert ours
    assert ours.error < 0.55 * naive.error
    assert ours.worst < 0.2 * naive.worst
    assert ours.worst_under <= naive.worst_under


@pytest.mark.parametrize(
    ("how", "at_most"),
    [
        ({"noise": 0.05}, 0.75),
        ({"noise": 0.1}, 0.85),
        ({"noise": 0.25}, 0.9),
        ({"noise": 0.1, "trend": 0.03}, 0.6),
        ({"noise": 0.1, "missing": 0.3}, 0.75),
    ],
)
def test_on_synthetic_closes_with_noise_trend_and_gaps_it_beats_the_baseline(
    how: dict[str, float], at_most: float
) -> None:
    errors: dict[str, list[float]] = {name: [] for name in (BASELINE, OURS)}
    for seed in range(25):
        for name, found in errors.items():
            test = backtest(name, closes(seed, **how), 12, first=12)  # pyright: ignore[reportArgumentType]
            assert test
            found.append(test.error)
    assert mean(errors[OURS]) < at_most * mean(errors[BASELINE])


def test_the_baseline_is_used_where_nothing_beats_it() -> None:
    history = [Need(month % 12, 100.0 * (1 + month % 12)) for month in range(36)]
    found = forecast(history, 0, 12)
    assert found
    assert (found.backtest.method, found.value) == (BASELINE, 100.0)


def test_the_method_that_is_used_was_better_than_the_baseline_on_the_same_history_or_is_the_baseline() -> None:
    for seed in range(10):
        found = forecast(closes(seed), 0, 12)
        assert found
        assert found.backtest.error < found.baseline.error or found.backtest.method == BASELINE


def test_with_three_peaks_nothing_is_forecast_and_gaps_are_not_taken_for_needs() -> None:
    assert forecast([Need(0, 1.0)] * 3, 0, 12) is None
    assert seasonal_naive([Need(0, 5.0), Need(1, None), Need(2, 7.0)], 1, 3) == 7.0


# --- recommendations -------------------------------------------------------------------------------------------------


def report(month: int, used: float, name: str = "pool main/worker", level: Mapping[str, Json] = POOL) -> AfterAction:
    start = datetime(2026, 1, 27, tzinfo=UTC) + timedelta(days=28 * month)
    target = TargetReport(
        name=name,
        before={"min": 4, "max": 10},
        level=level,
        begun=start,
        ready=start,
        given_back=start + timedelta(days=7),
        edited=False,
        cost=1.0,
        used={"cpu": used},
        advice=Advice.KEEP,
    )
    return AfterAction(
        environment=PRODUCTION,
        peak=f"period-close/default/{start:%Y-%m-%d}",
        event="period-close",
        period=f"P{month + 1}",
        start=start,
        end=start + timedelta(days=7),
        go=start,
        at=start + timedelta(days=8),
        targets=(target,),
    )


def test_a_recommendation_says_method_and_error_and_is_used_only_when_a_person_agrees() -> None:
    world = World(datetime(2026, 11, 20, tzinfo=UTC), *group())
    store = world.services.store
    for month in range(10):
        tending.keep(world.services, report(month, 0.9 + month / 100))
    tending.advise(world.services, world.scaling(), "period-close", world.now)
    tending.advise(world.services, world.scaling(), "period-close", world.now)
    (wish,) = tending.recommendations(store, PRODUCTION)
    assert wish.level == {"min": 12, "max": 30}
    assert wish.within
    assert "off by" in wish.why
    assert BASELINE in wish.why
    assert len(world.told("peak_recommended")) == 1
    assert tending.agreed(store, PRODUCTION) == {}
    tending.agree(world.services, wish, "anna", world.now)
    assert tending.agreed(store, PRODUCTION) == {"period-close": {"pool main/worker": {"min": 12, "max": 30}}}
    assert tending.recommendations(store, PRODUCTION) == []
    assert [entry.actor for entry in world.entries if entry.kind == "peak_recommendation_used"] == ["anna"]


@pytest.mark.parametrize(("now", "recommended"), [("Standard_D16ds_v5", ["Standard_D32ds_v5"]), ("Standard_B8ms", [])])
def test_a_size_is_recommended_of_the_same_series_whose_price_is_declared(now: str, recommended: list[str]) -> None:
    """A cache's Balanced_B20 looks like one of 20 vCores of the series B, and is no server."""
    sized = group(lambda text: text.replace("sku: Standard_D16ds_v5", f"sku: {now}"))
    world = World(datetime(2026, 11, 20, tzinfo=UTC), *sized)
    made = [report(month, 0.95, "server parent", {"sku": now}) for month in range(8)]
    wishes = recommend(world.scaling(), made, "period-close", world.now)
    assert [wish.level["sku"] for wish in wishes] == recommended


def test_beyond_the_bounds_nothing_is_used_without_a_person_even_where_the_policy_applies_by_itself() -> None:
    applies = group(lambda text: text.replace("    forecast:\n", "    forecast:\n      apply: true\n"))
    for used, taken in ((0.95, {"min": 12, "max": 30}), (1.6, None)):
        world = World(datetime(2026, 11, 20, tzinfo=UTC), *applies)
        for month in range(8):
            tending.keep(world.services, report(month, used))
        (wish,) = recommend(
            world.scaling(), tending.reports(world.services.store, PRODUCTION), "period-close", world.now
        )
        assert wish.within is (taken is not None)
        tending.advise(world.services, world.scaling(), "period-close", world.now)
        levels = tending.agreed(world.services.store, PRODUCTION).get("period-close", {})
        assert levels.get("pool main/worker") == taken
        assert len(tending.recommendations(world.services.store, PRODUCTION)) == (0 if taken else 1)
