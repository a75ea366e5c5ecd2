"""The one place that knows what sleeps on purpose: for remediation, service levels, the status page and the API."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from functions import estate_in_force
from functions.change_execution import services

if TYPE_CHECKING:
    from shared.finance_calendar.calendar import FinanceCalendar
    from shared.shutdown_schedules.considering import Sleep
    from shared.shutdown_schedules.purpose import AsleepOnPurpose

_kept: "dict[str, tuple[str, FinanceCalendar, Sleep]]" = {}


def sleep_of(environment: str, now: datetime) -> "Sleep":
    """The schedules of an environment in force. Raises KeyError, and as `estate_in_force.get`."""
    from shared.shutdown_schedules.considering import Sleep

    estate, calendar = estate_in_force.get(), estate_in_force.calendar(now)
    known = _kept.get(environment)
    if known is None or known[0] != estate.version or known[1] is not calendar:
        known = _kept[environment] = (estate.version, calendar, Sleep(estate, environment, calendar))
    return known[2]


def environments_that_sleep() -> list[str]:
    """The environments that have schedules. Raises as `estate_in_force.get`."""
    return sorted({each.covers.environment for each in estate_in_force.get().shutdown_schedules.values()})


def asleep_on_purpose(
    environment: str, target: str | None = None, *, tenant: str | None = None, workload: str | None = None
) -> "AsleepOnPurpose | None":
    """What is asked for, when it is asleep, going to sleep or waking because a schedule says so; None when it is not.

    target: an Azure resource id or CLUSTER-ID//KIND/NAMESPACE/NAME, in any case. workload: CLUSTER/WORKLOAD, as the
    estate calls it. tenant: whether its server or a workload of its own sleeps. Without any: whether anything in the
    environment does. Reads one small blob. What is not declared does not sleep; raises as `estate_in_force.get`.
    """
    from shared.shutdown_schedules import purpose, tending

    estate, now = estate_in_force.get(), datetime.now(UTC)
    if environment not in environments_that_sleep():
        return None
    if tenant is not None and tenant not in estate.environments[environment].tenants:
        return None
    memory = tending.remembered(services().store, environment)
    of_tenant = purpose.needs_of_tenant(estate, environment, tenant) if tenant else None
    return purpose.asleep_on_purpose(
        sleep_of(environment, now), memory, now, target=target, workload=workload, among=of_tenant
    )
