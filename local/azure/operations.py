"""Long-running operations: accepted with 202, worked on in threads, polled by `Azure-AsyncOperation` or `Location`."""

import asyncio
import logging
import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from local.azure.arm import Answer, Call, Route
from local.azure.errors import ArmError

_THREADS = 16

_log = logging.getLogger(__name__)

type Result = Callable[[], Any]


@dataclass(slots=True)
class Operation:
    """One operation. `status` is InProgress, Succeeded or Failed; `error` is Azure's error object when it failed."""

    id: str
    started: datetime
    result: Result | None
    status: str = "InProgress"
    ended: datetime | None = None
    error: dict[str, Any] | None = None


class Operations:
    """The operations of one resource provider, e.g. `Microsoft.DBforPostgreSQL`.

    `retry_after` is the number of seconds that polls are told to wait; the official clients obey it. `status` and
    `result` are what the provider calls the two URLs.
    """

    def __init__(
        self,
        namespace: str,
        retry_after: int | None = None,
        *,
        status: str = "azureAsyncOperation",
        result: str = "operationResults",
    ) -> None:
        self._namespace = namespace
        self._status_name, self._result_name = status, result
        self.retry_after = retry_after
        self._operations: dict[str, Operation] = {}
        self._running: set[Future[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="operation")

    def routes(self) -> list[Route]:
        base = f"/subscriptions/{{subscriptionId}}/providers/{self._namespace}/locations/{{location}}"
        return [
            Route("GET", f"{base}/{self._status_name}/{{operationId}}", self._status),
            Route("GET", f"{base}/{self._result_name}/{{operationId}}", self._result),
        ]

    def begin(
        self,
        call: Call,
        *,
        location: str,
        name: str,
        work: Callable[[], None],
        failed: Callable[[ArmError], None],
        result: Result | None = None,
        seconds: float = 0.0,
    ) -> Answer:
        """Accept an operation: after `seconds`, `work` runs in a thread; `failed` hears of its ArmError.

        `result` gives the body that the `Location` URL answers at the end (None: 204, no content). What the fault
        plan holds for the call befalls the operation.
        """
        assert self._loop is not None, "start the simulator first"
        operation = Operation(str(uuid.uuid4()), datetime.now(UTC), result)
        self._operations[operation.id] = operation
        if not (call.fault and call.fault.never_ends):
            running = self._run(operation, call, work, failed, seconds)
            self._running.add(asyncio.run_coroutine_threadsafe(running, self._loop))
            self._running = {future for future in self._running if not future.done()}
        subscription = call.names["subscriptionId"]
        base = f"/subscriptions/{subscription}/providers/{self._namespace}/locations/{location}"
        return Answer(
            202,
            {"operation": name, "startTime": _text(operation.started)},
            {
                "Azure-AsyncOperation": call.url(f"{base}/{self._status_name}/{operation.id}"),
                "Location": call.url(f"{base}/{self._result_name}/{operation.id}"),
                **self._retry_header(),
            },
        )

    async def start(self) -> None:
        """To be called on the event loop that serves the provider."""
        self._loop = asyncio.get_running_loop()

    async def stop(self) -> None:
        """End all operations. One whose work has begun is waited for, so that no server is left half made."""
        running = [asyncio.wrap_future(future) for future in self._running]
        for future in running:
            future.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)

    async def _run(
        self,
        operation: Operation,
        call: Call,
        work: Callable[[], None],
        failed: Callable[[ArmError], None],
        seconds: float,
    ) -> None:
        fault = call.fault
        await asyncio.sleep(seconds + (fault.extra_seconds if fault else 0.0))
        loop = asyncio.get_running_loop()
        try:
            if fault and fault.code:
                raise ArmError(500, fault.code, fault.message)
            await loop.run_in_executor(self._threads, work)
            operation.status = "Succeeded"
        except ArmError as error:
            await loop.run_in_executor(self._threads, failed, error)
            operation.status, operation.error = "Failed", error.error
        finally:
            if operation.status == "InProgress":  # a bug of ours: show it instead of letting the caller poll for ever
                _log.error("%s %s ended with an unexpected error", call.method, call.path)
                operation.status = "Failed"
                operation.error = {
                    "code": "InternalServerError",
                    "message": "An unexpected error occured while processing the request.",
                }
            operation.ended = datetime.now(UTC)

    def _status(self, call: Call) -> Answer:
        operation = self._find(call)
        body: dict[str, Any] = {
            "name": operation.id,
            "status": operation.status,
            "startTime": _text(operation.started),
        }
        if operation.ended is None:
            return Answer(200, body, self._retry_header())
        body["endTime"] = _text(operation.ended)
        if operation.error is not None:
            body["error"] = operation.error
        return Answer(200, body)

    def _result(self, call: Call) -> Answer:
        operation = self._find(call)
        if operation.ended is None:
            return Answer(202, None, {"Location": call.url(call.path), **self._retry_header()})
        if operation.error is not None:
            return Answer(409, {"error": operation.error})
        body = operation.result() if operation.result else None
        return Answer(200 if body is not None else 204, body)

    def _find(self, call: Call) -> Operation:
        operation = self._operations.get(call.names["operationId"])
        if operation is None:
            raise ArmError(404, "NotFound", f"The operation '{call.names['operationId']}' was not found.")
        return operation

    def _retry_header(self) -> dict[str, str]:
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


def _text(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
