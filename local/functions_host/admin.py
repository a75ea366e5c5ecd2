"""The host's own API below /admin: status, the list of functions, firing one by hand, faults."""

import json
from datetime import datetime
from typing import Any, Protocol

from local.functions_host.faults import FaultPlan, Faults
from local.functions_host.functions import Function
from local.functions_host.keys import Keys
from local.functions_host.web import Request, Response

_NOT_BY_HAND = {
    "orchestrationTrigger": "start it by POST /runtime/webhooks/durabletask/orchestrators/{name}",
    "entityTrigger": "signal it through a durable client",
    "httpTrigger": "call its URL",
}


class Host(Protocol):
    """What the admin API needs to know of the host."""

    keys: Keys
    faults: FaultPlan
    functions: list[Function]
    url: str
    started_at: datetime

    @property
    def state(self) -> str: ...

    @property
    def errors(self) -> list[str]: ...

    def now(self) -> datetime: ...

    def fire(self, function: Function, value: str) -> None:
        """Run a function that is no HTTP function with this input, without waiting."""
        ...


class AdminApi:
    """Everything but the ping needs the master key."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def handle(self, request: Request) -> Response:
        parts = [part for part in request.path.split("/")[1:] if part]
        if [part.lower() for part in parts] == ["host", "ping"]:
            return Response(200)
        if not self._host.keys.allows(request.key, "admin"):
            return Response(401)
        match request.method, [part.lower() for part in parts[:1]], parts[1:]:
            case "GET", ["host"], ["status"]:
                return _json(200, self._status())
            case "GET", ["functions"], []:
                return _json(200, [self._describe(function) for function in self._host.functions])
            case method, ["functions"], [name, *rest]:
                return self._function(request, method, name, rest)
            case "GET", ["faults"], []:
                return Response(200, self._host.faults.faults.to_json().encode(), _JSON)
            case "POST", ["faults"], []:
                return self._set_faults(request)
            case _:
                return Response(404)

    def _status(self) -> dict[str, Any]:
        uptime = self._host.now() - self._host.started_at
        return {
            "id": "closekeeper-local",
            "state": self._host.state,
            "version": "4.0.0-local",
            "processUptime": max(0, int(uptime.total_seconds() * 1000)),
            "errors": self._host.errors,
        }

    def _function(self, request: Request, method: str, name: str, rest: list[str]) -> Response:
        function = next((f for f in self._host.functions if f.name.lower() == name.lower()), None)
        if function is None:
            return Response(404)
        match method, rest:
            case "GET", []:
                return _json(200, self._describe(function))
            case "GET", ["status"]:
                return _json(200, {"errors": [function.error] if function.error else None})
            case "POST", []:
                return self._fire(request, function)
            case _:
                return Response(404)

    def _fire(self, request: Request, function: Function) -> Response:
        if self._host.state != "Running":
            return Response(503)
        try:
            body = json.loads(request.body)
            value = body.get("input", "")
        except (ValueError, AttributeError):
            return _problem('The body must be a JSON object: {"input": "..."}, or {} for no input.')
        if function.kind in _NOT_BY_HAND:
            return _problem(f"'{function.name}' cannot be run by hand; {_NOT_BY_HAND[function.kind]}.")
        if function.error:
            return _problem(function.error)
        self._host.fire(function, value if isinstance(value, str) else json.dumps(value))
        return Response(202)

    def _describe(self, function: Function) -> dict[str, Any]:
        href = f"{self._host.url}/admin/functions/{function.name}"
        url = f"{self._host.url}/{function.route.template}" if function.route else ""
        return {
            "name": function.name,
            "href": href,
            "config": {"name": function.name, "bindings": list(function.bindings), "language": "python"},
            "isDisabled": function.disabled,
            "language": "python",
            "invoke_url_template": url,
        }

    def _set_faults(self, request: Request) -> Response:
        try:
            self._host.faults.set(Faults.from_json(request.body))
        except ValueError as error:
            return _problem(str(error))
        return Response(204)


_JSON = (("content-type", "application/json; charset=utf-8"),)


def _json(status: int, value: Any) -> Response:
    return Response(status, json.dumps(value).encode(), _JSON)


def _problem(text: str) -> Response:
    return Response(400, text.encode(), (("content-type", "text/plain; charset=utf-8"),))
