"""References of the policies: to the inventory, to the finance calendar, and to each other."""

from collections.abc import Iterator

from shared.estate.estate import Estate
from shared.estate.inventory.environments import Environment, Stage
from shared.estate.policies.backup_verification import BackupVerification, DrillTarget
from shared.estate.policies.job_remediation import JobClass, JobRemediation
from shared.estate.policies.peak_scaling import Capacity, PeakScaling, WorkloadTarget
from shared.estate.policies.shutdown_schedules import Schedule
from shared.estate.problems import Path
from shared.estate.references import Broken, inventory_references, resources, unknown, unknown_container, unknown_part
from shared.finance_calendar.declaration import Kind


def broken_references(estate: Estate) -> Iterator[Broken]:
    """Everything that does not fit together in an estate whose single values are right."""
    yield from inventory_references(estate)
    for name, recipient in estate.recipients.items():
        for index, environment in enumerate(recipient.environments):
            path: Path = ("recipients", name, "environments", index)
            yield from unknown(path, "environment", environment, estate.environments)
    for name in estate.changes.gates:
        yield from unknown(("changes", "gates", name), "environment", name, estate.environments)
    if estate.backup_verification:
        yield from _backup_verification(estate, estate.backup_verification)
    yield from _schedules(estate)
    for name, scaling in estate.peak_scaling.items():
        if name in estate.environments:
            yield from _peak_scaling(estate, name, scaling)
        else:
            yield from unknown(("peak_scaling", name), "environment", name, estate.environments)
    if estate.job_remediation:
        yield from _job_remediation(estate, estate.job_remediation)


def _events(estate: Estate) -> set[str]:
    return {*estate.calendar.events, *estate.calendar.subscriptions}


def _backup_verification(estate: Estate, policy: BackupVerification) -> Iterator[Broken]:
    at: Path = ("backup_verification",)
    for index, event in enumerate(policy.drills.target_events):
        yield from unknown((*at, "drills", "target_events", index), "event of the calendar", event, _events(estate))
    if DrillTarget.BEFORE_EVENT in policy.drills.targets and not policy.drills.target_events:
        yield Broken((*at, "drills", "targets"), "before-event, but no event is named", "name some in `target_events`")
    for event in policy.drills.always_before:
        yield from unknown((*at, "drills", "always_before", event), "event of the calendar", event, _events(estate))
    tenants = {tenant for environment in estate.environments.values() for tenant in environment.tenants}
    for section, entries in (("assertions", policy.assertions), ("accepted", policy.accepted)):
        for name, entry in entries.items():
            for index, tenant in enumerate(entry.tenants):
                yield from unknown((*at, section, name, "tenants", index), "tenant", tenant, tenants)
    if policy.dumps:
        classes = {
            document_class
            for environment in estate.environments.values()
            for account in environment.storage.values()
            for container in account.containers.values()
            for document_class in (container.document_class, *container.folders.values())
        }
        path = (*at, "dumps", "document_class")
        yield from unknown(path, "container with documents of class", policy.dumps.document_class, classes)
        if policy.dumps.scratch is not None and policy.dumps.scratch in {resource for _, resource in resources(estate)}:
            yield Broken(
                (*at, "dumps", "scratch"), "is a declared server", "restore dumps on a server that has no books on it"
            )
    for name, runbook in policy.recovery.items():
        path = (*at, "recovery", name)
        environment = estate.environments.get(name)
        if environment is None:
            yield from unknown(path, "environment", name, estate.environments)
        elif environment.paired_location is None:
            yield Broken(path, f"`{name}` has no region to recover into", "declare its `paired_location`")
        if environment is not None and runbook.manifests is not None:
            yield from unknown_container((*path, "manifests"), runbook.manifests, environment)


