"""The topic by the real publisher, and deliveries to a webhook that the test can make fail."""

import json
import queue
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.core.messaging import CloudEvent
from azure.eventgrid import EventGridEvent, EventGridPublisherClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.azure import tokens
from local.azure.certificates import CertificateAuthority
from local.azure.event_delivery import HandshakeFailedError, Subscription
from local.azure.event_grid import Topic
from local.azure.faults import Fault
from local.azure.serving import BackgroundServer
from local.azure.simulator import AzureSimulator
from tests.local.azure.clients import Clients, wait_until


@dataclass
class Webhook:
    """A subscriber. It answers deliveries with `statuses` one after the other, then with 200."""

    statuses: list[int] = field(default_factory=list)
    consents: bool = True
    requests: "queue.Queue[tuple[dict[str, str], Any]]" = field(default_factory=queue.Queue)
    url: str = ""

    async def answer(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            allowed = {"WebHook-Allowed-Origin": "eventgrid.azure.net"} if self.consents else {}
            return Response(headers=allowed)
        body = json.loads(await request.body())
        if request.headers["aeg-event-type"] == "SubscriptionValidation":
            return JSONResponse({"validationResponse": body[0]["data"]["validationCode"] if self.consents else "?"})
        self.requests.put((dict(request.headers), body))
        return Response(status_code=self.statuses.pop(0) if self.statuses else 200)

    def next(self) -> tuple[dict[str, str], Any]:
        return self.requests.get(timeout=60)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory, authority: CertificateAuthority) -> Iterator[AzureSimulator]:
    topics = [Topic("outcomes"), Topic("storage", schema="EventGridSchema", resource_id="/subscriptions/1/storage")]
    folder = tmp_path_factory.mktemp("grid")
    with AzureSimulator(folder, authority, topics=topics, event_time_scale=0.0005) as simulator:
        yield simulator


@pytest.fixture
def azure(grid: AzureSimulator) -> Iterator[AzureSimulator]:
    grid.events.received.clear()
    yield grid
    grid.faults.clear()
    for name in [s["name"] for s in control(grid, "GET", "subscriptions").json()]:
        assert control(grid, "DELETE", f"subscriptions/{name}").status_code == 204


@pytest.fixture
def webhook(authority: CertificateAuthority) -> Iterator[Webhook]:
    hook = Webhook()
    app = Starlette(routes=[Route("/hook", hook.answer, methods=["POST", "OPTIONS"])])
    server = BackgroundServer(app, authority.issue("webhook")).start()
    hook.url = f"{server.url}/hook"
    yield hook
    server.stop()


def control(azure: AzureSimulator, method: str, path: str, body: Any = None) -> httpx.Response:
    with httpx.Client(verify=ssl.create_default_context(cafile=azure.authority.root)) as client:
        return client.request(method, f"{azure.event_grid_url}/_simulator/{path}", json=body)


def post(azure: AzureSimulator, content: str, kind: str = "application/cloudevents-batch+json", **headers: str) -> Any:
    with httpx.Client(verify=ssl.create_default_context(cafile=azure.authority.root)) as client:
        return client.post(
            azure.topic_endpoint("outcomes") + "?api-version=2018-01-01",
            content=content,
            headers={"aeg-sas-key": azure.events.topics["outcomes"].keys[0], "content-type": kind, **headers},
        )


def drill_event(number: int = 1, subject: str = "tenants/acme/production") -> CloudEvent:
    return CloudEvent(
        source="/closekeeper", type="closekeeper.drill.passed", subject=subject, data={"number": number}, id=str(number)
    )


def test_the_publisher_sends_with_the_apps_identity(azure: AzureSimulator, clients: Clients) -> None:
    clients.topic.send([drill_event(1), drill_event(2)])
    received = azure.events.wait_for(2, type="closekeeper.drill.passed")
    assert [event.body["data"] for event in received] == [{"number": 1}, {"number": 2}]
    assert received[0].subject == "tenants/acme/production"
    shown = control(azure, "GET", "events?subject=tenants/acme&type=closekeeper.drill.passed").json()
    assert [item["event"]["id"] for item in shown] == ["1", "2"]
    assert control(azure, "GET", "events?subject=tenants/other").json() == []


