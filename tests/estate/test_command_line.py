"""The command line as a person or a pipeline calls it."""

import io
import json
import subprocess
import sys
from pathlib import Path

import icalendar
import pytest

from functions import command_line
from tests.estate.files import NOW, PROJECT, SINGLE_COMPANY, SMALL


def run(*arguments: str) -> tuple[int, str, str]:
    out, errors = io.StringIO(), io.StringIO()
    code = command_line.main(arguments, NOW, out, errors)
    return code, out.getvalue(), errors.getvalue()


@pytest.fixture
def small(tmp_path: Path) -> Path:
    file = tmp_path / "estate.yaml"
    file.write_text(SMALL, encoding="utf-8")
    return file


def test_validate_says_what_was_read(small: Path) -> None:
    code, out, errors = run("validate", str(small))
    assert (code, errors) == (0, "")
    assert out.startswith(f"{small}: valid: 1 environments, 1 tenants, 1 events; sha256:")


def test_validate_prints_problems_by_line_and_exits_with_1(small: Path) -> None:
    small.write_text(SMALL.replace("rto: 2h", "rto: soon"), encoding="utf-8")
    code, out, _ = run("validate", str(small))
    assert code == 1
    assert out.startswith(f'{small}:8:29: tiers.critical.rto: "soon" is not a duration; write a number with')
    assert out.count("\n") == 1


def test_advice_is_a_failure_only_when_asked_for(small: Path) -> None:
    small.write_text(SMALL.replace("rpo: 5m", "rpo: 1m"), encoding="utf-8")
    code, out, _ = run("validate", str(small))
    assert code == 0
    assert f"{small}:8:20: advice: tiers.critical.rpo: 1m is less than the platform can give" in out
    assert run("validate", "--strict", str(small))[0] == 1


def test_a_file_that_is_not_there_is_said_in_one_line() -> None:
    code, out, errors = run("validate", "nowhere.yaml")
    assert (code, out, errors) == (2, "", "nowhere.yaml: No such file or directory\n")


@pytest.mark.parametrize(
    "arguments", [[], ["plane"], ["plan", "--days", "0"], ["plan", "--from", "tomorrow"], ["validate"]]
)
def test_wrong_calls_exit_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments)[0] == 2
    assert "usage:" in capsys.readouterr().err


def test_plan_prints_the_calendar_in_local_time(small: Path) -> None:
    code, out, _ = run("plan", "--days", "30", "--estate", str(small))
    assert code == 0
    lines = out.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("Mon 2026-11-30 00:00  Tue 2026-12-01 00:00  Europe/Berlin  month-end  2026-11")


def test_plan_begins_today_in_the_calendars_time_zone_or_on_a_given_day(small: Path) -> None:
    assert run("plan", "--days", "8", "--estate", str(small))[1].count("month-end") == 0
    assert run("plan", "--days", "9", "--estate", str(small))[1].count("month-end") == 1
    assert run("plan", "--days", "60", "--from", "2028-01-01", "--estate", str(small))[1].count("month-end") == 2


def test_plan_as_json_names_the_version(small: Path) -> None:
    document = json.loads(run("plan", "--format", "json", "--estate", str(small))[1])
    version = run("validate", str(small))[1].split("; ")[1].strip()
    assert document["version"] == version
    assert [event["period"] for event in document["events"]] == ["2026-11", "2026-12", "2027-01"]
    assert document["from"] == "2026-11-21T23:00:00+00:00"


def test_plan_as_ics_can_be_subscribed_to(small: Path) -> None:
    _, out, _ = run("plan", "--format", "ics", "--estate", str(small))
    calendar = icalendar.Calendar.from_ical(out)
    assert next(str(event["SUMMARY"]) for event in calendar.walk("VEVENT")) == "month-end 2026-11"


def test_plan_takes_the_estate_from_the_setting(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESTATE_FILE", str(small))
    assert run("plan")[0] == 0
    monkeypatch.delenv("ESTATE_FILE")
    code, _, errors = run("plan")
    assert code == 2
    assert "ESTATE_FILE" in errors


def test_feeds_beside_the_estate_are_read_and_others_are_named(small: Path) -> None:
    feed = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:1\r\nSUMMARY:Closed for stocktaking\r\n"
    feed += "DTSTART;VALUE=DATE:20261207\r\nDTEND;VALUE=DATE:20261208\r\nCATEGORIES:Freeze\r\n"
    feed += "END:VEVENT\r\nEND:VCALENDAR\r\n"
    subscribed = "  subscriptions:\n    ours: { ics: finance.ics, kinds: { Freeze: freeze } }\ntiers:"
    small.write_text(SMALL.replace("tiers:", subscribed), encoding="utf-8")
    _, out, errors = run("plan", "--estate", str(small))
    assert "ours" not in out
    assert "without the feeds of ours" in errors
    (small.parent / "finance.ics").write_text(feed, encoding="utf-8")
    _, out, errors = run("plan", "--estate", str(small))
    assert "2026-12-07" in out
    assert errors == ""
    (small.parent / "finance.ics").write_text("no calendar", encoding="utf-8")
    code, out, _ = run("plan", "--estate", str(small))
    assert code == 1
    assert "calendar.subscriptions" in out


def test_schema_check_fails_when_the_committed_one_is_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    committed = tmp_path / "estate.schema.json"
    monkeypatch.setattr(command_line, "SCHEMA", committed)
    assert run("schema", "--check")[0] == 1
    committed.write_text(run("schema")[1], encoding="utf-8")
    assert run("schema", "--check") == (0, "", "")
    committed.write_text(committed.read_text(encoding="utf-8").replace("Service tiers", "Tiers"), encoding="utf-8")
    code, _, errors = run("schema", "--check")
    assert code == 1
    assert "is stale" in errors


def test_it_runs_as_a_module() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "functions.command_line", "validate", str(SINGLE_COMPANY)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    assert ": valid: 2 environments" in said.stdout
