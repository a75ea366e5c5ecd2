"""What executing and governing changes needs, from the settings and the estate in force."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from functions import estate_in_force
from shared.changes.freeze import Window
from shared.changes.policy import Policy
from shared.changes.ports import Adapters, Rules, Services
from shared.changes.state import Store
from shared.platforms import blobs, event_grid, settings
from shared.version import VERSION

ADAPTERS = Adapters()
"""What can be done to what. Nothing is registered before `services` is first asked for: a cold start needs none."""


class _RulesInForce:
    """`Rules` that follow the estate: asked anew each time, so that a new declaration governs what runs already."""

    def policy(self, environment: str) -> Policy:
        return as_long_as_an_act(_rules().policy(environment), function_timeout())

    def windows(self, environment: str, now: datetime) -> tuple[Window, ...] | None:
        return _rules().windows(environment, now)

    def targets(self, environment: str, kind: str) -> int:
        return _rules().targets(environment, kind)


class FunctionTimeoutError(Exception):
    """The host gives functions no end that another delivery could wait for."""


def function_timeout() -> timedelta:
    """How long the host lets a function run: `functionTimeout` of the app's host.json, or the setting that overlays it.

    Raises FunctionTimeoutError.
    """
    text = settings.optional("AzureFunctionsJobHost__functionTimeout", "") or _host_json().get("functionTimeout", "")
    parts = re.fullmatch(r"(\d{1,2}):(\d\d):(\d\d)", str(text))
    if parts is None:
        raise FunctionTimeoutError(
            f"functionTimeout is {text!r}: write hh:mm:ss; without an end nobody can tell a hung act from a slow one"
        )
    hours, minutes, seconds = map(int, parts.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


@cache
def _host_json() -> dict[str, object]:
    return json.loads((Path(__file__).parents[1] / "host.json").read_text(encoding="utf-8"))


def as_long_as_an_act(policy: Policy, longest: timedelta) -> Policy:
    """The policy, so that nobody takes over an act while the host may still let its first delivery go on."""
    return replace(policy, redelivery_grace=max(policy.redelivery_grace, longest))


def _rules() -> Rules:
    from shared.changes.declared_rules import DeclaredRules

    return DeclaredRules(estate_in_force.get(), estate_in_force.calendar(datetime.now(UTC)))


@cache
def services() -> Services:
    """The services of this app. Raises MissingSettingError."""
    from functions import adapters
    from shared.changes.recording import EvidenceRecorder

    state = settings.required("STATE_URL", "give the URL of the blob container for the app's state")
    evidence = settings.required("EVIDENCE_URL", "give the URL of the blob container for evidence")
    adapters.register(ADAPTERS)
    recorder = EvidenceRecorder(blobs.container(evidence), lambda: estate_in_force.get().version, VERSION)
    return Services(
        store=Store(blobs.container(state)),
        adapters=ADAPTERS,
        rules=_RulesInForce(),
        recorder=recorder,
        publisher=event_grid.topic(),
        dry_run=settings.switched_on("DRY_RUN"),
    )
