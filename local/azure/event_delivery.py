"""Event Grid's webhook subscriptions: the handshake, the deliveries, the retries, the dead letters.

Documented under "Event Grid message delivery and retry" and "Webhook event delivery". Event Grid adds a small random
time to each wait, delivers out of order and may deliver twice; here order and count are as plain as can be.
"""

import asyncio
import json
import uuid
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Literal

import httpx
from pydantic import BaseModel, ConfigDict, Field

from local.azure.events import CLOUD_EVENTS, EVENT_GRID, Event

RETRY_SECONDS = (10, 30, 60, 300, 600, 1800, 3600, 10800, 21600, 43200)
"""The waits after the first attempts; the last one repeats."""

_ORIGIN = "eventgrid.azure.net"
_SUCCESS = range(200, 205)
_NEVER_RETRIED = {400, 401, 403, 413}
_LEAST_WAIT = {408: 120, 503: 30, 404: 300}


class HandshakeFailedError(Exception):
    """The endpoint did not prove that it wants events."""


class Subscription(BaseModel):
    """A webhook that wants a topic's events.

    Its endpoint is proven first: with CloudEvents by an OPTIONS request (CloudEvents webhook specification), with
    Event Grid's own schema by a validation event. `max_events_per_batch` is 1, that is, batching is off.
    """

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    name: str = Field(pattern=r"^[A-Za-z0-9-]{3,64}$")
    topic: str
    endpoint: str = Field(pattern=r"^https?://")
    schema_: Literal["CloudEventSchemaV1_0", "EventGridSchema"] = Field(default="CloudEventSchemaV1_0", alias="schema")
    subject_begins_with: str = ""
    subject_ends_with: str = ""
    subject_case_sensitive: bool = False
    event_types: list[str] | None = None
    max_delivery_attempts: int = Field(default=30, ge=1, le=30)
    event_time_to_live_minutes: float = Field(default=1440, gt=0, le=1440)
    max_events_per_batch: int = Field(default=1, ge=1, le=5000)

    def wants(self, event: Event) -> bool:
        """Whether an event passes the filters."""
        begin, end, subject = self.subject_begins_with, self.subject_ends_with, event.subject
        if not self.subject_case_sensitive:
            begin, end, subject = begin.lower(), end.lower(), subject.lower()
        known = self.event_types is None or event.type.lower() in [name.lower() for name in self.event_types]
        return known and subject.startswith(begin) and subject.endswith(end)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that was given up, in the form of the dead-letter blob."""

    subscription: str
    body: dict[str, Any]


async def handshake(client: httpx.AsyncClient, subscription: Subscription, topic: str) -> None:
    """Prove the endpoint; raises HandshakeFailedError."""
    try:
        if subscription.schema_ == CLOUD_EVENTS:
            await _cloud_events_handshake(client, subscription)
        else:
            await _event_grid_handshake(client, subscription, topic)
    except httpx.HTTPError as error:
        raise HandshakeFailedError(f"endpoint: {subscription.endpoint} cannot be reached: {error}") from error


async def _cloud_events_handshake(client: httpx.AsyncClient, subscription: Subscription) -> None:
    answer = await client.options(subscription.endpoint, headers={"WebHook-Request-Origin": _ORIGIN})
    allowed = answer.headers.get("webhook-allowed-origin", "")
    if answer.status_code != 200 or not ({"*", _ORIGIN} & {part.strip() for part in allowed.split(",")}):
        raise HandshakeFailedError(
            f"endpoint: {subscription.endpoint} answered OPTIONS with {answer.status_code} and "
            f"WebHook-Allowed-Origin '{allowed}'; 200 with '{_ORIGIN}' or '*' is needed"
        )


async def _event_grid_handshake(client: httpx.AsyncClient, subscription: Subscription, topic: str) -> None:
    code = str(uuid.uuid4())
    event = {
        "id": str(uuid.uuid4()),
        "topic": topic,
        "subject": "",
        "data": {"validationCode": code},
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "eventTime": datetime.now(UTC).isoformat(),
        "metadataVersion": "1",
        "dataVersion": "1",
    }
    answer = await client.post(
        subscription.endpoint,
        json=[event],
        headers={"aeg-event-type": "SubscriptionValidation", "aeg-subscription-name": subscription.name.upper()},
    )
    try:
        given = answer.json().get("validationResponse")
    except (ValueError, AttributeError):
        given = None
    if answer.status_code != 200 or given != code:
        raise HandshakeFailedError(
            f"endpoint: {subscription.endpoint} answered the validation event with {answer.status_code} and "
            f"not with its validationCode as validationResponse"
        )


class Delivery:
    """The deliveries of one subscription. All methods belong on one event loop.

    `scaled` turns Event Grid's seconds into the seconds that are really waited.
    """

    def __init__(
        self, client: httpx.AsyncClient, subscription: Subscription, topic: str, scaled: Callable[[float], float]
    ) -> None:
        self._client = client
        self._subscription = subscription
        self._topic = topic
        self._scaled = scaled
        self._tasks: set[asyncio.Task[None]] = set()
        self.dead_letters: list[DeadLetter] = []

    def offer(self, events: Sequence[Event]) -> None:
        """Deliver these events, each alone or in batches."""
        size = self._subscription.max_events_per_batch
        for first in range(0, len(events), size):
            self._spawn(self._deliver(events[first : first + size], datetime.now(UTC)))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, events: Sequence[Event], published: datetime) -> None:
        limit = self._subscription.max_delivery_attempts
        lifetime = timedelta(minutes=self._subscription.event_time_to_live_minutes)
        waited = timedelta()
        outcome = ""
        for attempt in range(1, limit + 1):
            status, outcome = await self._attempt(events, attempt)
            if status in _SUCCESS:
                return
            if status in _NEVER_RETRIED:
                self._give_up(events, outcome, outcome, attempt, published)
                return
            wait = max(RETRY_SECONDS[min(attempt, len(RETRY_SECONDS)) - 1], _LEAST_WAIT.get(status, 0))
            waited += timedelta(seconds=wait)
            if waited > lifetime:
                self._give_up(events, "TimeToLiveExceeded", outcome, attempt, published)
                return
            if attempt < limit:
                await asyncio.sleep(self._scaled(wait))
        self._give_up(events, "MaxDeliveryAttemptsExceeded", outcome, limit, published)

    async def _attempt(self, events: Sequence[Event], attempt: int) -> tuple[int, str]:
        subscription = self._subscription
        bodies: Any = [event.in_schema(subscription.schema_, self._topic) for event in events]
        headers = {
            "aeg-event-type": "Notification",
            "aeg-subscription-name": subscription.name.upper(),
            "aeg-delivery-count": str(attempt - 1),
            "aeg-metadata-version": "1",
        }
        if subscription.schema_ == EVENT_GRID:
            headers["Content-Type"] = "application/json; charset=utf-8"
            headers["aeg-data-version"] = str(bodies[0].get("dataVersion", ""))
        elif subscription.max_events_per_batch == 1:
            headers["Content-Type"] = "application/cloudevents+json; charset=utf-8"
            bodies = bodies[0]
        else:
            headers["Content-Type"] = "application/cloudevents-batch+json; charset=utf-8"
        try:
            answer = await self._client.post(subscription.endpoint, content=json.dumps(bodies), headers=headers)
        except httpx.TimeoutException:
            return 0, "TimedOut"
        except httpx.HTTPError:
            return 0, "SocketError"
        return answer.status_code, _outcome(answer.status_code)

    def _give_up(self, events: Sequence[Event], reason: str, outcome: str, attempts: int, published: datetime) -> None:
        facts = {
            "deadLetterReason": reason,
            "deliveryAttempts": attempts,
            "lastDeliveryOutcome": outcome,
            "publishTime": published.isoformat(),
            "lastDeliveryAttemptTime": datetime.now(UTC).isoformat(),
        }
        if self._subscription.schema_ == CLOUD_EVENTS:
            facts = {name.lower(): value for name, value in facts.items()}
        for event in events:
            body = event.in_schema(self._subscription.schema_, self._topic)
            self.dead_letters.append(DeadLetter(self._subscription.name, {**body, **facts}))


def _outcome(status: int) -> str:
    """Event Grid names an answer by .NET's word for its status, such as NotFound."""
    try:
        return HTTPStatus(status).name.title().replace("_", "")
    except ValueError:
        return str(status)
