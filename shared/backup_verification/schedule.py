"""Which drills are due, and how one is planned from the estate. Pure; times are aware UTC."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.backup_verification.drill import DatabaseUnderTest, DrillPlan, DrillRequest, temporary_server_name

if TYPE_CHECKING:  # the estate's models are many: whoever has an estate has loaded them
    from shared.estate.estate import Estate
    from shared.estate.inventory.environments import Environment
    from shared.estate.inventory.tiers import Tier

_EVERY = {
    "weekly": timedelta(days=7),
    "monthly": timedelta(days=30),
    "quarterly": timedelta(days=91),
    "yearly": timedelta(days=365),
}
_TIME_TO_REMOVE = timedelta(hours=1)


def due(estate: "Estate", proven: Mapping[tuple[str, str], datetime], now: datetime) -> list[DrillRequest]:
    """The drills that the tiers ask for now: every server once within its tier's period, the never drilled at once.

    `proven` maps (environment, server) to the request of its newest drill that passed or still runs. Due stays due
    until it is done, so that a lost tick is made up for.
    """
    requests: list[DrillRequest] = []
    if estate.backup_verification is None:
        return requests
    for environment_name, environment in estate.environments.items():
        for server_name in environment.postgres:
            every = _EVERY.get(_tier(estate, environment, server_name).drill)
            last = proven.get((environment_name, server_name))
            if every is not None and (last is None or now - last >= every):
                requests.append(DrillRequest(environment=environment_name, server=server_name))
    return requests


def problems(estate: "Estate", request: DrillRequest, now: datetime) -> list[tuple[str, str]]:
    """Why the drill cannot be planned: pairs of field and sentence, empty when it can."""
    found: list[tuple[str, str]] = []
    if estate.backup_verification is None:
        found.append(("", "the estate declares no backup_verification: add it, with the drills' resource group"))
    environment = estate.environments.get(request.environment)
    if environment is None:
        found.append(("/environment", f"unknown; the estate declares {_listed(estate.environments)}"))
    elif request.server not in environment.postgres:
        found.append(("/server", f"unknown; {request.environment} declares {_listed(environment.postgres)}"))
    if request.target is not None and request.target > now:
        found.append(("/target", "lies in the future; leave it out to restore the newest state"))
    return found


def plan_drill(
    estate: "Estate",
    request: DrillRequest,
    *,
    drill: str,
    location: str,
    requested_at: datetime,
    poll_seconds: float,
) -> DrillPlan:
    """Fix everything that the drill needs. The request must be without `problems`.

    `location` is the source server's Azure region: a point-in-time restore stays in it.
    """
    policy = estate.backup_verification
    if policy is None:
        raise ValueError("the estate declares no backup_verification")
    environment = estate.environments[request.environment]
    server = environment.postgres[request.server]
    tier = _tier(estate, environment, request.server)
    tenants = {
        tenant.database.database: name
        for name, tenant in environment.tenants.items()
        if tenant.database.server == request.server
    }
    name = temporary_server_name(server.id.name, drill)
    return DrillPlan(
        id=drill,
        environment=request.environment,
        server=request.server,
        source_id=str(server.id),
        server_id=f"{policy.drills.resource_group}/providers/Microsoft.DBforPostgreSQL/flexibleServers/{name}",
        location=location or environment.location,
        databases=tuple(DatabaseUnderTest(name=name, tenant=tenants.get(name, "")) for name in server.databases),
        target=request.target or requested_at,
        requested_at=requested_at,
        restore_deadline=requested_at + policy.drills.time_limit,
        expires_at=requested_at + policy.drills.time_limit + _TIME_TO_REMOVE,
        rto_seconds=int(tier.rto.total_seconds()),
        rpo_seconds=int(tier.rpo.total_seconds()),
        poll_seconds=poll_seconds,
        estate_version=estate.version,
    )


def _tier(estate: "Estate", environment: "Environment", server: str) -> "Tier":
    return estate.tiers[environment.postgres[server].tier or environment.tier]


def _listed(names: Mapping[str, object]) -> str:
    return ", ".join(sorted(names)) or "none"
