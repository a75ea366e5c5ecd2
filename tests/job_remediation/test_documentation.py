import json
import re
from pathlib import Path

from shared.job_remediation.symptoms import Symptom
from tests.job_remediation.places import the_signal

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "job-remediation.md").read_text(encoding="utf-8")


def test_the_page_lists_exactly_the_symptoms_and_which_are_faults() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| (yes|no) \|$", PAGE, re.MULTILINE)
    assert {name: fault == "yes" for name, fault in rows} == {str(one): one.is_fault for one in Symptom}


def test_the_plain_signal_of_the_page_is_read() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    signal = the_signal(json.loads(example))
    assert (signal.symptom, signal.title, signal.notes) == (Symptom.JOB_FAILED, "nightly upload", ())


def test_every_field_of_a_plain_signal_is_documented_and_read() -> None:
    section = PAGE.split("## Plain signals\n", 1)[1]
    rows = "".join(line.split("|")[1] for line in section.splitlines() if line.startswith("| `"))
    documented = set(re.findall(r"`([a-z_]+)`", rows))
    source = Path(__file__).resolve().parents[2] / "shared" / "job_remediation" / "intake" / "plain.py"
    read = set(re.findall(r'item\.\w+\("(\w+)"\)', source.read_text())) | {
        "fault",
        "tenant",
        "environment",
        "symptom",
        "database",
    }
    assert documented == read
