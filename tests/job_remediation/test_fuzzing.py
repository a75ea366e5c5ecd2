"""Whatever is sent, all of it comes out as signals or as unrecognised, and nothing raises.

Deliveries of every kind are damaged in structure: parts removed, repeated, exchanged between kinds, written as text, in
another case, or replaced by odd values; or as bytes. 4,000 cases; FUZZ_CASES=100000 for the long run.
"""

import copy
import json
import os
import random
import re
from collections.abc import Callable
from datetime import UTC, timedelta
from typing import Any

import pytest

from shared.job_remediation.intake.reading import LARGEST_BODY, Reading, read
from shared.job_remediation.signal import Signal
from tests.job_remediation import deliveries
from tests.job_remediation.places import NOW, PLACES
from tests.job_remediation.test_samples import SAMPLES

CASES = int(os.environ.get("FUZZ_CASES", "4000"))
SHARDS = 4

SEEDS: list[Any] = [*deliveries.ALL.values(), list(deliveries.ALL.values())]
if SAMPLES.is_dir():
    SEEDS += [json.loads(path.read_bytes()) for path in sorted(SAMPLES.glob("*.json"))]

ODD: list[Any] = [
    None, True, False, 0, -1, 7, 2**63, 10**4000, 1e308, -0.0, "", " ", "0", "12.7m", "NaN", "Infinity", "1e999",
    "Sev9",
    [], {}, [[]], [None], {"": ""}, {"a": {"b": []}}, [{}], "[]", "{}", "[", '{"a":', "[" * 5000, "x" * 10_000,
    "\x00", "\ud800", "\udfff\ud800", "é\u202e😀", "2026-11-20T10:00:00Z", "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "9999-12-31T23:59:59.9999999-12:00", "0001-01-01T00:00:00+14:00", "2026-02-30", "24:00", "20261120", "2026-W47",
    "3/22/2019 1:36:31 PM", "13/45/2019 99:99:99 PM", "/subscriptions/", "/", "//", "'; drop table signal; --",
    "Fired", "Resolved", "firing", "azureMonitorCommonAlertSchema", "Prometheus", "ServiceHealth", "Activity Log",
]  # fmt: skip


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    if len(path) > 40:
        return found
    if isinstance(value, dict):
        found += [inner for key, item in value.items() for inner in _paths(item, (*path, key))]
    elif isinstance(value, list):
        found += [inner for index, item in enumerate(value) for inner in _paths(item, (*path, index))]
    return found


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def _replaced(value: Any, path: tuple[Any, ...], change: Callable[[Any], Any]) -> Any:
    if not path:
        return change(value)
    holder = _at(value, path[:-1])
    holder[path[-1]] = change(holder[path[-1]])
    return value


def _damaged(value: Any, dice: random.Random) -> Any:
    path = dice.choice(_paths(value))
    match dice.randrange(10):
        case 0 | 1 | 2:
            return _replaced(value, path, lambda _: copy.deepcopy(dice.choice(ODD)))
        case 3 if path:
            del _at(value, path[:-1])[path[-1]]
            return value
        case 4:
            return _replaced(value, path, lambda item: [item] * dice.choice((1, 1, 2, 50)))
        case 5:
            return _replaced(value, path, lambda item: json.dumps(item) if dice.random() < 0.7 else str(item)[:4000])
        case 6:
            other = dice.choice(SEEDS)
            return _replaced(value, path, lambda _: json.loads(json.dumps(_at(other, dice.choice(_paths(other))))))
        case 7 if path and isinstance(path[-1], str):
            holder = _at(value, path[:-1])
            name = dice.choice((path[-1].upper(), f" {path[-1]}", path[-1] + "\u0130", path[-1][:-1], ""))
            holder[name] = holder.pop(path[-1])
            return value
        case 8:

            def nested(item: Any) -> Any:
                for _ in range(dice.choice((2, 60, 200))):
                    item = [item] if dice.random() < 0.5 else {"a": item}
                return item

            return _replaced(value, path, nested)
        case _:
            return _replaced(
                value, path, lambda item: {**item, "data": item} if isinstance(item, dict) else {"id": item}
            )


def _broken(body: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(body) + 1)
    match dice.randrange(5):
        case 0:
            return body[:at]
        case 1:
            return body[:at] + dice.randbytes(3) + body[at:]
        case 2:
            return body.decode("utf-8").encode("utf-16" if dice.random() < 0.5 else "utf-8-sig")
        case 3:
            return body[:at] + body[at + dice.randrange(1, 9) :]
        case _:
            return (
                body[:at]
                + dice.choice((b"NaN", b"Infinity", b"\xff", b"\x00", b"[" * 100_000, b"1" * 5000))
                + body[at:]
            )


def _case(dice: random.Random) -> bytes:
    value = json.loads(json.dumps(dice.choice(SEEDS)))
    for _ in range(dice.choice((1, 1, 2, 3, 6))):
        value = _damaged(value, dice)
    try:
        body = json.dumps(value).encode()
    except (ValueError, RecursionError):
        return b"{"
    return _broken(body, dice) if dice.random() < 0.15 else body


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
        body = _case(dice)
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


def test_read_twice_or_later_it_is_the_same_fault() -> None:
    def fingerprints(found: Reading) -> list[str]:
        return [signal.fingerprint for signal in found.signals]

    dice = random.Random("twice")
    for _ in range(CASES // 20):
        body = _case(dice)
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
