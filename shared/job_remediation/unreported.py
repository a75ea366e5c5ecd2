"""What is wrong though no alert told of it, or the telling was lost: as a signal, once, beside what is known. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from shared.job_remediation.evidence import Evidence
from shared.job_remediation.kubernetes_jobs import RERUN_OF, End, Object, ended, evidence_of, owner_of, state_of
from shared.job_remediation.register import Known
from shared.job_remediation.symptoms import Symptom

RECENT = timedelta(hours=24)
"""What failed longer ago is no news: whoever begins to use this has old failures that nobody wants repeated."""

INSISTS = timedelta(hours=1)
"""So long after its fault was found to be over, an alert that is still fired is looked at again."""

_ALIKE = (
    frozenset({Symptom.JOB_FAILED, Symptom.OUT_OF_MEMORY, Symptom.BACKUP_FAILED, Symptom.BACKUP_MISSING}),
    frozenset({Symptom.CRON_OVERDUE, Symptom.CRON_DEACTIVATED}),
)
_MEASURED = frozenset({"platform", "prometheus"})
_TITLES = {
    Symptom.QUEUE_JOBS_FAILED: "Queue jobs of {tenant} failed",
    Symptom.QUEUE_JOBS_STUCK: "Queue jobs of {tenant} are started, and no worker has them",
    Symptom.CRON_OVERDUE: "Crons of {tenant} are overdue",
    Symptom.CRON_DEACTIVATED: "Odoo deactivated crons of {tenant} after failures",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong. Its place is as in a `Signal`; `since` is aware UTC.

    also: other names that an alert may give the same object, such as the CronJob whose run failed.
    """

    symptom: Symptom
    title: str
    since: datetime
    environment: str
    tenant: str | None = None
    cluster: str | None = None
    namespace: str | None = None
    object: str | None = None
    also: frozenset[str] = frozenset()

    @property
    def body(self) -> dict[str, Any]:
        """The plain signal that tells of it; told again, it is the same fault."""
        place = (
            f"{self.environment}/{self.tenant or ''}/{self.cluster or ''}/{self.namespace or ''}/{self.object or ''}"
        )
        said: dict[str, Any] = {
            "condition": "fired",
            "fault": f"found:{self.symptom}:{place}".casefold(),
            "title": self.title,
            "symptom": self.symptom,
            "severity": "warning",
            "environment": self.environment,
            "tenant": self.tenant,
            "resource": self.cluster,
            "namespace": self.namespace,
            "object": self.object,
            "fired_at": self.since.isoformat(),
            "facts": {"found_by": "the poll: no alert told of it"},
        }
        return {name: value for name, value in said.items() if value is not None}


def untold(findings: Iterable[Finding], known: Iterable[Known]) -> list[Finding]:
    """Those that nobody told of: neither by an alert that is open, nor by one that was dealt with since."""
    told = [one for one in known if one.signal.symptom.is_fault]
    return [finding for finding in findings if not any(_tells_of(one, finding) for one in told)]


def _tells_of(known: Known, finding: Finding) -> bool:
    until = known.fault.resolved_until
    if not known.fault.is_open and (until is None or until < finding.since):
        return False
    signal = known.signal
    alike = next((family for family in _ALIKE if finding.symptom in family), frozenset({finding.symptom}))
    if signal.symptom not in alike or signal.environment != finding.environment:
        return False
    if finding.cluster is None:
        return signal.tenant == finding.tenant
    target = signal.target
    cluster = (target.resource or target.cluster or "").rpartition("/")[2].casefold()
    if cluster != finding.cluster.rpartition("/")[2].casefold() or target.namespace != finding.namespace:
        return False
    name = target.object or ""
    pods = (finding.object or "").replace("job/", "pod/", 1) + "-"
    return not name or name == finding.object or name in finding.also or name.startswith(pods)


# --- Kubernetes ------------------------------------------------------------------------------------------------------


