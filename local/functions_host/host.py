"""The functions host: ties HTTP, timers, Event Grid and the Durable engine to one worker process."""

import asyncio
import fcntl
import json
import logging
import socket
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import uvicorn

from local.functions_host import event_grid
from local.functions_host.admin import AdminApi
from local.functions_host.clock import Alarms
from local.functions_host.config import ConfigError, HostConfig, HostJson, Settings, worker_environment
from local.functions_host.durable import DurableEngine
from local.functions_host.durable_backend import DurableBackend
from local.functions_host.durable_http import DurableHttpApi
from local.functions_host.faults import FaultPlan, Faults
from local.functions_host.functions import Function, describe, not_served
from local.functions_host.keys import Keys
from local.functions_host.logs import HostLog
from local.functions_host.timers import Timer
from local.functions_host.web import Request, Response, WebApp
from local.functions_host.worker_process import IndexingError, Invocation, Worker, WorkerExitedError


class HostNotReadyError(Exception):
    """The host does not serve functions; the text lists the errors."""


class FunctionsHost:
    """Runs one app. A context manager for synchronous code: entering starts the host, leaving stops all of it.

    Every method may be called from any thread.
    """

    def __init__(self, config: HostConfig, echo: Callable[[str], None] | None = None) -> None:
        """Read host.json and the keys; `echo` gets every line of the log. Raises ConfigError, ValueError (keys)."""
        self.config = config
        self.host_json = HostJson.read(config.app, config.settings)
        config.data.mkdir(parents=True, exist_ok=True)
        self.keys = config.keys or Keys.load_or_generate(config.data / "keys.json")
        self.easy_auth = config.easy_auth
        self.settings = Settings(config.settings)
        self.faults = FaultPlan(config.faults)
        self.log = HostLog(config.data / "logs" / "host.jsonl", echo)
        self.log.hide(self.keys.all())
        self.functions: list[Function] = []
        self.http_functions: list[Function] = []
        self.started_at = config.clock.now()
        self.url = ""
        self._index_error: str | None = None
        self._settled = threading.Event()
        self._listening = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run_loop, name="functions-host", daemon=True)

    # Life

    def __enter__(self) -> "FunctionsHost":
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen for requests and start the worker; returns before the app is loaded (see `wait_ready`).

        Raises ConfigError when the data folder or the port is taken.
        """
        self._data_lock = (self.config.data / "host.lock").open("w")
        try:
            fcntl.flock(self._data_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._socket = self._bind()
        except BlockingIOError:
            self._data_lock.close()
            raise ConfigError(f"{self.config.data}: another host uses this data folder; choose another one") from None
        except OSError as error:
            self._data_lock.close()
            raise ConfigError(f"{self.config.address}:{self.config.port}: {error.strerror}") from None
        self.port = int(self._socket.getsockname()[1])
        self.url = f"http://{self.config.address}:{self.port}"
        self._thread.start()
        self._listening.wait()
        if self._failure is not None:
            raise self._failure

    def _bind(self) -> socket.socket:
        # Named as TCP, or asyncio does not see that it is and leaves Nagle's algorithm on: 40 ms for every response.
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((self.config.address, self.config.port))
        except OSError:
            listening.close()
            raise
        return listening

    def stop(self) -> None:
        """End everything that `start` began. Twice is once."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()
        self.log.close()
        self._data_lock.close()

    def wait_ready(self, timeout: float = 60.0) -> None:
        """Wait until the app serves. Raises HostNotReadyError with Azure's text when it cannot be indexed."""
        if not self._settled.wait(timeout):
            raise HostNotReadyError(f"The app was not loaded within {timeout:g} s; see {self.log.path.parent}.")
        if self._index_error is not None:
            raise HostNotReadyError(self._index_error)

    def _run_loop(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:  # noqa: BLE001  # handed to the thread that waits for the start
            self._failure = error
        finally:
            self._listening.set()
            self._settled.set()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._indexed = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.alarms = Alarms(self.config.clock, self._loop)
        self.backend = DurableBackend(self.config.clock, self.alarms, self.host_json.replace_any_instance)
        self._backend_address = self.backend.start()
        timeout = self.host_json.function_timeout
        self.worker = Worker(
            self.config.app,
            worker_environment(self.config, self.port),
            self.log,
            self.config.data / "logs" / "worker.log",
            timeout.total_seconds() if timeout else None,
            self.config.worker_start_seconds,
        )
        server = self._web_server()
        serving = asyncio.create_task(server.serve(sockets=[self._socket]))
        background = [asyncio.create_task(work) for work in (self.alarms.run(), self.worker.run(), self._index())]
        while not server.started and not serving.done():
            await asyncio.sleep(0.005)
        self._listening.set()
        await self._stopping.wait()
        for timer in self.timers:
            timer.stop()
        server.should_exit = True
        server.force_exit = True
        for task in [*background, *self._tasks]:
            task.cancel()
        if self._engine is not None:
            self._engine.stop()
        await asyncio.gather(*background, serving, return_exceptions=True)
        await asyncio.to_thread(self.backend.stop)

    _engine: DurableEngine | None = None
    timers: tuple[Timer, ...] = ()

    async def _index(self) -> None:
        try:
            raw = await self.worker.index()
        except IndexingError as error:
            self._index_error = str(error)
            self.log.write("Error", "Host.Startup", "The host cannot start: the app cannot be indexed.")
        else:
            prefix = self.host_json.route_prefix
            self.functions = sorted((describe(one, self.settings, prefix) for one in raw), key=lambda f: f.name)
            routed = [f for f in self.functions if f.kind == "httpTrigger" and f.runs and f.route]
            self.http_functions = sorted(routed, key=lambda f: f.route.precedence if f.route else ())
            for error in self.errors:
                self.log.write("Error", "Host.Startup", error)
            for text in (text for function in self.functions for text in not_served(function)):
                self.log.write("Warning", "Host.Startup", text)
            self._engine = DurableEngine(
                self.backend, self.worker, self.functions, self.host_json, self.faults, self.log
            )
            self._engine.start()
            folder = self.config.data / "timers"
            self.timers = tuple(
                Timer(function, self.invoke, self.config.clock, self.alarms, folder, self.log)
                for function in self.functions
                if function.kind == "timerTrigger" and function.runs
            )
            for timer in self.timers:
                timer.start()
        self._indexed.set()
        self._settled.set()

    # Serving

    def _web_server(self) -> uvicorn.Server:
        query = urlencode(
            {"taskHub": self.host_json.task_hub, "connection": "Storage", "code": self.system_key("durabletask")}
        )
        base = f"{self.url}/runtime/webhooks/durabletask"
        self._durable_api = DurableHttpApi(self.backend, base, query)
        self._durable_client = json.dumps(
            {
                "taskHubName": self.host_json.task_hub,
                "connectionName": "Storage",
                "creationUrls": {},
                "managementUrls": {},
                "baseUrl": base,
                "httpBaseUrl": base,
                "requiredQueryStringParameters": query,
                "rpcBaseUrl": f"http://{self._backend_address}",
                "maxGrpcMessageSizeInBytes": 2**31 - 1,
                "grpcHttpClientTimeout": "00:01:40",
            }
        )
        app = WebApp(self, self.url, {"admin": AdminApi(self).handle, "runtime": self._webhook})
        config = uvicorn.Config(app, log_level="error", access_log=False, lifespan="off", ws="none", backlog=1024)
        logging.getLogger("uvicorn").propagate = False
        return uvicorn.Server(config)

    async def _webhook(self, request: Request) -> Response | None:
        parts = request.path.split("/", 3)
        if len(parts) < 3 or parts[1].lower() != "webhooks":
            return None
        extension = parts[2].lower()
        if extension not in ("eventgrid", "durabletask"):
            return None
        if not self.keys.allows(request.key, "system", f"{extension}_extension"):
            return Response(401)
        if not await self.wait_until_started():
            return Response(503, b"Function host is not running.")
        if extension == "eventgrid":
            return await event_grid.receive(request, self.functions, self.invoke)
        return await self._durable_api.handle(request, parts[3] if len(parts) > 3 else "")

    async def wait_until_started(self) -> bool:
        await self._indexed.wait()
        return self._index_error is None

    async def invoke(self, function: Function, inputs: list[dict[str, Any]], body: bytes = b"") -> Invocation:
        """Run a function with its trigger's input; the host adds the other inputs. Raises WorkerExitedError."""
        clients = [b["name"] for b in function.bindings if b["type"] == "durableClient"]
        more = [{"name": name, "type": "string", "value": self._durable_client} for name in clients]
        return await self.worker.invoke(function, [*inputs, *more], body)

    def fire(self, function: Function, value: str) -> None:
        """Run a function that is no HTTP function with this input, without waiting. Only in the host's own loop."""
        timer = next((timer for timer in self.timers if timer.function is function), None)
        if timer is not None:
            work = timer.fire()
        else:
            trigger = {"name": function.trigger["name"], "type": "json", "value": value}
            work = self.invoke(function, [trigger])
        task = self._loop.create_task(_ignore_worker_exit(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def now(self) -> datetime:
        return self.config.clock.now()

    @property
    def state(self) -> str:
        if not self._settled.is_set():
            return "Starting"
        return "Error" if self._index_error else "Running"

    @property
    def errors(self) -> list[str]:
        """Why the app, or single functions of it, cannot run."""
        functions = [function.error for function in self.functions if function.error]
        return [self._index_error] if self._index_error else functions

    # For tests and tools

    @property
    def master_key(self) -> str:
        return self.keys.master

    @property
    def function_key(self) -> str:
        """A key that calls every function."""
        return next(iter(self.keys.host.values()), self.keys.master)

    def system_key(self, extension: str) -> str:
        """The key of an extension's webhook: eventgrid, durabletask."""
        return self.keys.system.get(f"{extension}_extension", self.keys.master)

    def event_grid_url(self, function: str) -> str:
        """Where an Event Grid subscription delivers to a function, key included."""
        query = urlencode({"functionName": function, "code": self.system_key("eventgrid")})
        return f"{self.url}/runtime/webhooks/eventgrid?{query}"

    @property
    def work_items(self) -> int:
        """How many Durable work items (of the kinds that faults count) have been handed out."""
        return self._engine.numbered if self._engine else 0

    @property
    def idle(self) -> bool:
        """Whether no Durable work item is being delivered just now."""
        return self._engine is None or self._engine.idle

    @property
    def worker_restarts(self) -> int:
        return self.worker.restarts

    def kill_worker(self) -> None:
        """End the worker as a crash would. It comes back by itself, and unfinished Durable work is delivered again."""
        self._in_loop(self.worker.kill)

    def set_faults(self, faults: Faults) -> None:
        self.faults.set(faults)

    def pause_timers(self) -> None:
        """Stop listening for timers, as a stopped app does."""
        self._in_loop(lambda: [timer.stop() for timer in self.timers])

    def resume_timers(self) -> None:
        """Listen again; timers that missed an occurrence run at once and are past due."""
        self._in_loop(lambda: [timer.start() for timer in self.timers])

    def _in_loop(self, work: Any) -> None:
        done = threading.Event()

        def run() -> None:
            work()
            done.set()

        self._loop.call_soon_threadsafe(run)
        done.wait(10)


async def _ignore_worker_exit(work: Any) -> None:
    try:
        await work
    except WorkerExitedError:
        return  # logged where it happened; nobody waits for the outcome
