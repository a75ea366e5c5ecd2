"""The effects of a recovery rehearsal: each step looks at the paired region, and changes nothing there."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from pydantic import AwareDatetime, BaseModel

from functions import estate_in_force
from functions.document_checks import look
from functions.records import write_record
from functions.verification_holds import AUTOMATION, held
from shared.backup_verification.documents.places import places_of
from shared.backup_verification.documents.report import Documents, findings
from shared.backup_verification.registry import EvidenceReference
from shared.backup_verification.rehearsal import hosts as host_checks
from shared.backup_verification.rehearsal import manifests, secrets
from shared.backup_verification.rehearsal.plan import (
    RehearsalPlan,
    RehearsalReport,
    RehearsalRequest,
    StepName,
    StepReport,
    StepState,
    conclude,
    due,
    plan_rehearsal,
    problems,
)
from shared.blob_container import BlobContainer
from shared.changes.state import Store
from shared.events import Event
from shared.platforms import blob_reading, blobs, event_grid, hosts, postgres_servers, settings, sql, vaults
from shared.version import VERSION

_FOLDER = "rehearsals/"
_STATEMENT_TIMEOUT_SECONDS = 300
_MAX_EXPORT = 512 << 20

type Walked = tuple[list[str], dict[str, Any]]
"""What failed, and what to show."""


class Entry(BaseModel):
    """One rehearsal, and what became of it."""

    plan: RehearsalPlan
    report: RehearsalReport | None = None
    evidence: EvidenceReference | None = None


def state() -> BlobContainer:
    """The container that holds what must survive restarts."""
    return blobs.container(settings.required("STATE_URL", "give the URL of the blob container for the app's state"))


def due_environments(now: datetime) -> list[str]:
    """Where a rehearsal is due. One that failed proved nothing; one that runs is waited for."""
    proven: dict[str, datetime] = {}
    for entry in entries():
        if entry.report is None or entry.report.outcome is StepState.PASSED:
            at = entry.plan.requested_at
            proven[entry.plan.environment] = max(proven.get(entry.plan.environment, at), at)
    return due(estate_in_force.get(), proven, now)


def problems_of(request: RehearsalRequest) -> list[tuple[str, str]]:
    """Why there is nothing to rehearse, by field; empty when there is."""
    return problems(estate_in_force.get(), request)


def entries() -> list[Entry]:
    """All rehearsals, the newest first."""
    return sorted(Store(state()).all(_FOLDER, Entry), key=lambda entry: entry.plan.requested_at, reverse=True)


def find(rehearsal: str) -> Entry | None:
    """None when there is none."""
    return Store(state()).get(_FOLDER + rehearsal, Entry)


class _Started(BaseModel):
    id: str
    environment: str
    requested_at: AwareDatetime


def begin(data: object) -> dict[str, Any]:
    """Fix the plan and register it; one that is over answers its report, one that may not begin the reason."""
    started = _Started.model_validate(data)
    entry = find(started.id)
    if entry is None:
        plan = plan_rehearsal(estate_in_force.get(), started.id, started.environment, started.requested_at)
        if reason := held(plan.environment, datetime.now(UTC)):
            return {"report": {"id": plan.id, "outcome": "refused", "reason": reason}}
        entry = Store(state()).open(_FOLDER + plan.id, Entry, Entry(plan=plan))
    if entry.report is not None and entry.evidence is not None:
        return {"report": _shown(entry)}
    return {"plan": entry.plan.model_dump(mode="json")}


def walk(data: Any) -> dict[str, Any]:
    """Walk one step and say how it went. What does not answer is a failure of the step, not of the walk."""
    from azure.core.exceptions import AzureError

    plan = RehearsalPlan.model_validate(data["plan"])
    name = StepName(data["step"])
    steps: dict[StepName, Callable[[RehearsalPlan], Walked | None]] = {
        StepName.DOCUMENTS: _documents,
        StepName.MANIFESTS: _manifests,
        StepName.SECRETS: _secrets,
        StepName.HOSTS: _hosts,
    }
    began = datetime.now(UTC)
    try:
        walked = steps[name](plan)
    except (AzureError, vaults.VaultError, sql.DatabaseUnavailableError) as error:
        walked = [str(error).splitlines()[0]], dict[str, Any]()
    return report_of(name, began, walked)


def report_of(name: StepName, began: datetime, walked: Walked | None) -> dict[str, Any]:
    """The report of a step, JSON-ready; None when the runbook declares nothing for it."""
    failures, shown = walked or ([], {})
    verdict = StepState.SKIPPED if walked is None else StepState.FAILED if failures else StepState.PASSED
    report = StepReport(
        name=name, state=verdict, began_at=began, ended_at=datetime.now(UTC), failures=tuple(failures), shown=shown
    )
    return report.model_dump(mode="json")


def _documents(plan: RehearsalPlan) -> Walked | None:
    """A sample of every tenant's documents is read in the secondary region, by what the live database says of them."""
    estate = estate_in_force.get()
    environment = estate.environments[plan.environment]
    policy = estate.backup_verification
    failures: list[str] = []
    shown: dict[str, Any] = {}
    for name, tenant in environment.tenants.items():
        places = places_of(estate, plan.environment, name, tenant.database.database)
        if not places or policy is None:
            continue
        unreadable = [place.container for place in places if not place.readable_secondary]
        if unreadable:
            failures.append(f"{name}: the secondary region of {', '.join(unreadable)} cannot be read before a failover")
            continue
        server = postgres_servers.get(str(environment.postgres[tenant.database.server].id))
        if server is None or server.state != "Ready":
            failures.append(f"{name}: its server is {server.state if server else 'not there'}")
            continue
        there = [place._replace(url=blob_reading.secondary_url(place.url)) for place in places]
        with sql.read_only(
            server.host, tenant.database.database, statement_timeout_seconds=_STATEMENT_TIMEOUT_SECONDS
        ) as live:
            found = look(live, there, sample_size=policy.drills.sample_size, seed=plan.id, secondary=False)
        failures.extend(f"{name}: {finding.message}" for finding in findings(found) if finding.fails)
        shown[name] = _numbers(found)
    return (failures, shown) if shown or failures else None


