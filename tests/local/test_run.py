"""`make run` as a user starts it: side by side, to its end, and interrupted in every way."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


def start(folder: Path, *more: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "local", "run", "--data", str(folder), "--journal-items", "500", *more]
    return subprocess.Popen(
        command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def processes_of(folder: Path) -> list[str]:
    listed = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if str(folder) in line]


def assert_nothing_runs(folder: Path) -> None:
    deadline = time.monotonic() + 60
    while processes_of(folder) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert processes_of(folder) == []


def read_until(run: "subprocess.Popen[str]", pattern: str) -> str:
    """The output up to the line with that pattern."""
    assert run.stdout is not None
    output = ""
    for line in run.stdout:
        output += line
        if re.search(pattern, output):
            return output
    raise AssertionError(output)


def test_two_runs_side_by_side_tell_the_story_to_its_end(tmp_path: Path) -> None:
    runs = [start(tmp_path / name, "--once") for name in ("one", "two")]
    for run in runs:
        output, _ = run.communicate(timeout=240)
        assert run.returncode == 0, output
        assert re.search(r"restored server +pg-erp-drill-\w+", output)
        assert output.count("hash chain") == 2, "both tenants are checked"
        assert re.search(r"RTO +\d", output)
        assert re.search(r"RPO +\d", output)
        assert re.search(r"removed +yes", output)
        assert re.search(r"evidence +records/.*\.json", output)
        html, data = (Path(found) for found in re.findall(r"report +(\S+)", output))
        assert "contoso" in html.read_text()
        assert json.loads(data.read_text())
    assert_nothing_runs(tmp_path)


@pytest.mark.parametrize(
    ("ending", "moment"),
    [
        (signal.SIGINT, "stays up until Ctrl-C"),
        (signal.SIGTERM, "The books of contoso"),
        (signal.SIGKILL, "The books of contoso"),
    ],
)
def test_an_interrupted_run_leaves_no_process_behind(tmp_path: Path, ending: signal.Signals, moment: str) -> None:
    run = start(tmp_path / "run")
    read_until(run, moment)
    run.send_signal(ending)
    run.communicate(timeout=60)
    assert run.returncode == (-ending if ending is signal.SIGKILL else 0)
    assert_nothing_runs(tmp_path)


def test_a_story_that_fails_says_so_and_fails(tmp_path: Path) -> None:
    example = (PROJECT / "examples" / "single-company" / "estate.yaml").read_text()
    assert "rto: 2h" in example
    hasty = tmp_path / "estate.yaml"
    hasty.write_text(example.replace("rto: 2h", "rto: 1s", 1))
    run = start(tmp_path / "run", "--once", "--estate", str(hasty))
    output, _ = run.communicate(timeout=120)
    assert run.returncode == 1, output
    assert "the drill failed: RTO missed" in output
    assert_nothing_runs(tmp_path)


def test_help_says_what_there_is() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "local", "run", "--help"], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    for option in ("--once", "--port", "--estate", "--journal-items", "--data"):
        assert option in shown.stdout
