"""Azure Resource Manager: the front door that every resource provider's simulator stands behind.

A provider registers routes, written as in the REST specification, with the API versions it serves. This module does
what ARM does for all of them: tokens, throttling, API versions, resource groups, locks, denied actions, request ids
and error bodies. What a later provider needs is only its own routes.
"""

import asyncio
import fnmatch
import json
import re
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from local.azure import routing, tokens
from local.azure.errors import ArmError
from local.azure.faults import FaultPlan, OperationFault, control_routes, operation_fault
from local.azure.identity import Tenant
from local.azure.throttling import Throttle

AUDIENCES = (tokens.RESOURCE_MANAGER, "https://management.core.windows.net")

_API_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(-\w+)?")
_CALLS_KEPT = 10_000

type Body = Any


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler gives back. A body of None is no body at all."""

    status: int = 200
    body: Body = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Call:
    """One request, understood. `names` are the values of the route's placeholders, as the caller wrote them."""

    method: str
    path: str
    base_url: str
    api_version: str
    names: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Body
    principal: tokens.Claims
    fault: OperationFault | None

    @property
    def content(self) -> dict[str, Any]:
        """The body, which must be a JSON object; raises ArmError 400 InvalidRequestContent."""
        return _object(self.body, "The request content")

    @property
    def properties(self) -> dict[str, Any]:
        """The body's `properties`, empty when there are none; raises ArmError 400 InvalidRequestContent."""
        given = self.content.get("properties")
        return {} if given is None else _object(given, "properties")

    def url(self, path: str, **query: str) -> str:
        """An absolute URL on this simulator, of the same API version."""
        extra = "".join(f"&{quote(name, safe='$')}={quote(value)}" for name, value in query.items())
        return f"{self.base_url}{path}?api-version={self.api_version}{extra}"


