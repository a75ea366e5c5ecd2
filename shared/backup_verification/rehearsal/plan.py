"""One rehearsal: what is walked, how each step went, and the verdict. Pure; every time is aware UTC."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

if TYPE_CHECKING:  # the estate's models are many: whoever has an estate has loaded them
    from shared.estate.estate import Estate
    from shared.estate.policies.backup_verification import RecoveryRunbook


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RehearsalRequest(_Model):
    """What a caller asks for."""

    environment: str = Field(min_length=1, max_length=100, description="The environment's name in the estate")


class StepName(StrEnum):
    """The steps of a recovery, in the order in which people would take them."""

    DATABASE = "database"
    DOCUMENTS = "documents"
    MANIFESTS = "manifests"
    SECRETS = "secrets"
    HOSTS = "hosts"


class StepState(StrEnum):
    """How a step went. `skipped`: the runbook declares nothing for it."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


class StepReport(_Model):
    """One step. `shown` are facts for people, by name; never a secret's value."""

    name: StepName
    state: StepState
    began_at: AwareDatetime
    ended_at: AwareDatetime
    failures: tuple[str, ...] = ()
    shown: Mapping[str, Any] = {}

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.ended_at - self.began_at).total_seconds()


class RehearsalPlan(_Model):
    """What is walked, fixed at the begin."""

    id: str
    environment: str
    location: str
    servers: tuple[str, ...]
    unprotected: tuple[str, ...]
    """Servers without geo-redundant backups, which cannot come back in another region."""
    rto_seconds: int
    requested_at: AwareDatetime
    estate_version: str


class RehearsalReport(_Model):
    """The verdict. `seconds` is the whole walk, the removal of what was restored included; whether the database came
    back in time is judged by its drill."""

    id: str
    environment: str
    location: str
    outcome: StepState
    failures: tuple[str, ...]
    steps: tuple[StepReport, ...]
    seconds: float
    rto_objective_seconds: int
    requested_at: AwareDatetime
    concluded_at: AwareDatetime
    estate_version: str


def rehearsal_id(environment: str, key: str) -> str:
    """The rehearsal's id, its orchestration's too: the same key is the same rehearsal."""
    return f"rehearsal:{environment}:{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def due(estate: "Estate", proven: Mapping[str, datetime], now: datetime) -> list[str]:
    """The environments whose recovery is to be rehearsed now; `proven` is when each was last begun and passed."""
    runbooks = _runbooks(estate)
    return [
        environment
        for environment, runbook in runbooks.items()
        if environment not in proven or now - proven[environment] >= runbook.every
    ]


def problems(estate: "Estate", request: RehearsalRequest) -> list[tuple[str, str]]:
    """Why there is nothing to rehearse: pairs of field and sentence."""
    runbooks = _runbooks(estate)
    if request.environment in runbooks:
        return []
    known = ", ".join(sorted(runbooks)) or "none"
    return [("/environment", f"has no runbook in backup_verification.recovery; these have one: {known}")]


def _runbooks(estate: "Estate") -> "Mapping[str, RecoveryRunbook]":
    return estate.backup_verification.recovery if estate.backup_verification else dict[str, "RecoveryRunbook"]()


def plan_rehearsal(estate: "Estate", rehearsal: str, environment: str, now: datetime) -> RehearsalPlan:
    """Fix what is walked. The environment must have a runbook."""
    declared = estate.environments[environment]
    return RehearsalPlan(
        id=rehearsal,
        environment=environment,
        location=declared.paired_location or "",
        servers=tuple(name for name, server in declared.postgres.items() if server.geo_redundant),
        unprotected=tuple(name for name, server in declared.postgres.items() if not server.geo_redundant),
        rto_seconds=int(estate.tiers[declared.tier].rto.total_seconds()),
        requested_at=now,
        estate_version=estate.version,
    )


def conclude(plan: RehearsalPlan, steps: list[StepReport], concluded_at: datetime) -> RehearsalReport:
    """A rehearsal passes when every declared step did."""
    failures = [f"{step.name}: {failure}" for step in steps for failure in step.failures]
    missing = [name for name in StepName if name not in {step.name for step in steps}]
    failures.extend(f"{name}: was not walked" for name in missing)
    return RehearsalReport(
        id=plan.id,
        environment=plan.environment,
        location=plan.location,
        outcome=StepState.FAILED if failures else StepState.PASSED,
        failures=tuple(failures),
        steps=tuple(steps),
        seconds=(concluded_at - plan.requested_at).total_seconds(),
        rto_objective_seconds=plan.rto_seconds,
        requested_at=plan.requested_at,
        concluded_at=concluded_at,
        estate_version=plan.estate_version,
    )
