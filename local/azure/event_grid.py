"""Event Grid topics: events come in over TLS, are validated and kept, and go out to webhooks.

A topic's endpoint is `https://HOST/TOPIC/api/events` (Azure: `https://TOPIC.REGION-1.eventgrid.azure.net/api/events`),
data plane API version 2018-01-01. For users and tests, on the same port and without a token:
`GET /_simulator/events` (query: topic, type, subject as a prefix), `GET`, `PUT` and `DELETE` on
`/_simulator/subscriptions/NAME`, `GET /_simulator/deadletters`.
"""

import asyncio
import json
import secrets
import ssl
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import httpx
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.azure import events, tokens
from local.azure.event_delivery import DeadLetter, Delivery, HandshakeFailedError, Subscription, handshake
from local.azure.events import CLOUD_EVENTS, EVENT_GRID, Event, Schema
from local.azure.faults import FaultPlan, control_routes
from local.azure.identity import Tenant

API_VERSION = "2018-01-01"

_CLOUD_EVENTS_BATCH = "application/cloudevents-batch+json"
_CLOUD_EVENT = "application/cloudevents+json"


@dataclass(slots=True)
class Topic:
    """A topic: two keys of which each is enough, and the schema that publishers use."""

    name: str
    schema: Schema = CLOUD_EVENTS
    resource_id: str = ""
    keys: Sequence[str] = field(default_factory=lambda: (secrets.token_urlsafe(32), secrets.token_urlsafe(32)))


@dataclass(frozen=True, slots=True)
class Received:
    """An event that a topic accepted, and when (UTC)."""

    topic: str
    event: Event
    at: datetime


