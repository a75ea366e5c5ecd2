"""Which drills are due, and when they may start. Pure; times are aware UTC."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from shared.backup_verification.drill import DrillKind, DrillRequest, Target

if TYPE_CHECKING:  # the estate's models are many: whoever has an estate has loaded them
    from shared.estate.estate import Estate
    from shared.estate.policies.backup_verification import Drills
    from shared.finance_calendar.calendar import FinanceCalendar

_EVERY = {
    "weekly": timedelta(days=7),
    "monthly": timedelta(days=30),
    "quarterly": timedelta(days=91),
    "yearly": timedelta(days=365),
}
_BEGIN_AT = 0.9
"""The share of its period after which a server's next drill is due, so that there is time to wait for its turn."""

type ServerName = tuple[str, str]
"""Environment and server."""


@dataclass(frozen=True, slots=True)
class Past:
    """One earlier drill of a server; `passed` is None while it runs."""

    requested_at: datetime
    passed: bool | None
    kind: DrillKind = DrillKind.POINT_IN_TIME


def period(estate: "Estate", environment: str, server: str) -> timedelta | None:
    """Within which time each server is to be proven once; None: never."""
    return _EVERY.get(estate.tier_of(environment, server=server).drill)


def last_proof(past: Sequence[Past]) -> datetime | None:
    """When the newest drill that passed was requested."""
    return max((one.requested_at for one in past if one.passed), default=None)


def due(
    estate: "Estate",
    calendar: "FinanceCalendar",
    past: Mapping[ServerName, Sequence[Past]],
    now: datetime,
    busy: Collection[ServerName] = (),
) -> list[DrillRequest]:
    """The drills that the schedule asks for now, the longest unproven first; without those of `busy` servers.

    Due stays due until it is done, so that a lost tick is made up for. A failed drill proved nothing.
    """
    found: list[tuple[datetime, DrillRequest]] = []
    if (policy := estate.backup_verification) is None:
        return []
    for environment_name, environment in estate.environments.items():
        concerned = calendar_of(estate, calendar, environment_name)
        if why_not_now(estate, concerned, environment_name, now):
            continue
        for server in environment.postgres:
            name = (environment_name, server)
            every = period(estate, *name)
            known = past.get(name, ())
            if every is None or name in busy or any(one.passed is None for one in known):
                continue
            proof = last_proof(known)
            if proof is None or now - proof >= every * _BEGIN_AT or event_ahead(policy.drills, concerned, proof, now):
                request = _in_turn(policy.drills, environment_name, server, known, environment.paired_location)
                found.append((proof or datetime.min.replace(tzinfo=now.tzinfo), request))
    return [request for _, request in sorted(found, key=lambda one: one[0])]


def why_not_now(estate: "Estate", calendar: "FinanceCalendar", environment: str, now: datetime) -> str:
    """What keeps the schedule from starting drills of that environment now; empty when nothing does.

    `calendar` is the environment's own view of it. What people ask for by hand does not wait: they know why they ask.
    """
    if (policy := estate.backup_verification) is None:
        return "the estate declares no backup_verification"
    in_force = calendar.in_force(now)
    for kind in policy.drills.not_during:
        if in_force.is_on(kind):
            names = ", ".join(f"{cause.event} {cause.period}" for cause in in_force.causes_of(kind))
            return f"{kind.value} until {in_force.stretches[kind].end.isoformat()} ({names})"
    within = policy.drills.within
    if within is not None and within.at(now, ZoneInfo(estate.time_zone_of(environment))) is None:
        return f"outside of {within.text}"
    return ""


def event_ahead(policy: "Drills", calendar: "FinanceCalendar", proof: datetime | None, now: datetime) -> str:
    """The event before which a server is to be drilled and, since the time before it began, was not; or nothing."""
    for event, lead in policy.always_before.items():
        for each in calendar.events_between(now, now + lead):
            if each.event == event and each.start > now and (proof is None or proof < each.start - lead):
                return f"{each.event} {each.period}"
    return ""


def _in_turn(
    policy: "Drills", environment: str, server: str, past: Sequence[Past], paired_location: str | None
) -> DrillRequest:
    """The next kind and target: each kind in turn, and with every full turn of kinds the next target."""
    passed = sum(one.passed is True for one in past)
    kinds = [kind for kind in policy.kinds if paired_location or kind.value != DrillKind.GEO_RESTORE]
    targets = policy.targets
    kind = DrillKind(kinds[passed % len(kinds)]) if kinds else DrillKind.POINT_IN_TIME
    rounds = passed // max(1, len(kinds))
    target = Target(targets[rounds % len(targets)]) if targets and kind is DrillKind.POINT_IN_TIME else None
    return DrillRequest(environment=environment, server=server, kind=kind, target=target)


def calendar_of(estate: "Estate", calendar: "FinanceCalendar", environment: str) -> "FinanceCalendar":
    """The calendar as the environment's region sees it."""
    region = estate.environments[environment].region
    return calendar.for_region(region) if region else calendar
