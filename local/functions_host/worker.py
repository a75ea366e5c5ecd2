"""The worker process: loads the app through `azure_functions_runtime` and runs invocations for the host.

Started by `local.functions_host.worker_process`, never by hand: `python -m local.functions_host.worker SOCKET APP`.
It ends when the channel to the host ends.
"""

import asyncio
import contextvars
import logging
import os
import sys
from pathlib import Path
from typing import Any

import azure_functions_runtime as runtime

from local.functions_host.channel import Channel
from local.functions_host.rpc_messages import Message, ParameterBinding, Protos, StatusResult, TypedData

_current_invocation: contextvars.ContextVar[str | None] = contextvars.ContextVar("current_invocation", default=None)
_PROTOS = Protos()
_NO_TRACE = Message(trace_parent="", trace_state="", attributes={})
_NO_RETRY = Message(retry_count=0, max_retry_count=0, exception=None)


class _ChannelLogHandler(logging.Handler):
    """Sends the app's log records to the host, with the invocation that they belong to."""

    def __init__(self, channel: Channel, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._channel = channel
        self._loop = loop
        self.setFormatter(logging.Formatter())

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except (TypeError, ValueError) as error:  # the app's format string does not fit its arguments
            message = f"{record.msg!r} (cannot be formatted: {error})"
        if record.exc_info and self.formatter is not None:
            message += "\n" + self.formatter.formatException(record.exc_info)
        frame = {
            "kind": "log",
            "level": record.levelname,
            "category": record.name,
            "message": message,
            "invocation": _current_invocation.get() or runtime.invocation_id_cv.get(),
        }
        try:
            self._loop.call_soon_threadsafe(self._channel.send, frame)
        except RuntimeError:
            return  # the loop is closed: the process is ending


class _Worker:
    def __init__(self, app_folder: str) -> None:
        self._app_folder = app_folder
        self._closed = asyncio.Event()
        self.channel = Channel(self._on_frame, self._closed.set)
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, socket_path: str) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_unix_connection(lambda: self.channel, socket_path)
        root = logging.getLogger()
        root.addHandler(_ChannelLogHandler(self.channel, loop))
        root.setLevel(logging.DEBUG if os.environ.get("PYTHON_ENABLE_DEBUG_LOGGING") else logging.INFO)
        # The library's own notes on every invocation say nothing that the host does not log already.
        logging.getLogger("azure.functions").setLevel(logging.WARNING)
        await self._index()
        await self._closed.wait()

    async def _index(self) -> None:
        runtime.start_threadpool_executor()
        response = await runtime.worker_init_request(
            Message(
                request=Message(worker_init_request=Message(capabilities={}, function_app_directory=self._app_folder)),
                properties={"host": "127.0.0.1", "protos": _PROTOS},
            )
        )
        if response.result.status != StatusResult.Success:
            self.channel.send({"kind": "indexed", "error": _exception(response.result.exception)})
            return
        metadata = await runtime.functions_metadata_request(Message())
        functions = [
            {"name": function.name, "id": function.function_id, "bindings": list(function.raw_bindings)}
            for function in metadata.function_metadata_results or ()
        ]
        for function in functions:
            load = Message(function_load_request=Message(function_id=function["id"]))
            await runtime.function_load_request(Message(request=load))
        self.channel.send({"kind": "indexed", "functions": functions})

    def _on_frame(self, header: dict[str, Any], body: bytes) -> None:
        task = asyncio.get_running_loop().create_task(self._invoke(header, body))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _invoke(self, header: dict[str, Any], body: bytes) -> None:
        invocation = header["id"]
        _current_invocation.set(invocation)
        response = await runtime.invocation_request(
            Message(
                request=Message(
                    invocation_request=Message(
                        invocation_id=invocation,
                        function_id=header["function"],
                        input_data=[_parameter(value, body) for value in header["inputs"]],
                        trigger_metadata={},
                        trace_context=_NO_TRACE,
                        retry_context=_NO_RETRY,
                    )
                )
            )
        )
        if response.result.status != StatusResult.Success:
            self.channel.send({"kind": "result", "id": invocation, "error": _exception(response.result.exception)})
            return
        result, result_body = _value(response.return_value)
        outputs: dict[str, Any] = {}
        for output in response.output_data or ():
            outputs[output.name], output_body = _value(output.data)
            result_body = result_body or output_body
        self.channel.send({"kind": "result", "id": invocation, "return": result, "outputs": outputs}, result_body)


def _parameter(value: dict[str, Any], body: bytes) -> ParameterBinding:
    if value["type"] == "http":
        http = Message(**value["value"], body=TypedData(bytes=body))
        return ParameterBinding(name=value["name"], data=TypedData(http=http))
    return ParameterBinding(name=value["name"], data=TypedData(**{value["type"]: value["value"]}))


def _value(data: TypedData | None) -> tuple[dict[str, Any] | None, bytes]:
    """A value as JSON; bytes travel beside it."""
    if data is None or data.kind is None:
        return None, b""
    if data.kind == "http":
        http = data.http
        response = {"status": http.status_code, "headers": http.headers, "cookies": _cookies(http.cookies)}
        return {"type": "http", "value": response}, _body(http.body)
    if data.kind == "bytes":
        return {"type": "bytes", "value": None}, bytes(data.bytes)
    return {"type": data.kind, "value": getattr(data, data.kind)}, b""


def _body(data: TypedData | None) -> bytes:
    if data is None or data.kind is None:
        return b""
    content = getattr(data, data.kind)
    return bytes(content) if isinstance(content, (bytes, bytearray)) else str(content).encode()


def _cookies(cookies: list[Any] | None) -> list[dict[str, Any]]:
    fields = ("name", "value", "domain", "path", "expires", "secure", "http_only", "same_site", "max_age")
    found: list[dict[str, Any]] = []
    for cookie in cookies or ():
        values = {field: getattr(cookie, field) for field in fields}
        plain = {field: value.value if isinstance(value, Message) else value for field, value in values.items()}
        if plain["expires"] is not None:
            plain["expires"] = plain["expires"].seconds
        found.append(plain)
    return found


def _exception(exception: Message) -> dict[str, str]:
    return {"message": exception.message or "", "stack": exception.stack_trace or ""}


def main() -> None:
    socket_path, app_folder = sys.argv[1:]
    # Azure starts its worker in the app's folder with nothing of the host's own on the path.
    repository = str(Path(__file__).parents[2])
    sys.path[:] = [app_folder, *(entry for entry in sys.path if entry not in ("", repository))]
    os.environ.pop("PYTHONPATH", None)
    os.chdir(app_folder)
    asyncio.run(_Worker(app_folder).run(socket_path))
    os._exit(0)  # threads of the app must not keep an orphan alive


if __name__ == "__main__":
    main()
