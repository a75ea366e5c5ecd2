"""What kind of error made something fail: whether trying again can help, and whether it may have worked all the same.

Sources: PostgreSQL 18, Appendix A (error codes); RFC 9110 and 6585 (status codes); Kubernetes v1.36, pod and container
states; Odoo 16 to 19 (`odoo.exceptions`) and OCA queue_job (`queue_job.exception`).
"""

import re
from enum import StrEnum


class Cause(StrEnum):
    """The kinds of errors, by what follows from them."""

    TRANSIENT = "transient"
    """It passes: the same again can work."""

    AMBIGUOUS = "ambiguous"
    """It may have worked: nobody answered after it was asked. Never again without proof."""

    CAPACITY = "capacity"
    """Something is full or too small: again only with more of it."""

    PERMANENT_DATA = "permanent-data"
    """The data is wrong: again fails again, until its owner has mended it."""

    PERMANENT_CONFIGURATION = "permanent-configuration"
    """The set-up is wrong: again fails again, until the platform team has mended it."""

    UNKNOWN = "unknown"
    """Nothing is known about it."""


_WORST_FIRST = (
    Cause.AMBIGUOUS,
    Cause.PERMANENT_DATA,
    Cause.PERMANENT_CONFIGURATION,
    Cause.CAPACITY,
    Cause.TRANSIENT,
)


def cause_of_sqlstate(code: str) -> Cause:
    """By PostgreSQL's five-character code; UNKNOWN for others."""
    for prefixes, cause in _SQLSTATES:
        if code.upper().startswith(prefixes):
            return cause
    return Cause.UNKNOWN


def cause_of_status(status: int, *, asked_to_change: bool) -> Cause:
    """By an HTTP status. A gateway's word about a request that changes things says nothing about what became of it."""
    if status in (502, 504) and asked_to_change:
        return Cause.AMBIGUOUS
    if status in (408, 425, 429, 500, 502, 503, 504):
        return Cause.TRANSIENT
    if status in (401, 403, 407):
        return Cause.PERMANENT_CONFIGURATION
    return Cause.PERMANENT_DATA if 400 <= status < 500 else Cause.UNKNOWN


def cause_of_container(reason: str, exit_code: int | None) -> Cause:
    """By why a container waits or ended, and its exit code."""
    if known := _CONTAINERS.get(reason):
        return known
    if exit_code == 143:  # ended by SIGTERM: a drain, an eviction, a probe
        return Cause.TRANSIENT
    return Cause.UNKNOWN


def cause_of_text(text: str) -> Cause:
    """By what an error message or traceback says. What is worst to repeat counts where several are found: a timeout
    after sending beside a reset connection is still a timeout after sending."""
    found = {cause for pattern, cause in _TEXTS if pattern.search(text)}
    found |= {cause_of_sqlstate(code) for code in _SQLSTATE_IN_TEXT.findall(text)} - {Cause.UNKNOWN}
    return next((cause for cause in _WORST_FIRST if cause in found), Cause.UNKNOWN)


_SQLSTATES: tuple[tuple[tuple[str, ...], Cause], ...] = (
    (("40001", "40P01", "55P03", "57014", "57P01", "57P02", "57P03", "53300"), Cause.TRANSIENT),
    (("08007", "40003"), Cause.AMBIGUOUS),  # transaction resolution, statement completion unknown
    (("08",), Cause.TRANSIENT),
    (("53",), Cause.CAPACITY),
    (("22", "23"), Cause.PERMANENT_DATA),
    (("28", "3D", "42"), Cause.PERMANENT_CONFIGURATION),
)
_SQLSTATE_IN_TEXT = re.compile(r"\bSQLSTATE[ :=\[]+([0-9A-Z]{5})\b")

_CONTAINERS = {
    "OOMKilled": Cause.CAPACITY,
    "Evicted": Cause.CAPACITY,
    "OutOfcpu": Cause.CAPACITY,
    "OutOfmemory": Cause.CAPACITY,
    "Unschedulable": Cause.CAPACITY,
    "ImagePullBackOff": Cause.PERMANENT_CONFIGURATION,
    "ErrImagePull": Cause.PERMANENT_CONFIGURATION,
    "InvalidImageName": Cause.PERMANENT_CONFIGURATION,
    "CreateContainerConfigError": Cause.PERMANENT_CONFIGURATION,
    "CreateContainerError": Cause.PERMANENT_CONFIGURATION,
    "NodeLost": Cause.TRANSIENT,
    "NodeShutdown": Cause.TRANSIENT,
    "Preempted": Cause.TRANSIENT,
    "Terminated": Cause.TRANSIENT,
}


def _any(*words: str) -> re.Pattern[str]:
    return re.compile("|".join(words), re.IGNORECASE)


_TEXTS = (
    (_any(r"read ?time(d )?out", r"ReadTimeout", r"response was lost", r"outcome (is )?unknown"), Cause.AMBIGUOUS),
    (
        _any(
            r"\b(ValidationError|UserError|MissingError|FailedJobError|IntegrityError|NotNullViolation)\b",
            r"violates .{1,40} constraint",
            r"invalid input syntax",
        ),
        Cause.PERMANENT_DATA,
    ),
    (
        _any(
            r"\b(AccessError|AccessDenied|ModuleNotFoundError|ImportError)\b",
            r"(relation|column) .{1,100} does not exist",
            r"password authentication failed",
            r"certificate (has expired|verify failed)",
            r"ImagePullBackOff|CreateContainerConfigError",
        ),
        Cause.PERMANENT_CONFIGURATION,
    ),
    (
        _any(r"No space left on device", r"\bENOSPC\b", r"out of memory", r"\bOOM\b", r"MemoryError", r"disk full"),
        Cause.CAPACITY,
    ),
    (
        _any(
            r"could not serialize access",
            r"deadlock detected",
            r"could not obtain lock",
            r"lock timeout",
            r"terminating connection due to",
            r"server closed the connection unexpectedly",
            r"connection already closed",
            r"SSL SYSCALL error",
            r"the database system is (starting up|shutting down|in recovery)",
            r"too many (connections|clients)|remaining connection slots",
            r"Connection (refused|reset)",
            r"Temporary failure in name resolution",
            r"RetryableJobError|SerializationFailure|OperationalError",
            r"ConnectTimeout|connect timed out",
            r"\b(429|502|503|504) (Too Many|Bad Gateway|Service|Gateway)",
        ),
        Cause.TRANSIENT,
    ),
)
