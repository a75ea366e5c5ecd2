"""The app with an estate whose limits are short enough for a test, and alerts as Azure sends them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import yaml

from local.embedded_estate import EmbeddedEstate
from local.functions_host.faults import Faults
from tests.drills.running import App, app


def quick_estate(estate: EmbeddedEstate, folder: Path, *, stage: str = "production", **policy: Any) -> Path:
    """The estate's declaration with short times and without freezes, which would depend on the day."""
    declared: dict[str, Any] = yaml.safe_load(Path(estate.settings()["ESTATE_FILE"]).read_text())
    declared["environments"]["production"]["stage"] = stage
    declared["job_remediation"] |= {
        "stabilise": "1s",
        "reconcile_every": "1s",
        "storm": {"signals": 1000, "share": "100%"},
        **policy,
    }
    declared["job_remediation"].setdefault("sessions", {})
    declared["job_remediation"]["sessions"] |= {
        "idle_in_transaction": "1s",
        "waiting": "1s",
        "idle_in_transaction_tight": "1s",
        "waiting_tight": "1s",
        "one_in": "2s",
    }
    gates = declared.setdefault("changes", {}).setdefault("gates", {})
    gates["production"] = {
        "approval_for": ["irreversible", "financial"],
        "freeze_holds": [],
        "maintenance_only": [],
        "at_once": 20,
        "share_at_once": "100%",
        "attempts_per_target": "50 per 1d",
        "attempts_per_class": "500 per 1d",
        "verify_every": "1s",
    }
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "estate.yaml"
    file.write_text(yaml.safe_dump(declared, sort_keys=False))
    return file


@contextmanager
def remediating(estate: EmbeddedEstate, folder: Path, faults: Faults | None = None, **policy: Any) -> Iterator["Team"]:
    """The app that remediates this estate."""
    file = quick_estate(estate, folder / "declared", **policy)
    with app(estate, folder / "host", faults, ESTATE_FILE=str(file), ALERTMANAGER_KEY="a-key") as running:
        yield Team(running)


class Team:
    """Who sends alerts, and looks at what became of them."""

    def __init__(self, running: App) -> None:
        self.app = running
        self.api = running.api
        self.estate = running.estate

    def tell(self, body: Any, where: str = "/api/signals") -> dict[str, Any]:
        """Send a delivery; it must be taken in."""
        answer = self.app.patiently(lambda: self.api.post(where, json=body))
        assert answer.status_code == 202, answer.text
        return answer.json()

    def fires(self, symptom: str, fault: str = "fault", **said: Any) -> dict[str, Any]:
        """A plain signal that something is wrong now."""
        now = datetime.now(UTC).isoformat()
        return {
            "condition": "fired",
            "fault": fault,
            "symptom": symptom,
            "environment": "production",
            "fired_at": now,
            **said,
        }

    def outcome(self, remediation: str, seconds: float = 90) -> dict[str, Any]:
        """How the remediation ended."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            state = self.shown(remediation)
            if state["status"] in {"completed", "failed", "terminated"}:
                assert state["status"] == "completed", (state, self.app.log())
                return state["result"]
            time.sleep(0.1)
        raise AssertionError(f"{remediation} is not over: {state}\n{self.app.log()}")

    def shown(self, remediation: str) -> dict[str, Any]:
        """A remediation as the API shows it; retried while the worker is down."""
        answer: httpx.Response = self.app.patiently(lambda: self.api.get(f"/api/remediations/{remediation}"))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def reconciled(self, holds: Callable[[], Any], seconds: float = 90) -> Any:
        """Fire the poll, as its timer does again and again, until that holds."""

        def fire_and_ask() -> Any:
            self.app.fire("remediation_reconcile")
            self.app.await_idle()
            return holds()

        return self.app.await_that(fire_and_ask, seconds)
