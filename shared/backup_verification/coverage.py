"""What is proven until when, and what is overdue. Pure; times are aware UTC."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import AwareDatetime, BaseModel, ConfigDict

from shared.backup_verification.schedule import Past, ServerName, calendar_of, event_ahead, last_proof, period

if TYPE_CHECKING:
    from shared.estate.estate import Estate
    from shared.finance_calendar.calendar import FinanceCalendar


class Covered(BaseModel):
    """One server: when it was proven last, and until when that counts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    environment: str
    server: str
    tier: str
    every_days: int | None
    """Within how many days it is to be proven once; None: its tier asks for no drills."""
    proven_at: AwareDatetime | None
    proven_until: AwareDatetime | None
    due_by: AwareDatetime | None
    """When it must be proven at the latest; for a server that never was, counted from when it was first seen."""
    before_event: str
    """An event ahead of which it must be drilled still; empty when there is none."""
    overdue: bool


def coverage(
    estate: "Estate",
    calendar: "FinanceCalendar",
    past: Mapping[ServerName, Sequence[Past]],
    first_seen: Mapping[str, datetime],
    now: datetime,
) -> list[Covered]:
    """Every declared server, the overdue ones first. `first_seen` is by `environment/server`."""
    found: list[Covered] = []
    policy = estate.backup_verification
    for environment_name, environment in estate.environments.items():
        for server in environment.postgres:
            every = period(estate, environment_name, server) if policy else None
            proof = last_proof(past.get((environment_name, server), ()))
            since = proof or first_seen.get(f"{environment_name}/{server}", now)
            due_by = since + every if every else None
            concerned = calendar_of(estate, calendar, environment_name)
            found.append(
                Covered(
                    environment=environment_name,
                    server=server,
                    tier=environment.postgres[server].tier or environment.tier,
                    every_days=every.days if every else None,
                    proven_at=proof,
                    proven_until=proof + every if proof and every else None,
                    due_by=due_by,
                    before_event=event_ahead(policy.drills, concerned, proof, now) if policy and every else "",
                    overdue=due_by is not None and due_by < now,
                )
            )
    return sorted(found, key=lambda one: (not one.overdue, one.due_by is None, one.due_by or now))
