"""The host's HTTP server: app routes, keys, App Service authentication; admin and webhooks go to their own modules.

Plain ASGI, without a framework's router: every app request passes here, and the app's routes are Azure's, not ours.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Protocol
from urllib.parse import parse_qsl

from local.functions_host.config import HostJson
from local.functions_host.easy_auth import EasyAuth, TokenError, is_principal_header
from local.functions_host.functions import Function
from local.functions_host.keys import Keys
from local.functions_host.worker_process import Invocation, WorkerExitedError

MAX_BODY_BYTES = 104_857_600
_START_WAIT_SECONDS = 30.0
_NOT_FORWARDED = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive", "upgrade"})


@dataclass(frozen=True)
class Request:
    """An HTTP request. `path` is percent-encoded and has no leading slash; header names are lower case."""

    method: str
    path: str
    query_string: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    url: str

    @property
    def key(self) -> str | None:
        """The key that the caller gave: the header counts before the query."""
        return self.headers.get("x-functions-key") or self.query.get("code")


@dataclass(frozen=True)
class Response:
    """An HTTP response."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = field(default=())


class App(Protocol):
    """What the web server needs to know of the host."""

    keys: Keys
    host_json: HostJson
    easy_auth: EasyAuth | None

    @property
    def http_functions(self) -> list[Function]: ...

    async def wait_until_started(self) -> bool:
        """Whether the app could be indexed."""
        ...

    async def invoke(self, function: Function, inputs: list[dict[str, Any]], body: bytes = b"") -> Invocation: ...

    def now(self) -> datetime: ...


type Handler = Callable[[Request], Awaitable[Response | None]]


class WebApp:
    """The ASGI application. `handlers` answer paths under `admin` and `runtime`, each or with None: not mine."""

    def __init__(self, app: App, base_url: str, handlers: Mapping[str, Handler]) -> None:
        self._app = app
        self._base_url = base_url
        self._handlers = handlers
        self._outstanding = 0
        limit = app.host_json.max_concurrent_requests
        self._slots = asyncio.Semaphore(limit) if limit else None

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = await _read_body(receive)
        response = Response(413) if body is None else await self._respond(self._request(scope, body))
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
        headers += [(name.lower().encode(), v.encode()) for name, v in self._app.host_json.custom_headers.items()]
        headers.append((b"content-length", str(len(response.body)).encode()))
        content = b"" if scope["method"] == "HEAD" else response.body
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _request(self, scope: dict[str, Any], body: bytes) -> Request:
        headers: dict[str, str] = {}
        for raw_name, raw_value in scope["headers"]:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            if is_principal_header(name):
                continue  # only the platform may say who the caller is
            headers[name] = f"{headers[name]},{value}" if name in headers else value
        path = scope["raw_path"].decode("latin-1")
        query = scope["query_string"].decode("latin-1")
        host = headers.get("host")
        base = f"http://{host}" if host else self._base_url
        url = f"{base}{path}?{query}" if query else base + path
        # Of a parameter that is given twice, Azure's Python worker sees the last value.
        parsed = dict(parse_qsl(query, keep_blank_values=True)) if query else {}
        return Request(scope["method"], path.lstrip("/"), query, parsed, headers, body, url)

    async def _respond(self, request: Request) -> Response:
        handler = self._handlers.get(request.path.split("/", 1)[0].lower())
        if handler is not None:
            return await handler(request) or Response(404)
        if not await self._is_started():
            return Response(503, b"Function host is not running.", (("content-type", "text/plain"),))
        if not request.path:
            return Response(200, b"Your Azure Function App is up and running.", (("content-type", "text/plain"),))
        authorization = request.headers.get("authorization")
        if self._app.easy_auth is not None:
            try:
                principal = (
                    self._app.easy_auth.principal_headers(authorization, self._app.now()) if authorization else {}
                )
            except TokenError as error:
                return _unauthorized(str(error))
            if not principal and not self._app.easy_auth.allow_anonymous:
                return _unauthorized("a bearer token is required")
            request = replace(request, headers={**request.headers, **principal})
        return await self._call_function(request)

    async def _is_started(self) -> bool:
        try:
            async with asyncio.timeout(_START_WAIT_SECONDS):
                return await self._app.wait_until_started()
        except TimeoutError:
            return False

    async def _call_function(self, request: Request) -> Response:
        found = self._find(request)
        if found is None:
            return Response(404)
        function, parameters = found
        if not self._app.keys.allows(request.key, function.auth_level, function.name):
            return Response(401)
        limit = self._app.host_json.max_outstanding_requests
        if limit and self._outstanding >= limit:
            return Response(429)
        self._outstanding += 1
        try:
            if self._slots is None:
                return await self._invoke(function, request, parameters)
            async with self._slots:
                return await self._invoke(function, request, parameters)
        finally:
            self._outstanding -= 1

    def _find(self, request: Request) -> tuple[Function, dict[str, str]] | None:
        for function in self._app.http_functions:
            if function.methods and request.method not in function.methods:
                continue
            assert function.route is not None
            parameters = function.route.match(request.path)
            if parameters is not None:
                return function, parameters
        return None

    async def _invoke(self, function: Function, request: Request, parameters: dict[str, str]) -> Response:
        http = {
            "method": request.method,
            "url": request.url,
            "headers": request.headers,
            "params": parameters,
            "query": request.query,
        }
        trigger = {"name": function.trigger["name"], "type": "http", "value": http}
        try:
            result = await self._app.invoke(function, [trigger], request.body)
        except WorkerExitedError:
            return Response(500)  # the host itself lives on, so the caller sees a failed function, not a 502
        if not result.succeeded:
            return Response(500)
        output = result.value if function.http_output == "$return" else result.outputs.get(function.http_output or "")
        return _response(output, result.body)


