"""What backs up a PostgreSQL flexible server, through azure-mgmt-postgresqlflexibleservers (API 2026-10-01)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING

from shared.platforms import settings
from shared.platforms.credentials import credential
from shared.platforms.postgres_servers import ServerId

if TYPE_CHECKING:
    from azure.mgmt.postgresqlflexibleservers import PostgreSQLManagementClient

_PUBLIC_CLOUD = "https://management.azure.com"


@dataclass(frozen=True, slots=True)
class BackupFacts:
    """What Azure says of one server's backups now; times are aware UTC.

    `full` are the times at which automatic and on-demand backups were completed, `long_term` those of the backups in
    the vault that succeeded; empty when they were not asked for.
    """

    state: str
    host: str
    created: datetime | None
    retention: timedelta | None
    geo_redundant: bool
    earliest_restore: datetime | None
    full: tuple[datetime, ...]
    long_term: tuple[datetime, ...] = ()


def get(server_id: str, *, long_term: bool = False) -> BackupFacts | None:
    """The server's backups, None when there is none of that id. Raises azure.core's AzureError."""
    from azure.core.exceptions import ResourceNotFoundError

    at = ServerId.parse(server_id)
    client = _client(at.subscription)
    try:
        server = client.servers.get(at.resource_group, at.name)
    except ResourceNotFoundError:
        return None
    properties = server.properties
    backup = properties.backup if properties else None
    listed = client.backups_automatic_and_on_demand.list_by_server(at.resource_group, at.name)
    return BackupFacts(
        state=_text(properties.state) if properties else "",
        host=(properties.fully_qualified_domain_name or "") if properties else "",
        created=_aware(server.system_data.created_at) if server.system_data else None,
        retention=timedelta(days=backup.backup_retention_days) if backup and backup.backup_retention_days else None,
        geo_redundant=_text(backup.geo_redundant_backup if backup else None).lower() == "enabled",
        earliest_restore=_aware(backup.earliest_restore_date) if backup else None,
        full=_completed(one.properties.completed_time if one.properties else None for one in listed),
        long_term=_vault_backups(client, at) if long_term else (),
    )


def _vault_backups(client: "PostgreSQLManagementClient", at: ServerId) -> tuple[datetime, ...]:
    listed = client.backups_long_term_retention.list_by_server(at.resource_group, at.name)
    operations = [one.properties for one in listed if one.properties]
    return _completed(one.end_time for one in operations if _text(one.status).lower() == "succeeded")


@cache
def _client(subscription: str) -> "PostgreSQLManagementClient":
    from azure.mgmt.postgresqlflexibleservers import PostgreSQLManagementClient

    return PostgreSQLManagementClient(
        credential(), subscription, base_url=settings.optional("AZURE_RESOURCE_MANAGER_URL", _PUBLIC_CLOUD)
    )


def _completed(times: Iterable[datetime | None]) -> tuple[datetime, ...]:
    return tuple(sorted(at for one in times if (at := _aware(one)) is not None))


def _text(value: str | Enum | None) -> str:
    """The SDK gives an enum member for a value that it knows, and text for others."""
    return str(value.value if isinstance(value, Enum) else value or "")


def _aware(value: datetime | None) -> datetime | None:
    return value if isinstance(value, datetime) and value.tzinfo else None
