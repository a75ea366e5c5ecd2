"""A plan of what shall go wrong, shared by all simulators, set in-process or over HTTP while they run.

Over HTTP, on any simulator's port: `GET /_simulator/faults` shows the plan with its counters, `PUT` replaces it by a
JSON list, `POST` appends one fault, `DELETE` clears it.
"""

import asyncio
import json
import re
import threading
import time
from collections.abc import Callable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

Service = Literal["arm", "identity", "event_grid", "kubernetes", "key_vault"]

type Refusal = Callable[[int, str, str], Any]

_CONTROL = "/_simulator/"
_OPERATION = "simulator.operation_fault"


class OperationFault(BaseModel):
    """What becomes of the long-running operation that the call started.

    It takes `extra_seconds` longer; it ends as Failed with `code` and `message` instead of doing its work; or it
    `never_ends`, does nothing and leaves the resource as an unfinished operation does.
    """

    model_config = ConfigDict(extra="forbid")

    extra_seconds: float = Field(default=0.0, ge=0)
    never_ends: bool = False
    code: str | None = None
    message: str = "The operation was failed by the fault plan."


class Fault(BaseModel):
    """One thing that goes wrong, at the `first` matching call and the `times - 1` after it (None: at all that follow).

    A call matches by service, method and a regular expression searched in its path, ignoring case. Then, in this
    order: the answer waits `delay` seconds; the connection is dropped `before` the call is handled, or `after` it,
    so that the effect is there and the answer is lost; `status` answers instead of the service, as an Azure error
    with `code` and `message`, and with `retry_after` seconds where given; `operation` befalls the long-running
    operation that the call starts.
    """

    model_config = ConfigDict(extra="forbid")

    service: Service | None = None
    method: str | None = None
    path: str = ""
    first: int = Field(default=1, ge=1)
    times: int | None = Field(default=1, ge=1)
    delay: float = Field(default=0.0, ge=0)
    drop: Literal["before", "after"] | None = None
    status: int | None = Field(default=None, ge=200, le=599)
    code: str = "InternalServerError"
    message: str = "An unexpected error occured while processing the request."
    retry_after: int | None = Field(default=None, ge=0)
    operation: OperationFault | None = None
    matched: int = 0
    applied: int = 0
    applied_at: list[float] = Field(default_factory=list[float], exclude=True)
    """When it acted, by the monotonic clock."""

    @field_validator("path")
    @classmethod
    def _is_expression(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"is not a regular expression: {error}") from error
        return value

    def matches(self, service: Service, method: str, path: str) -> bool:
        return (
            self.service in (None, service)
            and (self.method is None or self.method.upper() == method)
            and re.search(self.path, path, re.IGNORECASE) is not None
        )


class FaultPlan:
    """The faults in their order. The first that is due acts on a call; every one that matches counts it."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> Fault:
        """Append a fault; its counters (`matched`, `applied`) can be read from what is returned."""
        with self._lock:
            self._faults.append(fault)
        return fault

    def replace(self, faults: list[Fault]) -> None:
        with self._lock:
            self._faults = list(faults)

    def clear(self) -> None:
        self.replace([])

    def faults(self) -> list[Fault]:
        with self._lock:
            return list(self._faults)

    def take(self, service: Service, method: str, path: str) -> Fault | None:
        """Count the call and return the fault that befalls it, if any."""
        acting: Fault | None = None
        with self._lock:
            for fault in self._faults:
                if not fault.matches(service, method, path):
                    continue
                fault.matched += 1
                due = fault.matched >= fault.first and (fault.times is None or fault.applied < fault.times)
                if due and acting is None:
                    fault.applied += 1
                    fault.applied_at.append(time.monotonic())
                    acting = fault
        return acting


class FaultMiddleware:
    """Lets a plan act upon an application.

    `refusal` makes the body of an answer from its status, code and message; Azure's errors unless given.
    """

    def __init__(self, app: ASGIApp, plan: FaultPlan, service: Service, refusal: Refusal | None = None) -> None:
        self._app = app
        self._plan = plan
        self._service: Service = service
        self._refusal = refusal or _azure_error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(_CONTROL):
            await self._app(scope, receive, send)
            return
        fault = self._plan.take(self._service, scope["method"], scope["path"])
        if fault is None:
            await self._app(scope, receive, send)
            return
        if fault.delay:
            await asyncio.sleep(fault.delay)
        if fault.drop == "before":
            _drop_connection(send)
        elif fault.status is not None:
            await self._refused(fault)(scope, receive, send)
        else:
            scope[_OPERATION] = fault.operation
            if fault.drop == "after":
                await self._app(scope, receive, _unheard)
                _drop_connection(send)
            else:
                await self._app(scope, receive, send)

    def _refused(self, fault: Fault) -> Response:
        assert fault.status is not None
        headers = {"Retry-After": str(fault.retry_after)} if fault.retry_after is not None else None
        body = self._refusal(fault.status, fault.code, fault.message) if fault.status >= 400 else None
        return JSONResponse(body, fault.status, headers)


def operation_fault(scope: Scope) -> OperationFault | None:
    """What the plan holds for the operation that this request starts."""
    return scope.get(_OPERATION)


def _azure_error(status: int, code: str, message: str) -> Any:
    return {"error": {"code": code, "message": message}}


async def _unheard(message: Any) -> None:
    pass


def _drop_connection(send: Send) -> None:
    # ASGI cannot say "hang up"; uvicorn's `send` is a method of the object that holds the connection
    send.__self__.transport.abort()  # type: ignore[attr-defined]


def control_routes(plan: FaultPlan) -> list[Route]:
    """The routes by which users change the plan."""

    async def show(_: Request) -> Response:
        return JSONResponse([fault.model_dump() for fault in plan.faults()])

    async def replace(request: Request) -> Response:
        plan.replace(TypeAdapter(list[Fault]).validate_json(await request.body()))
        return await show(request)

    async def append(request: Request) -> Response:
        plan.add(Fault.model_validate_json(await request.body()))
        return await show(request)

    async def clear(_: Request) -> Response:
        plan.clear()
        return Response(status_code=204)

    path = _CONTROL + "faults"
    return [
        Route(path, show, methods=["GET"]),
        Route(path, _explained(replace), methods=["PUT"]),
        Route(path, _explained(append), methods=["POST"]),
        Route(path, clear, methods=["DELETE"]),
    ]


def _explained(endpoint: Any) -> Any:
    async def handle(request: Request) -> Response:
        try:
            return await endpoint(request)
        except ValidationError as error:
            return JSONResponse({"errors": json.loads(error.json(include_url=False))}, 400)

    return handle
