"""The Event Grid extension's webhook: /runtime/webhooks/eventgrid?functionName=X&code=SYSTEM_KEY."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from local.functions_host.functions import Function
from local.functions_host.web import Request, Response
from local.functions_host.worker_process import Invocation, WorkerExitedError

type Invoke = Callable[[Function, list[dict[str, Any]]], Awaitable[Invocation]]


async def receive(request: Request, functions: list[Function], invoke: Invoke) -> Response:
    """Answer one delivery or handshake; the caller has checked the key.

    As the extension: every event of a batch is an invocation of its own, all at once; when one fails the answer is an
    error, so that Event Grid sends the whole batch again.
    """
    name = request.query.get("functionName", "")
    function = next((f for f in functions if f.name.lower() == name.lower() and f.kind == "eventGridTrigger"), None)
    if function is None or not function.runs:
        return _text(404, f"cannot find function: '{name}'")
    if request.method == "OPTIONS":
        origin = request.headers.get("webhook-request-origin")
        if not origin:
            return _text(400, "The WebHook-Request-Origin header is missing.")
        return Response(200, b"", (("webhook-allowed-origin", origin), ("webhook-allowed-rate", "*")))
    event_type = request.headers.get("aeg-event-type", "").lower()
    if event_type == "unsubscribe":
        return Response(202)
    if event_type not in ("subscriptionvalidation", "notification"):
        return _text(400, "The aeg-event-type header must be SubscriptionValidation, Notification or Unsubscribe.")
    try:
        content = json.loads(request.body)
        events: list[Any] = content if isinstance(content, list) else [content]
        if event_type == "subscriptionvalidation":
            body = json.dumps({"validationResponse": events[0]["data"]["validationCode"]}).encode()
            return Response(200, body, (("content-type", "application/json; charset=utf-8"),))
    except (ValueError, LookupError, TypeError):
        return _text(400, "The body is not JSON in the Event Grid or CloudEvents schema.")
    if not all(isinstance(event, dict) for event in events):
        return _text(400, "Every event must be a JSON object.")
    results = await asyncio.gather(*(_deliver(function, event, invoke) for event in events))
    if not all(results):
        return _text(500, f"Exception while executing function: Functions.{function.name}")
    return Response(202)


async def _deliver(function: Function, event: dict[str, Any], invoke: Invoke) -> bool:
    trigger = {"name": function.trigger["name"], "type": "json", "value": json.dumps(event)}
    try:
        return (await invoke(function, [trigger])).succeeded
    except WorkerExitedError:
        return False


def _text(status: int, text: str) -> Response:
    return Response(status, text.encode(), (("content-type", "text/plain; charset=utf-8"),))
