"""Deliveries of every kind, damaged in structure: parts removed, repeated, exchanged between kinds, written as text, in
another case, or replaced by odd values; or as bytes. All of the recorded samples are among what is damaged, where they
are at hand.
"""

import copy
import json
import random
from collections.abc import Callable
from typing import Any

from tests.job_remediation import deliveries
from tests.job_remediation.test_samples import SAMPLES

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


def case(dice: random.Random) -> bytes:
    """One damaged delivery."""
    value = json.loads(json.dumps(dice.choice(SEEDS)))
    for _ in range(dice.choice((1, 1, 2, 3, 6))):
        value = _damaged(value, dice)
    try:
        body = json.dumps(value).encode()
    except (ValueError, RecursionError):
        return b"{"
    return _broken(body, dice) if dice.random() < 0.15 else body
