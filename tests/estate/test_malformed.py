"""Malformed estates and the exact words that their authors get. `UPDATE_GOLDEN=1` writes the words anew."""

import os
from pathlib import Path

import pytest

from shared.estate.loading import load_estate
from shared.estate.problems import EstateInvalidError
from tests.estate.files import MALFORMED


@pytest.mark.parametrize("file", MALFORMED, ids=lambda file: file.stem)
def test_every_problem_is_said_with_its_place_and_its_remedy(file: Path) -> None:
    with pytest.raises(EstateInvalidError) as raised:
        load_estate(file.read_bytes(), file.name)
    said = "".join(f"{problem}\n" for problem in raised.value.problems)
    golden = file.with_suffix(".txt")
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(said, encoding="utf-8")
    assert said == golden.read_text(encoding="utf-8")


def test_there_are_at_least_ten() -> None:
    assert len(MALFORMED) >= 10


def test_no_message_repeats_a_secret() -> None:
    file = next(file for file in MALFORMED if file.stem == "secrets")
    said = file.with_suffix(".txt").read_text(encoding="utf-8")
    for secret in (
        "Winter2026",
        "hunter2",
        "9f8b1c3d",
        "Pa55word",
        "Odoo123",
        "q7Zt3XvB",
        "c2VjcmV0",
        "correct-horse",
        "Zm9v",
    ):
        assert secret in file.read_text(encoding="utf-8")
        assert secret not in said