def _numbers(found: Documents) -> dict[str, int]:
    return {"files": found.files, "read": found.read, "missing": found.missing.count, "changed": found.changed.count}


def _manifests(plan: RehearsalPlan) -> Walked | None:
    """Every declared Kubernetes object is in the export of the repository."""
    runbook = _runbook(plan)
    if runbook.manifests is None:
        return None
    account = estate_in_force.get().environments[plan.environment].storage[runbook.manifests.account]
    container = blob_reading.readable(f"{account.blob_address}/{runbook.manifests.container}")
    failures: list[str] = []
    found: set[str] = set()
    files, size = 0, 0
    newest: datetime | None = None
    for facts in container.list():
        if not facts.name.endswith((*manifests.SUFFIXES, *manifests.ARCHIVES)):
            continue
        files, size = files + 1, size + facts.size
        newest = max(newest or facts.last_modified, facts.last_modified)
        if size > _MAX_EXPORT:
            failures.append(f"the export is larger than {_MAX_EXPORT >> 20} MiB: it was read to {facts.name} only")
            break
        try:
            found.update(manifests.objects_in(facts.name, b"".join(container.stream(facts.name))))
        except manifests.UnreadableManifestError as error:
            failures.append(str(error))
    failures.extend(f"{each} is not in the export" for each in manifests.missing(runbook.objects, found))
    if not files:
        failures.append(f"{runbook.manifests} holds no manifest")
    shown = {"files": files, "objects": len(found), "newest": newest.isoformat() if newest else None}
    return failures, shown


def _secrets(plan: RehearsalPlan) -> Walked | None:
    """Every declared secret is in the paired region's vault. Names are listed; no value is read."""
    runbook = _runbook(plan)
    if runbook.vault is None:
        return None
    found = list(vaults.list_secrets(runbook.vault))
    failures = secrets.complaints(runbook.secret_names, found, datetime.now(UTC))
    return failures, {"vault": runbook.vault, "wanted": list(runbook.secret_names), "listed": len(found)}


