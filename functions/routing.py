"""Turn declared routes into Azure Functions: one place for bodies, errors, callers, roles and long work.

Errors are problem details (RFC 9457) that name the field. Each function has the authorization level `function`: a key
opens the door, a login says who stands in it, and the role that the route declares decides.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import azure.durable_functions as df
import azure.functions as func
from pydantic import BaseModel, ValidationError

from functions.authentication import InvalidPrincipalError, caller_of, platform_authentication_is_on
from shared.identity import Caller, Role, may

if TYPE_CHECKING:
    from azure.durable_functions import DurableFunctionsClient

_PROBLEM = "application/problem+json"
_MAX_BODY_BYTES = 1 << 20
_LOG = logging.getLogger("closekeeper.api")


class Problem(Exception):  # noqa: N818 - the RFC's own word
    """An error that the caller is told: RFC 9457 problem details.

    `errors` are pairs of a JSON pointer into the body (or the parameter's name) and what is wrong there.
    """

    def __init__(self, status: int, title: str, detail: str = "", errors: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(f"{status} {title}: {detail}")
        self.status, self.title, self.detail, self.errors = status, title, detail, tuple(errors)


@dataclass(frozen=True, slots=True)
class Call:
    """One request that has passed the checks of its route. `body` is of the route's model, `data` as it came."""

    body: Any
    data: bytes
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    caller: Caller
    durable: "DurableFunctionsClient"

    @property
    def idempotency_key(self) -> str | None:
        """The caller's Idempotency-Key, None when it gave none."""
        return self.headers.get("idempotency-key") or None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler answers. `body` is a pydantic model or JSON-ready data; bytes are sent as they are, with the
    Content-Type of `headers`; None sends no body."""

    body: object = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


type Handler = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Route:
    """One declared route. `path` is relative to `/api`; `name` becomes the function's name."""

    name: str
    method: str
    path: str
    role: Role
    summary: str
    handler: Handler
    body: type[BaseModel] | Callable[[], type[BaseModel]] | None = None
    """The body's model; or what names it, for models that cost a cold start too much."""


def instant_of(call: Call, name: str, default: datetime) -> datetime:
    """The query's parameter as an instant in UTC; raises Problem when it is none."""
    text = call.query.get(name)
    if text is None:
        return default
    try:
        instant = datetime.fromisoformat(text.replace(" ", "+"))  # a plus that was not escaped arrives as a space
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise Problem(400, "Bad request", "", [(name, "not an RFC 3339 instant such as 2026-11-30T00:00:00Z")])
    return instant.astimezone(UTC)


def add_routes(blueprint: df.Blueprint, routes: Sequence[Route]) -> None:
    """Register every route as an HTTP function of the blueprint."""
    for route in routes:
        _add_route(blueprint, route)


def _add_route(blueprint: df.Blueprint, route: Route) -> None:
    async def handle(req: func.HttpRequest, client: object) -> func.HttpResponse:
        try:
            answer = await route.handler(_accept(route, req, client))
        except Problem as problem:
            return _problem_response(problem, req)
        return _response(answer)

    handle.__name__ = route.name
    handle.__doc__ = route.summary
    register: Any = blueprint  # the decorators of azure-functions are not typed
    register.function_name(route.name)(
        register.route(route=route.path, methods=[route.method])(
            register.durable_client_input(client_name="client")(handle)
        )
    )


def _accept(route: Route, req: func.HttpRequest, client: Any) -> Call:
    headers = {name.lower(): value for name, value in _text_pairs(req.headers).items()}
    try:
        caller = caller_of(headers, platform_authentication=platform_authentication_is_on())
    except InvalidPrincipalError as error:
        raise Problem(401, "Unauthorized", str(error)) from error
    if not may(caller, route.role):
        _LOG.warning("refused %s to %s: needs the role %s", route.name, caller.name, route.role)
        raise Problem(403, "Forbidden", f"{route.name} needs the role {route.role}, which {caller.name} does not have")
    return Call(
        body=_body(_model(route.body), req.get_body()) if route.body else None,
        data=req.get_body(),
        path=_text_pairs(req.route_params),
        query=_text_pairs(req.params),
        headers=headers,
        caller=caller,
        durable=client,
    )


def _text_pairs(pairs: Any) -> dict[str, str]:
    return dict(pairs)  # azure-functions does not say what its mappings hold


def _model(named: type[BaseModel] | Callable[[], type[BaseModel]]) -> type[BaseModel]:
    return named if isinstance(named, type) else named()


def _body(model: type[BaseModel], data: bytes) -> BaseModel:
    if len(data) > _MAX_BODY_BYTES:
        raise Problem(413, "Content too large", f"the body may have at most {_MAX_BODY_BYTES} bytes")
    try:
        return model.model_validate_json(data or b"{}")
    except ValidationError as error:
        raise Problem(
            400,
            "Bad request",
            "the body does not fit: see errors",
            [(_pointer(problem["loc"]), problem["msg"]) for problem in error.errors(include_url=False)],
        ) from error


def _pointer(location: tuple[int | str, ...]) -> str:
    return "".join(f"/{step}" for step in location)


def _response(answer: Answer) -> func.HttpResponse:
    if isinstance(answer.body, bytes):
        headers = {"Cache-Control": "no-store", **answer.headers}
        return func.HttpResponse(answer.body, status_code=answer.status, headers=headers)
    return _json_response(answer.status, answer.body, "application/json", answer.headers)


def _problem_response(problem: Problem, req: func.HttpRequest) -> func.HttpResponse:
    body: dict[str, object] = {"title": problem.title, "status": problem.status, "instance": _path(req.url)}
    if problem.detail:
        body["detail"] = problem.detail
    if problem.errors:
        body["errors"] = [{"field": place, "message": message} for place, message in problem.errors]
    return _json_response(problem.status, body, _PROBLEM, {})


def _json_response(status: int, body: object, mimetype: str, headers: Mapping[str, str]) -> func.HttpResponse:
    import json

    if isinstance(body, BaseModel):
        text = body.model_dump_json(by_alias=True)
    else:
        text = "" if body is None else json.dumps(body)
    return func.HttpResponse(
        text, status_code=status, headers={"Cache-Control": "no-store", **headers}, mimetype=mimetype
    )


def _path(url: str) -> str:
    from urllib.parse import urlsplit

    return urlsplit(url).path
