"""What executing and governing changes needs, from the settings and the estate in force."""

from datetime import UTC, datetime
from functools import cache

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
        return _rules().policy(environment)

    def windows(self, environment: str, now: datetime) -> tuple[Window, ...] | None:
        return _rules().windows(environment, now)

    def targets(self, environment: str, kind: str) -> int:
        return _rules().targets(environment, kind)


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