def failed_jobs(environment: str, cluster: str, jobs: Sequence[Object], now: datetime) -> Iterator[Finding]:
    """The Jobs of a namespace that failed lately: of a CronJob the last run only, and only if none succeeded since."""
    newest: dict[str, Object] = {}
    for job in jobs:
        if state_of(job) != "failed" or _part(job["metadata"], "annotations").get(RERUN_OF):
            continue
        key = owner_of(job) or f"job/{job['metadata']['name']}"
        if key not in newest or ended(job) > ended(newest[key]):
            newest[key] = job
    for job in newest.values():
        facts = evidence_of(cluster, job, jobs, None, End(), "unknown").facts
        if facts["job.state"] != "failed" or facts["job.succeeded_since"] or now - ended(job) > RECENT:
            continue
        name, owner = job["metadata"]["name"], owner_of(job)
        yield Finding(
            symptom=Symptom.JOB_FAILED,
            title=f"Job {name} failed",
            since=ended(job),
            environment=environment,
            cluster=cluster,
            namespace=job["metadata"]["namespace"],
            object=f"job/{name}",
            also=frozenset({f"cronjob/{owner}"} if owner else ()),
        )


# --- Odoo ------------------------------------------------------------------------------------------------------------


def of_odoo(environment: str, tenant: str, queue: Evidence, crons: Evidence, now: datetime) -> Iterator[Finding]:
    """Failed and stuck queue jobs, stopped crons: what the collectors' evidence shows of one tenant."""

    def finding(symptom: Symptom, since: datetime) -> Finding:
        title = _TITLES[symptom].format(tenant=tenant)
        return Finding(symptom=symptom, title=title, since=since, environment=environment, tenant=tenant)

    failed = _instant(queue.facts.get("queue.newest"))
    if queue.facts.get("queue.failed") and failed is not None and now - failed <= RECENT:
        yield finding(Symptom.QUEUE_JOBS_FAILED, failed)
    stuck = _instant(queue.facts.get("queue.stuck_since"))
    if queue.facts.get("queue.stuck") and stuck is not None:
        yield finding(Symptom.QUEUE_JOBS_STUCK, stuck)
    if crons.facts.get("crons.neutralised") is True:
        return
    stopped = _instant(crons.facts.get("crons.since"))
    if stopped is None:
        return
    if crons.facts.get("crons.deactivated"):
        yield finding(Symptom.CRON_DEACTIVATED, stopped)
    elif crons.facts.get("crons.overdue"):
        yield finding(Symptom.CRON_OVERDUE, stopped)


def _instant(value: object) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) and value else None


# --- Azure -----------------------------------------------------------------------------------------------------------


def common_alert(shown: Mapping[str, Any], now: datetime, told: Known | None = None) -> dict[str, Any] | None:
    """An alert as the list shows it, in the schema in which an action group sends it: read alike, it is the same fault.

    told: the fault of which it was told already. None for what need not be told: closed by people, a record that never
    resolves and is older than a day, or told already. But Azure Monitor tells nothing new while an alert is fired: one
    that still is long after its fault was over is told as if it fired now.
    """
    properties = _part(shown, "properties")
    essentials = _part(properties, "essentials")
    started = _instant(essentials.get("startDateTime"))
    service = str(essentials.get("monitorService") or "")
    if essentials.get("alertState") == "Closed" or essentials.get("monitorCondition") != "Fired":
        return None
    if service.casefold() not in _MEASURED and (started is None or now - started > RECENT):
        return None
    if told is not None:
        over = told.fault.resolved_until
        if told.fault.is_open or over is None or now - over < INSISTS or service.casefold() not in _MEASURED:
            return None
    said: dict[str, Any] = {
        "alertId": shown.get("id"),
        "alertRule": shown.get("name"),
        "severity": essentials.get("severity"),
        "signalType": essentials.get("signalType"),
        "monitorCondition": "Fired",
        "monitoringService": service,
        "alertTargetIDs": [essentials.get("targetResource")],
        "firedDateTime": now.isoformat() if told else essentials.get("startDateTime"),
        "description": essentials.get("description"),
    }
    data = {
        "essentials": {name: value for name, value in said.items() if value},
        "alertContext": _part(properties, "context"),
        "customProperties": _part(properties, "customProperties"),
    }
    return {"schemaId": "azureMonitorCommonAlertSchema", "data": data}


def _part(of: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", of.get(name) or {})
