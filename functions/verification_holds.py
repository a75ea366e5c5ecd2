"""What keeps a verification from beginning: the stop switch, a pause, an environment that does not want it."""

from datetime import datetime

from functions.change_execution import services
from shared.changes import governance
from shared.changes.policy import OverrideKind

AUTOMATION = "backup_verification"


def held(environment: str, now: datetime) -> str:
    """Why nothing may be begun in the environment now, empty when it may."""
    governed = services()
    switch = governance.stop_switch(governed)
    if switch and switch.pulled:
        return f"the stop switch is pulled ({switch.reason}), by {switch.by}"
    enabled = governed.rules.policy(environment).enabled_automations
    if enabled is not None and AUTOMATION not in enabled:
        return f"{AUTOMATION} is not enabled in {environment}"
    for override in governance.list_overrides(governed):
        concerned = override.automation == AUTOMATION and override.environment in (None, environment)
        if override.kind is OverrideKind.PAUSE and concerned and override.in_force(now):
            return f"paused until {override.end.isoformat()} ({override.reason}), by {override.set_by}"
    return ""


def dry_run(environment: str) -> bool:
    """Whether nothing may be created on any server: by the setting DRY_RUN, or by the environment's gate."""
    governed = services()
    return bool(governed.dry_run) or governed.rules.policy(environment).dry_run
