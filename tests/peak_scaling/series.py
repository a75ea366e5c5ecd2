"""Series to test forecasts on: a published one with calendar effects, and synthetic closes. Used by the bench, too."""

import math
import random
from datetime import date
from pathlib import Path

from shared.peak_scaling.forecast import Need

PUBLISHED = Path(__file__).with_name("data") / "peyton_manning.csv"


def published_weeks() -> list[Need]:
    """The busiest day of each week, by week of the year: game days, play-offs, quiet summers, a moving level."""
    weeks: dict[tuple[int, int], float] = {}
    for line in PUBLISHED.read_text(encoding="utf-8").splitlines():
        if line.startswith(("#", "day")):
            continue
        day, _, value = line.partition(",")
        year, week, _ = date.fromisoformat(day).isocalendar()
        weeks[year, week] = max(weeks.get((year, week), 0.0), math.exp(float(value)))
    return [Need(min(week, 52), weeks[year, week]) for year, week in sorted(weeks)]


def closes(
    seed: int, *, noise: float = 0.1, trend: float = 0.01, missing: float = 0.1, outliers: float = 0.03, count: int = 60
) -> list[Need]:
    """Month ends: quarters need a third more, the year end more still; noise is log-normal, outliers half or nearly
    double."""
    chance = random.Random(seed)
    found: list[Need] = []
    for month in range(count):
        place = month % 12
        usual = 100 * (1 + trend) ** month * (1.35 if place % 3 == 2 else 1.0) * (1.4 if place == 11 else 1.0)
        value = usual * math.exp(chance.gauss(0, noise))
        value *= chance.choice([0.5, 1.8]) if chance.random() < outliers else 1.0
        found.append(Need(place, None if chance.random() < missing else value))
    return found
