"""What the reaper will not touch: servers in the drills' group that no drill made, and entries that name no drill's.

They are told once each, by a record and an event; people decide what becomes of them.
"""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import AwareDatetime, BaseModel, ConfigDict

from functions import estate_in_force
from functions.drill_admission import AUTOMATION, state
from functions.records import write_record
from shared.backup_verification.drill import DrillPlan
from shared.backup_verification.identity import why_not_to_remove
from shared.backup_verification.overview import Overview
from shared.changes.state import Store
from shared.events import Event
from shared.platforms import event_grid, postgres_servers
from shared.version import VERSION

if TYPE_CHECKING:
    from shared.estate.azure_ids import AzureId

_MARKS = "drill-strangers/"


class _Mark(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    at: AwareDatetime
    told: bool = False


def why_untouched(plan: DrillPlan) -> str:
    """Why the server that the registry names for a drill is left alone; empty when it is the drill's own."""
    group = _group()
    return why_not_to_remove(plan, str(group) if group else None)


def tell_strangers(drills: Overview, now: datetime) -> None:
    """Tell of every server in the drills' resource group that the registry does not know."""
    group = _group()
    if group is None:
        return
    known = {drill.server_id.casefold() for drill in drills.drills()} | set(_declared())
    for server_id in postgres_servers.ids_in(group.subscription, group.resource_group):
        if server_id.casefold() not in known:
            tell(server_id, "it is in the drills' resource group, and no drill made it", now)


def tell(server_id: str, why: str, now: datetime) -> None:
    """Record and tell once that a server is left alone, with the time of the first look."""
    from shared.evidence.record import Kind, Record

    name = _MARKS + hashlib.sha256(server_id.casefold().encode()).hexdigest()[:32]
    mark = Store(state()).open(name, _Mark, _Mark(at=now))
    if mark.told:
        return
    body: dict[str, object] = {"server": server_id, "reason": why}
    write_record(
        Record(
            automation=AUTOMATION,
            kind=Kind.FINDING,
            subject=f"not-removed:{server_id}",
            time=mark.at,
            estate_version=estate_in_force.get().version,
            app_version=VERSION,
            body=body,
        )
    )
    event_grid.topic().publish(
        [
            Event(
                id=name.replace("/", ":"),
                type="Closekeeper.BackupVerification.ServerNotRemoved",
                subject=f"drills/servers/{server_id.rpartition('/')[2]}",
                time=mark.at,
                data=body,
            )
        ]
    )
    Store(state()).change(name, _Mark, lambda known: known.model_copy(update={"told": True}))


def _group() -> "AzureId | None":
    """The resource group that the estate declares for drills."""
    policy = estate_in_force.get().backup_verification
    return policy.drills.resource_group if policy else None


def _declared() -> Iterator[str]:
    estate = estate_in_force.get()
    for environment in estate.environments.values():
        yield from (str(server.id).casefold() for server in environment.postgres.values())
    dumps = estate.backup_verification.dumps if estate.backup_verification else None
    if dumps is not None and dumps.scratch is not None:
        yield str(dumps.scratch).casefold()
