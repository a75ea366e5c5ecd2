"""Playbooks as data: the recorded cases of those that are shipped, and the user's own beside the estate."""

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from functions.command_line import main
from shared.job_remediation import library
from shared.job_remediation.evidence import Evidence
from shared.job_remediation.library import PlaybookInvalidError
from shared.job_remediation.playbook import Playbook, exact
from shared.job_remediation.recorded_cases import run
from shared.job_remediation.reference import reference

PROJECT = Path(__file__).resolve().parents[2]
SHIPPED = PROJECT / "shared" / "job_remediation" / "playbooks"
OWN = """
name: budget-spent
title: A budget is spent
symptoms: [budget-exceeded]
cases: [{name: all, says: "{signal.title}", ask: Ask who pays.}]
tests:
  - name: over
    signal: {title: budget erp over 100}
    expect: {case: all, course: human, asks: who pays}
"""


def played(file: Path) -> tuple[int, str, str]:
    """Exit code, output and errors of `playbook-test`."""
    out, errors = io.StringIO(), io.StringIO()
    code = main(["playbook-test", str(file)], datetime.now(UTC), out, errors)
    return code, out.getvalue(), errors.getvalue()


def written(folder: Path, **changed: Any) -> Path:
    """A playbook's file with these fields changed; None takes one out."""
    document = {**yaml.safe_load(OWN), **changed}
    file = folder / "own.yaml"
    file.write_text(yaml.safe_dump({name: value for name, value in document.items() if value is not None}))
    return file


@pytest.mark.parametrize("name", sorted(library.shipped_playbooks()))
def test_each_shipped_playbook_does_what_its_recorded_cases_say_and_each_case_has_one(name: str) -> None:
    playbook = library.shipped_playbooks()[name]
    ran = [run(playbook, case) for case in playbook.tests]
    assert [(each.case.name, each.differences) for each in ran if each.differences] == []
    assert {each.decision.case for each in ran} == {case.name for case in playbook.cases}


def test_the_command_says_what_happened_in_each_case(tmp_path: Path) -> None:
    code, out, errors = played(written(tmp_path))
    assert (code, errors) == (0, "")
    assert "as expected: over" in out
    assert "budget erp over 100" in out
    assert "asks: Ask who pays." in out
    assert "1 recorded cases, 0 differ" in out


@pytest.mark.parametrize(
    ("expect", "words"),
    [
        ({"case": "all", "course": "over"}, "course is human because of for-a-human, expected over"),
        ({"case": "all", "course": "human", "cause": "transient"}, "cause is unknown, expected transient"),
        ({"case": "all", "course": "human", "asks": "the bank"}, "'the bank' in it"),
        ({"case": "all", "course": "act", "actions": ["rerun"]}, "actions are none, expected rerun"),
    ],
)
def test_a_difference_is_told_and_is_exit_code_1(tmp_path: Path, expect: dict[str, object], words: str) -> None:
    code, out, _ = played(written(tmp_path, tests=[{"name": "over", "expect": expect}]))
    assert code == 1
    assert words in out


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"tests": None}, "own.yaml: tests: it has no recorded cases"),
        ({"colour": "red"}, "own.yaml: colour: Extra inputs are not permitted; no such field"),
        ({"title": None}, "own.yaml: title: Field required; add it"),
        (
            {"tests": [{"name": "x", "expect": {"case": "none", "course": "over"}}]},
            "x expects case none; cases are all",
        ),
        (
            {
                "tests": [
                    {"name": "x", "evidence": {"job.state": "failed"}, "expect": {"case": "all", "course": "human"}}
                ]
            },
            "speaks of job.state, which nothing collects",
        ),
        ({"name": "failed-job"}, "failed-job: name: a shipped playbook is called so; rename it, or write `replaces"),
        (
            {"symptoms": ["job-failed"]},
            "symptoms: the shipped failed-job answers job-failed; write `replaces: failed-job`",
        ),
        ({"replaces": "no-such"}, "replaces: no shipped playbook is called no-such; they are blocking-session"),
    ],
)
def test_what_is_no_playbook_is_refused_with_file_field_and_remedy(
    tmp_path: Path, changed: dict[str, Any], words: str
) -> None:
    code, out, errors = played(written(tmp_path, **changed))
    assert (code, out) == (2, "")
    assert words in errors


def test_a_file_that_is_not_there_or_no_yaml_is_exit_code_2(tmp_path: Path) -> None:
    assert played(tmp_path / "none.yaml")[0] == 2
    file = tmp_path / "own.yaml"
    file.write_text("name: [")
    code, _, errors = played(file)
    assert code == 2
    assert "own.yaml is no YAML" in errors


def read_own(folder: Path, *places: str) -> dict[str, Playbook]:
    return library.with_own(library.read_playbook(file) for file in library.own_files(places, folder))


def test_own_playbooks_stand_beside_the_shipped_ones_or_in_their_place(tmp_path: Path) -> None:
    (tmp_path / "playbooks").mkdir()
    written(tmp_path / "playbooks")
    assert set(read_own(tmp_path, "playbooks")) == {*library.shipped_playbooks(), "budget-spent"}
    written(tmp_path / "playbooks", symptoms=["job-failed"], replaces="failed-job")
    own = read_own(tmp_path, "playbooks/*.yaml")
    assert set(own) == {*library.shipped_playbooks(), "budget-spent"} - {"failed-job"}


@pytest.mark.parametrize("place", ["../elsewhere.yaml", "/etc/*.yaml", "nothing/*.yaml"])
def test_own_playbooks_are_beside_the_estate(tmp_path: Path, place: str) -> None:
    with pytest.raises(PlaybookInvalidError, match="own"):
        library.own_files([place], tmp_path)


def test_validating_an_estate_validates_its_playbooks(tmp_path: Path) -> None:
    declared = yaml.safe_load((PROJECT / "examples" / "single-company" / "estate.yaml").read_text())
    declared["job_remediation"]["playbooks"] = {"own": ["own.yaml"]}
    estate = tmp_path / "estate.yaml"
    estate.write_text(yaml.safe_dump(declared))
    out = io.StringIO()
    written(tmp_path)
    assert main(["validate", str(estate)], datetime.now(UTC), out, out) == 0, out.getvalue()
    written(tmp_path, name="failed-job")
    assert main(["validate", str(estate)], datetime.now(UTC), out, out) == 1
    assert "a shipped playbook is called so" in out.getvalue()


def test_what_comes_from_outside_is_quoted_in_a_command() -> None:
    playbook = library.shipped_playbooks()["near-expiry"]
    facts = {"signal.vault": "kv", "signal.name": "x; rm -rf /"}
    (case,) = [case for case in playbook.cases if case.name == "key"]
    assert exact(case.commands, Evidence(facts)) == ("az keyvault key rotate --vault-name kv --name 'x; rm -rf /'",)
    assert exact(case.commands, Evidence({"signal.vault": "kv"})) == ()


def test_the_reference_is_that_of_the_playbooks() -> None:
    written_down = (PROJECT / "docs" / "playbooks.md").read_text(encoding="utf-8")
    assert written_down == reference(library.shipped_playbooks()), (
        "write it anew: python -m functions.command_line playbooks > docs/playbooks.md"
    )
