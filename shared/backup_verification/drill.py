"""One restore drill: what was asked, what is planned, what was seen, and the verdict. Pure; every time is aware UTC."""

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from shared.backup_verification.books import Books

_UNSAFE_IN_ID = re.compile(r"[^A-Za-z0-9._-]")
_MAX_SERVER_NAME = 63


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DrillRequest(_Model):
    """What a caller or the schedule asks for."""

    environment: str = Field(min_length=1, max_length=100, description="The environment's name in the estate")
    server: str = Field(min_length=1, max_length=100, description="The PostgreSQL server's name in the estate")
    target: AwareDatetime | None = Field(
        default=None, description="The instant to restore, RFC 3339 with an offset; the time of the request if left out"
    )
    dry_run: bool = Field(default=False, description="Plan and record only; nothing is restored")


class DatabaseUnderTest(_Model):
    """One tenant's database that must come back."""

    name: str
    tenant: str


class DrillPlan(_Model):
    """Everything that the drill needs, fixed before its first act. Intervals in seconds."""

    id: str
    environment: str
    server: str
    source_id: str
    server_id: str
    location: str
    databases: tuple[DatabaseUnderTest, ...]
    target: AwareDatetime
    requested_at: AwareDatetime
    restore_deadline: AwareDatetime
    expires_at: AwareDatetime
    rto_seconds: int
    rpo_seconds: int
    poll_seconds: float
    estate_version: str


class Phase(StrEnum):
    """The moments that a drill's time is split by."""

    REQUESTED = "requested"
    ACCEPTED = "accepted"
    READY = "ready"
    ANSWERED = "answered"
    VERIFIED = "verified"
    REMOVED = "removed"


class Outcome(StrEnum):
    """The verdict on a drill."""

    PASSED = "passed"
    FAILED = "failed"


class NotDone(StrEnum):
    """Why a drill that was asked for was not begun."""

    REFUSED = "refused"
    DRY_RUN = "dry_run"


class Held(_Model):
    """A drill that was planned and not begun."""

    outcome: NotDone
    reason: str


class DrillReport(_Model):
    """What a drill found. `rto_seconds` is from the request to the first good answer of the restored server,
    `rpo_seconds` from the newest business write that came back to the target; None where it could not be measured."""

    id: str
    environment: str
    server: str
    source_id: str
    restored_server_id: str
    target: AwareDatetime
    outcome: Outcome
    failures: tuple[str, ...]
    phases: dict[Phase, AwareDatetime]
    rto_seconds: float | None
    rto_objective_seconds: int
    rpo_seconds: float | None
    rpo_objective_seconds: int
    books: tuple[Books, ...]
    removed: bool
    estate_version: str
    concluded_at: AwareDatetime


def drill_id(environment: str, server: str, key: str) -> str:
    """The drill's id, which is its orchestration's instance id too: the same key is the same drill.

    `key` is the date (YYYY-MM-DD) for the drills of the schedule, the caller's Idempotency-Key for those by hand.
    Characters that an instance id may not hold become `_`, followed by a digest so that two keys stay two.
    """
    parts = [environment, server, key]
    readable = "drill:" + ":".join(_UNSAFE_IN_ID.sub("_", part)[:60] for part in parts)
    if readable != "drill:" + ":".join(parts):
        readable += ":" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
    return readable


def temporary_server_name(source_name: str, drill: str) -> str:
    """The name of a drill's temporary server: derived from the drill, so that asking twice asks for the same server."""
    suffix = "-drill-" + hashlib.sha256(drill.encode()).hexdigest()[:10]
    return source_name.lower()[: _MAX_SERVER_NAME - len(suffix)].rstrip("-") + suffix


def drill_tags(plan: DrillPlan) -> dict[str, str]:
    """The tags that say on the server itself what it is, and when it may be removed by anybody."""
    return {
        "closekeeper-drill": plan.id,
        "closekeeper-source": plan.source_id,
        "closekeeper-expires": plan.expires_at.isoformat(),
    }


def conclude(
    plan: DrillPlan,
    phases: dict[Phase, datetime],
    books: Sequence[Books],
    failures: Sequence[str],
    concluded_at: datetime,
) -> DrillReport:
    """The verdict. A drill passes when every database came back whole, within RTO and RPO, and the server is gone."""
    found = list(failures)
    answered = phases.get(Phase.ANSWERED)
    rto = (answered - plan.requested_at).total_seconds() if answered else None
    if rto is not None and rto > plan.rto_seconds:
        found.append(
            f"RTO missed: {_minutes(rto)} until the first good answer, {_minutes(plan.rto_seconds)} are allowed"
        )
    lags = [lag for report in books if (lag := report.write_lag_seconds) is not None]
    rpo = max(lags, default=None)
    for report in books:
        found.extend(f"{report.database}: {finding.message}" for finding in report.findings if finding.fails)
        found.extend(_late_writes(report, plan))
    missing = {database.name for database in plan.databases} - {report.database for report in books}
    found.extend(f"{name}: was not checked" for name in sorted(missing))
    removed = Phase.REMOVED in phases
    if not removed:
        found.append("the temporary server's absence is not proven: the reaper goes on trying")
    return DrillReport(
        id=plan.id,
        environment=plan.environment,
        server=plan.server,
        source_id=plan.source_id,
        restored_server_id=plan.server_id,
        target=plan.target,
        outcome=Outcome.FAILED if found else Outcome.PASSED,
        failures=tuple(found),
        phases=dict(phases),
        rto_seconds=rto,
        rto_objective_seconds=plan.rto_seconds,
        rpo_seconds=rpo,
        rpo_objective_seconds=plan.rpo_seconds,
        books=tuple(books),
        removed=removed,
        estate_version=plan.estate_version,
        concluded_at=concluded_at,
    )


def _late_writes(report: Books, plan: DrillPlan) -> list[str]:
    """Writes that the source had at the target and the copy lacks. An idle night alone is not a loss."""
    if report.newest_write is None:
        return [f"{report.database}: holds no business write at all"]
    if report.source_newest_write is None:
        lag = report.write_lag_seconds or 0.0
        if lag > plan.rpo_seconds:
            return [f"{report.database}: RPO missed: the newest write is {_minutes(lag)} older than the target"]
        return []
    lost = report.source_newest_write - report.newest_write
    if lost > timedelta(seconds=plan.rpo_seconds):
        return [
            f"{report.database}: RPO missed: the newest write that came back is of {report.newest_write.isoformat()}, "
            f"the source had one of {report.source_newest_write.isoformat()}"
        ]
    return []


def _minutes(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min"
