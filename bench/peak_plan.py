"""How fast a year of peaks is planned, for 200 environments, and beside an instant-by-instant reference of one.

Run: python -m bench.peak_plan [--smoke]
"""

import argparse
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from shared.estate.estate import Estate
from shared.estate.loading import load_estate
from shared.finance_calendar.compilation import compile_calendar
from shared.peak_scaling.needs import Scaling, wanted_at
from shared.peak_scaling.year import as_text, plan_year

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "group" / "estate.yaml"
START = datetime(2026, 11, 20, tzinfo=UTC)
YEAR = timedelta(days=365)
TIME_ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", None)
BOUND_SECONDS = 5.0


def environments(count: int) -> Estate:
    """The big example's production, so many times, in several time zones."""
    estate = load_estate(EXAMPLE.read_text(encoding="utf-8"), str(EXAMPLE))
    production, scaling = estate.environments["production"], estate.peak_scaling["production"]
    names = [f"production-{number}" for number in range(count)]
    zones = {name: TIME_ZONES[number % len(TIME_ZONES)] for number, name in enumerate(names)}
    return estate.model_copy(
        update={
            "environments": {name: production.model_copy(update={"time_zone": zones[name]}) for name in names},
            "peak_scaling": dict.fromkeys(names, scaling),
        }
    )


def sampled(estate: Estate, environment: str) -> float:
    """The seconds that the same year of one environment takes by asking what is wanted every quarter of an hour."""
    began = time.process_time()
    scaling = Scaling(estate, environment, compile_calendar(estate.calendar, {}))
    holds = scaling.holds(START, START + YEAR)
    for quarter in range(365 * 96):
        wanted_at(holds, START + quarter * timedelta(minutes=15))
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="five environments, to see that it works")
    count = 5 if parser.parse_args().smoke else 200
    estate = environments(count)
    began = time.process_time()
    year = plan_year(estate, compile_calendar(estate.calendar, {}), START, START + YEAR)
    planned = time.process_time() - began
    text = as_text(year)
    printed = time.process_time() - began - planned
    targets = sum(len(peak.targets) for peak in year.peaks)
    one = sampled(estate, next(iter(estate.environments)))
    print(f"{count} environments, a year: {len(year.peaks)} peaks with {targets} targets")
    print(f"  planned in {planned:.2f} s of processor time (bound for 200: {BOUND_SECONDS:.0f} s)")
    print(f"  printed in {printed:.2f} s, {len(text) / 1e6:.1f} MB")
    print(f"  one environment by asking every quarter of an hour: {one:.2f} s, {one * count / planned:.0f} x as long")


if __name__ == "__main__":
    main()