def _hosts(plan: RehearsalPlan) -> Walked | None:
    """Every name's target in the paired region resolves, and answers by TLS with a certificate for the name."""
    runbook = _runbook(plan)
    if not runbook.hosts:
        return None
    port = int(settings.optional("RECOVERY_TLS_PORT", "443"))
    failures: list[str] = []
    shown: dict[str, Any] = {}
    for declared in runbook.hosts:
        at = hosts.resolve(declared.target)
        shaken = hosts.shake_hands(at[0], declared.host, port) if at else hosts.Handshake()
        seen = host_checks.HostSeen(
            declared.host,
            declared.target,
            hosts.resolve(declared.host),
            at,
            shaken.certificate_ends,
            shaken.error,
        )
        failures.extend(host_checks.complaints(seen, declared.certificate_left, datetime.now(UTC)))
        shown[declared.host] = {
            "leads_to": list(seen.addresses),
            "must_lead_to": list(seen.target_addresses),
            "switched": seen.switched,
            "certificate_ends": seen.certificate_ends.isoformat() if seen.certificate_ends else None,
        }
    return failures, shown


def of_drills(plan_data: object, began: str, reports: Iterable[Any], failures: Iterable[str]) -> dict[str, Any]:
    """The step of the databases, from the drills that restored them into the paired region."""
    plan = RehearsalPlan.model_validate(plan_data)
    said = [*failures]
    said.extend(f"{name}: its backups are not geo-redundant" for name in plan.unprotected)
    shown: dict[str, Any] = {}
    for report in reports:
        server = str(report.get("server", report.get("id", "")))
        said.extend(f"{server}: {failure}" for failure in report.get("failures", ()))
        if report.get("outcome") not in ("passed", "failed"):
            said.append(f"{server}: not begun, {report.get('reason', 'held')}")
        names = ("id", "outcome", "rto_seconds", "rpo_seconds", "evidence")
        shown[server] = {name: report.get(name) for name in names}
    walked = (said, shown) if said or shown else None
    return report_of(StepName.DATABASE, datetime.fromisoformat(began), walked)


def _runbook(plan: RehearsalPlan) -> Any:
    policy = estate_in_force.get().backup_verification
    if policy is None or plan.environment not in policy.recovery:
        raise ValueError(f"{plan.environment} has no runbook any more")
    return policy.recovery[plan.environment]


class _Conclusion(BaseModel):
    plan: RehearsalPlan
    steps: list[StepReport]
    concluded_at: AwareDatetime


def conclude_rehearsal(data: object) -> dict[str, Any]:
    """Judge, record, remember and tell: from the same facts the same report, record and event."""
    from shared.evidence.record import Kind, Record

    facts = _Conclusion.model_validate(data)
    report = conclude(facts.plan, facts.steps, facts.concluded_at)
    report = (
        _change(report.id, lambda entry: entry.model_copy(update={"report": entry.report or report})).report or report
    )
    body = report.model_dump(mode="json")
    written = write_record(
        Record(
            automation=AUTOMATION,
            kind=Kind.DRILL,
            subject=report.id,
            time=report.concluded_at,
            environment=report.environment,
            estate_version=report.estate_version,
            app_version=VERSION,
            body=body,
        )
    )
    evidence = EvidenceReference(name=written.name, sha256=written.sha256)
    event_grid.topic().publish(
        [
            Event(
                id=report.id,
                type=f"Closekeeper.BackupVerification.Rehearsal{report.outcome.capitalize()}",
                subject=f"environments/{report.environment}/recovery",
                time=report.concluded_at,
                data={"report": body, "evidence": evidence.model_dump()},
            )
        ]
    )
    return _shown(_change(report.id, lambda entry: entry.model_copy(update={"evidence": evidence})))


def _shown(entry: Entry) -> dict[str, Any]:
    if entry.report is None or entry.evidence is None:
        raise ValueError(f"{entry.plan.id} is not reported yet")
    steps = [{**step.model_dump(mode="json"), "seconds": step.seconds} for step in entry.report.steps]
    return {**entry.report.model_dump(mode="json"), "steps": steps, "evidence": entry.evidence.model_dump()}


def _change(rehearsal: str, change: Callable[[Entry], Entry]) -> Entry:
    return Store(state()).change(_FOLDER + rehearsal, Entry, change)
