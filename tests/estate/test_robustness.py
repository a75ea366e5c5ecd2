"""Whatever the text, loading says what is wrong or returns an estate; it never fails otherwise."""

import random
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.estate.loading import load_estate
from shared.estate.problems import EstateInvalidError, Problem
from tests.estate.files import MALFORMED, SINGLE_COMPANY, plain

SEEDS = [SINGLE_COMPANY.read_text(encoding="utf-8"), *(file.read_text(encoding="utf-8") for file in MALFORMED)]
DOCUMENT = plain(SEEDS[0])
ODD = [
    *(
        None,
        True,
        0,
        -1,
        10**17,
        1e308,
        0.1,
        "",
        " ",
        "x" * 5000,
        "~",
        "\u202e",
        "\x85",
        "ß",
        "\U0001d54f",
        [],
        {},
        [[]],
        [{}],
        [None],
    ),
    *(
        "2026-02-30",
        "99999999999999999999h",
        "0s",
        "1y",
        "-1d",
        "1e400",
        "99999 business days after 1 January",
        "31st of month",
    ),
    *(
        "/",
        "a/b",
        "@setting:",
        "@keyvault:a",
        "${x}",
        "%(job)s",
        "9999-12-31",
        "0001-01-01",
        "Etc/GMT+99",
        "../../etc/passwd",
    ),
    *({"<<": {}}, {"key": "value"}, {"": ""}, {"from": "+400 business days", "when": "25th", "kinds": "peak"}),
]
many = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


def load(text: str | bytes) -> None:
    problems: tuple[Problem, ...] | None = None
    try:
        load_estate(text)
    except EstateInvalidError as error:
        problems = error.problems
    assert problems != ()
    for problem in problems or ():
        assert problem.line >= 1
        assert problem.column >= 1
        assert problem.what
        assert "\n" not in str(problem)
        assert "pydantic" not in str(problem)


@many
@given(st.randoms(use_true_random=False), st.sampled_from(SEEDS))
def test_mutated_text(dice: random.Random, text: str) -> None:
    letters = list(text)
    for _ in range(dice.randint(1, 12)):
        at = dice.randrange(len(letters))
        match dice.randrange(5):
            case 0:
                letters[at] = dice.choice("{}[]:,-#&*!|>'\"%@`\t\n ?\x00\u2028é0a~<=")
            case 1:
                del letters[at : at + dice.randint(1, 40)]
            case 2:
                letters[at:at] = letters[at : at + dice.randint(1, 200)]
            case 3:
                other = dice.randrange(len(letters))
                letters[at], letters[other] = letters[other], letters[at]
            case _:
                letters[at:at] = list(
                    dice.choice(["\n---\n", "<<: *a", "&a ", "*a", "!!binary ", "? ", "\n\t", ": : :"])
                )
        letters = letters or ["x"]
    load("".join(letters))


@many
@given(st.randoms(use_true_random=False))
def test_mutated_values(dice: random.Random) -> None:
    document = mutated(DOCUMENT, dice, 4 / count(DOCUMENT))
    load(yaml.safe_dump(document, allow_unicode=True))


@many
@given(st.binary(max_size=400))
def test_bytes(content: bytes) -> None:
    load(content)


@many
@given(st.text(max_size=400))
def test_text(text: str) -> None:
    load(text)


@many
@given(st.text(alphabet="{}[]:,-#&*!|>'\"%@?<~ \nab1", max_size=200))
def test_text_that_looks_like_yaml(text: str) -> None:
    load("estate: contoso\ntiers: " + text)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "{a: " * 50_000,
        "- " * 100_000,
        "? " * 50_000,
        "&a " * 1000,
        "a: &a [*a]",
        "&a {<<: *a}",
        "a: \ud800",
    ],
    ids=["lists", "mappings", "items", "keys", "anchors", "recursion", "recursive-merge", "surrogate"],
)
def test_texts_that_break_readers(text: str) -> None:
    load(text)


def mutated(value: Any, dice: random.Random, chance: float) -> Any:
    if dice.random() < chance:
        return dice.choice(ODD)
    if isinstance(value, dict):
        entries = {key: mutated(inner, dice, chance) for key, inner in value.items() if dice.random() > chance / 4}
        if dice.random() < chance / 4:
            entries[dice.choice(["", "x", "id", "tier", "2026-12-24", "<<", "main/web"])] = dice.choice(ODD)
        return entries
    if isinstance(value, list):
        return [mutated(item, dice, chance) for item in value]
    return value


def count(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + sum(count(inner) for inner in value.values())
    return 1 + sum(count(item) for item in value) if isinstance(value, list) else 1
