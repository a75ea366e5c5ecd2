"""What the estate declares of its servers, accounts and dumps, as the judgement wants it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from shared.backup_verification.inventory.servers import ServerPromise
from shared.backup_verification.inventory.storage import AccountPromise

if TYPE_CHECKING:  # the estate's models are many: whoever has an estate has loaded them
    from shared.estate.estate import Estate
    from shared.estate.policies.backup_verification import BackupInventory


def server_promises(estate: "Estate", environment: str, policy: "BackupInventory") -> list[ServerPromise]:
    """Of every declared server of the environment."""
    return [
        ServerPromise(
            name=name,
            window=server.point_in_time_window,
            geo_redundant=server.geo_redundant,
            long_term=server.long_term,
            rpo=estate.tier_of(environment, server=name).rpo,
            late_after=policy.writes_without_backup,
        )
        for name, server in estate.environments[environment].postgres.items()
    ]


def account_promises(estate: "Estate", environment: str, policy: "BackupInventory") -> list[AccountPromise]:
    """Of every declared storage account of the environment."""
    place = estate.environments[environment]
    return [
        AccountPromise(
            name=name,
            containers=tuple(account.containers),
            secondary=account.secondary,
            soft_delete=account.soft_delete,
            versioning=account.versioning,
            secondary_behind=policy.secondary_behind,
            windows=_windows(estate, environment, name),
        )
        for name, account in place.storage.items()
    ]


def dump_places(estate: "Estate", environment: str) -> Mapping[tuple[str, str], Mapping[str, str]]:
    """Where dumps are, as (account, container), with the tenant of each database whose dumps are there."""
    places: dict[tuple[str, str], dict[str, str]] = {}
    for name, tenant in estate.environments[environment].tenants.items():
        if tenant.dumps is not None:
            tenants = places.setdefault((tenant.dumps.account, tenant.dumps.container), {})
            tenants[tenant.database.database] = name
    return places


def _windows(estate: "Estate", environment: str, account: str) -> Mapping[str, timedelta]:
    """The point-in-time windows, by server, of the databases whose documents are in that account."""
    place = estate.environments[environment]
    servers = {
        tenant.database.server
        for tenant in place.tenants.values()
        if any(reference.account == account for reference in tenant.documents)
    }
    return {server: place.postgres[server].point_in_time_window for server in sorted(servers)}
