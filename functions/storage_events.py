"""What storage accounts tell: finished inventory reports and lifecycle runs, blobs that came or changed their tier.

Every event may come twice, late or out of order: what is kept is the newest by its own time, and what is woken looks
at the blobs themselves.
"""

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import azure.durable_functions as df
import azure.functions as func

from functions import estate_in_force
from functions.later import later
from functions.records import write_record
from functions.rehydrations import nudge
from shared.version import VERSION

if TYPE_CHECKING:
    from functions import rehydration_steps, tiering_inventory
    from shared.storage_tiering import account_events
else:
    rehydration_steps = later("functions.rehydration_steps")
    tiering_inventory = later("functions.tiering_inventory")
    account_events = later("shared.storage_tiering.account_events")

blueprint = df.Blueprint()

_NUDGE_EVERY_SECONDS = 20.0
_nudged_at: dict[tuple[str, str], float] = {}


@blueprint.function_name("storage_events")
@blueprint.event_grid_trigger(arg_name="event")  # pyright: ignore[reportUnknownMemberType] - its options are untyped
@blueprint.durable_client_input(client_name="client")
async def storage_events(event: func.EventGridEvent, client: Any) -> None:
    """Receive one event of a storage account's system topic."""
    said: Any = event  # azure-functions leaves the CloudEvents form to the caller
    kind = str(getattr(said, "event_type", None) or getattr(said, "type", ""))
    topic = str(getattr(said, "topic", None) or getattr(said, "source", ""))
    data: dict[str, Any] = said.get_json() or {}
    match kind:
        case account_events.INVENTORY_COMPLETED:
            await asyncio.to_thread(tiering_inventory.keep, topic, account_events.read_inventory(data))
        case account_events.LIFECYCLE_COMPLETED:
            await asyncio.to_thread(_record_lifecycle, topic, str(said.id), data, said)
        case account_events.TIER_CHANGED | account_events.CREATED:
            place = account_events.blob_of(str(said.subject or ""))
            if place is not None and _is_worth_a_look(topic, place[0]):
                await nudge(client, await asyncio.to_thread(rehydration_steps.awaiting, topic, place[0]))
        case _:
            pass  # a subscription may bring more than was asked for


def _record_lifecycle(account_id: str, event_id: str, data: dict[str, Any], event: Any) -> None:
    """Put on record what the account's own rules did; the same event twice is one record."""
    from shared.evidence.record import Kind, Record

    done = account_events.read_lifecycle(data)
    told_at = getattr(event, "event_time", None) or getattr(event, "time", None)
    at = done.scheduled_at or (told_at if isinstance(told_at, datetime) else datetime.now(UTC))
    environment = next(
        (
            name
            for name, declared in estate_in_force.get().environments.items()
            for account in declared.storage.values()
            if str(account.id).casefold() == account_id.casefold()
        ),
        None,
    )
    write_record(
        Record(
            automation="storage_tiering",
            kind="native_rules_done" if done.good else Kind.FINDING,
            subject=f"lifecycle:{event_id}",
            time=at,
            environment=environment,
            estate_version=estate_in_force.get().version,
            app_version=VERSION,
            body={"account": account_id, **done.model_dump(mode="json")},
        )
    )


def _is_worth_a_look(account_id: str, container: str) -> bool:
    """A million blobs that come back are a million events: one look every few seconds sees them all."""
    now, key = time.monotonic(), (account_id.casefold(), container)
    if now - _nudged_at.get(key, float("-inf")) < _NUDGE_EVERY_SECONDS:
        return False
    _nudged_at[key] = now
    return True
