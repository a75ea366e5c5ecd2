"""Whatever is sent, all of it comes out as signals or as unrecognised, is kept, and nothing raises.

4,000 cases through the reader, 2,000 of them through all of the intake; 100,000 through both with
CLOSEKEEPER_TEST_LONG=1.
"""

import json
import os
import random
import re
from datetime import UTC, timedelta

import pytest

from functions.signal_intake import answer_of
from local.memory_blobs import MemoryBlobContainer
from shared.changes.state import Store
from shared.job_remediation import register
from shared.job_remediation.intake import reception
from shared.job_remediation.intake.reading import LARGEST_BODY, Reading, read
from shared.job_remediation.signal import Condition, Signal
from tests.job_remediation import deliveries
from tests.job_remediation.fuzzing import case
from tests.job_remediation.places import NOW, PLACES

LONG = os.environ.get("CLOSEKEEPER_TEST_LONG") == "1"
CASES = 100_000 if LONG else 4_000
TAKEN_IN = 100_000 if LONG else 2_000
SHARDS = 4
AT_A_TIME = 500


def _items(body: bytes) -> int:
    """How many things the delivery tells, so that none is lost."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return 1
    return len(value) if isinstance(value, list) and value else 1


def _is_sound(signal: Signal) -> bool:
    times = [time for time in (signal.fired_at, signal.resolved_at, signal.received_at) if time]
    text = " ".join(
        [signal.title, str(signal.target), *signal.notes, *map(str, signal.facts), *map(str, signal.facts.values())]
    )
    text.encode()
    return (
        all(time.tzinfo is UTC and time <= NOW + timedelta(hours=1) for time in times)
        and (signal.fired_at is not None or signal.condition == "resolved")
        and (signal.resolved_at is None or signal.condition == "resolved")
        and re.fullmatch("[0-9a-f]{32}", signal.fingerprint) is not None
        and 0 < len(signal.title) <= 300
        and len(text) < 60_000
        and not set(text) & {"\x00", "\n"}
    )


@pytest.mark.parametrize("shard", range(SHARDS))
def test_nothing_is_lost_and_nothing_raises(shard: int) -> None:
    dice = random.Random(f"intake {shard}")
    signals = unrecognised = 0
    for _ in range(CASES // SHARDS):
        body = case(dice)
        found = read(body, NOW, PLACES)
        whole = any(one.payload == body for one in found.unrecognised)
        told = len(found.signals) + len(found.unrecognised) + (found.handshake is not None)
        handshakes = body.count(b"SubscriptionValidationEvent")
        assert whole or told + handshakes >= _items(body), body[:2000]
        assert told >= 1, body[:2000]
        for signal in found.signals:
            assert _is_sound(signal), (signal, body[:2000])
        signals += len(found.signals)
        unrecognised += len(found.unrecognised)
    # The damage must leave both outcomes common, or the cases would show nothing.
    assert signals > CASES // SHARDS // 4
    assert unrecognised > CASES // SHARDS // 10


@pytest.mark.parametrize("shard", range(SHARDS))
def test_what_is_taken_in_is_kept_and_in_the_register(shard: int) -> None:
    dice = random.Random(f"taken in {shard}")
    signals = notes = 0
    for number in range(TAKEN_IN // SHARDS):
        if number % AT_A_TIME == 0:
            container = MemoryBlobContainer()
            store = Store(container, pause=lambda _: None)
        body = case(dice)
        received = reception.receive(container, store, body, NOW, PLACES)
        assert json.loads(json.dumps(answer_of(received)))["kept"] == received.raw
        if received.raw:
            assert container.read(received.raw).data == body
        else:
            assert received.handshake
        expected = read(body, NOW, PLACES)
        for signal in expected.signals:
            fault = register.look_up(store, signal.fingerprint).fault
            until = fault.fired_until if signal.condition is Condition.FIRED else fault.resolved_until
            assert until is not None, body[:2000]
            assert until >= signal.as_of, body[:2000]
        signals += len(expected.signals)
        if expected.unrecognised:
            fresh = [reception.note_of(container, name) for name in reception.untold(container)[-1:]]
            assert fresh[0].reason.encode()
            notes += len(expected.unrecognised)
    assert signals > TAKEN_IN // SHARDS // 4
    assert notes > TAKEN_IN // SHARDS // 10


def test_every_note_about_what_cannot_be_read_says_so_once() -> None:
    dice = random.Random("notes")
    container = MemoryBlobContainer()
    bodies = [case(dice) for _ in range(300)]
    unread = {(one.raw, one.reason, one.payload) for body in bodies for one in read(body, NOW, PLACES).unrecognised}
    for body in (*bodies, *bodies):
        reception.receive(container, Store(container), body, NOW, PLACES)
    notes = [reception.note_of(container, name) for name in reception.untold(container)]
    assert len(notes) == len(unread) > 50
    assert {note.raw for note in notes} == {raw for raw, _, _ in unread}


def test_read_twice_or_later_it_is_the_same_fault() -> None:
    def fingerprints(found: Reading) -> list[str]:
        return [signal.fingerprint for signal in found.signals]

    dice = random.Random("twice")
    for _ in range(CASES // 20):
        body = case(dice)
        first = read(body, NOW, PLACES)
        assert read(body, NOW, PLACES) == first
        assert fingerprints(read(body, NOW + timedelta(days=3), PLACES)) == fingerprints(first)


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"null", b"true", b"7", b'"text"', b"[]", b"{}", b"[[]]", b"[null]", b"{",
        b"\xff\xfe", b"\xef\xbb\xbf",
        b"NaN", b"1e999", b"[" * 200_000, b'{"a":' * 100_000, b"-" * 10, b"1" * 10_000, b" " * 3_000_000, b'"\\ud800"',
        b"[" * 70 + b"]" * 70,
    ],
    ids=lambda body: repr(body[:12]),
)  # fmt: skip
def test_anything_at_all_is_kept_whole(body: bytes) -> None:
    found = read(body, NOW, PLACES)
    assert found.signals == ()
    assert [one.payload for one in found.unrecognised] == [body]


def test_more_than_a_batch_may_have_is_kept_as_one() -> None:
    items = [deliveries.event_grid("Microsoft.Storage.BlobDeleted", "/s", {}, id_=str(n)) for n in range(5_003)]
    found = read(deliveries.body(items), NOW, PLACES)
    assert len(found.signals) == 5_000
    (rest,) = found.unrecognised
    assert json.loads(rest.payload) == items[5_000:]


def test_what_is_too_large_is_kept_unread() -> None:
    body = deliveries.body(deliveries.ALL["metric"])
    assert read(body + b" " * (LARGEST_BODY - len(body)), NOW, PLACES).signals
    (kept,) = read(body + b" " * (LARGEST_BODY + 1 - len(body)), NOW, PLACES).unrecognised
    assert "at most" in kept.reason


@pytest.mark.parametrize("levels", [63, 500, 5_000])
def test_what_is_too_deep_is_kept_unread(levels: int) -> None:
    alert = deliveries.body(deliveries.ALL["metric"])
    body = b"[%s, %s%s]" % (alert, b"[" * levels, b"]" * levels)
    found = read(body, NOW, PLACES)
    if levels == 63:
        assert len(found.signals) == 1
    else:
        assert [one.payload for one in found.unrecognised] == [body]
