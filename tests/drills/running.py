"""The app on the functions host, driven as an operator drives it, and what it left in the world."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.embedded_estate import EmbeddedEstate
from local.functions_host.config import HostConfig
from local.functions_host.faults import Faults
from local.functions_host.host import FunctionsHost

PROJECT = Path(__file__).resolve().parents[2]
STRANGER = "pg-erp-drill-0123456789"
"""A server that looks like a drill's and is none."""
TERMINAL = {"completed", "failed", "terminated"}


class App:
    """A running app and the estate that it works on."""

    def __init__(self, host: FunctionsHost, estate: EmbeddedEstate) -> None:
        self.host = host
        self.estate = estate
        self.api = httpx.Client(base_url=host.url, headers={"x-functions-key": host.function_key}, timeout=60)

    def start_drill(self, key: str, **changed: Any) -> str:
        """The id of a drill that was asked for; retried while the worker is down, as a client would."""
        body = {
            "environment": "production",
            "server": next(iter(self.estate.environments["production"].postgres)),
            **changed,
        }
        answer = self.patiently(lambda: self.api.post("/api/drills", json=body, headers={"Idempotency-Key": key}))
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    def await_drill(self, drill: str, seconds: float = 120) -> dict[str, Any]:
        """The drill once it is over."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            state = self.patiently(lambda: self.api.get(f"/api/drills/{drill}")).json()
            if state["status"] in TERMINAL:
                return state
            time.sleep(0.1)
        raise AssertionError(f"the drill is not over: {state}\n{self.log()}")

    def drill(self, key: str, **changed: Any) -> dict[str, Any]:
        """The report of a drill that ran to its end."""
        state = self.await_drill(self.start_drill(key, **changed))
        assert state["status"] == "completed", (state, self.log())
        return state["report"]

    def patiently(self, request: Callable[[], httpx.Response]) -> httpx.Response:
        """The answer, asked for again when the worker died meanwhile: what a client with an Idempotency-Key may do."""
        deadline = time.monotonic() + 60
        while True:
            answer = request()
            if answer.status_code < 500 or time.monotonic() > deadline:
                return answer
            time.sleep(0.1)

    def fire(self, function: str) -> None:
        """Fire a timer by hand, as Core Tools does."""
        answer = httpx.post(
            f"{self.host.url}/admin/functions/{function}",
            headers={"x-functions-key": self.host.master_key},
            json={},
            timeout=60,
        )
        assert answer.status_code == 202, answer.text

    def log(self) -> str:
        """The end of the host's log."""
        return (self.host.config.data / "logs" / "host.jsonl").read_text()[-6000:]

    def await_that(self, holds: Callable[[], Any], seconds: float = 90) -> Any:
        """What the question answers once it is true."""
        deadline = time.monotonic() + seconds
        while not (answer := holds()):
            assert time.monotonic() < deadline, f"it never came to be\n{self.log()}"
            time.sleep(0.2)
        return answer

    def await_idle(self) -> None:
        """Wait until everything that was fired has run."""
        deadline = time.monotonic() + 60
        while not self.host.idle and time.monotonic() < deadline:
            time.sleep(0.1)

    def await_listed(self, count: int) -> list[str]:
        """The ids of production's drills that the API lists, once there are so many."""
        deadline = time.monotonic() + 60
        while True:
            listed = [drill["id"] for drill in self.api.get("/api/drills").json()["value"]]
            listed = [drill for drill in listed if drill.startswith("drill:production:")]
            if len(listed) >= count or time.monotonic() > deadline:
                return listed
            time.sleep(0.2)

    def await_progress(self, drill: str, phase: str) -> None:
        """Wait until the drill says that it is in that phase."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            progress = self.api.get(f"/api/drills/{drill}").json()["progress"]
            if progress and progress["phase"] == phase:
                return
            time.sleep(0.05)
        raise AssertionError(f"the drill never came to {phase}\n{self.log()}")

    def terminate(self, drill: str) -> None:
        """End the orchestration from outside, as an operator with the system key can."""
        answer = httpx.post(
            f"{self.host.url}/runtime/webhooks/durabletask/instances/{drill}/terminate",
            params={"code": self.host.system_key("durabletask"), "reason": "test"},
        )
        assert answer.status_code == 202, answer.text

    def reap_until_clean(self) -> None:
        """Fire the reaper until it has removed every temporary server, and once more."""
        deadline = time.monotonic() + 60
        while self.temporary_servers() and time.monotonic() < deadline:
            self.fire("drill_reaper")
            time.sleep(1)
        assert self.temporary_servers() == []
        self.fire("drill_reaper")

    def await_record(self, drill: str) -> dict[str, Any]:
        """The one record about the drill, once it is there."""
        deadline = time.monotonic() + 60
        while not (records := self.records(drill)) and time.monotonic() < deadline:
            time.sleep(0.2)
        (record,) = records
        return record

    def temporary_servers(self) -> list[str]:
        """The names of servers in Azure that no estate declares."""
        policy = self.estate.declared.backup_verification
        scratch = policy.dumps.scratch if policy and policy.dumps else None
        known = {STRANGER, scratch.name if scratch else STRANGER} | {
            server.id.name
            for environment in self.estate.environments.values()
            for server in environment.postgres.values()
        }
        return [server.name for server in self.estate.azure.servers.all() if server.name not in known]

    def records(self, drill: str) -> list[dict[str, Any]]:
        """The evidence about a drill."""
        container = self.estate.evidence
        found: list[dict[str, Any]] = []
        for blob in container.list_blobs(name_starts_with="records/"):
            record = json.loads(container.download_blob(blob.name).readall())
            if record["subject"] == drill:
                found.append(record)
        return found

    def events(self, drill: str) -> list[dict[str, Any]]:
        """What was told about a drill, as a receiver sees it that drops what it has seen: by event id."""
        received = (kept.event for kept in self.estate.azure.events.received)
        return list({event.id: dict(event.body) for event in received if event.id == drill}.values())


def declare(estate: EmbeddedEstate, folder: Path, *changes: tuple[str, str]) -> str:
    """A copy of the estate's file with these changes, as a setting for the app."""
    text = estate.local_estate_file.read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    file = folder / "estate.yaml"
    file.write_text(text)
    return str(file)


