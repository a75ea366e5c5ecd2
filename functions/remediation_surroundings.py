"""What goes on around a fault: the calendar, who sleeps, what was changed lately by us and by others, maintenance.

Surroundings decide (a freeze, sleep). Circumstances explain, and are shown to whoever gets the diagnosis; they are
never missed: where they cannot be had, that is said, and the repair goes on.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from functions import estate_in_force, intake_steps, sleep_state
from functions.change_execution import services
from shared.changes.execution import Execution
from shared.job_remediation.evidence import Evidence, Value
from shared.job_remediation.signal import Signal

if TYPE_CHECKING:
    from shared.estate.inventory.environments import Environment
    from shared.shutdown_schedules.purpose import AsleepOnPurpose

LATELY = timedelta(hours=2)
_MOST_READ = 50
_MOST_TOLD = 5
_EXECUTIONS = "executions/"


@dataclass(frozen=True, slots=True)
class Place:
    """What the signal is about, as the estate declares it. `sleeper`: what may sleep on purpose."""

    server: str | None
    cluster: str | None
    sleeper: str | None


def surroundings(signal: Signal, environment: "Environment", place: Place) -> Evidence:
    """See `Collector.SURROUNDINGS`."""
    from shared.estate.inventory.environments import Stage
    from shared.finance_calendar.declaration import DEFAULT_REGION, Kind

    now = datetime.now(UTC)
    current = estate_in_force.calendar(now).for_region(environment.region or DEFAULT_REGION).in_force(now)
    facts: dict[str, Value] = {
        "around.asleep": _asleep(signal, place) is not None,
        "around.production": environment.stage is Stage.PRODUCTION,
        "around.frozen": Kind.FREEZE in current.stretches,
        "around.tight": Kind.TIGHTEN in current.stretches,
    }
    return Evidence(facts)


def circumstances(signal: Signal, environment: "Environment", place: Place) -> Evidence:
    """See `Collector.CIRCUMSTANCES`."""
    from shared.finance_calendar.declaration import DEFAULT_REGION

    now = datetime.now(UTC)
    current = estate_in_force.calendar(now).for_region(environment.region or DEFAULT_REGION).in_force(now)
    asleep = _asleep(signal, place)
    facts: dict[str, Value] = {
        "around.calendar": "; ".join(sorted({f"{one.title} ({one.period})" for one in current.causes})),
        "around.sleep": f"{asleep.reason} (since {asleep.since.isoformat()})" if asleep else "",
        "around.changed": "; ".join(islice(_ours(signal, place, now - LATELY), _MOST_TOLD)),
    }
    unseen: list[str] = []
    for name, look in (("operations", _operations), ("rollouts", _rollouts), ("maintenance", _maintenance)):
        try:
            facts[f"around.{name}"] = "; ".join(islice(look(signal, place, now - LATELY), _MOST_TOLD))
        except _unreachable() as error:
            unseen.append(f"{name}: {str(error).partition(chr(10))[0]}")
    return Evidence({**facts, "around.unseen": "; ".join(unseen)})


def _asleep(signal: Signal, place: Place) -> "AsleepOnPurpose | None":
    tenant = None if signal.target.resource else signal.tenant
    return sleep_state.asleep_on_purpose(signal.environment or "", place.sleeper, tenant=tenant)


def _unreachable() -> tuple[type[Exception], ...]:
    from azure.core.exceptions import AzureError

    from shared.platforms.kubernetes import ClusterError

    return (AzureError, ClusterError)


def _ours(signal: Signal, place: Place, since: datetime) -> Iterator[str]:
    """The changes of ours that were executed there lately, the newest first."""
    listed = [facts for facts in intake_steps.state().list(_EXECUTIONS) if facts.last_modified >= since]
    listed.sort(key=lambda facts: facts.last_modified, reverse=True)
    for facts in listed[:_MOST_READ]:
        done = services().store.get(facts.name.removesuffix(".json"), Execution)
        if done is None or done.change.environment != signal.environment:
            continue
        change, where = done.change, [each.casefold() for each in (place.server, place.cluster) if each]
        theirs = signal.tenant is not None and change.tenant == signal.tenant
        if theirs or any(change.target.casefold().startswith(each) for each in where):
            became = done.result or "under way"
            yield f"{facts.last_modified:%H:%M} UTC {change.automation}: {change.description}, {became}"


def _operations(signal: Signal, place: Place, since: datetime) -> Iterator[str]:
    """What Azure's activity log shows of the server or the cluster."""
    from shared.platforms import activity_log

    resource = place.cluster if signal.target.namespace else place.server or place.cluster
    for one in activity_log.operations(resource, since) if resource else ():
        yield f"{one.at:%H:%M} UTC {one.name} {one.status}"


def _rollouts(signal: Signal, place: Place, since: datetime) -> Iterator[str]:
    """The Deployments of the namespace that got a new template, by whomever."""
    from shared.platforms import managed_clusters
    from shared.platforms.kubernetes_pods import rollouts

    if place.cluster is None or signal.target.namespace is None:
        return
    for name, at in rollouts(managed_clusters.connect(place.cluster), signal.target.namespace, since):
        yield f"{at:%H:%M} UTC deployment/{name} was rolled out"


def _maintenance(signal: Signal, place: Place, since: datetime) -> Iterator[str]:
    """Whether Azure maintains the server now."""
    from shared.platforms import postgres_maintenance

    if place.server is not None and postgres_maintenance.in_progress(place.server):
        yield f"Azure maintains {place.server.rpartition('/')[2]} now"
