"""The estate: the root of the file."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Self, cast

from pydantic import ModelWrapValidatorHandler, PrivateAttr, model_validator

from shared.estate.declared import Declared
from shared.estate.inventory.environments import Environment
from shared.estate.inventory.tenants import Tenant
from shared.estate.inventory.tiers import Tier
from shared.estate.policies.backup_verification import BackupVerification
from shared.estate.policies.changes import ChangesPolicy
from shared.estate.policies.evidence import EvidencePolicy
from shared.estate.policies.job_remediation import JobRemediation
from shared.estate.policies.peak_scaling import PeakScaling
from shared.estate.policies.rates import Rates
from shared.estate.policies.recipients import Recipient
from shared.estate.policies.shutdown_schedules import Schedule
from shared.estate.policies.storage_tiering import StorageTiering
from shared.finance_calendar.declaration import CalendarDeclaration, Name


class Estate(Declared):
    """Everything that Closekeeper cares for, and what it may do there. It does nothing that is not declared here."""

    estate: Name
    """Its name. It is part of every event and every record."""

    calendar: CalendarDeclaration
    """The finance calendar: business days, fiscal year, and events that are peaks, freezes or tightenings."""

    tiers: Mapping[Name, Tier]
    """Service tiers: what is promised."""

    environments: Mapping[Name, Environment]
    """Environments and everything in them."""

    recipients: Mapping[Name, Recipient] = {}
    """Who is told what."""

    rates: Rates | None = None
    """What things cost. Without it amounts of money are left out, and what needs them is not done."""

    changes: ChangesPolicy = ChangesPolicy()
    """How changes are governed."""

    evidence: EvidencePolicy = EvidencePolicy()
    """How evidence is kept."""

    backup_verification: BackupVerification | None = None
    """Policy of backup verification."""

    storage_tiering: StorageTiering | None = None
    """Policy of storage tiering."""

    shutdown_schedules: Mapping[Name, Schedule] = {}
    """Shutdown schedules, by a name of their own."""

    peak_scaling: Mapping[Name, PeakScaling] = {}
    """Peak scaling, by environment."""

    job_remediation: JobRemediation | None = None
    """Policy of job remediation."""

    _version: str = PrivateAttr(default="")

    @property
    def version(self) -> str:
        """What was declared, as `sha256:` and 64 hex digits. It is part of every record of evidence.

        The digest is over the document as JSON with sorted keys and without spaces, in ASCII: comments, order of keys,
        anchors and quotes do not change it, any other word does. A new release of the app does not change it either.
        """
        return self._version

    def tier_of(self, environment: str, tenant: str | None = None, server: str | None = None) -> Tier:
        """The tier of an environment, or of a tenant or a server in it, where these have their own.

        Of a tenant with a server the tenant's own word counts first. Raises KeyError for unknown names.
        """
        place = self.environments[environment]
        own = [place.tenants[tenant].tier] if tenant is not None else []
        own += [place.postgres[server].tier] if server is not None else []
        return self.tiers[next((name for name in own if name is not None), place.tier)]

    def time_zone_of(self, environment: str, tenant: str | None = None) -> str:
        """The IANA time zone of an environment or of a tenant. Raises KeyError for unknown names."""
        place = self.environments[environment]
        own = place.tenants[tenant].time_zone if tenant is not None else None
        return own or place.time_zone or self.calendar.time_zone

    def tenants_of_server(self, environment: str, server: str) -> dict[str, Tenant]:
        """The tenants whose database is on that server, by name."""
        tenants = self.environments[environment].tenants
        return {name: tenant for name, tenant in tenants.items() if tenant.database.server == server}

    @model_validator(mode="wrap")
    @classmethod
    def _remember_version(cls, declared: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        estate = handler(declared)
        if isinstance(declared, dict):
            estate._version = version_of(cast(dict[str, Any], declared))
        return estate


def version_of(document: Mapping[str, Any]) -> str:
    """The version of an estate that is declared by this document; see `Estate.version`."""
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), default=str)
    return f"sha256:{sha256(canonical.encode('ascii')).hexdigest()}"
