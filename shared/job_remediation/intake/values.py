"""Reading JSON that others wrote: names in any case, numbers as text, JSON within text, times in several spellings."""

import json
import math
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

type Json = bool | int | float | str | list[Json] | dict[str, Json] | None

_LONGEST_NESTED = 65_536
_LONGEST_WORD = 2_000
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_QUANTITY = re.compile(r"([+-]?[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?)\s?(Ki|Mi|Gi|Ti|[numkKMGTPE])?%?")
_DECIMAL = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
_SCALE = {"": 1.0, **_DECIMAL, "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}


class Fields:
    """An object's fields by name, in whatever case, and with whatever blanks around it, the sender writes them.

    Microsoft's own documents spell one field as `metricValue`, `Threshold` and `"ObjectName "`. Of what is no object
    there are no fields; an object written as JSON text is read.
    """

    __slots__ = ("_fields",)

    def __init__(self, value: Json) -> None:
        value = _nested(value, "{")
        items = value.items() if isinstance(value, dict) else ()
        self._fields: dict[str, Json] = {_folded(name): item for name, item in items}

    def __bool__(self) -> bool:
        return bool(self._fields)

    def __contains__(self, name: str) -> bool:
        return _folded(name) in self._fields

    def raw(self, name: str) -> Json:
        """The value as it is; None when there is none."""
        return self._fields.get(_folded(name))

    def text(self, *names: str) -> str | None:
        """The first of these fields that has text or a number, as one line; None when none has."""
        return next((text for name in names if (text := as_text(self.raw(name))) is not None), None)

    def number(self, name: str) -> float | None:
        """A finite number, also written as text; None for anything else."""
        return as_number(self.raw(name))

    def time(self, *names: str) -> datetime | None:
        """The first of these fields that has a time, in UTC; None when none has."""
        return next((time for name in names if (time := as_time(self.raw(name))) is not None), None)

    def fields(self, name: str) -> "Fields":
        """The fields of the object of that name; none when there is no such object."""
        return Fields(self.raw(name))

    def items(self, name: str) -> list[Json]:
        """The items of a list, also one written as JSON text; a single value is a list of one, null is an empty one."""
        value = _nested(self.raw(name), "[")
        if isinstance(value, list):
            return value
        return [] if value is None or value == "" else [value]

    def texts(self, name: str) -> list[str]:
        """Those items of a list that are text or numbers."""
        return [text for item in self.items(name) if (text := as_text(item)) is not None]

    def words(self) -> Iterator[tuple[str, str]]:
        """Name (folded in case) and value of all fields that are text or numbers, ordered by name."""
        for name in sorted(self._fields):
            if (text := as_text(self._fields[name])) is not None:
                yield one_line(name), text


def as_text(value: Json) -> str | None:
    """Text as one line without blanks around it, numbers as text; None for what is neither, or blank."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return one_line(str(value)) or None


def as_number(value: Json) -> float | None:
    """A finite number; text may have the suffixes that Prometheus and Kubernetes write (`12.7m` is 0.0127)."""
    number: float | None = None
    with suppress(OverflowError):
        if isinstance(value, int | float) and not isinstance(value, bool):
            number = float(value)
        elif isinstance(value, str) and (match := _QUANTITY.fullmatch(value.strip()[:64])):
            number = float(match[1]) * _SCALE[match[2] or ""]
    return number if number is not None and math.isfinite(number) else None


def as_time(value: Json) -> datetime | None:
    """A time in UTC: RFC 3339 with any count of fraction digits, without zone (UTC then), or `3/22/2019 1:36:31 PM`.

    Years before 1970 are the senders' way to say that there is no time (`0001-01-01T00:00:00Z`).
    """
    if not isinstance(value, str):
        return None
    text = value.strip()[:64]
    time: datetime | None = None
    with suppress(ValueError):
        time = datetime.fromisoformat(text)
    if time is None and "/" in text:
        with suppress(ValueError):
            time = datetime.strptime(text, "%m/%d/%Y %I:%M:%S %p").replace(tzinfo=UTC)
    if time is None or time.year < 1970:
        return None
    with suppress(OverflowError):
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    return None


def as_epoch_time(seconds: float | None) -> datetime | None:
    """A time given in seconds since 1970, in UTC."""
    with suppress(ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(seconds, UTC) if seconds else None
    return None


def one_line(text: str) -> str:
    """Without line ends, control characters and halves of surrogate pairs, which logs and databases do not take."""
    return _CONTROL.sub(" ", text[:_LONGEST_WORD]).strip()


def _folded(name: str) -> str:
    return name.strip().casefold()


def _nested(value: Json, mark: str) -> Json:
    """The JSON that a text holds when it begins with that mark; else the value."""
    if isinstance(value, str) and len(value) <= _LONGEST_NESTED and value.lstrip().startswith(mark):
        with suppress(ValueError, RecursionError):
            return json.loads(value)
    return value
