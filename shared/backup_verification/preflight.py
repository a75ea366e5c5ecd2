"""What is looked at before a drill creates anything, and what keeps it from doing so. Pure; times are aware UTC."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from shared.backup_verification.cost import Cost


class CheckState(StrEnum):
    """`refused` keeps the drill from beginning. `unknown` could not be looked at, and does not keep it."""

    GOOD = "good"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class PreflightCheck(BaseModel):
    """One thing that was looked at, and what was seen, in words."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    state: CheckState
    message: str


@dataclass(frozen=True, slots=True)
class Maintenance:
    """A maintenance of the source that is planned or runs. `end` is None when Azure does not say."""

    status: str
    start: datetime
    end: datetime | None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What Azure says around a drill. None is what could not be found out, with the reason in `unknown`."""

    source_state: str | None
    """None: there is no such server."""
    source_subnet: str | None
    """Empty for a public address, None when it is not known."""
    geo_backup: bool
    cores: int
    """What the copy needs: those of its source."""
    locks: Sequence[str] | None
    """The names of locks that would keep the copy from being removed."""
    cores_used: int | None
    cores_limit: int | None
    addresses_left: int | None
    maintenance: Sequence[Maintenance] | None
    unknown: dict[str, str]
    """Why something is None, by the name of the check."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What the drill needs. `until` is the end of the copy's longest life."""

    geo_restore: bool
    subnet: str | None
    app_addresses: Sequence[str]
    from_: datetime
    until: datetime
    cost: Cost | None
    cost_limit: float | None
    no_cost: str
    """Why `cost` is None."""


def judge(seen: Surroundings, needs: Needs) -> tuple[PreflightCheck, ...]:
    """Every check, in a fixed order; the drill may begin when none is refused."""
    return (
        _source(seen, needs),
        _locks(seen),
        _quota(seen),
        _network(seen, needs),
        _maintenance(seen, needs),
        _cost(needs),
    )


def refusal(checks: Sequence[PreflightCheck]) -> str:
    """Why the drill may not begin, empty when it may."""
    return "; ".join(check.message for check in checks if check.state is CheckState.REFUSED)


def _check(name: str, refused: bool, message: str) -> PreflightCheck:
    return PreflightCheck(name=name, state=CheckState.REFUSED if refused else CheckState.GOOD, message=message)


def _unknown(name: str, seen: Surroundings) -> PreflightCheck:
    why = seen.unknown.get(name, "Azure did not say")
    return PreflightCheck(name=name, state=CheckState.UNKNOWN, message=f"could not be looked at: {why}")


def _source(seen: Surroundings, needs: Needs) -> PreflightCheck:
    name = "source"
    if needs.geo_restore:
        if seen.source_state is not None and not seen.geo_backup:
            return _check(name, True, "the source has no geo-redundant backup; Azure allows it at creation only")
        return _check(name, False, "the source has geo-redundant backup" if seen.geo_backup else "not visible now")
    if seen.source_state is None:
        return _check(name, True, "there is no source server; a deleted one is revived and not restored to an instant")
    return _check(name, seen.source_state == "Dropping", f"the source is {seen.source_state}")


def _locks(seen: Surroundings) -> PreflightCheck:
    name = "locks"
    if seen.locks is None:
        return _unknown(name, seen)
    if seen.locks:
        return _check(
            name, True, f"locked against removal: {', '.join(seen.locks)}; remove the lock from the drills' group"
        )
    return _check(name, False, "no lock on the drills' resource group")


def _quota(seen: Surroundings) -> PreflightCheck:
    name = "vCore quota"
    if seen.cores_used is None or seen.cores_limit is None:
        return _unknown(name, seen)
    left = seen.cores_limit - seen.cores_used
    facts = f"{seen.cores} vCores needed, {left} of {seen.cores_limit} are left"
    return _check(name, left < seen.cores, facts + ("; ask for a higher quota" if left < seen.cores else ""))


def _network(seen: Surroundings, needs: Needs) -> PreflightCheck:
    name = "network"
    if seen.source_subnet is not None and bool(seen.source_subnet) != bool(needs.subnet):
        where, remedy = (
            ("in a virtual network", "declare a network for drills, in the region restored into")
            if seen.source_subnet
            else ("public", "leave the drills' network out")
        )
        return _check(name, True, f"the source is {where}, and Azure restores it to the same kind only: {remedy}")
    if needs.subnet is None:
        if not needs.app_addresses:
            return _check(
                name,
                True,
                "no network is declared for drills and APP_ADDRESSES is not set: nobody could be let in to the copy; "
                "declare backup_verification.drills.network or set the app's outbound addresses",
            )
        return _check(name, False, f"public, and only {', '.join(needs.app_addresses)} will be let in")
    if seen.addresses_left is None:
        return _unknown(name, seen)
    return _check(name, seen.addresses_left < 1, f"{seen.addresses_left} addresses are left in {needs.subnet}")


def _maintenance(seen: Surroundings, needs: Needs) -> PreflightCheck:
    name = "maintenance"
    if seen.maintenance is None:
        return _unknown(name, seen)
    for event in seen.maintenance:
        if event.start < needs.until and (event.end is None or event.end > needs.from_):
            return _check(
                name,
                True,
                f"the source's maintenance ({event.status}) of {event.start.isoformat()} is within the drill",
            )
    return _check(name, False, "no maintenance of the source within the drill")


def _cost(needs: Needs) -> PreflightCheck:
    name = "cost"
    if needs.cost is None:
        return _check(name, needs.cost_limit is not None, needs.no_cost)
    at_most = f"at most {needs.cost.bound:.2f} {needs.cost.currency}"
    if needs.cost_limit is not None and needs.cost.bound > needs.cost_limit:
        return _check(name, True, f"{at_most}, more than cost_limit {needs.cost_limit:.2f}")
    return _check(name, False, at_most)
