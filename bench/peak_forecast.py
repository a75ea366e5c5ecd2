"""How far forecasts of peaks are off, beside the seasonal-naive baseline, on a published series and synthetic closes.

Run: python -m bench.peak_forecast [--smoke]
"""

import argparse
from collections.abc import Sequence
from statistics import mean

from shared.peak_scaling.forecast import METHODS, Need, backtest, forecast
from tests.peak_scaling.series import closes, published_weeks

KINDS: dict[str, dict[str, float]] = {
    "noise 5 %": {"noise": 0.05},
    "noise 10 %": {"noise": 0.1},
    "noise 25 %": {"noise": 0.25},
    "no trend": {"trend": 0.0},
    "trend 3 % a month": {"trend": 0.03},
    "30 % missing": {"missing": 0.3},
    "no trend, no outliers, noise 5 %": {"trend": 0.0, "outliers": 0.0, "noise": 0.05},
}


def chosen(history: Sequence[Need], season: int, first: int) -> tuple[float, float]:
    """Mean error and worst shortfall of what would really have been forecast: the method chosen anew each time."""
    off: list[float] = []
    for index in range(first, len(history)):
        truth, said = history[index].value, forecast(history[:index], history[index].place, season)
        if truth and said:
            off.append((said.value - truth) / truth)
    return mean(map(abs, off)), max(0.0, -min(off))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="few series, to see that it works")
    seeds = range(2 if parser.parse_args().smoke else 40)
    print("published series, 318 weeks after two years:")
    for name in METHODS:
        test = backtest(name, published_weeks(), 52, first=104)
        print(f"  {test.sentence if test else name}")
    print(f"synthetic closes, {len(seeds)} of each kind, 48 months after one year: mean error, worst shortfall of all")
    for kind, how in KINDS.items():
        parts: list[str] = []
        for name in METHODS:
            tests = [test for seed in seeds if (test := backtest(name, closes(seed, **how), 12, first=12))]  # pyright: ignore[reportArgumentType]
            parts.append(f"{name} {mean(t.error for t in tests):.1%}, {max(t.worst_under for t in tests):.0%}")
        taken = [chosen(closes(seed, **how), 12, 12) for seed in seeds[:10]]  # pyright: ignore[reportArgumentType]
        parts.append(f"as chosen {mean(error for error, _ in taken):.1%}, {max(worst for _, worst in taken):.0%}")
        print(f"  {kind}: {'; '.join(parts)}")


if __name__ == "__main__":
    main()
