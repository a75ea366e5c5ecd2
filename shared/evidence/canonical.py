"""The one form in which evidence is written, hashed and compared: canonical JSON (RFC 8785) and RFC 3339 UTC times."""

import hashlib
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import cast
from uuid import UUID

from pydantic import BaseModel

type Json = bool | int | float | str | list[Json] | dict[str, Json] | None

_LARGEST_NUMBER = 2**53 - 1
_DEEPEST = 64


def canonical(value: Json) -> bytes:
    """The canonical JSON of a value that is already plain (see `plain`). Raises rfc8785.CanonicalizationError."""
    import rfc8785

    return rfc8785.dumps(value)


def sha256(data: bytes) -> str:
    """The SHA-256 of some bytes, in lower-case hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def instant(time: datetime) -> str:
    """RFC 3339 in UTC with six fractional digits, so that text order is time order. Raises ValueError if naive."""
    if time.tzinfo is None:
        raise ValueError(f"time {time.isoformat()} has no time zone: pass an aware datetime, such as datetime.now(UTC)")
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def plain(value: object, path: str = "body", depth: int = 0) -> Json:
    """A value as plain JSON, the same on every run.

    Models, data classes, times, decimals, enums and tuples become what JSON has. A number beyond 2**53 - 1 (such as
    PostgreSQL's system identifier) and one that is not finite become text, since readers would round it or could not
    read it (RFC 8785, section 3.2.2.3; RFC 7493, section 2.2). Raises ValueError, with the path, for anything else:
    a set has no order to hash.
    """
    if depth > _DEEPEST:
        raise ValueError(f"{path} is nested deeper than {_DEEPEST} levels: record less, or by reference")
    match value:
        case None | bool():
            return value
        case Enum():
            return plain(value.value, path, depth + 1)
        case str():
            return value.encode("utf-8", "replace").decode()
        case int():
            return int(value) if abs(value) <= _LARGEST_NUMBER else str(value)
        case float():
            return float(value) if abs(value) <= _LARGEST_NUMBER else str(value)
        case datetime():
            return instant(value)
        case date():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Decimal() | UUID():
            return str(value)
        case BaseModel():
            return plain(value.model_dump(), path, depth)
        case dict():
            items = cast("dict[object, object]", value).items()
            return {_key(key, path): plain(item, f"{path}.{key}", depth + 1) for key, item in items}
        case list() | tuple():
            entries = enumerate(cast("list[object]", value))
            return [plain(item, f"{path}[{index}]", depth + 1) for index, item in entries]
        case _ if is_dataclass(value) and not isinstance(value, type):
            names = [field.name for field in fields(value)]
            return {name: plain(getattr(value, name), f"{path}.{name}", depth + 1) for name in names}
        case _:
            raise ValueError(f"{path} is a {type(value).__name__}, which has no JSON form: pass a list, dict or text")


def _key(key: object, path: str) -> str:
    match key:
        case Enum():
            return _key(key.value, path)
        case str():
            return key.encode("utf-8", "replace").decode()
        case int() | UUID():
            return str(key)
        case datetime():
            return instant(key)
        case date():
            return key.isoformat()
        case _:
            raise ValueError(f"{path} has a key of type {type(key).__name__}: use text")
