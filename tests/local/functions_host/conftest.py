"""Hosts for the tests. Most tests share one; those that need other settings start their own."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import durabletask.internal.orchestrator_service_pb2 as pb
import httpx
import pytest

from local.functions_host import FunctionsHost, HostConfig
from local.functions_host.durable_backend import LOCAL

APP = Path(__file__).parent / "app"
QUIET = {f"AzureWebJobs.{name}.Disabled": "1" for name in ("slow_timer", "every_90_minutes", "switched_off")}


class Running:
    """A host that runs the test app, a client with the function key, and the app's effects."""

    def __init__(self, host: FunctionsHost, effects: Path) -> None:
        self.host = host
        self._effects = effects
        self.client = httpx.Client(base_url=host.url, headers={"x-functions-key": host.function_key}, timeout=30)
        self.admin = httpx.Client(base_url=host.url, headers={"x-functions-key": host.master_key}, timeout=30)
        key = host.system_key("durabletask")
        self.durable = httpx.Client(
            base_url=f"{host.url}/runtime/webhooks/durabletask/", params={"code": key}, timeout=30
        )

    def effects(self) -> list[str]:
        return self._effects.read_text(encoding="utf-8").splitlines() if self._effects.exists() else []

    def start(self, name: str, instance: str, given: Any = None) -> None:
        """Start an orchestration through the host, so that it does not matter if the worker dies of it."""
        self.durable.post(f"orchestrators/{name}/{instance}", json=given).raise_for_status()

    def status(self, instance: str) -> dict[str, Any]:
        return self.durable.get(f"instances/{instance}").json()

    def finished(self, instance: str, seconds: float = 90) -> dict[str, Any]:
        """The status of an instance once it is over."""
        over = ("Completed", "Failed", "Terminated")
        return until(lambda: self.status(instance), lambda status: status["runtimeStatus"] in over, seconds)

    def run(self, name: str, instance: str, given: Any = None) -> dict[str, Any]:
        self.start(name, instance, given)
        return self.finished(instance)

    def let_go(self, name: str) -> None:
        """End what the app holds under this name."""
        Path(f"{self._effects}.{name}").touch()

    def history(self, instance: str) -> list[pb.HistoryEvent]:
        chunks = self.host.backend.StreamInstanceHistory(pb.StreamInstanceHistoryRequest(instanceId=instance), LOCAL)
        return [event for chunk in chunks for event in chunk.events]

    def logs(self) -> list[dict[str, Any]]:
        return self.host.log.read()


def until[T](read: Callable[[], T], accept: Callable[[T], object] = bool, seconds: float = 90) -> T:
    """Read until the value is accepted; fails with the last value."""
    deadline = time.monotonic() + seconds
    while True:
        value = read()
        if accept(value):
            return value
        assert time.monotonic() < deadline, f"still {value!r} after {seconds} s"
        time.sleep(0.01)


type Start = Callable[..., Running]


@pytest.fixture
def start_host(tmp_path: Path) -> Iterator[Start]:
    """Starts hosts of the test app (or of another one) in this test's folder, and stops them at its end."""
    running: list[Running] = []

    def start(
        *,
        app: Path = APP,
        data: Path | None = None,
        settings: dict[str, str] | None = None,
        wait: bool = True,
        **options: Any,
    ) -> Running:
        effects = tmp_path / "effects"
        values = {"EFFECTS": str(effects), "NIGHTLY": "0 30 2 * * *", **QUIET, **(settings or {})}
        host = FunctionsHost(HostConfig(app=app, data=data or tmp_path / "data", settings=values, **options))
        host.start()
        running.append(Running(host, effects))
        if wait:
            host.wait_ready()
        return running[-1]

    yield start
    for one in running:
        one.host.stop()


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One host for a whole module."""
    folder = tmp_path_factory.mktemp("host")
    settings = {"EFFECTS": str(folder / "effects"), "NIGHTLY": "0 30 2 * * *", **QUIET}
    with FunctionsHost(HostConfig(app=APP, data=folder / "data", settings=settings)) as host:
        host.wait_ready()
        yield Running(host, folder / "effects")
