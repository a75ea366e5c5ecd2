"""From a wish to the plan of one server's drill. Pure; times are aware UTC."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.backup_verification import targets
from shared.backup_verification.drill import (
    DatabaseUnderTest,
    DrillKind,
    DrillPlan,
    DrillRequest,
    DrillsRequest,
    Network,
    Target,
    temporary_server_name,
)

if TYPE_CHECKING:
    from shared.estate.estate import Estate
    from shared.finance_calendar.calendar import FinanceCalendar

TIME_TO_REMOVE = timedelta(hours=1)
GEO_RPO = timedelta(hours=1)
"""What Azure promises of a geo-restore, which knows no instants: a stricter objective would be missed by design."""


def requests_of(estate: "Estate", wish: DrillsRequest) -> list[DrillRequest]:
    """One request for each server that the wish is about. The wish must be without `problems`."""
    environment = estate.environments[wish.environment]
    servers: Iterable[str] = [wish.server] if wish.server else environment.postgres
    if wish.tenant and not wish.server:
        servers = [environment.tenants[wish.tenant].database.server]
    return [DrillRequest.model_validate({**dict(wish), "server": server}) for server in servers]


def problems(
    estate: "Estate", calendar: "FinanceCalendar", wish: DrillsRequest, now: datetime
) -> list[tuple[str, str]]:
    """Why the drills cannot be planned: pairs of field and sentence, empty when they can."""
    policy = estate.backup_verification
    environment = estate.environments.get(wish.environment)
    if policy is None:
        return [("", "the estate declares no backup_verification: add it, with the drills' resource group")]
    if environment is None:
        return [("/environment", f"unknown; the estate declares {_listed(estate.environments)}")]
    found: list[tuple[str, str]] = []
    if wish.server is not None and wish.server not in environment.postgres:
        found.append(("/server", f"unknown; {wish.environment} declares {_listed(environment.postgres)}"))
    elif wish.server is None and not environment.postgres:
        found.append(("/environment", "declares no PostgreSQL server"))
    if wish.tenant is not None:
        tenant = environment.tenants.get(wish.tenant)
        if tenant is None:
            found.append(("/tenant", f"unknown; {wish.environment} declares {_listed(environment.tenants)}"))
        elif wish.server is not None and tenant.database.server != wish.server:
            found.append(("/tenant", f"its database is on {tenant.database.server}; leave the server out"))
    if wish.kind is DrillKind.GEO_RESTORE and environment.paired_location is None:
        found.append(("/kind", f"{wish.environment} declares no paired_location to restore into"))
    if wish.kind is DrillKind.DUMP and estate.backup_verification is not None and policy.dumps is None:
        found.append(("/kind", "the estate declares no backup_verification.dumps"))
    if wish.target is not None and wish.kind is not DrillKind.POINT_IN_TIME:
        found.append(("/target", f"a {wish.kind.value} takes the newest that there is; leave the target out"))
    elif isinstance(wish.target, datetime) and wish.target > now:
        found.append(("/target", "lies in the future; leave it out to restore the newest state"))
    found.extend(_event_problems(estate, calendar, wish, now))
    if wish.keep is not None:
        if policy.drills.keep_copies is None:
            found.append(("/keep", "the estate's drills declare no keep_copies: no copy may be kept"))
        elif wish.keep > policy.drills.keep_copies.up_to:
            found.append(("/keep", f"longer than keep_copies allows, {policy.drills.keep_copies.up_to}"))
        elif wish.kind is DrillKind.DUMP:
            found.append(("/keep", "a dump is restored into a scratch database, which is not kept"))
    return found


def _event_problems(
    estate: "Estate", calendar: "FinanceCalendar", wish: DrillsRequest, now: datetime
) -> Iterable[tuple[str, str]]:
    policy = estate.backup_verification
    if wish.target is not Target.BEFORE_EVENT:
        if wish.event is not None:
            yield ("/event", "is for the target before-event only")
        return
    names = [wish.event] if wish.event else list(policy.drills.target_events) if policy else []
    known = [*estate.calendar.events, *estate.calendar.subscriptions]
    if not names:
        yield ("/event", "name one: the drills declare no target_events")
    elif wish.event is not None and wish.event not in known:
        yield ("/event", f"unknown; the calendar declares {', '.join(sorted(known))}")
    else:
        kept = max(server.point_in_time_window for server in estate.environments[wish.environment].postgres.values())
        if targets.last_start(calendar, names, now - kept, now) is None:
            yield ("/event", f"no {' or '.join(names)} began within the point-in-time window of {kept.days} days")


def plan_drill(
    estate: "Estate",
    calendar: "FinanceCalendar",
    request: DrillRequest,
    *,
    drill: str,
    location: str,
    earliest: datetime | None,
    asked_at: datetime,
    requested_at: datetime,
    poll_seconds: float,
    self_test: bool = False,
) -> DrillPlan:
    """Fix everything that the drill needs. The request must be without `problems`.

    `location` is the source server's Azure region: a point-in-time restore stays in it. `earliest` is the earliest
    instant that Azure says it can restore, None when it did not say; `requested_at` is when the drill's turn came.
    """
    policy = estate.backup_verification
    if policy is None:
        raise ValueError("the estate declares no backup_verification")
    environment = estate.environments[request.environment]
    server = environment.postgres[request.server]
    tier = estate.tier_of(request.environment, request.tenant, request.server)
    geo = request.kind is DrillKind.GEO_RESTORE
    target, chosen = targets.choose(
        request,
        drill,
        now=requested_at,
        earliest=earliest or requested_at - server.point_in_time_window,
        calendar=calendar,
        events=policy.drills.target_events,
    )
    network = policy.drills.paired_network if geo else policy.drills.network
    keep = request.keep
    ends = requested_at + policy.drills.time_limit
    name = temporary_server_name(server.id.name, drill)
    return DrillPlan(
        id=drill,
        environment=request.environment,
        server=request.server,
        source_id=str(server.id),
        server_id=f"{policy.drills.resource_group}/providers/Microsoft.DBforPostgreSQL/flexibleServers/{name}",
        location=environment.paired_location or "" if geo else location or environment.location,
        databases=_databases(estate, request),
        target=target,
        requested_at=requested_at,
        restore_deadline=ends,
        expires_at=ends + TIME_TO_REMOVE + (keep or timedelta(0)),
        rto_seconds=int(tier.rto.total_seconds()),
        rpo_seconds=int((max(tier.rpo, GEO_RPO) if geo else tier.rpo).total_seconds()),
        poll_seconds=poll_seconds,
        estate_version=estate.version,
        kind=request.kind,
        tenant=request.tenant,
        asked_at=asked_at,
        target_chosen=chosen,
        network=Network(subnet=str(network.subnet), dns_zone=str(network.dns_zone)) if network else None,
        keep=keep,
        self_test=self_test,
    )


def _databases(estate: "Estate", request: DrillRequest) -> tuple[DatabaseUnderTest, ...]:
    tenants = estate.tenants_of_server(request.environment, request.server)
    names = {tenant.database.database: name for name, tenant in tenants.items()}
    if request.tenant is not None:
        return (DatabaseUnderTest(name=tenants[request.tenant].database.database, tenant=request.tenant),)
    databases = estate.environments[request.environment].postgres[request.server].databases
    return tuple(DatabaseUnderTest(name=name, tenant=names.get(name, "")) for name in databases)


def _listed(names: Mapping[str, object]) -> str:
    return ", ".join(sorted(names)) or "none"
