from pathlib import Path

import pytest

from shared.changes.execution import Result
from shared.changes.policy import OverrideKind
from shared.changes.reasons import ReasonCode

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "changes.md").read_text(encoding="utf-8")


def documented(heading: str) -> set[str]:
    """The first column of the table under a heading."""
    section = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.split("|")[1].strip() for line in section.splitlines() if line.startswith("| `")]
    return {row.strip("`") for row in rows}


@pytest.mark.parametrize(
    ("heading", "codes"),
    [
        ("Reasons", {str(code) for code in ReasonCode}),
        ("Results", {str(result) for result in Result}),
        ("Overrides", {str(kind) for kind in OverrideKind}),
    ],
)
def test_the_page_lists_exactly_what_the_code_knows(heading: str, codes: set[str]) -> None:
    assert documented(heading) == codes
