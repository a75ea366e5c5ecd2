"""Every recorded sample is read into exactly the signals that are written down in golden.json."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from shared.job_remediation.signal import Signal
from tests.job_remediation.places import reading

SAMPLES = Path(__file__).resolve().parents[2] / ".." / "shared" / "payloads"
GOLDEN: dict[str, Any] = json.loads((Path(__file__).parent / "golden.json").read_text())

needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"the recorded samples are not at {SAMPLES}")

PAIRS = [
    ("metric_static_fired", "derived_metric_static_resolved_pair"),
    ("log_v2_fired", "derived_log_v2_resolved_pair"),
    ("derived_prometheus_kubejobfailed_fired", "derived_prometheus_kubejobfailed_resolved"),
]
SAME_IN_BOTH_SCHEMAS = ["aks_new_version", "arn_health_availability_changed", "storage_blobcreated"]


def sample(name: str) -> bytes:
    return (SAMPLES / f"{name}.json").read_bytes()


def written(signal: Signal) -> dict[str, Any]:
    """As in golden.json: without what every signal of a delivery has in common."""
    fields = {
        name: value
        for name, value in asdict(signal).items()
        if name not in ("received_at", "raw") and value not in (None, ())
    }
    fields["target"] = {name: value for name, value in asdict(signal.target).items() if value}
    fields["severity"] = signal.severity.name
    return json.loads(json.dumps(fields, default=lambda time: time.isoformat()))


@needs_samples
def test_golden_knows_every_sample() -> None:
    assert set(GOLDEN) == {path.stem for path in SAMPLES.glob("*.json")}


@needs_samples
@pytest.mark.parametrize("name", GOLDEN)
def test_sample_is_read_into_its_signals(name: str) -> None:
    found = reading(sample(name))
    assert [written(signal) for signal in found.signals] == GOLDEN[name]["signals"]
    assert [one.reason for one in found.unrecognised] == []
    assert (found.handshake.code if found.handshake else None) == GOLDEN[name].get("handshake")


@needs_samples
@pytest.mark.parametrize(("fired", "resolved"), PAIRS)
def test_what_fired_and_what_resolved_it_share_a_fingerprint(fired: str, resolved: str) -> None:
    (one,), (other,) = reading(sample(fired)).signals, reading(sample(resolved)).signals
    assert (one.condition, other.condition) == ("fired", "resolved")
    assert one.fingerprint == other.fingerprint


@needs_samples
@pytest.mark.parametrize("name", SAME_IN_BOTH_SCHEMAS)
def test_both_schemas_say_the_same(name: str) -> None:
    first, second = (reading(sample(f"{name}_{schema}")).signals for schema in ("cloudevents", "eventgrid"))
    assert [written(signal) for signal in first] == [written(signal) for signal in second]


@needs_samples
def test_faults_of_different_samples_are_told_apart() -> None:
    seen: dict[str, set[str]] = {}
    for name in GOLDEN:
        for signal in reading(sample(name)).signals:
            seen.setdefault(signal.fingerprint, set()).add(f"{signal.symptom} {signal.target}")
    assert {key: what for key, what in seen.items() if len(what) > 1} == {}
