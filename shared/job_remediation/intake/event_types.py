"""The types of event that say something about the estate: what of, since when, and what they put an end to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from shared.job_remediation.intake.observation import Observation
from shared.job_remediation.intake.values import Fields, as_epoch_time
from shared.job_remediation.signal import Condition, Fact, Severity, Source, Target
from shared.job_remediation.symptoms import Symptom


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What both schemas say around the data. `source` is the Event Grid schema's topic.

    id: tells events of one source apart; empty when the sender gives none.
    """

    type: str
    source: str
    subject: str
    id: str
    time: datetime | None
    data: Fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What an event says of one fault; `identity` is beside the target. One without is an occurrence of its own."""

    symptom: Symptom
    title: str
    condition: Condition = Condition.FIRED
    severity: Severity = Severity.INFORMATIONAL
    identity: tuple[str, ...] = ()
    target: Target | None = None
    time: datetime | None = None
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    facts: Mapping[str, Fact | None] = field(default_factory=dict[str, Fact | None])


def read_event_type(event: Event) -> list[Observation]:
    """What the event says; nothing when its type is not known, or says nothing of a fault."""
    folded = event.type.casefold()
    reader = next((read for start, read in _READERS.items() if folded.startswith(start)), None)
    return [_observation(event, said) for said in (reader(event) if reader else [])]


def _observation(event: Event, said: Said) -> Observation:
    time = said.time or event.time
    target = said.target or Target(resource=event.source.rstrip("/"))
    return Observation(
        source=Source.EVENT_GRID,
        condition=said.condition,
        symptom=said.symptom,
        title=said.title,
        identity=(*target.key, *(said.identity or _occurrence(event))),
        severity=said.severity,
        target=target,
        fired_at=time if said.condition is Condition.FIRED else None,
        resolved_at=time if said.condition is Condition.RESOLVED else None,
        labels=said.labels,
        facts={"event_id": event.id or None, "event_type": event.type, "subject": event.subject or None, **said.facts},
        notes=() if event.id else ("no id",),
    )


def _occurrence(event: Event) -> tuple[str, ...]:
    """Of an event without id its subject and time, which a further delivery has too."""
    return ("event", event.id) if event.id else ("event", "", event.subject, str(event.time))


def _last(event: Event) -> str:
    return event.type.rpartition(".")[2].casefold()


def _name(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


def _cluster(event: Event) -> list[Said]:
    """event-schema-aks."""
    cluster, data = _name(event.source), event.data
    pool = data.text("nodePoolName") or "unknown"
    rolling, failed = Symptom.NODE_POOL_ROLLING, Symptom.NODE_POOL_ROLLING_FAILED
    version = data.text("kubernetesVersion", "latestSupportedKubernetesVersion")
    facts: dict[str, Fact | None] = {
        "node_pool": data.text("nodePoolName"),
        "version": data.text("kubernetesVersion"),
        "latest_supported": data.text("latestSupportedKubernetesVersion"),
        "latest_stable": data.text("latestStableKubernetesVersion"),
        "lowest_minor": data.text("lowestMinorKubernetesVersion"),
        "latest_preview": data.text("latestPreviewKubernetesVersion"),
    }

    def of_pool(symptom: Symptom, condition: Condition, severity: Severity, title: str) -> Said:
        title = f"node pool {pool} of {cluster} {title}"
        return Said(
            symptom=symptom, title=title, condition=condition, severity=severity, identity=("pool", pool), facts=facts
        )

    def of_version(symptom: Symptom, severity: Severity, title: str) -> Said:
        identity = ("version", version) if version else ()
        return Said(symptom=symptom, title=f"{cluster}: {title}", severity=severity, identity=identity, facts=facts)

    fired, resolved = Condition.FIRED, Condition.RESOLVED
    info = Severity.INFORMATIONAL
    match _last(event):
        case "nodepoolrollingstarted":
            return [of_pool(rolling, fired, info, "is being rolled")]
        case "nodepoolrollingsucceeded":
            done = "was rolled"
            return [of_pool(rolling, resolved, info, done), of_pool(failed, resolved, Severity.ERROR, done)]
        case "nodepoolrollingfailed":
            title = "could not be rolled"
            return [of_pool(failed, fired, Severity.ERROR, title), of_pool(rolling, resolved, info, title)]
        case "newkubernetesversionavailable":
            title = f"Kubernetes {version or 'versions'} available"
            return [of_version(Symptom.KUBERNETES_VERSION_AVAILABLE, info, title)]
        case "clustersupportending":
            title = f"support of Kubernetes {version or 'version'} ends soon"
            return [of_version(Symptom.KUBERNETES_SUPPORT_ENDING, Severity.WARNING, title)]
        case "clustersupportended":
            title = f"support of Kubernetes {version or 'version'} has ended"
            return [of_version(Symptom.KUBERNETES_SUPPORT_ENDED, Severity.ERROR, title)]
        case _:
            return []


def _blob(event: Event) -> list[Said]:
    """event-schema-blob-storage. Each creation is an occurrence; their order by blob is that of the sequencer."""
    symptom = {"blobcreated": Symptom.BLOB_CREATED, "blobdeleted": Symptom.BLOB_DELETED}.get(_last(event))
    if symptom is None:
        return []
    data = event.data
    _, _, path = event.subject.partition("/containers/")
    container, _, blob = path.partition("/blobs/")
    done = "created" if symptom is Symptom.BLOB_CREATED else "deleted"
    return [
        Said(
            symptom=symptom,
            title=f"{_name(event.source)}/{container}/{blob} {done}",
            facts={
                "container": container or None,
                "blob": blob or None,
                "url": (data.text("url") or "").partition("?")[0] or None,
                "size": data.number("contentLength"),
                "content_type": data.text("contentType"),
                "api": data.text("api"),
                "sequencer": data.text("sequencer"),
            },
        )
    ]


def _key_vault(event: Event) -> list[Said]:
    """event-schema-key-vault. A new version ends what was told of the one before; so the version is no identity."""
    last = _last(event)
    kind = next((kind for kind in ("certificate", "secret", "key") if last.startswith(kind)), "")
    name = event.data.text("ObjectName") or event.subject
    expires = as_epoch_time(event.data.number("EXP"))
    near, over = Symptom.CREDENTIAL_NEAR_EXPIRY, Symptom.CREDENTIAL_EXPIRED
    facts: dict[str, Fact | None] = {
        "kind": kind,
        "name": name,
        "vault": event.data.text("VaultName") or _name(event.source),
        "version": event.data.text("Version"),
        "expires": expires.isoformat() if expires else None,
    }

    def said(symptom: Symptom, condition: Condition, severity: Severity, title: str) -> Said:
        title = f"{kind} {name} {title}"
        return Said(
            symptom=symptom, title=title, condition=condition, severity=severity, identity=(kind, name), facts=facts
        )

    match last.removeprefix(kind):
        case "nearexpiry":
            return [said(near, Condition.FIRED, Severity.WARNING, "expires soon")]
        case "expired":
            return [said(over, Condition.FIRED, Severity.ERROR, "has expired")]
        case "newversioncreated":
            title, info = "has a new version", Severity.INFORMATIONAL
            return [said(near, Condition.RESOLVED, info, title), said(over, Condition.RESOLVED, info, title)]
        case _:
            return []


def _cache(event: Event) -> list[Said]:
    """event-schema-azure-cache."""
    status = event.data.text("status") or ""
    what = event.data.text("name") or event.type.rpartition(".")[2]
    went_well = status.casefold() in ("succeeded", "")
    return [
        Said(
            symptom=Symptom.CACHE_MAINTAINED if went_well else Symptom.CACHE_MAINTENANCE_FAILED,
            title=f"{_name(event.source)}: {what} {status.casefold()}".strip(),
            severity=Severity.INFORMATIONAL if went_well else Severity.ERROR,
            time=event.data.time("timestamp"),
            facts={"operation": what, "status": status or None},
        )
    ]


def _availability(event: Event) -> list[Said]:
    """event-schema-health-resources; virtual machines and scale sets only."""
    properties = event.data.fields("resourceInfo").fields("properties")
    target = Target(resource=(properties.text("targetResourceId") or event.subject or event.source).rstrip("/"))
    state = properties.text("availabilityState") or "unknown"
    severities = {"unavailable": Severity.ERROR, "degraded": Severity.WARNING}
    return [
        Said(
            symptom=Symptom.RESOURCE_UNHEALTHY,
            title=f"{_name(target.resource or '')} is {state.casefold()}",
            condition=Condition.RESOLVED if state.casefold() == "available" else Condition.FIRED,
            severity=severities.get(state.casefold(), Severity.INFORMATIONAL),
            identity=("availability",),
            target=target,
            time=properties.time("occurredTime"),
            facts={"status": state, "status_before": properties.text("previousAvailabilityState")},
        )
    ]


def _annotation(event: Event) -> list[Said]:
    properties = event.data.fields("resourceInfo").fields("properties")
    target = Target(resource=(properties.text("targetResourceId") or event.subject or event.source).rstrip("/"))
    return [
        Said(
            symptom=Symptom.RESOURCE_ANNOTATED,
            title=f"{_name(target.resource or '')}: {properties.text('reason', 'annotationName') or 'annotated'}",
            target=target,
            time=properties.time("occurredTime"),
            facts={
                "annotation": properties.text("annotationName"),
                "reason": properties.text("reason"),
                "summary": properties.text("summary"),
                "context": properties.text("context"),
                "category": properties.text("category"),
            },
        )
    ]


def _scheduled(event: Event) -> list[Said]:
    """event-schema-containerservice-resources. The document itself writes Canceled and Cancelled, and AutoUprader."""
    properties = event.data.fields("resourceInfo").fields("properties")
    status = (properties.text("eventStatus") or "").casefold()
    planner = properties.text("eventSource")
    affected = properties.texts("resources")
    cluster, _, _ = event.subject.partition("/scheduledEvents/")
    scheduled = properties.time("scheduledTime")
    over = status in ("completed", "canceled", "cancelled")
    return [
        Said(
            symptom=Symptom.MAINTENANCE,
            title=properties.text("eventDetails", "description") or "scheduled maintenance",
            condition=Condition.RESOLVED if over else Condition.FIRED,
            severity=Severity.ERROR if status == "failed" else Severity.INFORMATIONAL,
            identity=("scheduled", properties.text("eventId") or event.id),
            target=Target(resource=(affected[0] if affected else cluster or event.source).rstrip("/")),
            facts={
                "status": "canceled" if status == "cancelled" else status or None,
                "planned_by": "AutoUpgrader" if planner == "AutoUprader" else planner,
                "scheduled": scheduled.isoformat() if scheduled else None,
                "resource_type": properties.text("resourceType"),
            },
        )
    ]


def _resource_operation(event: Event) -> list[Said]:
    """event-schema-subscriptions; what succeeded or was cancelled says nothing of a fault. Claims name people."""
    if not _last(event).endswith("failure"):
        return []
    operation = event.data.text("operationName") or _last(event)
    return [
        Said(
            symptom=Symptom.RESOURCE_OPERATION_FAILED,
            title=f"{operation} failed on {_name(event.subject or event.source)}",
            severity=Severity.WARNING,
            identity=("operation", operation),
            target=Target(resource=(event.subject or event.source).rstrip("/")),
            facts={"operation": operation, "status": event.data.text("status")},
        )
    ]


def _own(event: Event) -> list[Said]:
    """What this app tells. Its own repairs never become a fault to repair."""
    kind = event.type.casefold().removeprefix("closekeeper.")
    place = event.subject.split("/")
    pairs = dict(zip(place[::2], place[1::2], strict=False))
    labels = {name: pairs[f"{name}s"] for name in ("environment", "tenant") if f"{name}s" in pairs}
    automation = event.data.text("automation")
    identity, severity, condition = (event.subject,), Severity.ERROR, Condition.FIRED
    symptom = Symptom.OUTCOME_TOLD
    if kind.startswith("backupverification.drill"):
        symptom = Symptom.DRILL_FAILED
        if kind.endswith("passed"):
            condition, severity = Condition.RESOLVED, Severity.INFORMATIONAL
    elif kind == "change.failed" and automation != "job_remediation":
        symptom = Symptom.CHANGE_FAILED
    elif kind == "estate.invalid":
        symptom = Symptom.ESTATE_INVALID
    elif kind == "evidence.logbroken":
        symptom = Symptom.EVIDENCE_LOG_BROKEN
    else:
        identity, severity = (), Severity.INFORMATIONAL
    return [
        Said(
            symptom=symptom,
            title=f"{event.type}: {event.subject}",
            condition=condition,
            severity=severity,
            identity=identity,
            target=Target(),
            labels=labels,
            facts={"automation": automation, "problem": event.data.text("problem", "what", "reason")},
        )
    ]


_READERS: Mapping[str, Callable[[Event], list[Said]]] = {
    "microsoft.containerservice.": _cluster,
    "microsoft.storage.": _blob,
    "microsoft.keyvault.": _key_vault,
    "microsoft.cache.": _cache,
    "microsoft.resourcenotifications.healthresources.availabilitystatuschanged": _availability,
    "microsoft.resourcenotifications.healthresources.resourceannotated": _annotation,
    "microsoft.resourcenotifications.containerserviceeventresources.scheduledeventemitted": _scheduled,
    "microsoft.resources.": _resource_operation,
    "closekeeper.": _own,
}