@pytest.mark.usefixtures("clients")
def test_either_key_opens_the_topic_and_no_other_does(azure: AzureSimulator) -> None:
    for key in azure.events.topics["outcomes"].keys:
        with EventGridPublisherClient(azure.topic_endpoint(), AzureKeyCredential(key)) as client:
            client.send(drill_event())
    assert len(azure.events.received) == 2
    with (
        EventGridPublisherClient(azure.topic_endpoint(), AzureKeyCredential("wrong")) as client,
        pytest.raises(ClientAuthenticationError),
    ):
        client.send(drill_event())


def test_a_token_for_another_service_is_refused(azure: AzureSimulator) -> None:
    token = azure.tenant.token(azure.tenant.identities[0], tokens.STORAGE).value
    with httpx.Client(verify=ssl.create_default_context(cafile=azure.authority.root)) as client:
        url = azure.topic_endpoint() + "?api-version=2018-01-01"
        answer = client.post(url, json=[], headers={"Authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "Unauthorized")
        assert client.post(url, json=[]).status_code == 401


GOOD = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}


@pytest.mark.parametrize(
    ("event", "complaint"),
    [
        ({**GOOD, "specversion": "0.3"}, "specversion"),
        ({**GOOD, "id": ""}, "id must"),
        ({**GOOD, "source": None}, "source must"),
        ({**GOOD, "time": "yesterday"}, "time must"),
        ({**GOOD, "time": "2026-11-22T08:00:00"}, "time must"),
        ({**GOOD, "myName": "x"}, "myName"),
        ({**GOOD, "mine": {}}, "'mine' must"),
        ({**GOOD, "data": 1, "data_base64": "MQ=="}, "exclude"),
        ("text", "not a JSON object"),
    ],
)
def test_malformed_events_are_refused_all_together(azure: AzureSimulator, event: Any, complaint: str) -> None:
    answer = post(azure, json.dumps([GOOD, event]))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadRequest")
    assert complaint in answer.json()["error"]["message"]
    assert azure.events.received == []


def test_other_malformed_requests_are_refused(azure: AzureSimulator) -> None:
    assert post(azure, "[").status_code == 400
    assert post(azure, json.dumps(GOOD)).status_code == 400
    assert post(azure, json.dumps([GOOD]), "application/json").status_code == 415
    assert post(azure, json.dumps([{**GOOD, "data": "x" * 1024 * 1024}])).status_code == 413
    assert azure.events.received == []


def test_structured_and_binary_mode_are_taken_too(azure: AzureSimulator) -> None:
    assert post(azure, json.dumps(GOOD), "application/cloudevents+json").status_code == 200
    attributes = {f"ce-{name}": value for name, value in GOOD.items()}
    assert post(azure, '{"a": 1}', "application/json", **attributes).status_code == 200
    assert azure.events.received[1].event.body["data"] == {"a": 1}


def test_a_cloud_event_is_delivered_alone_and_structured(
    azure: AzureSimulator, clients: Clients, webhook: Webhook
) -> None:
    azure.events.subscribe(Subscription(name="pager", topic="outcomes", endpoint=webhook.url))
    clients.topic.send([drill_event(1), drill_event(2)])
    deliveries = [webhook.next(), webhook.next()]
    assert sorted(body["data"]["number"] for _, body in deliveries) == [1, 2]
    headers, _ = deliveries[0]
    assert headers["content-type"].startswith("application/cloudevents+json")
    assert headers["aeg-subscription-name"] == "PAGER"
    assert headers["aeg-delivery-count"] == "0"


def test_a_failed_delivery_is_tried_again_and_then_given_up(
    azure: AzureSimulator, clients: Clients, webhook: Webhook
) -> None:
    azure.events.subscribe(Subscription(name="pager", topic="outcomes", endpoint=webhook.url, max_delivery_attempts=3))
    webhook.statuses = [500, 404]
    clients.topic.send(drill_event(1))
    assert [webhook.next()[0]["aeg-delivery-count"] for _ in range(3)] == ["0", "1", "2"]
    assert azure.events.dead_letters == []

    webhook.statuses = [503, 503, 503]
    clients.topic.send(drill_event(2))
    wait_until(lambda: azure.events.dead_letters)
    [letter] = control(azure, "GET", "deadletters").json()
    assert letter["event"]["id"] == "2"
    assert letter["event"]["deadletterreason"] == "MaxDeliveryAttemptsExceeded"
    assert letter["event"]["deliveryattempts"] == 3
    assert letter["event"]["lastdeliveryoutcome"] == "ServiceUnavailable"


def test_a_bad_request_is_not_tried_again(azure: AzureSimulator, clients: Clients, webhook: Webhook) -> None:
    azure.events.subscribe(Subscription(name="pager", topic="outcomes", endpoint=webhook.url))
    webhook.statuses = [400]
    clients.topic.send(drill_event())
    wait_until(lambda: azure.events.dead_letters)
    assert azure.events.dead_letters[0].body["deadletterreason"] == "BadRequest"
    assert webhook.requests.qsize() == 1


def test_filters_choose_by_subject_and_type(azure: AzureSimulator, clients: Clients, webhook: Webhook) -> None:
    azure.events.subscribe(
        Subscription(
            name="acme",
            topic="outcomes",
            endpoint=webhook.url,
            subject_begins_with="Tenants/ACME/",
            subject_ends_with="production",
            event_types=["closekeeper.drill.passed"],
        )
    )
    other_type = CloudEvent(source="/closekeeper", type="closekeeper.seal", subject="tenants/acme/production")
    clients.topic.send(
        [
            drill_event(1, "tenants/other/production"),
            drill_event(2, "tenants/acme/test"),
            other_type,
            drill_event(3, "tenants/acme/production"),
        ]
    )
    assert webhook.next()[1]["id"] == "3"
    assert webhook.requests.empty()


@pytest.mark.usefixtures("clients")
def test_event_grids_own_schema_is_delivered_in_both(azure: AzureSimulator, webhook: Webhook) -> None:
    for name, schema in (("old", "EventGridSchema"), ("new", "CloudEventSchemaV1_0")):
        answer = control(
            azure, "PUT", f"subscriptions/{name}", {"topic": "storage", "endpoint": webhook.url, "schema": schema}
        )
        assert answer.status_code == 201, answer.text
    key = AzureKeyCredential(azure.events.topics["storage"].keys[0])
    with EventGridPublisherClient(azure.topic_endpoint("storage"), key) as client:
        client.send(EventGridEvent("blobs/a", "Microsoft.Storage.BlobCreated", {"api": "PutBlob"}, "1", id="7"))
    bodies = {headers["aeg-subscription-name"]: body for headers, body in (webhook.next(), webhook.next())}
    [old] = bodies["OLD"]
    assert (old["id"], old["eventType"], old["topic"]) == (
        "7",
        "Microsoft.Storage.BlobCreated",
        "/subscriptions/1/storage",
    )
    assert (bodies["NEW"]["id"], bodies["NEW"]["type"]) == ("7", "Microsoft.Storage.BlobCreated")
    assert bodies["NEW"]["source"] == "/subscriptions/1/storage"


def test_batches_when_asked_for(azure: AzureSimulator, clients: Clients, webhook: Webhook) -> None:
    azure.events.subscribe(Subscription(name="batch", topic="outcomes", endpoint=webhook.url, max_events_per_batch=2))
    clients.topic.send([drill_event(number) for number in range(3)])
    sizes = sorted(len(webhook.next()[1]) for _ in range(2))
    assert sizes == [1, 2]


@pytest.mark.parametrize(("topic", "schema"), [("outcomes", "CloudEventSchemaV1_0"), ("storage", "EventGridSchema")])
def test_an_endpoint_that_does_not_consent_is_not_subscribed(
    azure: AzureSimulator, webhook: Webhook, topic: str, schema: Any
) -> None:
    webhook.consents = False
    with pytest.raises(HandshakeFailedError, match="endpoint"):
        azure.events.subscribe(Subscription(name="never", topic=topic, endpoint=webhook.url, schema=schema))
    assert control(azure, "GET", "subscriptions").json() == []


def test_wrong_subscriptions_are_explained(azure: AzureSimulator, webhook: Webhook) -> None:
    for body, complaint in (
        ({"topic": "missing", "endpoint": webhook.url}, "there is no 'missing'"),
        ({"topic": "outcomes", "endpoint": webhook.url, "schema": "EventGridSchema"}, "delivers nothing else"),
        ({"topic": "outcomes", "endpoint": "mailto:me"}, "endpoint"),
    ):
        answer = control(azure, "PUT", "subscriptions/wrong", body)
        assert answer.status_code == 400
        assert complaint in answer.text


def test_the_plan_befalls_the_publisher(azure: AzureSimulator, clients: Clients) -> None:
    azure.faults.add(Fault(service="event_grid", status=403, code="Forbidden", message="not yours"))
    with pytest.raises(HttpResponseError, match="not yours"):
        clients.topic.send(drill_event())
    assert azure.events.received == []
