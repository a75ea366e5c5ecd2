"""What the project says of itself is so."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from shared.version import VERSION

PROJECT = Path(__file__).resolve().parents[1]
LATER = [
    "azure.identity",
    "azure.storage.blob",
    "azure.mgmt",
    "azure.eventgrid",
    "psycopg",
    "kubernetes",
    "polars",
    "holidays",
    "icalendar",
    "jinja2",
    "yaml",
    "rfc8785",
    "shared.estate.estate",
    "shared.evidence.log",
    "shared.evidence.record",
    "shared.finance_calendar.compilation",
]
"""What a cold start must not pay for: it is imported by who first uses it."""


def test_the_version_is_said_once() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION


def test_a_cold_start_imports_no_sdk_and_no_estate() -> None:
    program = f"import function_app, json, sys; print(json.dumps([name for name in {LATER!r} if name in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_requirements_are_pinned_with_hashes_and_without_index(name: str) -> None:
    text = (PROJECT / name).read_text()
    assert not re.search(r"index-url|find-links|https?://|file:", text)
    pins = re.findall(r"^[a-z0-9].*$", text, re.MULTILINE)
    assert pins
    assert all(re.match(r"[a-z0-9._-]+(\[[a-z0-9_,-]+\])?==\S+.* \\$", pin) for pin in pins)


def test_every_setting_of_the_sample_is_documented() -> None:
    sample = json.loads((PROJECT / "local.settings.sample.json").read_text())["Values"]
    documented = (PROJECT / "docs" / "api.md").read_text()
    own = [name for name in sample if not name.startswith(("FUNCTIONS_", "AzureWebJobs"))]
    assert [name for name in own if f"`{name}`" not in documented] == []


def test_links_between_documents_lead_somewhere() -> None:
    dead: list[str] = []
    for document in [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", document.read_text()):
            if not (document.parent / target).exists():
                dead.append(f"{document.name}: {target}")
    assert dead == []
