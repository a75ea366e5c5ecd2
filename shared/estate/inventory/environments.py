"""Environments: production, staging, test, and what each consists of."""

from collections.abc import Mapping
from enum import StrEnum

from shared.estate.declared import Declared
from shared.estate.inventory.clusters import Cluster
from shared.estate.inventory.odoo import OdooEndpoint
from shared.estate.inventory.places import AzureRegion
from shared.estate.inventory.postgres import PostgresServer
from shared.estate.inventory.redis import Redis
from shared.estate.inventory.storage import StorageAccount
from shared.estate.inventory.tenants import Tenant
from shared.finance_calendar.declaration import Name, TimeZone


class Stage(StrEnum):
    """What an environment is for. Only what is not production may sleep by default."""

    PRODUCTION = "production"
    STAGING = "staging"
    TEST = "test"
    DEVELOPMENT = "development"


class Environment(Declared):
    """An environment and everything in it."""

    stage: Stage
    """What it is for."""

    tier: Name
    """The service tier that applies where nothing nearer says otherwise."""

    location: AzureRegion
    """The Azure region, such as westeurope."""

    paired_location: AzureRegion | None = None
    """The Azure region that it recovers into."""

    time_zone: TimeZone | None = None
    """Where its people work, when it is not the estate's time zone."""

    region: Name | None = None
    """The region of the finance calendar whose business days count here, when it is not the calendar's own."""

    recipients: tuple[Name, ...] = ()
    """Who is told about everything in it."""

    postgres: Mapping[Name, PostgresServer] = {}
    """PostgreSQL servers."""

    clusters: Mapping[Name, Cluster] = {}
    """AKS clusters."""

    redis: Mapping[Name, Redis] = {}
    """Redis caches."""

    storage: Mapping[Name, StorageAccount] = {}
    """Storage accounts."""

    odoo: Mapping[Name, OdooEndpoint] = {}
    """Odoo endpoints."""

    tenants: Mapping[Name, Tenant] = {}
    """Whose books are kept here."""
