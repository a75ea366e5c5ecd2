"""PostgreSQL flexible servers, their replicas and databases."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from shared.estate.azure_ids import PostgresServerId
from shared.estate.declared import Declared, fitting
from shared.estate.inventory.places import AzureRegion
from shared.estate.values import Duration, Host
from shared.finance_calendar.declaration import Name

DatabaseName = Annotated[str, fitting(r"[A-Za-z_][A-Za-z0-9_.-]{0,62}", "name of a database", "contoso")]
RoleName = Annotated[str, StringConstraints(min_length=1, max_length=63)]


def _kept_window(window: timedelta) -> timedelta:
    if not timedelta(days=7) <= window <= timedelta(days=35):
        raise ValueError("is outside what the platform offers; a point-in-time window is between 7d and 35d")
    return window


class PostgresReplica(Declared):
    """A read replica."""

    id: PostgresServerId
    """Azure resource id."""

    location: AzureRegion | None = None
    """The Azure region, when it is not the environment's."""


class PostgresServer(Declared):
    """A flexible server."""

    id: PostgresServerId
    """Azure resource id."""

    databases: tuple[DatabaseName, ...]
    """The Odoo databases on it. Others are left alone."""

    replicas: Mapping[Name, PostgresReplica] = {}
    """Its read replicas. They are scaled first on the way up, last on the way down, stopped last and started first."""

    login: RoleName = "closekeeper"
    """The role as which the app's identity logs in to read."""

    high_availability: bool = False
    """Whether it has a standby, which costs as much as the server; for the plan of peaks. What Azure shows is what
    counts afterwards."""

    host: Host | None = None
    """The host name to connect to, when it is not the one that Azure reports."""

    point_in_time_window: Annotated[Duration, AfterValidator(_kept_window)] = timedelta(days=7)
    """How far back a point-in-time restore must reach: 7d to 35d. Findings are raised when the server keeps less."""

    geo_redundant: bool = False
    """Whether backups must also be in the paired region. Azure allows it at creation only."""

    long_term: Duration | None = None
    """How long vault backups must be kept, if there must be any."""

    tier: Name | None = None
    """The service tier, when it is not the environment's."""
