"""One restore drill: what was asked, what is planned, what was seen, and the verdict. Pure; every time is aware UTC."""

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from shared.backup_verification.aftermath import Kept, SelfTested
from shared.backup_verification.books import Books
from shared.backup_verification.cost import Cost
from shared.backup_verification.preflight import PreflightCheck
from shared.backup_verification.trend import Trend

_UNSAFE_IN_ID = re.compile(r"[^A-Za-z0-9._-]")
_MAX_SERVER_NAME = 63


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DrillKind(StrEnum):
    """What a drill restores from; as the estate names it."""

    POINT_IN_TIME = "point-in-time"
    GEO_RESTORE = "geo-restore"
    DUMP = "dump"


class Target(StrEnum):
    """Which instant a point-in-time drill restores; as the estate names it."""

    LATEST = "latest"
    RANDOM = "random"
    BEFORE_EVENT = "before-event"


def _target_of(given: object) -> object:
    """A name of a target or an instant, so that the caller is told of one thing and not of each that it might be."""
    if given is None or isinstance(given, datetime | Target):
        return given
    try:
        return Target(str(given))
    except ValueError:
        pass
    try:
        instant = datetime.fromisoformat(str(given))
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        names = ", ".join(Target)
        raise ValueError(f"neither one of {names} nor an instant with an offset such as 2026-11-30T22:00:00Z")
    return instant


class _Wish(_Model):
    environment: str = Field(min_length=1, max_length=100, description="The environment's name in the estate")
    tenant: str | None = Field(default=None, description="The one tenant whose database is checked; all if left out")
    kind: DrillKind = Field(default=DrillKind.POINT_IN_TIME, description="What is restored from")
    target: Annotated[datetime | Target | None, BeforeValidator(_target_of)] = Field(
        default=None, description="The instant to restore (RFC 3339 with an offset), or latest, random, before-event"
    )
    event: str | None = Field(default=None, description="For before-event: the calendar event")
    dry_run: bool = Field(default=False, description="Plan and record only; nothing is restored")
    keep: timedelta | None = Field(
        default=None, gt=timedelta(0), description="How long people keep the neutralised copy, such as PT8H"
    )


class DrillRequest(_Wish):
    """What a caller or the schedule asks for, of one server."""

    server: str = Field(min_length=1, max_length=100, description="The PostgreSQL server's name in the estate")


class DrillsRequest(_Wish):
    """What a caller asks for: of one server, of a tenant's, or without both of every server of the environment."""

    server: str | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="The PostgreSQL server's name in the estate; the tenant's own, or every one, if left out",
    )


class Network(_Model):
    """Where a restored server is put: resource ids of a delegated subnet and of a private DNS zone."""

    subnet: str
    dns_zone: str


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
    kind: DrillKind = DrillKind.POINT_IN_TIME
    tenant: str | None = None
    asked_at: AwareDatetime | None = None
    """When it was asked for; until `requested_at` it waited for its turn."""
    target_chosen: str = ""
    """How the target was chosen, in words."""
    network: Network | None = None
    """None: the copy has a public address that only the app is let in to."""
    keep: timedelta | None = None
    """How long people keep the neutralised copy, from its verdict on; None: it is removed at once."""
    self_test: bool = False
    """Whether faults are put into the copy after the verdict, which the checks must find."""

    @property
    def certain_until(self) -> datetime:
        """Until when everything that was written must be there: the paired region may be behind by its objective."""
        behind = self.rpo_seconds if self.kind is DrillKind.GEO_RESTORE else 0
        return self.target - timedelta(seconds=behind)


class Phase(StrEnum):
    """The moments that a drill's time is split by."""

    REQUESTED = "requested"
    ACCEPTED = "accepted"
    READY = "ready"
    CONFIGURED = "configured"
    RESOLVED = "resolved"
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
    kind: DrillKind = DrillKind.POINT_IN_TIME
    location: str = ""
    tenant: str | None = None
    asked_at: AwareDatetime | None = None
    target_chosen: str = ""
    isolation: str = ""
    """How the copy was kept apart, in words."""
    carried: tuple[str, ...] = ()
    """What a restore does not carry and was set on the copy: parameters, extensions, administrators, firewall, tags."""
    preflight: tuple[PreflightCheck, ...] = ()
    cost: Cost | None = None
    """None without declared rates."""
    trend: Trend | None = None
    self_test: tuple[SelfTested, ...] = ()
    kept: Kept | None = None


def drill_id(environment: str, server: str, key: str) -> str:
    """The drill's id, which is its orchestration's instance id too: the same key is the same drill.

    `key` is the date (YYYY-MM-DD) for the drills of the schedule, the caller's Idempotency-Key for those by hand.
    Characters that an instance id may not hold become `_`, followed by a digest so that two keys stay two.
    """
    parts = [environment, server, key]
    readable = drill_prefix(environment, server) + _safe(key)
    if readable != "drill:" + ":".join(parts):
        readable += ":" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
    return readable


def drill_prefix(environment: str, server: str) -> str:
    """What the ids of all drills of a server begin with; another server's may too, when their names are odd."""
    return f"drill:{_safe(environment)}:{_safe(server)}:"


def _safe(part: str) -> str:
    return _UNSAFE_IN_ID.sub("_", part)[:60]


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
    *,
    carried: Sequence[str] = (),
    self_test: Sequence[SelfTested] = (),
    kept: Kept | None = None,
) -> DrillReport:
    """The verdict. A drill passes when every database came back whole, within RTO and RPO, and the server is gone; or
    kept for people until an instant, and proven to be harmless."""
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
    is_kept = kept is not None and kept.until is not None
    if kept is not None and not is_kept:
        found.append("the copy was not kept: it is not proven that it is harmless")
    for tested in self_test:
        missed = [fault.name for fault in tested.injected if not fault.found]
        found.extend(f"{tested.database}: self-test: the checks did not find {name}" for name in missed)
    if not removed and not is_kept:
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
        kind=plan.kind,
        location=plan.location,
        tenant=plan.tenant,
        asked_at=plan.asked_at,
        target_chosen=plan.target_chosen,
        isolation=_isolation(plan),
        carried=tuple(carried),
        self_test=tuple(self_test),
        kept=kept,
    )


def _isolation(plan: DrillPlan) -> str:
    if plan.network is not None:
        return f"in the subnet {plan.network.subnet}, without a public address"
    return "a public address, and a firewall that lets in the app only"


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
