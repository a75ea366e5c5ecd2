"""What the page shows is true."""

import re
from pathlib import Path

import pytest
import yaml

from shared.finance_calendar.compilation import compile_calendar
from shared.finance_calendar.declaration import CalendarDeclaration
from shared.finance_calendar.rules import parse_rule
from shared.finance_calendar.windows import parse_weekly
from tests.finance_calendar.declared import utc

PAGE = (Path(__file__).parents[2] / "docs" / "finance-calendar.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
SENTENCES = re.findall(r"^\| `(.*?)` \|", PAGE, re.MULTILINE)


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_are_valid_and_happen(example: str) -> None:
    declared = CalendarDeclaration.model_validate(yaml.safe_load(example))
    found = compile_calendar(declared).events_between(utc("2026-12-01"), utc("2027-12-01"))
    assert {each.event for each in found} == set(declared.events)


def test_sentences_are_understood() -> None:
    assert len(SENTENCES) == 12
    for sentence in SENTENCES:
        parse_rule(sentence)


@pytest.mark.parametrize("text", ["Mon-Fri 07:00-20:00, Sat 09:00-12:00", "20:00-08:00", "Fri 18:00-Mon 06:00"])
def test_weekly_windows_are_understood(text: str) -> None:
    assert f"`{text}`" in PAGE
    parse_weekly(text)
