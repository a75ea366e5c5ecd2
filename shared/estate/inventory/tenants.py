"""Tenants: whose books they are, and what they run on."""

from enum import StrEnum

from shared.estate.declared import Declared
from shared.estate.inventory.places import ClusterPartReference, ContainerReference, DatabaseReference
from shared.estate.values import Host
from shared.finance_calendar.declaration import Name, TimeZone


class Placement(StrEnum):
    """What a tenant has for itself."""

    DEDICATED = "dedicated"
    SHARED = "shared"
    HYBRID = "hybrid"


class Tenant(Declared):
    """A company, or a group of companies in one Odoo database."""

    placement: Placement
    """`dedicated`: database server and workloads are its own. `shared`: it shares both. `hybrid`: the database server
    is its own, the workloads are shared. Checked against what the other tenants name."""

    database: DatabaseReference
    """Its Odoo database, as SERVER/DATABASE of this environment."""

    odoo: Name | None = None
    """The Odoo endpoint through which jobs of this tenant are repaired."""

    workloads: tuple[ClusterPartReference, ...] = ()
    """The workloads that serve it, as CLUSTER/WORKLOAD. Empty: those of the environment that no tenant
    names."""

    documents: tuple[ContainerReference, ...] = ()
    """Where its attachments are, as ACCOUNT/CONTAINER. A drill checks that every file of the database is there."""

    dumps: ContainerReference | None = None
    """Where its database dumps are, as ACCOUNT/CONTAINER."""

    host: Host | None = None
    """The name that its users type. Its certificate and DNS are checked before a peak and in a recovery rehearsal."""

    tier: Name | None = None
    """The service tier, when it is not the environment's."""

    time_zone: TimeZone | None = None
    """Where its people work, when it is not the environment's time zone."""

    region: Name | None = None
    """The region of the finance calendar whose business days are its own, when it is not the environment's."""

    recipients: tuple[Name, ...] = ()
    """Who is told about it, besides the environment's recipients."""
