"""Small values of the estate: names, durations, sizes, shares, rates, addresses."""

import re
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import StringConstraints

from shared.estate.declared import HiddenValueError, Written

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
"""A name given here: lower case letters, digits and hyphens, at most 63. It becomes part of ids and event subjects."""

Text = Annotated[str, StringConstraints(min_length=1, max_length=4000)]
"""Words for people."""

# A year counts 366 days, so that what is promised in years is never short of the calendar's.
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 366 * 86400}
_DURATION = re.compile(r"(?:(\d{1,9})([smhdwy]))+")
_DURATION_PART = re.compile(r"(\d{1,9})([smhdwy])")


def parse_duration(text: str) -> timedelta:
    """The duration written as `90s`, `5m`, `2h`, `1h30m`, `7d`, `4w` or `10y`; raises ValueError."""
    if not _DURATION.fullmatch(text):
        raise ValueError("is not a duration; write a number with s, m, h, d, w or y, such as 5m, 2h, 1h30m, 7d, 10y")
    seconds = sum(int(count) * _SECONDS[unit] for count, unit in _DURATION_PART.findall(text))
    if not 0 < seconds <= 200 * _SECONDS["y"]:
        raise ValueError("must be longer than nothing and at most 200y")
    return timedelta(seconds=seconds)


def show_duration(duration: timedelta) -> str:
    """The shortest way to write that duration in the estate, in days and below."""
    rest = int(duration.total_seconds())
    parts: list[str] = []
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(rest, _SECONDS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


Duration = Annotated[
    timedelta,
    Written(timedelta, parse_duration, show_duration, r"^(\d{1,9}[smhdwy])+$", ("5m", "2h", "1h30m", "7d", "10y")),
]
"""A length of time; 1y counts 366 days."""

_SIZE = re.compile(r"(\d{1,12}) ?(B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)")
_BYTES = (
    {"B": 1}
    | {f"{p}B": 1000**n for n, p in enumerate("KMGT", 1)}
    | {f"{p}iB": 1024**n for n, p in enumerate("KMGT", 1)}
)


@dataclass(frozen=True, slots=True, order=True)
class ByteCount:
    """A size in bytes."""

    bytes: int

    def __str__(self) -> str:
        for unit in ("TiB", "GiB", "MiB", "KiB"):
            if self.bytes and self.bytes % _BYTES[unit] == 0:
                return f"{self.bytes // _BYTES[unit]}{unit}"
        return f"{self.bytes}B"


def parse_size(text: str) -> ByteCount:
    """The size written as `128KiB` or `1 TiB`; raises ValueError."""
    match = _SIZE.fullmatch(text)
    if not match:
        raise ValueError("is not a size; write a number with its unit, such as 128KiB, 500MB, 1TiB")
    return ByteCount(int(match[1]) * _BYTES[match[2]])


Size = Annotated[
    ByteCount,
    Written(ByteCount, parse_size, str, r"^\d{1,12} ?(B|[KMGT]i?B)$", ("128KiB", "500MB", "1TiB")),
]
"""A number of bytes: KB is 1000, KiB is 1024."""

_PERCENT = re.compile(r"(\d{1,4}(?:\.\d{1,4})?) ?%")


@dataclass(frozen=True, slots=True, order=True)
class Fraction:
    """A share of a whole: 10 % is 0.1."""

    of_one: float

    def __str__(self) -> str:
        return f"{round(self.of_one * 100, 4):g}%"


def parse_percent(text: str) -> Fraction:
    """The share written as `10%`; raises ValueError."""
    match = _PERCENT.fullmatch(text)
    if not match or float(match[1]) > 100:
        raise ValueError("is not a share; write a percentage from 0% to 100%, such as 10% or 2.5%")
    return Fraction(float(match[1]) / 100)


Percent = Annotated[Fraction, Written(Fraction, parse_percent, str, r"^\d{1,3}(\.\d{1,4})? ?%$", ("10%", "2.5%"))]
"""A share between 0% and 100%."""

_RATE = re.compile(r"(\d{1,6}) per (\S+)")


@dataclass(frozen=True, slots=True)
class Frequency:
    """At most `count` times within any span of `per`."""

    count: int
    per: timedelta

    def __str__(self) -> str:
        return f"{self.count} per {show_duration(self.per)}"


def parse_rate(text: str) -> Frequency:
    """The rate written as `3 per 1h`; raises ValueError."""
    match = _RATE.fullmatch(text)
    if not match or int(match[1]) == 0:
        raise ValueError("is not a rate; write a count and a span, such as 3 per 1h")
    return Frequency(int(match[1]), parse_duration(match[2]))


Rate = Annotated[Frequency, Written(Frequency, parse_rate, str, r"^\d{1,6} per (\d{1,9}[smhdwy])+$", ("3 per 1h",))]
"""At most so many times in any span of that length."""

_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")


def parse_host(text: str) -> str:
    """A DNS name in lower case, or an IP address; raises ValueError."""
    if _HOST.fullmatch(text):
        return text
    try:
        return str(ip_address(text))
    except ValueError:
        raise ValueError("is not a host; write a DNS name in lower case, such as erp.contoso.example") from None


Host = Annotated[str, Written(str, parse_host, str, r"^[a-z0-9:.-]{1,253}$", ("erp.contoso.example",))]
"""A DNS name or an IP address."""


def parse_web_address(text: str) -> str:
    """An https address (http for loopback only) without user, password, query or fragment; raises ValueError."""
    try:
        parts = urlsplit(text)
        host, _port = parts.hostname or "", parts.port
        parse_host(host)
    except ValueError:
        raise HiddenValueError("is not an address; write it as https://erp.contoso.example") from None
    if parts.username is not None or parts.password is not None:
        raise HiddenValueError(
            "is an address with a user or a password; leave them out, and refer to the secret beside it"
        )
    if parts.query or parts.fragment:
        raise HiddenValueError("is an address with a query or a fragment; leave out what follows the path")
    if parts.scheme != "https" and not (parts.scheme == "http" and _loopback(host)):
        raise ValueError("is not an https address; http is for loopback only")
    return text.rstrip("/")


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


WebAddress = Annotated[str, Written(str, parse_web_address, str, r"^https?://", ("https://erp.contoso.example",))]
"""An https address; secrets are never part of it."""
