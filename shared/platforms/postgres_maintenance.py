"""Azure's maintenance of PostgreSQL flexible servers (API 2026-10-01, maintenanceEvents)."""

from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING

from shared.platforms import arm_operations
from shared.platforms.credentials import credential
from shared.platforms.postgres_servers import ServerId

if TYPE_CHECKING:
    from azure.mgmt.postgresqlflexibleservers import PostgreSQLManagementClient


def in_progress(server_id: str) -> bool:
    """Whether Azure maintains the server now. Raises what azure.core raises."""
    at = ServerId.parse(server_id)
    events = _client(at.subscription).maintenance_events.list(at.resource_group, at.name)
    return any(event.properties is not None and event.properties.status == "InProgress" for event in events)


def planned(server_id: str, start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """Azure's maintenance of the server that touches `start` to `end` (aware), planned or in progress, in UTC.

    Raises what azure.core raises.
    """
    at = ServerId.parse(server_id)
    events = _client(at.subscription).maintenance_events.list(at.resource_group, at.name, maintenance_status="Upcoming")
    spans = [(one.properties.start_time, one.properties.end_time) for one in events if one.properties is not None]
    return sorted((begins, ends) for begins, ends in spans if begins < end and ends > start)


@cache
def _client(subscription: str) -> "PostgreSQLManagementClient":
    from azure.mgmt.postgresqlflexibleservers import PostgreSQLManagementClient

    return PostgreSQLManagementClient(
        credential(), subscription, base_url=arm_operations.resource_manager(), retry_total=3, retry_backoff_max=4
    )
