"""The poll: looks itself for what no alert told of, or whose telling was lost, and closes alerts that stayed open.

Each place is looked at by itself: one that cannot be reached does not hold up the others, and is told. What is found
becomes the same kind of signal as an alert, and nothing that an alert told of already.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from functions import estate_in_force, intake_steps, remediation_alerts, sleep_state
from functions import remediation_steps as steps
from functions.change_execution import services
from shared.changes.ports import Entry
from shared.events import Event
from shared.job_remediation import register, unreported
from shared.job_remediation.actions import AUTOMATION
from shared.job_remediation.signal import Condition, Severity, Signal, Source, Target
from shared.job_remediation.symptoms import Symptom

if TYPE_CHECKING:
    from shared.estate.estate import Estate
    from shared.job_remediation.register import Known
    from shared.job_remediation.unreported import Finding

_STATE = "remediation/poll"

type Bodies = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Polled:
    """When it was looked last, and which places could not be looked at: since when, and why."""

    at: datetime
    missing: dict[str, tuple[datetime, str]] = field(default_factory=dict[str, tuple[datetime, str]])


def not_looked_at() -> list[dict[str, str]]:
    """The places that the poll cannot look at, for callers."""
    polled = steps.store().get(_STATE, Polled)
    told = polled.missing.items() if polled else ()
    return [{"place": place, "since": since.isoformat(), "why": why} for place, (since, why) in told]


def poll(now: datetime) -> "list[Known]":
    """Look everywhere, once in `reconcile_every`; returns the faults whose remediation is to be started.

    Raises EstateInvalidError, EstateUnavailableError.
    """
    estate = estate_in_force.get()
    polled = steps.store().get(_STATE, Polled)
    policy = estate.job_remediation
    if policy is None or (polled is not None and now - polled.at < policy.reconcile_every):
        return []
    known = list(register.known_faults(steps.store()))
    bodies: Bodies = []
    missing: dict[str, str] = {}
    for place, look in _places(estate, known, now):
        try:
            bodies += look()
        except _unreachable() as error:
            missing[place] = str(error).partition("\n")[0]
    if still := remediation_alerts.close_due():
        missing["alerts to be closed"] = "; ".join(still)
    _remember(now, missing)
    if not bodies:
        return []
    received = intake_steps.receive(json.dumps(bodies).encode(), now)
    return [one for one, _ in received.told if one.is_due]


def _unreachable() -> tuple[type[Exception], ...]:
    """What says that a place cannot be looked at now."""
    import psycopg
    from azure.core.exceptions import AzureError

    from shared.platforms.kubernetes import ClusterError
    from shared.platforms.sql import DatabaseUnavailableError

    return (ClusterError, DatabaseUnavailableError, AzureError, psycopg.Error)


def _places(estate: "Estate", known: "Sequence[Known]", now: datetime) -> Iterator[tuple[str, Callable[[], Bodies]]]:
    """Every place to look at by its name, and how."""
    for subscription in sorted({id.subscription.lower() for id in _resources(estate)}):
        yield f"alerts of {subscription}", lambda one=subscription: _open_alerts(estate, one, known, now)
    for name, environment in estate.environments.items():
        for cluster in environment.clusters.values():
            namespaces = sorted({workload.object.namespace for workload in cluster.workloads.values()})
            yield (
                f"cluster {cluster.id.name}",
                lambda name=name, id=str(cluster.id), those=namespaces: _told(
                    _failed_jobs(name, id, those, now), known
                ),
            )
        for tenant, declared in environment.tenants.items():
            if declared.odoo is not None:
                yield (
                    f"Odoo of {tenant} in {name}",
                    lambda name=name, tenant=tenant: _told(_odoo(name, tenant, now), known),
                )


def _resources(estate: "Estate") -> Iterator[Any]:
    for environment in estate.environments.values():
        for declared in (environment.postgres, environment.clusters, environment.storage, environment.redis):
            yield from (one.id for one in declared.values())


def _told(findings: "Iterator[Finding]", known: "Sequence[Known]") -> Bodies:
    return [finding.body for finding in unreported.untold(findings, known)]


# --- one place at a time ---------------------------------------------------------------------------------------------


def _open_alerts(estate: "Estate", subscription: str, known: "Sequence[Known]", now: datetime) -> Bodies:
    """The alerts that are open in Azure, about what is declared and awake, and that nobody delivered or that insist."""
    from shared.job_remediation.intake.reading import read
    from shared.job_remediation.places import declared_places
    from shared.platforms import alerts

    places = declared_places(estate)
    delivered = {alert_id: one for one in known for alert_id in one.fault.alert_ids}
    bodies: Bodies = []
    for alert in alerts.fired(subscription):
        body = unreported.common_alert(alert.shown, now, delivered.get(alert.id.casefold()))
        if body is None:
            continue
        signals = read(json.dumps(body).encode(), now, places).signals
        if all(signal.environment is not None and not _sleeps(signal) for signal in signals):
            bodies.append(body)
    return bodies


def _failed_jobs(environment: str, cluster_id: str, namespaces: Sequence[str], now: datetime) -> "Iterator[Finding]":
    """The Jobs that failed lately in the namespaces that the estate knows; none of a cluster that sleeps."""
    from shared.platforms import kubernetes_jobs, managed_clusters

    if sleep_state.asleep_on_purpose(environment, cluster_id) is not None:
        return
    cluster = managed_clusters.connect(cluster_id)
    for namespace in namespaces:
        jobs = kubernetes_jobs.jobs_in(cluster, namespace)
        for found in unreported.failed_jobs(environment, cluster_id, jobs, now):
            objects = (found.object or "", *found.also)
            targets = (
                f"{cluster_id}//{kind}/{namespace}/{name}" for kind, _, name in (o.partition("/") for o in objects)
            )
            if all(sleep_state.asleep_on_purpose(environment, target) is None for target in targets):
                yield found


def _odoo(environment: str, tenant: str, now: datetime) -> "Iterator[Finding]":
    """Queue jobs and crons of a tenant that is awake. Raises DatabaseUnavailableError."""
    from functions import remediation_probes
    from shared.platforms.sql import DatabaseUnavailableError

    if sleep_state.asleep_on_purpose(environment, tenant=tenant) is not None:
        return
    question = Signal(
        source=Source.PLAIN,
        condition=Condition.FIRED,
        fingerprint="",
        symptom=Symptom.OTHER,
        title="",
        severity=Severity.WARNING,
        target=Target(),
        tenant=tenant,
        environment=environment,
        fired_at=now,
        received_at=now,
        raw="",
    )
    crons, queue = remediation_probes.crons(question), remediation_probes.queue_jobs(question)
    if crons.missing:
        raise DatabaseUnavailableError("; ".join(crons.missing.values()))
    yield from unreported.of_odoo(environment, tenant, queue, crons, now)  # many have no job queue


def _sleeps(signal: Signal) -> bool:
    if signal.target.resource is not None:
        return sleep_state.asleep_on_purpose(signal.environment or "", signal.target.resource) is not None
    return sleep_state.asleep_on_purpose(signal.environment or "", tenant=signal.tenant) is not None


# --- what could not be looked at -------------------------------------------------------------------------------------


def _remember(now: datetime, missing: dict[str, str]) -> None:
    """Keep what could not be looked at, and tell it once, when it begins."""

    def remembered(before: Polled | None) -> Polled:
        if before is not None and now < before.at:  # this poll began before one that has ended: the newer word stands
            return before
        since = before.missing if before else {}
        kept = {place: (since[place][0] if place in since else now, why) for place, why in sorted(missing.items())}
        return Polled(now, kept)

    polled = steps.store().update(_STATE, Polled, remembered)
    new = {place: why for place, (since, why) in polled.missing.items() if since == now}
    if new:
        _tell(new, now)


def _tell(new: dict[str, str], now: datetime) -> None:
    name = f"poll:{sha256(repr(sorted(new)).encode()).hexdigest()[:16]}:{now:%Y%m%dT%H%M%S}"
    body: dict[str, object] = {
        "places": [{"place": place, "why": why} for place, why in sorted(new.items())],
        "ask": "Look why these places cannot be reached: faults there are found by alerts only.",
    }
    services().recorder.record(
        Entry(automation=AUTOMATION, kind="not_looked_at", subject=name, time=now.astimezone(UTC), body=body)
    )
    publisher = services().publisher
    if publisher is not None:
        event = Event(
            id=name, type="Closekeeper.JobRemediation.NotLookedAt", subject="remediations/poll", time=now, data=body
        )
        publisher.publish([event])
