"""The register: any order and any count of copies, also at the same time, ends in the same knowledge."""

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from local.memory_blobs import MemoryBlobContainer
from shared.changes.errors import NotKnownError
from shared.changes.state import Store
from shared.job_remediation.collapse import Verdict
from shared.job_remediation.register import known_faults, look_up, note_concluded, note_started, tell
from shared.job_remediation.signal import Condition, Signal
from shared.job_remediation.symptoms import Symptom
from tests.job_remediation import deliveries
from tests.job_remediation.places import NOW, the_signal

FIRED = the_signal(deliveries.azure_alert(deliveries.metric_context()))
RESOLVED = replace(FIRED, condition=Condition.RESOLVED, resolved_at=(FIRED.fired_at or NOW) + timedelta(hours=1))


@pytest.fixture
def store() -> Store:
    return Store(MemoryBlobContainer())


def _again(hours: int) -> Signal:
    return replace(FIRED, fired_at=(FIRED.fired_at or NOW) + timedelta(hours=hours))


def test_what_fires_is_due_until_its_remediation_was_started(store: Store) -> None:
    known, verdict = tell(store, FIRED)
    assert (verdict, known.is_due, known.remediation) == (
        Verdict.BEGINS,
        True,
        f"remediation:{FIRED.fingerprint}:1",
    )
    copy, verdict = tell(store, FIRED)
    assert (verdict, copy.is_due) == (Verdict.CONTINUES, True), "nobody noted a start: the copy makes up for it"
    note_started(store, FIRED.fingerprint, 1)
    assert not tell(store, FIRED)[0].is_due


def test_a_copy_writes_nothing() -> None:
    blobs = MemoryBlobContainer()
    store = Store(blobs)
    tell(store, FIRED)
    (before,) = blobs.list("remediation/")
    for _ in range(5):
        tell(store, FIRED)
    (after,) = blobs.list("remediation/")
    assert before.etag == after.etag


def test_what_fires_again_after_it_was_resolved_is_a_new_occurrence(store: Store) -> None:
    tell(store, FIRED)
    note_started(store, FIRED.fingerprint, 1)
    assert tell(store, RESOLVED)[1] is Verdict.ENDS
    known, verdict = tell(store, _again(2))
    assert (verdict, known.is_due, known.fault.occurrences) == (Verdict.BEGINS, True, 2)
    assert known.signal.fired_at == _again(2).fired_at
    note_started(store, FIRED.fingerprint, 1)  # a late note of the first
    assert look_up(store, FIRED.fingerprint).is_due


def test_what_concluded_begins_anew_only_when_it_fires_later(store: Store) -> None:
    tell(store, FIRED)
    note_started(store, FIRED.fingerprint, 1)
    note_concluded(store, FIRED.fingerprint, 1, (FIRED.fired_at or NOW) + timedelta(minutes=30))
    assert tell(store, FIRED)[1] is Verdict.OUTDATED
    assert tell(store, _again(1))[1] is Verdict.BEGINS


def test_a_late_conclusion_leaves_what_is_back_meanwhile_to_its_own_remediation(store: Store) -> None:
    for signal in (FIRED, RESOLVED, _again(2)):
        tell(store, signal)
    assert note_concluded(store, FIRED.fingerprint, 1, NOW + timedelta(days=1)).is_due
    assert not note_concluded(store, FIRED.fingerprint, 2, NOW + timedelta(days=1)).fault.is_open


def test_news_is_kept_and_never_due(store: Store) -> None:
    known, _ = tell(store, replace(FIRED, symptom=Symptom.MAINTENANCE))
    assert not known.is_due
    assert [one.signal.symptom for one in known_faults(store)] == [Symptom.MAINTENANCE]


def test_what_nobody_told_is_not_known(store: Store) -> None:
    with pytest.raises(NotKnownError, match="no fault"):
        note_started(store, "0" * 32, 1)
    assert list(known_faults(store)) == []


@pytest.mark.parametrize("seed", range(10))
def test_any_order_at_the_same_time_ends_in_the_same(seed: int) -> None:
    told = [_again(hours) for hours in range(4)] + [
        replace(RESOLVED, resolved_at=(FIRED.fired_at or NOW) + timedelta(hours=hours, minutes=30))
        for hours in range(3)
    ]
    dice = random.Random(seed)
    deliveries_ = [signal for signal in told for _ in range(3)]
    dice.shuffle(deliveries_)
    store = Store(MemoryBlobContainer(), pause=lambda _: None)
    with ThreadPoolExecutor(4) as senders:
        list(senders.map(lambda signal: tell(store, signal), deliveries_))
    fault = look_up(store, FIRED.fingerprint).fault
    assert fault.is_open
    assert fault.fired_until == _again(3).fired_at
    assert fault.began_at == _again(3).fired_at