type Handler = Callable[[Call], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    """An operation, e.g. `Route("POST", "/subscriptions/{subscriptionId}/…/flexibleServers/{serverName}/start", f)`.

    A handler that waits (for a database, a disk) must be `blocking`: it then runs in a thread.
    """

    method: str
    template: str
    handler: Handler
    blocking: bool = False


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """A call that was answered, for tests and for whoever wants to know which rights the app needs."""

    method: str
    path: str
    action: str
    status: int


@dataclass(frozen=True, slots=True)
class _Registered:
    route: Route
    api_versions: Sequence[str]
    placeholders: Sequence[str]
    action: str


class ResourceManager:
    """The simulated ARM. `app` is the ASGI application."""

    def __init__(self, tenant: Tenant, plan: FaultPlan, throttle: Throttle) -> None:
        self._tenant = tenant
        self._throttle = throttle
        self._routes: dict[tuple[str, str], _Registered] = {}
        self._groups: dict[tuple[str, str], ResourceGroup] = {}
        self._lock = threading.Lock()
        self.locks: list[Lock] = []
        self.denied: set[str] = set()
        """Actions that nobody may do, with wildcards, e.g. `Microsoft.DBforPostgreSQL/flexibleServers/delete`."""
        self.calls: deque[RecordedCall] = deque(maxlen=_CALLS_KEPT)
        self.app = Starlette(routes=[*control_routes(plan), Mount("/", app=self._serve)])

    def register(self, api_versions: Sequence[str], routes: Iterable[Route]) -> None:
        """Serve these routes, for callers that name one of these API versions."""
        for route in routes:
            key, placeholders = routing.parse(route.template)
            names = [placeholder.strip("{}") for placeholder in placeholders]
            self._routes[route.method, key] = _Registered(
                route, api_versions, names, routing.action(route.method, route.template)
            )

    def add_group(self, subscription: str, name: str, location: str, tags: Mapping[str, str] | None = None) -> bool:
        """Create a resource group, or give the one that is there these tags; whether it was created."""
        key = (subscription.lower(), name.lower())
        with self._lock:
            former = self._groups.get(key)
            if former is None:
                self._groups[key] = ResourceGroup(subscription, name, location, dict(tags or {}))
            elif tags is not None:
                self._groups[key] = replace(former, tags=dict(tags))
            return former is None

    def remove_group(self, subscription: str, name: str) -> None:
        with self._lock:
            self._groups.pop((subscription.lower(), name.lower()), None)

    def group(self, subscription: str, name: str) -> "ResourceGroup":
        """The group; raises ArmError 404 ResourceGroupNotFound."""
        found = self._groups.get((subscription.lower(), name.lower()))
        if found is None:
            raise ArmError(404, "ResourceGroupNotFound", f"Resource group '{name}' could not be found.")
        return found

    def groups(self, subscription: str) -> list["ResourceGroup"]:
        with self._lock:
            return [group for (owner, _), group in self._groups.items() if owner == subscription.lower()]

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        headers = {
            "x-ms-request-id": str(uuid.uuid4()),
            "x-ms-correlation-request-id": request.headers.get("x-ms-correlation-request-id", str(uuid.uuid4())),
            "Cache-Control": "no-cache",
        }
        registered: _Registered | None = None
        try:
            principal = self._authenticate(request)
            headers.update(self._throttle.take(request.method, _subscription(request), str(principal.get("oid"))))
            registered, names = self._route(request)
            call = Call(
                method=request.method,
                path=request.url.path.rstrip("/"),
                base_url=str(request.base_url).rstrip("/"),
                api_version=request.query_params["api-version"],
                names=names,
                query=request.query_params,
                headers=request.headers,
                body=_json(await request.body()),
                principal=principal,
                fault=operation_fault(scope),
            )
            self._authorize(call, registered)
            handler = registered.route.handler
            answer = await asyncio.to_thread(handler, call) if registered.route.blocking else handler(call)
        except ArmError as error:
            answer = Answer(error.status, error.body, error.headers)
        action = registered.action if registered else ""
        self.calls.append(RecordedCall(request.method, request.url.path, action, answer.status))
        await _response(answer, headers)(scope, receive, send)

    def _authenticate(self, request: Request) -> tokens.Claims:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise self._unauthorized(
                "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing."
            )
        try:
            return self._tenant.check(token.strip(), AUDIENCES)
        except tokens.TokenRefusedError as error:
            code = {
                "audience": "InvalidAuthenticationTokenAudience",
                "issuer": "InvalidAuthenticationTokenTenant",
                "expired": "ExpiredAuthenticationToken",
            }.get(error.reason, "InvalidAuthenticationToken")
            raise self._unauthorized(code, str(error)) from error

    def _unauthorized(self, code: str, message: str) -> ArmError:
        challenge = f'Bearer authorization_uri="https://login.windows.net/{self._tenant.id}", error="invalid_token"'
        return ArmError(401, code, message, {"WWW-Authenticate": challenge})

    def _route(self, request: Request) -> tuple[_Registered, Mapping[str, str]]:
        version = request.query_params.get("api-version")
        if not version:
            raise ArmError(
                400,
                "MissingApiVersionParameter",
                "The api-version query parameter (?api-version=) is required for all requests.",
            )
        if not _API_VERSION.fullmatch(version):
            raise ArmError(400, "InvalidApiVersionParameter", f"The api-version '{version}' is invalid.")
        key, values = routing.parse(request.url.path)
        registered = self._routes.get((request.method, key))
        if registered is None:
            raise self._no_route(request)
        if version not in registered.api_versions:
            _, types = routing.resource_type(registered.route.template)
            raise ArmError(
                400,
                "NoRegisteredProviderFound",
                "No registered resource provider found for API version "
                f"'{version}' for type '{types.partition('/')[2]}'. "
                f"The supported api-versions are '{', '.join(registered.api_versions)}'.",
            )
        return registered, dict(zip(registered.placeholders, values, strict=True))

    def _no_route(self, request: Request) -> ArmError:
        key, _ = routing.parse(request.url.path)
        if any(known == key for _, known in self._routes):
            return ArmError(
                405, "UnsupportedHttpVerb", f"The resource type does not support http verb '{request.method}'."
            )
        namespace, types = routing.resource_type(request.url.path)
        return ArmError(
            404,
            "InvalidResourceType",
            f"The resource type '{types}' could not be found in the namespace '{namespace}': "
            "this simulator does not have it.",
        )

    def _authorize(self, call: Call, registered: _Registered) -> None:
        if any(fnmatch.fnmatch(registered.action.lower(), pattern.lower()) for pattern in self.denied):
            who = call.principal.get("oid")
            raise ArmError(
                403,
                "AuthorizationFailed",
                f"The client '{who}' with object id '{who}' does not have authorization to perform action "
                f"'{registered.action}' over scope '{call.path}' or the scope is invalid. "
                "If access was recently granted, please refresh your credentials.",
            )
        if group := call.names.get("resourceGroupName"):
            if not registered.action.startswith(routing.RESOURCES):
                self.group(call.names["subscriptionId"], group)
            self._respect_locks(call)

    def _respect_locks(self, call: Call) -> None:
        if call.method == "GET":
            return
        for lock in self.locks:
            about_lock = "/providers/microsoft.authorization/locks" in call.path.lower()
            if (
                routing.is_within(call.path, lock.scope)
                and not about_lock
                and (call.method == "DELETE" or lock.level == "ReadOnly")
            ):
                verb = "delete" if call.method == "DELETE" else "write"
                raise ArmError(
                    409,
                    "ScopeLocked",
                    f"The scope '{call.path}' cannot perform {verb} operation because following scope(s) are "
                    f"locked: '{lock.scope}'. Please remove the lock and try again.",
                )


@dataclass(frozen=True, slots=True)
class ResourceGroup:
    """A resource group."""

    subscription: str
    name: str
    location: str
    tags: Mapping[str, str]

    @property
    def id(self) -> str:
        return f"/subscriptions/{self.subscription}/resourceGroups/{self.name}"


@dataclass(frozen=True, slots=True)
class Lock:
    """A management lock on a scope (a resource id, or a part of one). `level` is CanNotDelete or ReadOnly."""

    name: str
    scope: str
    level: str = "CanNotDelete"
    notes: str = ""


def page(call: Call, items: Sequence[Body], size: int) -> Answer:
    """One page of a list, with an absolute nextLink when there is more."""
    token = call.query.get("$skiptoken") or call.query.get("$skipToken") or "0"
    if not token.isdigit():
        raise ArmError(400, "InvalidSkipToken", f"The skip token '{token}' is invalid.")
    first = int(token)
    body: dict[str, Body] = {"value": list(items[first : first + size])}
    if first + size < len(items):
        body["nextLink"] = call.url(call.path, **{"$skiptoken": str(first + size)})
    return Answer(200, body)


def _subscription(request: Request) -> str:
    parts = request.url.path.lower().split("/")
    return parts[2] if len(parts) > 2 and parts[1] == "subscriptions" else ""


def _object(value: Body, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ArmError(400, "InvalidRequestContent", f"{name} must be a JSON object.")
    return cast("dict[str, Any]", value)


def _json(data: bytes) -> Body:
    if not data:
        return None
    try:
        return json.loads(data)
    except ValueError as error:
        raise ArmError(
            400, "InvalidRequestContent", f"The request content was invalid and could not be deserialized: '{error}'."
        ) from error


def _response(answer: Answer, headers: Mapping[str, str]) -> Response:
    content = b"" if answer.body is None else json.dumps(answer.body).encode()
    kind = "application/json; charset=utf-8" if content else None
    return Response(content, answer.status, {**headers, **answer.headers}, media_type=kind)