def _schedules(estate: Estate) -> Iterator[Broken]:
    whole: dict[str, str] = {}
    for name, schedule in estate.shutdown_schedules.items():
        at: Path = ("shutdown_schedules", name)
        for index, event in enumerate(schedule.needed_for):
            yield from unknown((*at, "needed_for", index), "event of the calendar", event, _events(estate))
        for team_name, team in schedule.teams.items():
            if team.region is not None:
                path = (*at, "teams", team_name, "region")
                yield from unknown(path, "region of the calendar", team.region, estate.calendar.regions)
        covers = schedule.covers
        environment = estate.environments.get(covers.environment)
        if environment is None:
            yield from unknown((*at, "covers", "environment"), "environment", covers.environment, estate.environments)
            continue
        if environment.stage is Stage.PRODUCTION and not schedule.production_may_sleep:
            yield Broken(
                (*at, "covers", "environment"),
                f"`{covers.environment}` is production, which does not sleep",
                "remove the schedule, or say `production_may_sleep: true`",
            )
        yield from _covered((*at, "covers"), schedule, environment)
        if (
            not (covers.tenants or covers.postgres or covers.clusters or covers.workloads)
            and (other := whole.setdefault(covers.environment, name)) != name
        ):
            yield Broken((*at, "covers"), f"all of it is covered by `{other}` already", "make one schedule of the two")


def _covered(at: Path, schedule: Schedule, environment: Environment) -> Iterator[Broken]:
    for index, name in enumerate(schedule.covers.tenants):
        yield from unknown((*at, "tenants", index), "tenant", name, environment.tenants)
    for index, name in enumerate(schedule.covers.postgres):
        yield from unknown((*at, "postgres", index), "PostgreSQL server", name, environment.postgres)
    for index, name in enumerate(schedule.covers.clusters):
        yield from unknown((*at, "clusters", index), "cluster", name, environment.clusters)
    for index, place in enumerate(schedule.covers.workloads):
        yield from unknown_part((*at, "workloads", index), place, environment, "workloads")


def _peak_scaling(estate: Estate, name: str, scaling: PeakScaling) -> Iterator[Broken]:
    at: Path = ("peak_scaling", name)
    environment = estate.environments[name]
    yield from _capacity((*at, "baseline"), scaling.baseline, environment)
    yield from _capacity((*at, "forecast", "bounds"), scaling.forecast.bounds, environment)
    for event_name, peak in scaling.peaks.items():
        path = (*at, "peaks", event_name)
        event = estate.calendar.events.get(event_name)
        if event is not None and Kind.PEAK not in event.kinds:
            yield Broken(path, f"the event `{event_name}` is no peak", "add `peak` to its kinds in the calendar")
        elif event is None and event_name not in estate.calendar.subscriptions:
            peaks = [known for known, each in estate.calendar.events.items() if Kind.PEAK in each.kinds]
            yield from unknown(path, "peak of the calendar", event_name, peaks)
        yield from _capacity(path, peak, environment)


def _capacity(at: Path, capacity: Capacity, environment: Environment) -> Iterator[Broken]:
    for place in capacity.pools:
        yield from unknown_part((*at, "pools", str(place)), place, environment, "pools")
    for place, target in capacity.workloads.items():
        path = (*at, "workloads", str(place))
        broken = list(unknown_part(path, place, environment, "workloads"))
        yield from broken or _autoscaler(path, environment, place.cluster, place.name, target)
    for server in capacity.postgres:
        yield from unknown((*at, "postgres", server), "PostgreSQL server", server, environment.postgres)
    for cache in capacity.redis:
        yield from unknown((*at, "redis", cache), "Redis cache", cache, environment.redis)


def _autoscaler(
    path: Path, environment: Environment, cluster: str, name: str, target: WorkloadTarget
) -> Iterator[Broken]:
    workload = environment.clusters[cluster].workloads[name]
    if workload.object.kind == "cronjob":
        yield Broken(path, "a CronJob has no replicas to scale", "remove it; pause it in a shutdown schedule instead")
    elif workload.autoscaler == "none" and target.count is None:
        yield Broken(path, f"workload `{name}` has no autoscaler", "give `count`, or declare its autoscaler")
    elif workload.autoscaler != "none" and target.count is not None:
        yield Broken(path, f"workload `{name}` is scaled by {workload.autoscaler}", "give `min` and `max`")


def _job_remediation(estate: Estate, policy: JobRemediation) -> Iterator[Broken]:
    for name, job in policy.jobs.items():
        path: Path = ("job_remediation", "jobs", name)
        if job.proof is not None:
            yield from unknown((*path, "proof"), "probe", job.proof, policy.probes)
        elif job.repeat is JobClass.B:
            yield Broken(
                (*path, "repeat"), "B, but nothing tells whether it was applied", "name a probe in `proof`, or write C"
            )
        if job.owner is not None:
            yield from unknown((*path, "owner"), "recipient", job.owner, estate.recipients)
