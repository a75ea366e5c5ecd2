"""What the next peak of a kind will need, from what earlier ones needed; each method judged by a backtest. Pure.

The baseline is seasonal-naive: as much as a season ago (the same month end last year), else as much as last time. The
other methods are small enough to be understood by who approves the result, and are used only where they beat the
baseline on the very history that they forecast:

- `last`: as much as last time.
- `level-and-season`: on a logarithmic scale a level that follows the history and is not moved far by one outlier, a
  damped trend (the median of all slopes of the last season), and for each place in the season the median of what it was
  above the level, trusted the more the more seasons were seen.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log
from statistics import median

LEAST = 3
"""So many earlier peaks are needed for a forecast."""

_FOLLOWS, _OUTLIER, _DAMPED, _TRUST = 0.35, 2.5, 0.8, 1.0
_FLOOR = 1e-9


@dataclass(frozen=True, slots=True)
class Need:
    """What one earlier peak needed. place: which one of the season it was, such as the month. None: not measured."""

    place: int
    value: float | None


@dataclass(frozen=True, slots=True)
class Backtest:
    """How a method would have done, peak by peak, each with what was known before it.

    error: mean absolute error as a share of what was needed; worst_under: the largest share that was too little;
    worst: the largest either way.
    """

    method: str
    count: int
    error: float
    worst: float
    worst_under: float

    @property
    def sentence(self) -> str:
        """For people."""
        return (
            f"{self.method}: off by {self.error:.0%} on average over {self.count} earlier peaks,"
            f" at worst {self.worst:.0%}, too little by at most {self.worst_under:.0%}"
        )


@dataclass(frozen=True, slots=True)
class Forecast:
    """The next need, by which method, and how that one and the baseline did before."""

    value: float
    backtest: Backtest
    baseline: Backtest


type Method = Callable[[Sequence[Need], int, int], float | None]


def seasonal_naive(history: Sequence[Need], place: int, season: int) -> float | None:
    """As much as at the same place a season ago, where that was measured; else as last time."""
    for need in reversed(history[-season - 1 :]):
        if need.place == place and need.value is not None:
            return need.value
    return last(history, place, season)


def last(history: Sequence[Need], place: int, season: int) -> float | None:
    """As much as last time."""
    return next((need.value for need in reversed(history) if need.value is not None), None)


def level_and_season(history: Sequence[Need], place: int, season: int) -> float | None:
    """See the module."""
    known = [(index, need.place, log(max(need.value, _FLOOR))) for index, need in enumerate(history) if need.value]
    if len(known) < LEAST:
        return last(history, place, season)
    above = _seasons(known, season)
    plain = [(index, value - above.get(where, 0.0)) for index, where, value in known]
    level = _level([value for _, value in plain])
    slope = _slope(plain[-season:])
    gap = len(history) - plain[-1][0]
    return exp(level + slope * _DAMPED * gap + above.get(place, 0.0))


def _seasons(known: Sequence[tuple[int, int, float]], season: int) -> dict[int, float]:
    """By place, what it is above the median of the season around it; shrunk while seen seldom."""
    values = [value for _, _, value in known]
    half = max(1, season // 2)
    found: dict[int, list[float]] = {}
    for number, (_, where, value) in enumerate(known):
        around = values[max(0, number - half) : number + half + 1]
        found.setdefault(where, []).append(value - median(around))
    return {where: median(seen) * len(seen) / (len(seen) + _TRUST) for where, seen in found.items()}


def _level(values: Sequence[float]) -> float:
    """Exponential smoothing; what is far off moves it no further than an outlier may."""
    level, spread = values[0], 0.05
    for value in values[1:]:
        step = value - level
        limit = _OUTLIER * spread
        level += _FOLLOWS * max(-limit, min(limit, step))
        spread = max(0.02, spread + _FOLLOWS * (min(abs(step), 2 * limit) - spread))
    return level


def _slope(points: Sequence[tuple[int, float]]) -> float:
    """The median slope of all pairs (Theil and Sen)."""
    slopes = [(two - one) / (at - before) for i, (before, one) in enumerate(points) for at, two in points[i + 1 :]]
    return median(slopes) if slopes else 0.0


METHODS: Mapping[str, Method] = {
    "seasonal-naive": seasonal_naive,
    "last": last,
    "level-and-season": level_and_season,
}
BASELINE = "seasonal-naive"


def backtest(name: str, history: Sequence[Need], season: int, first: int = LEAST) -> Backtest | None:
    """How the method would have done on each need from the `first` on; None when nothing can be judged."""
    off: list[float] = []
    for index in range(first, len(history)):
        truth, past = history[index].value, history[:index]
        guess = METHODS[name](past, history[index].place, season)
        if truth and guess is not None:
            off.append((guess - truth) / truth)
    if not off:
        return None
    sizes = [abs(each) for each in off]
    return Backtest(name, len(off), sum(sizes) / len(sizes), max(sizes), max(0.0, -min(off)))


def forecast(history: Sequence[Need], place: int, season: int) -> Forecast | None:
    """The next need at that place of the season; None with too few earlier peaks.

    The method with the smallest error before is taken; the baseline unless another one is better.
    """
    measured = [need for need in history if need.value is not None]
    if len(measured) <= LEAST:
        return None
    tests = {name: test for name in METHODS if (test := backtest(name, history, season))}
    baseline = tests.get(BASELINE)
    if baseline is None:
        return None
    best = min(tests.values(), key=lambda test: (test.error, test.method != BASELINE))
    value = METHODS[best.method](history, place, season)
    return None if value is None else Forecast(value, best, baseline)
