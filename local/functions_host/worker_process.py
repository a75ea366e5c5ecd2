"""The host's side of the worker: starts it, indexes the app, invokes functions, starts it again when it dies."""

import asyncio
import itertools
import shutil
import signal
import sys
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from local.functions_host.channel import Channel
from local.functions_host.functions import Function
from local.functions_host.logs import HostLog
from local.processes import Child, start

_LONGEST_PAUSE_SECONDS = 5.0


@dataclass(frozen=True)
class Invocation:
    """How an invocation ended. `value` and `outputs` are {"type": ..., "value": ...}; `body` an HTTP response's."""

    id: str
    value: dict[str, Any] | None = None
    outputs: Mapping[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    body: bytes = b""
    error: str | None = None
    stack: str = ""

    @property
    def succeeded(self) -> bool:
        return self.error is None


class WorkerExitedError(Exception):
    """The worker ended before the invocation did."""


class FunctionTimeoutError(WorkerExitedError):
    """The invocation ran longer than `functionTimeout`, so the worker was ended."""


class Worker:
    """One worker at a time. Its state: starting, running, or failed (the app cannot be indexed)."""

    def __init__(
        self,
        app: Path,
        environment: Mapping[str, str],
        log: HostLog,
        output: Path,
        timeout_seconds: float | None,
        start_seconds: float,
    ) -> None:
        self._app = app.resolve()
        self._environment = environment
        self._log = log
        self._output = output
        self._timeout_seconds = timeout_seconds
        self._start_seconds = start_seconds
        self._ready = asyncio.Event()
        self._first_index: asyncio.Future[list[dict[str, Any]]] = asyncio.get_running_loop().create_future()
        self._running: dict[str, _Running] = {}
        self._channel: Channel | None = None
        self._child: Child | None = None
        self._socket_folder = Path(tempfile.mkdtemp(prefix="functions-host-"))
        self._starts = itertools.count()
        self._killed = False
        self.restarts = 0

    @property
    def state(self) -> Literal["starting", "running"]:
        return "running" if self._ready.is_set() else "starting"

    async def index(self) -> list[dict[str, Any]]:
        """The app's functions, once the first worker has indexed them. Raises IndexingError."""
        return await asyncio.shield(self._first_index)

    async def run(self) -> None:
        """Keep a worker running until cancelled, or until the first one cannot index the app."""
        pause = 0.0
        try:
            while True:
                self._killed = False
                try:
                    await self._run_once()
                    pause = 0.0
                except IndexingError as error:
                    if not self._first_index.done() and not self._killed:
                        self._first_index.set_exception(error)
                        return
                    pause = min(max(0.1, 2 * pause), _LONGEST_PAUSE_SECONDS)
                self.restarts += 1
                await asyncio.sleep(pause)
        finally:
            await asyncio.to_thread(self._end)

    def _end(self) -> None:
        if self._child is not None:
            self._child.kill()
        shutil.rmtree(self._socket_folder, ignore_errors=True)

    async def _run_once(self) -> None:
        """From the start of one worker to its end."""
        closed = asyncio.Event()
        indexed: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        path = self._socket_folder / f"{next(self._starts)}"

        def on_frame(frame: dict[str, Any], body: bytes) -> None:
            match frame["kind"]:
                case "result":
                    self._on_result(frame, body)
                case "log":
                    running = self._running.get(frame["invocation"] or "")
                    self._log.write_worker_record(frame, running.function.name if running else None)
                case "indexed" if not indexed.done():
                    indexed.set_result(frame)
                case _:
                    pass

        channel = Channel(on_frame, closed.set)
        server = await asyncio.get_running_loop().create_unix_server(lambda: channel, str(path))
        argv = [sys.executable, "-m", "local.functions_host.worker", str(path), str(self._app)]
        child = await asyncio.to_thread(start, argv, log=self._output, env=self._environment)
        self._child, self._channel = child, channel
        try:
            functions = await self._functions(child, closed, indexed)
            if not self._first_index.done():
                self._first_index.set_result(functions)
            self._ready.set()
            await closed.wait()
        finally:
            self._ready.clear()
            server.close()
            channel.close()
            self._fail_running(WorkerExitedError("The worker process ended before the function did."))
            code = await asyncio.to_thread(child.kill)
            path.unlink(missing_ok=True)
            self._log.write("Warning", "Host.Worker", f"Language worker process exited with code {code}.")

    async def _functions(
        self, child: Child, closed: asyncio.Event, indexed: asyncio.Future[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """What the worker indexed. Raises IndexingError."""
        deadline = asyncio.get_running_loop().time() + self._start_seconds
        where = f"its output is in {self._output}"
        while not indexed.done():
            if closed.is_set() or not child.running:
                code = await asyncio.to_thread(child.kill)
                raise IndexingError(f"The worker ended with code {code} while it loaded the app; {where}.")
            if asyncio.get_running_loop().time() > deadline:
                raise IndexingError(f"The worker did not load the app within {self._start_seconds:g} s; {where}.")
            await asyncio.wait([indexed], timeout=0.1)
        frame = indexed.result()
        if "error" not in frame:
            return frame["functions"]
        error = frame["error"]
        text = f"Worker failed to index functions\nResult: Failure\nException: {error['message']}"
        self._log.write("Error", "Host.Function.Console", f"{text}\nStack: {error['stack']}")
        raise IndexingError(text)

    async def invoke(
        self, function: Function, inputs: Sequence[dict[str, Any]], body: bytes = b"", *, invocation: str | None = None
    ) -> Invocation:
        """Run a function; waits for a worker first.

        Inputs are {"name", "type", "value"}; an input of type http takes its body from `body`. A function that raises
        gives an Invocation with an error. Raises WorkerExitedError, FunctionTimeoutError.
        """
        while not self._ready.is_set():
            await self._ready.wait()
        channel = self._channel
        assert channel is not None
        loop = asyncio.get_running_loop()
        invocation = invocation or str(uuid.uuid4())
        running = _Running(function, loop.create_future(), loop.time())
        self._running[invocation] = running
        timer = loop.call_later(self._timeout_seconds, self._time_out, invocation) if self._timeout_seconds else None
        about: dict[str, Any] = {"function": function.name, "invocation": invocation}
        category, what = f"Function.{function.name}", f"'Functions.{function.name}'"
        self._log.write("Information", category, f"Executing {what}", **about)
        channel.send({"kind": "invoke", "id": invocation, "function": function.id, "inputs": inputs}, body)
        try:
            result = await running.result
        except WorkerExitedError as error:
            self._log.write("Error", category, f"Executed {what} (Failed): {error}", **about)
            raise
        finally:
            self._running.pop(invocation, None)
            if timer is not None:
                timer.cancel()
        about["duration_ms"] = round(1000 * (loop.time() - running.started), 1)
        if result.succeeded:
            self._log.write("Information", category, f"Executed {what} (Succeeded)", **about)
        else:
            self._log.write("Error", category, f"Executed {what} (Failed): {result.error}\n{result.stack}", **about)
        return result

    def _on_result(self, frame: dict[str, Any], body: bytes) -> None:
        running = self._running.get(frame["id"])
        if running is None or running.result.done():
            return
        error = frame.get("error")
        if error:
            running.result.set_result(Invocation(frame["id"], error=error["message"], stack=error["stack"]))
        else:
            running.result.set_result(Invocation(frame["id"], frame["return"], frame["outputs"], body))

    def _time_out(self, invocation: str) -> None:
        running = self._running.get(invocation)
        if running is None or running.result.done():
            return
        seconds = self._timeout_seconds or 0
        name = running.function.name
        message = f"Timeout value of {seconds:g} s exceeded by function 'Functions.{name}'"
        about = {"function": name, "invocation": invocation}
        self._log.write("Error", f"Function.{name}", f"{message}. Initiating cancellation.", **about)
        running.result.set_exception(FunctionTimeoutError(f"{message}."))
        self.kill()

    def _fail_running(self, error: WorkerExitedError) -> None:
        for running in self._running.values():
            if not running.result.done():
                running.result.set_exception(error)

    def kill(self) -> None:
        """End the worker as a crash would; `run` starts the next one. From here on nothing of the old one counts."""
        self._killed = True
        self._ready.clear()
        self._log.write("Warning", "Host.Worker", "Killing the worker process.")
        if self._channel is not None:
            self._channel.close()
        if self._child is not None:
            self._child.send_signal(signal.SIGKILL)


@dataclass
class _Running:
    function: Function
    result: asyncio.Future[Invocation]
    started: float


class IndexingError(Exception):
    """The app cannot be loaded; the text is what Azure shows."""