class _RefusedError(Exception):
    def __init__(self, status: int, code: str, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.error = {
            "code": code,
            "message": message,
            "details": [{"code": detail, "message": message}] if detail else [],
        }


class EventGrid:
    """All topics, with what they received and their subscriptions. `app` is the ASGI application."""

    def __init__(
        self, tenant: Tenant, plan: FaultPlan, topics: Sequence[Topic], *, bundle: str, time_scale: float = 1.0
    ) -> None:
        self._tenant = tenant
        self.topics = {topic.name: topic for topic in topics}
        self.received: list[Received] = []
        self.time_scale = time_scale
        """Seconds of waiting for each second of Event Grid's retry schedule; 0 retries at once."""
        self._bundle = bundle
        self._subscriptions: dict[str, Subscription] = {}
        self._deliveries: dict[str, Delivery] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: httpx.AsyncClient | None = None
        self._changed = threading.Condition()
        self.app = Starlette(
            routes=[
                *control_routes(plan),
                Route("/{topic}/api/events", self._publish, methods=["POST"]),
                Route("/_simulator/events", self._show_events, methods=["GET"]),
                Route("/_simulator/deadletters", self._show_dead_letters, methods=["GET"]),
                Route("/_simulator/subscriptions", self._show_subscriptions, methods=["GET"]),
                Route("/_simulator/subscriptions/{name}", self._put_subscription, methods=["PUT"]),
                Route("/_simulator/subscriptions/{name}", self._delete_subscription, methods=["DELETE"]),
            ]
        )

    async def start(self) -> None:
        """To be called on the event loop that serves `app`."""
        self._loop = asyncio.get_running_loop()
        verify = ssl.create_default_context(cafile=self._bundle)
        self._client = httpx.AsyncClient(verify=verify, timeout=30.0, trust_env=False)

    async def stop(self) -> None:
        for delivery in self._deliveries.values():
            await delivery.stop()
        if self._client is not None:
            await self._client.aclose()

    def subscribe(self, subscription: Subscription) -> None:
        """Create or replace a subscription from any other thread; raises HandshakeFailedError, ValueError."""
        assert self._loop is not None, "start the simulator first"
        asyncio.run_coroutine_threadsafe(self._subscribe(subscription), self._loop).result(60)

    @property
    def dead_letters(self) -> list[DeadLetter]:
        return [letter for delivery in self._deliveries.values() for letter in delivery.dead_letters]

    def wait_for(self, count: int, *, type: str | None = None, timeout: float = 10.0) -> list[Event]:
        """Wait until that many events (of a type) have been received; raises TimeoutError."""
        with self._changed:
            found: list[Event] = []

            def enough() -> bool:
                found[:] = [r.event for r in self.received if type in (None, r.event.type)]
                return len(found) >= count

            if not self._changed.wait_for(enough, timeout):
                raise TimeoutError(f"{len(found)} events of type {type or 'any'} in {timeout} s, not {count}")
            return found

    def publish(self, topic: str, bodies: Sequence[Mapping[str, Any]], schema: Schema | None = None) -> None:
        """Publish from any other thread, as an Azure service does to its system topic; raises InvalidEventError."""
        assert self._loop is not None, "start the simulator first"
        accepted = events.parse(list(bodies), schema or self.topics[topic].schema)
        self._loop.call_soon_threadsafe(self._accept, self.topics[topic], accepted)

    async def _publish(self, request: Request) -> Response:
        try:
            topic = self.topics.get(request.path_params["topic"])
            if topic is None:
                raise _RefusedError(404, "NotFound", f"There is no topic '{request.path_params['topic']}'.")
            self._authenticate(request, topic)
            if request.query_params.get("api-version") != API_VERSION:
                raise _RefusedError(400, "BadRequest", f"The api-version must be {API_VERSION}.", "InvalidApiVersion")
            items = await _items(request, topic.schema)
            self._accept(topic, events.parse(items, topic.schema))
        except events.InvalidEventError as error:
            return _refuse(_RefusedError(400, "BadRequest", str(error), "InputJsonInvalid"))
        except events.TooLargeError as error:
            return _refuse(_RefusedError(413, "PayloadTooLarge", str(error), "PayloadTooLarge"))
        except _RefusedError as error:
            return _refuse(error)
        return Response(status_code=200, headers={"x-ms-request-id": str(uuid.uuid4())})

    def _authenticate(self, request: Request, topic: Topic) -> None:
        key = request.headers.get("aeg-sas-key")
        if key is not None:
            if not any(secrets.compare_digest(key, own) for own in topic.keys):
                raise _RefusedError(
                    401, "Unauthorized", "Request must contain one of the topic's keys in aeg-sas-key.", "Unauthorized"
                )
            return
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise _RefusedError(
                401, "Unauthorized", "Request must contain aeg-sas-key or an Authorization header.", "Unauthorized"
            )
        try:
            self._tenant.check(token.strip(), [tokens.EVENT_GRID])
        except tokens.TokenRefusedError as error:
            raise _RefusedError(401, "Unauthorized", str(error), "Unauthorized") from error

    def _accept(self, topic: Topic, accepted: Sequence[Event]) -> None:
        now = datetime.now(UTC)
        with self._changed:
            self.received.extend(Received(topic.name, event, now) for event in accepted)
            self._changed.notify_all()
        for name, subscription in self._subscriptions.items():
            if subscription.topic == topic.name:
                self._deliveries[name].offer([event for event in accepted if subscription.wants(event)])

    async def _subscribe(self, subscription: Subscription) -> None:
        topic = self.topics.get(subscription.topic)
        if topic is None:
            raise ValueError(f"topic: there is no '{subscription.topic}'; there are {', '.join(self.topics)}")
        if topic.schema == CLOUD_EVENTS and subscription.schema_ == EVENT_GRID:
            raise ValueError("schema: a topic of CloudEvents delivers nothing else; use CloudEventSchemaV1_0")
        assert self._client is not None
        identifier = topic.resource_id or topic.name
        await handshake(self._client, subscription, identifier)
        if former := self._deliveries.pop(subscription.name, None):
            await former.stop()
        self._subscriptions[subscription.name] = subscription
        self._deliveries[subscription.name] = Delivery(
            self._client, subscription, identifier, lambda seconds: seconds * self.time_scale
        )

    async def _show_events(self, request: Request) -> Response:
        query = request.query_params
        return JSONResponse(
            [
                {"topic": r.topic, "receivedTime": r.at.isoformat(), "event": r.event.body}
                for r in self.received
                if query.get("topic", r.topic) == r.topic
                and query.get("type", r.event.type) == r.event.type
                and r.event.subject.startswith(query.get("subject", ""))
            ]
        )

    async def _show_dead_letters(self, _: Request) -> Response:
        return JSONResponse([{"subscription": d.subscription, "event": d.body} for d in self.dead_letters])

    async def _show_subscriptions(self, _: Request) -> Response:
        return JSONResponse([s.model_dump(by_alias=True) for s in self._subscriptions.values()])

    async def _put_subscription(self, request: Request) -> Response:
        try:
            body = json.loads(await request.body())
            subscription = Subscription.model_validate({**body, "name": request.path_params["name"]})
            await self._subscribe(subscription)
        except ValidationError as error:
            return JSONResponse({"errors": json.loads(error.json(include_url=False))}, 400)
        except (ValueError, TypeError, HandshakeFailedError) as error:
            return JSONResponse({"errors": [{"msg": str(error)}]}, 400)
        return JSONResponse(subscription.model_dump(by_alias=True), 201)

    async def _delete_subscription(self, request: Request) -> Response:
        name = request.path_params["name"]
        self._subscriptions.pop(name, None)
        if delivery := self._deliveries.pop(name, None):
            await delivery.stop()
        return Response(status_code=204)


async def _items(request: Request, schema: Schema) -> list[Any]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    data = await request.body()
    if len(data) > events.MAXIMUM_BYTES:
        raise events.TooLargeError(f"The request is larger than {events.MAXIMUM_BYTES} bytes.")
    if schema == CLOUD_EVENTS and kind not in (_CLOUD_EVENT, _CLOUD_EVENTS_BATCH):
        return [_binary_mode(request, data, kind)]
    try:
        body = json.loads(data)
    except ValueError as error:
        raise events.InvalidEventError(f"The request's body is not JSON: {error}.") from error
    if schema == CLOUD_EVENTS and kind == _CLOUD_EVENT:
        return [body]
    if not isinstance(body, list):
        raise events.InvalidEventError("The request's body must be an array of events.")
    return cast("list[Any]", body)


def _binary_mode(request: Request, data: bytes, kind: str) -> dict[str, Any]:
    """A CloudEvent whose attributes are `ce-` headers and whose data is the body."""
    attributes = {name[3:]: value for name, value in request.headers.items() if name.startswith("ce-")}
    if not attributes:
        raise _RefusedError(
            415, "UnsupportedMediaType", f"The topic takes {_CLOUD_EVENT} and {_CLOUD_EVENTS_BATCH}, not '{kind}'."
        )
    try:
        content = json.loads(data) if data else None
    except ValueError as error:
        raise events.InvalidEventError(f"The request's body is not JSON: {error}.") from error
    return {**attributes, "datacontenttype": kind, "data": content}


def _refuse(refusal: _RefusedError) -> Response:
    return JSONResponse({"error": refusal.error}, refusal.status)
