"""docs/evidence.md names every problem that the verifier can name, and no other."""

import re
from pathlib import Path

from shared.evidence import verify

PAGE = Path(__file__).parents[2] / "docs" / "evidence.md"


def test_every_problem_is_explained() -> None:
    source = Path(verify.__file__).read_text()
    named = set(re.findall(r'"((?:record|leaves|root|seal|log|tail|history|proof|manifest|file)-[a-z-]+)"', source))
    rows = [line.split("|")[1] for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    explained = {code for row in rows for code in re.findall(r"`([a-z]+-[a-z-]+)`", row)}
    assert explained == named
    assert len(named) >= 25