@contextmanager
def as_the_app(estate: EmbeddedEstate, **settings: str) -> Iterator[None]:
    """What is called here reaches the estate as the app does. Nothing that is remembered by it stays."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (estate.settings() | settings).items():
            patch.setenv(name, value)
        _forget()
        try:
            yield
        finally:
            _forget()


def _forget() -> None:
    for name in [name for name in sys.modules if name.startswith(("shared.platforms", "functions"))]:
        for value in list(vars(sys.modules[name]).values()):
            if (clear := getattr(value, "cache_clear", None)) is not None:
                clear()


@contextmanager
def app(estate: EmbeddedEstate, data: Path, faults: Faults | None = None, **settings: str) -> Iterator[App]:
    """The app on a host of its own."""
    never = "0 0 0 1 1 *"
    by_hand = {
        "ANCHORS_SCHEDULE": never,
        "BACKUP_INVENTORY_SCHEDULE": never,
        "BACKUP_VERIFICATION_SCHEDULE": never,
        "DRILL_REAPER_SCHEDULE": never,
        "DUMP_VERIFICATION_SCHEDULE": never,
        "PEAK_SCALING_SCHEDULE": never,
        "REMEDIATION_POLL_SCHEDULE": never,
        "SHUTDOWN_SCHEDULES_SCHEDULE": never,
        "STORAGE_TIERING_SCHEDULE": never,
    }
    config = HostConfig(PROJECT, data, settings=estate.settings() | by_hand | settings, faults=faults or Faults())
    with FunctionsHost(config) as host:
        host.wait_ready()
        yield App(host, estate)
