"""Whether a server is a drill's own copy. Nothing inside it can tell: its system identifier and Odoo's database.uuid
are production's. Only the resource and the host can. Pure."""

from collections.abc import Collection
from dataclasses import dataclass

from shared.backup_verification.drill import DrillPlan, temporary_server_name
from shared.backup_verification.registry import Entry, EntryState


class NotTheCopyError(Exception):
    """It is not proven that the server is the drill's copy. Nothing may be written there; the message says why."""


@dataclass(frozen=True, slots=True)
class Place:
    """A server as Azure shows it now, and the addresses that its host name leads to from here."""

    id: str
    host: str
    addresses: Collection[str]
    tags: dict[str, str]


def prove_copy(entry: Entry, copy: Place | None, source: Place | None, host: str) -> None:
    """Raises NotTheCopyError unless `host`, where somebody is about to write, is the server that this drill made.

    `source` is None when Azure shows no source any more.
    """
    plan = entry.plan
    for holds, why in (
        (entry.state in {EntryState.OPEN, EntryState.KEPT}, f"the registry says {entry.state}: it is being removed"),
        (copy is not None, "Azure shows no such server"),
        (_same(plan.server_id, copy.id if copy else ""), "the server has another resource id"),
        (_is_drills_own(plan), "its name is not the one that this drill gives"),
        (not _same(plan.server_id, plan.source_id), "it is the source"),
        (copy is not None and bool(host) and copy.host == host, "its host is another one"),
        (copy is not None and copy.tags.get("closekeeper-drill") == plan.id, "it has no tag of this drill"),
        (source is None or source.host != host, "its host is the source's"),
        (copy is not None and bool(copy.addresses), "its host name leads nowhere"),
        (
            source is None or copy is None or not set(copy.addresses) & set(source.addresses),
            "its host name leads to the source",
        ),
    ):
        if not holds:
            raise NotTheCopyError(f"{plan.server_id} is not proven to be the copy of {plan.id}: {why}")


def why_not_to_remove(plan: DrillPlan, group: str | None) -> str:
    """Why a server that the registry names is left alone all the same; empty when it is the drill's own.

    `group` is the id of the resource group that the estate declares for drills, None when it declares none any more.
    """
    if _same(plan.server_id, plan.source_id):
        return "the registry names the source as the drill's copy"
    if not _is_drills_own(plan):
        return "the registry gives it a name that its drill does not"
    if group is not None and not plan.server_id.casefold().startswith(f"{group.casefold()}/"):
        return "it is in another resource group than the one that is declared for drills"
    return ""


def _is_drills_own(plan: DrillPlan) -> bool:
    source, name = (server_id.rpartition("/")[2] for server_id in (plan.source_id, plan.server_id))
    return name == temporary_server_name(source, plan.id)


def _same(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()