async def _read_body(receive: Any) -> bytes | None:
    """The whole body; None when it is too long."""
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        return body if len(body) <= MAX_BODY_BYTES else None
    parts, length = [body], len(body)
    while message.get("more_body"):
        message = await receive()
        part = message.get("body", b"")
        length += len(part)
        if length > MAX_BODY_BYTES:
            return None
        parts.append(part)
    return b"".join(parts)


def _unauthorized(reason: str) -> Response:
    return Response(401, b"", (("www-authenticate", f'Bearer error="invalid_token", error_description="{reason}"'),))


def _response(output: dict[str, Any] | None, body: bytes) -> Response:
    """What the HTTP output binding makes of the function's value."""
    if output is None:
        return Response(204)
    value = output["value"]
    match output["type"]:
        case "http":
            headers = [(n.lower(), str(v)) for n, v in value["headers"].items() if n.lower() not in _NOT_FORWARDED]
            headers += [("set-cookie", _set_cookie(cookie)) for cookie in value["cookies"]]
            return Response(int(value["status"] or 200), body, tuple(headers))
        case "bytes":
            return Response(200, body, (("content-type", "application/octet-stream"),))
        case "json":
            return Response(200, str(value).encode(), (("content-type", "application/json; charset=utf-8"),))
        case _:
            return Response(200, str(value).encode(), (("content-type", "text/plain; charset=utf-8"),))


def _set_cookie(cookie: dict[str, Any]) -> str:
    parts = [f"{cookie['name']}={cookie['value']}"]
    if cookie["expires"] is not None:
        expires = datetime.fromtimestamp(cookie["expires"], UTC)
        parts.append(f"expires={format_datetime(expires, usegmt=True)}")
    if cookie["max_age"] is not None:
        parts.append(f"max-age={cookie['max_age']:g}")
    parts += [f"{name}={cookie[name]}" for name in ("domain", "path") if cookie[name]]
    parts += ["secure"] if cookie["secure"] else []
    parts += [f"samesite={cookie['same_site'].lower()}"] if cookie["same_site"] else []
    parts += ["httponly"] if cookie["http_only"] else []
    return "; ".join(parts)
