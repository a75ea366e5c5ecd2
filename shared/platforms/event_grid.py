"""The Event Grid topic that outcomes are told on, through azure-eventgrid."""

from collections.abc import Sequence
from functools import cache

from shared.events import Event
from shared.platforms import settings
from shared.platforms.credentials import credential

SOURCE = "/closekeeper"


class EventGridTopic:
    """A custom topic with the CloudEvents schema, by its endpoint (https://TOPIC.REGION.eventgrid.azure.net/api/events)."""

    def __init__(self, endpoint: str) -> None:
        from azure.eventgrid import EventGridPublisherClient

        self._client = EventGridPublisherClient(endpoint, credential())

    def publish(self, events: Sequence[Event]) -> None:
        """See `EventPublisher.publish`."""
        from azure.core.messaging import CloudEvent

        self._client.send(  # pyright: ignore[reportUnknownMemberType] - the SDK leaves its event type open
            [
                CloudEvent(
                    source=SOURCE, type=event.type, id=event.id, time=event.time, subject=event.subject, data=event.data
                )
                for event in events
            ]
        )


@cache
def topic() -> EventGridTopic:
    """The topic of the setting EVENT_GRID_TOPIC_ENDPOINT; raises MissingSettingError."""
    return EventGridTopic(
        settings.required(
            "EVENT_GRID_TOPIC_ENDPOINT", "give the endpoint of the Event Grid topic that outcomes are told on"
        )
    )
