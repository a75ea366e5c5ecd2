"""Event Grid's webhook: handshakes, both schemas, batches, failures."""

import json
from typing import Any

import httpx
import pytest

from .conftest import Running, until

NOTIFICATION = {"aeg-event-type": "Notification"}


def grid(identity: str, **more: Any) -> dict[str, Any]:
    return {
        "id": identity,
        "topic": "/subscriptions/s",
        "subject": "server",
        "eventType": "Server.Restored",
        "eventTime": "2026-11-21T00:00:00Z",
        "dataVersion": "1",
        "data": {"a": 1},
        **more,
    }


def cloud(identity: str) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": identity,
        "source": "/drills",
        "type": "Drill.Done",
        "time": "2026-11-21T00:00:00Z",
        "data": {"b": 2},
    }


def deliver(app: Running, events: Any, headers: dict[str, str] = NOTIFICATION) -> httpx.Response:
    return httpx.post(app.host.event_grid_url("on_event"), json=events, headers=headers)


def test_subscription_validation(app: Running) -> None:
    event = grid("v", eventType="Microsoft.EventGrid.SubscriptionValidationEvent", data={"validationCode": "code-1"})
    response = deliver(app, [event], {"aeg-event-type": "SubscriptionValidation"})
    assert (response.status_code, response.json()) == (200, {"validationResponse": "code-1"})


def test_cloud_events_handshake(app: Running) -> None:
    url = app.host.event_grid_url("on_event")
    response = httpx.options(url, headers={"WebHook-Request-Origin": "eventgrid.azure.net"})
    assert response.status_code == 200
    assert response.headers["webhook-allowed-origin"] == "eventgrid.azure.net"
    assert httpx.options(url).status_code == 400


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([grid("g1")], [{"grid": "g1", "type": "Server.Restored", "topic": "/subscriptions/s", "data": {"a": 1}}]),
        (cloud("c1"), [{"cloud": "c1", "type": "Drill.Done", "source": "/drills", "data": {"b": 2}}]),
        (
            [cloud("c2"), cloud("c3")],
            [{"cloud": name, "type": "Drill.Done", "source": "/drills", "data": {"b": 2}} for name in ("c2", "c3")],
        ),
    ],
)
def test_delivery(app: Running, events: Any, expected: list[dict[str, Any]]) -> None:
    assert deliver(app, events).status_code == 202
    seen = [json.loads(effect) for effect in app.effects()]
    assert all(event in seen for event in expected)


def test_one_failure_fails_the_batch_and_the_rest_has_run(app: Running) -> None:
    response = deliver(app, [grid("ok-1"), grid("fail-1"), grid("ok-2")])
    assert response.status_code == 500
    assert response.text == "Exception while executing function: Functions.on_event"
    seen = "\n".join(app.effects())
    assert all(f'"grid": "{name}"' in seen for name in ("ok-1", "fail-1", "ok-2"))


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", NOTIFICATION, 400),
        (b"[1]", NOTIFICATION, 400),
        (b"[]", {"aeg-event-type": "SubscriptionValidation"}, 400),
        (b"[{}]", {"aeg-event-type": "SubscriptionValidation"}, 400),
        (b"[{}]", {}, 400),
        (b"[{}]", {"aeg-event-type": "Surprise"}, 400),
        (b"[{}]", {"aeg-event-type": "Unsubscribe"}, 202),
        (b"[]", NOTIFICATION, 202),
    ],
)
def test_bad_requests(app: Running, body: bytes, headers: dict[str, str], status: int) -> None:
    url = app.host.event_grid_url("on_event")
    assert httpx.post(url, content=body, headers=headers).status_code == status


def test_key_and_function(app: Running) -> None:
    url = f"{app.host.url}/runtime/webhooks/EventGrid"
    key = app.host.system_key("eventgrid")

    def status(**query: str) -> int:
        return httpx.post(url, params=query, json=[], headers=NOTIFICATION).status_code

    assert status(functionName="on_event") == 401
    assert status(functionName="on_event", code="wrong") == 401
    assert status(functionName="on_event", code=app.host.function_key) == 401
    assert status(functionName="on_event", code=app.host.system_key("durabletask")) == 401
    assert status(functionName="on_event", code=app.host.master_key) == 202
    assert status(functionName="ON_EVENT", code=key) == 202
    assert status(functionName="nobody", code=key) == 404
    assert status(functionName="echo", code=key) == 404
    assert status(code=key) == 404


@pytest.mark.parametrize("as_text", [True, False])
def test_by_hand(app: Running, as_text: bool) -> None:
    event = grid(f"hand-{as_text}")
    given = json.dumps(event) if as_text else event
    assert app.admin.post("/admin/functions/on_event", json={"input": given}).status_code == 202
    until(app.effects, lambda effects: any(f"hand-{as_text}" in effect for effect in effects))
