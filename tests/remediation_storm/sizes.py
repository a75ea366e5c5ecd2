"""How large the storm of the tests is: small in a usual run, whole with CLOSEKEEPER_TEST_LONG=1."""

import os
from dataclasses import dataclass

LONG = os.environ.get("CLOSEKEEPER_TEST_LONG") == "1"


@dataclass(frozen=True)
class Size:
    """So many alerts of so many faults of each kind; `cool_down` is longer than it takes to send the first tenth."""

    alerts: int
    faults: dict[str, int]
    cool_down: str
    fuzzed: int


SIZE = (
    Size(10_000, {"passing": 26, "doomed": 10, "resolved": 8, "unanswered": 6}, cool_down="30s", fuzzed=2_000)
    if LONG
    else Size(600, {"passing": 4, "doomed": 5, "resolved": 2, "unanswered": 1}, cool_down="5s", fuzzed=200)
)
