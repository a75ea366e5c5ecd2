"""Why the gate decided as it did: a code for machines, data, and a sentence for people."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from shared.evidence.canonical import Json


class ReasonCode(StrEnum):
    """Every reason that the gate knows. docs/changes.md explains each; a test compares the two."""

    STOP_SWITCH = "stop-switch"
    AUTOMATION_NOT_ENABLED = "automation-not-enabled"
    CLASS_FORBIDDEN = "class-forbidden"
    TOO_EARLY = "too-early"
    TOO_LATE = "too-late"
    WAIT_TOO_LONG = "wait-too-long"
    CALENDAR_UNKNOWN = "calendar-unknown"
    FROZEN = "frozen"
    EXCEPTION_USED = "exception-used"
    EMERGENCY = "emergency"
    OUTSIDE_MAINTENANCE = "outside-maintenance"
    PAUSED = "paused"
    KEPT_AWAKE = "kept-awake"
    NEEDS_APPROVAL = "needs-approval"
    APPROVAL_PENDING = "approval-pending"
    APPROVAL_EXPIRED = "approval-expired"
    APPROVAL_REFUSED = "approval-refused"
    PLAN_CHANGED = "plan-changed"
    APPROVED = "approved"
    BUDGET_EXHAUSTED = "budget-exhausted"
    BREAKER_OPEN = "breaker-open"
    PROBE = "probe"
    TARGET_BUSY = "target-busy"
    ENVIRONMENT_BUSY = "environment-busy"
    BLAST_RADIUS = "blast-radius"
    DRY_RUN = "dry-run"


@dataclass(frozen=True)
class Reason:
    """One reason. `data` holds what the sentence was made from, for filters and other languages."""

    code: ReasonCode
    sentence: str
    data: Mapping[str, Json] = field(default_factory=dict[str, Json])


def spell_moment(moment: datetime, time_zone: str = "UTC") -> str:
    """`2026-12-03 20:00 Europe/Berlin`, with seconds only when there are any."""
    local = moment.astimezone(ZoneInfo(time_zone))
    return f"{local:{'%Y-%m-%d %H:%M:%S' if local.second else '%Y-%m-%d %H:%M'}} {time_zone}"


def spell_duration(duration: timedelta) -> str:
    """`2 d 3 h`, `45 min`, `30 s`: the two largest units."""
    seconds = round(duration.total_seconds())
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    parts: list[str] = []
    for name, size in units:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2]) or "0 s"


def instant(moment: datetime) -> str:
    """RFC 3339 in UTC, as data and records carry it."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
