"""What a tick reads of the register, and what the register forgets: never what would act twice."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from local.memory_blobs import MemoryBlobContainer
from shared.blob_container import Blob, BlobFacts
from shared.changes.state import Store
from shared.job_remediation.collapse import Verdict
from shared.job_remediation.register import known_faults, note_concluded, note_started, tell
from shared.job_remediation.signal import Condition, Signal
from shared.job_remediation.survey import KEPT, survey
from shared.job_remediation.symptoms import Symptom
from tests.job_remediation import deliveries
from tests.job_remediation.places import NOW, the_signal

FIRED = the_signal(deliveries.azure_alert(deliveries.metric_context()))
SINCE = FIRED.fired_at or NOW


class Blobs(MemoryBlobContainer):
    """With a clock of their own; they count what is read."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.reads = NOW, 0
        self._written: dict[str, datetime] = {}

    def create(self, name: str, data: bytes, content_type: str = "application/json") -> str:
        etag = super().create(name, data, content_type)
        self._written[name] = self.now
        return etag

    def replace(self, name: str, data: bytes, etag: str, content_type: str = "application/json") -> str:
        etag = super().replace(name, data, etag, content_type)
        self._written[name] = self.now
        return etag

    def read(self, name: str) -> Blob:
        self.reads += 1
        return super().read(name)

    def list(self, prefix: str = "", start_from: str | None = None) -> Iterator[BlobFacts]:
        for facts in super().list(prefix, start_from):
            yield replace(facts, last_modified=self._written[facts.name])


def seen(blobs: Blobs, after: timedelta = timedelta(minutes=5)) -> list[str]:
    """The fingerprints that are there, so much later."""
    blobs.now, blobs.reads = blobs.now + after, 0
    return [known.fault.fingerprint.lstrip("0") for known in survey(blobs, Store(blobs), blobs.now)]


@pytest.fixture
def blobs() -> Blobs:
    return Blobs()


@pytest.fixture
def store(blobs: Blobs) -> Store:
    return Store(blobs)


def _fault(number: int, **changed: object) -> Signal:
    return replace(FIRED, fingerprint=f"{number:032}", **changed)  # type: ignore[arg-type]


def _conclude(store: Store, signal: Signal) -> None:
    tell(store, signal)
    note_started(store, signal.fingerprint, 1)
    note_concluded(store, signal.fingerprint, 1, SINCE + timedelta(hours=1))


def _listed(store: Store) -> list[str]:
    return [known.fault.fingerprint.lstrip("0") for known in known_faults(store)]


def test_what_is_over_is_read_again_only_when_it_is_written(blobs: Blobs, store: Store) -> None:
    for number in range(1, 21):
        _conclude(store, _fault(number))
    tell(store, _fault(99))
    assert seen(blobs) == ["99"]
    tell(store, _fault(98))
    assert seen(blobs) == ["98", "99"]
    assert seen(blobs) == ["98", "99"]
    assert blobs.reads <= 4, "the watch twice, and what is there"
    blobs.now += timedelta(minutes=5)
    tell(store, _fault(3, fired_at=SINCE + timedelta(hours=2)))
    assert seen(blobs, timedelta(0)) == ["3", "98", "99"]
    note_concluded(store, _fault(99).fingerprint, 1, SINCE + timedelta(hours=3))
    assert seen(blobs) == ["3", "98"]


def test_what_has_long_been_over_leaves_the_register_and_what_is_there_stays(blobs: Blobs, store: Store) -> None:
    _conclude(store, _fault(1))
    tell(store, _fault(2))
    tell(store, _fault(3, symptom=Symptom.MAINTENANCE))
    tell(store, _fault(4, condition=Condition.RESOLVED, resolved_at=SINCE))
    seen(blobs)
    blobs.now += timedelta(hours=1)
    tell(store, _fault(5))
    seen(blobs)
    seen(blobs, KEPT - timedelta(hours=2))
    assert _listed(store) == ["1", "2", "3", "4", "5"]
    assert seen(blobs, timedelta(hours=2)) == ["2", "5"]
    assert _listed(store) == ["2", "5"]


def test_a_late_copy_of_what_was_forgotten_begins_nothing_and_what_fires_anew_has_a_number_that_none_had(
    blobs: Blobs, store: Store
) -> None:
    _conclude(store, _fault(1))
    tell(store, _fault(2))
    seen(blobs)
    blobs.now += timedelta(hours=1)
    tell(store, _fault(3))
    seen(blobs)
    seen(blobs, KEPT + timedelta(days=1))
    assert _listed(store) == ["2", "3"]
    for _ in range(2):
        late, verdict = tell(store, _fault(1))
        assert (verdict, late.is_due, late.fault.is_open) == (Verdict.OUTDATED, False, False)
    anew, verdict = tell(store, _fault(1, fired_at=SINCE + timedelta(days=32)))
    assert (verdict, anew.is_due, anew.fault.occurrences) == (Verdict.BEGINS, True, 2)
    assert anew.remediation.endswith(":2")


def test_what_is_told_while_it_is_forgotten_stays(blobs: Blobs, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    _conclude(store, _fault(1))
    seen(blobs)
    blobs.now += timedelta(hours=1)
    tell(store, _fault(2))
    seen(blobs)
    delete = blobs.delete

    def told_first(name: str, etag: str | None = None) -> None:
        tell(store, _fault(1, fired_at=SINCE + timedelta(days=32)))
        delete(name, etag)

    monkeypatch.setattr(blobs, "delete", told_first)
    seen(blobs, KEPT + timedelta(days=1))
    assert seen(blobs) == ["1", "2"]
