"""The app with a gate that a storm meets, many senders at once, and what became of it all."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from local.embedded_estate import EmbeddedEstate
from tests.drills.running import App, app
from tests.remediation.running import Team, quick_estate

AT_ONCE = 3
FAILURES = 2
"""After so many failures in a row the breaker opens."""
SPREAD = tuple(f"spread-{number}" for number in range(3))
"""Three CronJobs that are declared, beside the four workloads of the example: together more than 30 %."""


@contextmanager
def stormy(estate: EmbeddedEstate, folder: Path, cool_down: str, **settings: str) -> Iterator[Team]:
    """The app whose gate lets three changes act at once and stops after two failures; five faults are a storm."""
    file = quick_estate(
        estate,
        folder / "declared",
        storm={"signals": 5, "cool_down": cool_down},
        jobs={"cronjob/odoo/*": {"repeat": "A", "changes_ledger": False}},
        probes={},
    )
    declared = yaml.safe_load(file.read_text())
    declared["changes"]["gates"]["production"] |= {
        "at_once": AT_ONCE,
        "stop_after_failures": FAILURES,
        "longest_wait": "2m",
        "verify_every": "1s",
        "retry_after": "1s",
    }
    workloads = declared["environments"]["production"]["clusters"]["main"]["workloads"]
    for name in SPREAD:
        workloads[name] = {"object": f"cronjob/odoo/{name}", "role": "integration"}
    file.write_text(yaml.safe_dump(declared, sort_keys=False))
    with app(estate, folder / "host", ESTATE_FILE=str(file), ALERTMANAGER_KEY="a-key", **settings) as running:
        yield Team(running)


@dataclass
class Sent:
    """What senders saw. `seconds`: of each delivery, until it was answered. `told`: the signals in the answers.

    first: when the first delivery about each fault was sent, by its fingerprint, as time.monotonic says.
    """

    seconds: list[float] = field(default_factory=list[float])
    whole: float = 0.0
    statuses: dict[int, int] = field(default_factory=dict[int, int])
    told: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    first: dict[str, float] = field(default_factory=dict[str, float])


def send(api: httpx.Client, where: str, deliveries: Sequence[Any], at_once: int = 8) -> Sent:
    """Send all of them, so many at once; what is answered 503 is sent again, as senders do."""
    sent, lock = Sent(), threading.Lock()

    def one(delivery: Any) -> None:
        began = time.monotonic()
        while True:
            answer = api.post(where, json=delivery)
            with lock:
                sent.statuses[answer.status_code] = sent.statuses.get(answer.status_code, 0) + 1
            if answer.status_code != 503:
                break
            time.sleep(0.2)
        with lock:
            sent.seconds.append(time.monotonic() - began)
            for signal in (answer.json() if answer.content else {}).get("signals", ()):
                sent.told.append(signal)
                sent.first[signal["fingerprint"]] = min(began, sent.first.get(signal["fingerprint"], began))

    began = time.monotonic()
    with ThreadPoolExecutor(at_once) as senders:
        list(senders.map(one, deliveries))
    sent.whole = time.monotonic() - began
    return sent


class Watch:
    """Looks at the app's state again and again while the context lasts: who acts, and when each fault was decided on.

    most: the most changes that had a place in the environment at once. decided: when the first decision about each
    fault was there, by its fingerprint, as time.monotonic says; not more exact than the pause between two looks.
    """

    def __init__(self, running: App, environment: str = "production", pause: float = 0.05) -> None:
        self._state = running.estate.state
        self._places = f"places/{environment}.json"
        self._pause = pause
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.most = 0
        self.decided: dict[str, float] = {}

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        from azure.core.exceptions import ResourceNotFoundError

        while not self._over.wait(self._pause):
            try:
                places = yaml.safe_load(self._state.download_blob(self._places).readall())
                self.most = max(self.most, len(places["taken"]))
            except ResourceNotFoundError:
                pass
            for blob in self._state.list_blobs(name_starts_with="remediation/looks/"):
                self.decided.setdefault(blob.name.split("/")[2], time.monotonic())


def awaited(condition: Callable[[], bool], what: Callable[[], Any], seconds: float = 120) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.2)


def remediations(team: Team) -> list[dict[str, Any]]:
    """All remediations that were begun, over or not."""
    answer = team.app.patiently(lambda: team.api.get("/api/remediations", params={"open": "false"}))
    assert answer.status_code == 200, answer.text
    return [one for one in answer.json()["value"] if one["occurrences"]]
