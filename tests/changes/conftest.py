"""A functions host that executes changes on a world of its own, for a whole module."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from functions.change_execution import PlanOrder
from local.functions_host import Faults, FunctionsHost, HostConfig
from shared.changes.change import Change
from shared.changes.scheduling import Ended, PlanEnded
from shared.changes.state import from_data, to_data
from tests.changes.world import FAST, World

APP = Path(__file__).parent / "app"


class Running:
    """The host, its world, and what a test asks of them."""

    def __init__(self, host: FunctionsHost, world: World) -> None:
        self.host = host
        self.world = world
        self._client = httpx.Client(
            base_url=f"{host.url}/runtime/webhooks/durabletask/",
            params={"code": host.system_key("durabletask")},
            timeout=30,
        )

    def start(self, instance: str, *changes: Change, **more: Any) -> None:
        order = PlanOrder(changes=changes, requested_by=more.pop("requested_by", "test_changes"), **more)
        self._client.post(f"orchestrators/change_plan/{instance}", json=to_data(order)).raise_for_status()

    def status(self, instance: str) -> dict[str, Any]:
        return self._client.get(f"instances/{instance}").json()

    def finished(self, instance: str, seconds: float = 60) -> dict[str, Any]:
        over = ("Completed", "Failed", "Terminated")
        return until(lambda: self.status(instance), lambda status: status["runtimeStatus"] in over, seconds)

    def ended(self, instance: str, seconds: float = 60) -> dict[str, Ended]:
        """How each change of the plan ended, by target."""
        status = self.finished(instance, seconds)
        assert status["runtimeStatus"] == "Completed", status
        plan = from_data(PlanEnded, status["output"])
        return {ended.description.split()[-1]: ended for ended in plan.changes}

    def run(self, instance: str, *changes: Change, **more: Any) -> dict[str, Ended]:
        self.start(instance, *changes, **more)
        return self.ended(instance)

    def wake(self, instance: str) -> None:
        self._client.post(f"instances/{instance}/raiseEvent/recheck", json=None)

    def kinds(self, change: Change) -> list[str]:
        """What was recorded about the change, in the order of time."""
        mine = [r for r in self.world.records() if r["body"].get("change_id") == change.id]
        return [record["kind"] for record in sorted(mine, key=lambda record: record["time"])]


def until[T](read: Callable[[], T], accept: Callable[[T], object] = bool, seconds: float = 90) -> T:
    """Read until the value is accepted; fails with the last value."""
    deadline = time.monotonic() + seconds
    while True:
        value = read()
        if accept(value):
            return value
        assert time.monotonic() < deadline, f"still {value!r} after {seconds} s"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def _module_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("changes")
    config = HostConfig(app=APP, data=folder / "data", port=0, settings={"WORLD": str(folder / "world")})
    with FunctionsHost(config) as host:
        host.wait_ready()
        yield Running(host, World(folder / "world"))


@pytest.fixture
def app(_module_app: Running) -> Iterator[Running]:
    """The module's host, without faults and with the fast policy at the beginning and end of each test."""
    _module_app.world.set_rules(FAST)
    yield _module_app
    _module_app.host.set_faults(Faults())
