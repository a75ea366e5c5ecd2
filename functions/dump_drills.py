"""Drills of the kind `dump`: which dumps they restore, and their one verdict."""

from datetime import datetime
from typing import Any

from pydantic import AwareDatetime, BaseModel

from functions import dump_looks, estate_in_force
from functions.dump_drill_log import remember
from functions.records import write_record
from functions.verification_holds import AUTOMATION
from shared.backup_verification.drill import drill_id
from shared.backup_verification.dumps.plan import DumpPlan
from shared.events import Event
from shared.platforms import event_grid
from shared.version import VERSION


class _Started(BaseModel):
    id: str
    environment: str
    server: str
    requested_at: AwareDatetime


class _Conclusion(_Started):
    reports: tuple[dict[str, Any], ...]
    failures: tuple[str, ...]
    concluded_at: AwareDatetime


def instance_of(environment: str, server: str, key: str) -> str:
    """The id of the drill, which is its instance's too."""
    return "dump-" + drill_id(environment, server, key)


def plan(data: object) -> dict[str, Any]:
    """The verifications of the drill, and why there are less than there are databases."""
    started = _Started.model_validate(data)
    found = list(dump_looks.of_drill(started.environment, started.server, started.id, started.requested_at))
    plans = [each for each in found if isinstance(each, DumpPlan)]
    failures = [each for each in found if isinstance(each, str)]
    if not found:
        failures.append(f"no tenant of {started.server} declares dumps")
    return {"plans": [each.model_dump(mode="json") for each in plans], "failures": failures}


def conclude(data: object) -> dict[str, Any]:
    """One verdict, one record, one event: from the same facts the same."""
    from shared.evidence.record import Kind, Record

    facts = _Conclusion.model_validate(data)
    failures = [*facts.failures]
    for report in facts.reports:
        whose = report.get("tenant") or report["id"]
        failures.extend(f"{whose}: {failure}" for failure in report.get("failures", ()))
        if report["outcome"] == "refused":
            failures.append(f"{whose}: not begun, {report['reason']}")
    outcome = "failed" if failures else "passed"
    body: dict[str, Any] = {
        "id": facts.id,
        "kind": "dump",
        "environment": facts.environment,
        "server": facts.server,
        "outcome": outcome,
        "failures": failures,
        "requested_at": facts.requested_at.isoformat(),
        "concluded_at": facts.concluded_at.isoformat(),
        "seconds": _seconds(facts.requested_at, facts.concluded_at),
        "dumps": [
            {name: report.get(name) for name in ("id", "tenant", "dump", "level", "outcome", "damage", "evidence")}
            for report in facts.reports
        ],
    }
    written = write_record(
        Record(
            automation=AUTOMATION,
            kind=Kind.DRILL,
            subject=facts.id,
            time=facts.concluded_at,
            environment=facts.environment,
            estate_version=estate_in_force.get().version,
            app_version=VERSION,
            body=body,
        )
    )
    evidence = {"name": written.name, "sha256": written.sha256}
    event_grid.topic().publish(
        [
            Event(
                id=facts.id,
                type=f"Closekeeper.BackupVerification.Drill{outcome.capitalize()}",
                subject=f"environments/{facts.environment}/servers/{facts.server}",
                time=facts.concluded_at,
                data={"report": body, "evidence": evidence},
            )
        ]
    )
    remember(facts.environment, facts.server, facts.id, facts.requested_at, not failures)
    return {**body, "evidence": evidence}


def _seconds(start: datetime, end: datetime) -> float:
    return (end - start).total_seconds()
