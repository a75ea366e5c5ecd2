"""The peaks of an environment in force: estate, calendar, memory and recommendations put together."""

from datetime import datetime
from typing import TYPE_CHECKING

from functions import estate_in_force
from functions.change_execution import services

if TYPE_CHECKING:
    from shared.peak_scaling.memory import Memory
    from shared.peak_scaling.needs import Scaling


def environments_with_peaks() -> list[str]:
    """The environments that have peaks. Raises as `estate_in_force.get`."""
    return sorted(estate_in_force.get().peak_scaling)


def scaling_of(environment: str, now: datetime, memory: "Memory | None" = None) -> "Scaling":
    """The peaks of an environment in force. Raises KeyError, and as `estate_in_force.get`."""
    from shared.peak_scaling import tending
    from shared.peak_scaling.lead_times import LeadTimes
    from shared.peak_scaling.needs import Scaling

    estate, calendar = estate_in_force.get(), estate_in_force.calendar(now)
    margin = estate.peak_scaling[environment].margin.of_one
    store = services().store
    known = memory if memory is not None else tending.remembered(store, environment)
    return Scaling(estate, environment, calendar, LeadTimes(margin, known.measured), tending.agreed(store, environment))
