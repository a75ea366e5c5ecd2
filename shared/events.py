"""What leaves the app as CloudEvents: a port, without an SDK. `shared.platforms.event_grid` implements it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Event:
    """One CloudEvent (specification 1.0).

    `id` is deterministic: the same occurrence told twice has the same id, so that receivers can drop the second.
    `subject` is `environments/ENV[/tenants/TENANT]/...`, so that users route by its prefix. `time` is aware UTC.
    """

    id: str
    type: str
    subject: str
    time: datetime
    data: dict[str, object]


class EventPublisher(Protocol):
    """The topic that outcomes are told on."""

    def publish(self, events: Sequence[Event]) -> None:
        """Send all of them; returns when the topic has accepted them."""
        ...
