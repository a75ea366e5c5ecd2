"""Whether a job may still be done again, just before it is: the estate and the calendar may have changed since."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from functions import estate_in_force
from shared.changes.change import Change
from shared.job_remediation.repetition import Applied, Standing, job_of, objection

if TYPE_CHECKING:
    from shared.estate.estate import Estate


def standing(change: Change) -> Standing:
    """What is declared of the job that the change repeats, and whether a freeze is in force, now."""
    from shared.estate.policies.job_remediation import JobRemediation

    estate = estate_in_force.get()
    policy = estate.job_remediation or JobRemediation()
    frozen = is_frozen(estate, change.environment, change.tenant, datetime.now(UTC))
    return Standing(job_of(policy.jobs, str(change.before["job"])), frozen)


def objection_now(change: Change) -> str:
    """See `objection`, for a job that nothing can be proven of."""
    return objection(
        standing(change), Applied.UNKNOWN, ambiguous=False, approved=change.requires_approval, proven=False
    )


def is_frozen(estate: "Estate", environment: str, tenant: str | None, now: datetime) -> bool:
    """Whether a freeze is in force, where the environment is or where the tenant is; a calendar that cannot be read
    wholly counts as one. Raises KeyError for an environment that is not declared."""
    from shared.finance_calendar.declaration import DEFAULT_REGION, Kind

    declared = estate.environments[environment]
    home = declared.region or DEFAULT_REGION
    elsewhere = declared.tenants[tenant].region if tenant and tenant in declared.tenants else None
    regions = {home, elsewhere or home}
    calendar = estate_in_force.calendar(now)
    return bool(calendar.missing_feeds) or any(
        Kind.FREEZE in calendar.for_region(region).in_force(now).stretches for region in regions
    )
