"""Windows in which changes must not (freeze) or only then may (maintenance) act."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.changes.change import Change


class Effect(StrEnum):
    """What a window does."""

    FREEZE = "freeze"
    MAINTENANCE = "maintenance"


@dataclass(frozen=True, kw_only=True)
class Window:
    """A stretch of time [start, end), of aware datetimes; the finance calendar is mapped onto this.

    environment, tenant: None means all. classes: the action classes concerned; None means all.
    approval_classes: classes that a freeze lets pass with an approval, without an exception.
    time_zone: in which people read its times.
    """

    name: str
    effect: Effect
    start: datetime
    end: datetime
    time_zone: str = "UTC"
    environment: str | None = None
    tenant: str | None = None
    classes: frozenset[str] | None = None
    approval_classes: frozenset[str] = frozenset()

    def concerns(self, change: Change) -> bool:
        """Whether the window is about this change, whenever it acts.

        A window of one tenant also holds what all tenants share: a change without a tenant touches that one too.
        """
        return (
            self.environment in (None, change.environment)
            and (self.tenant is None or change.tenant in (None, self.tenant))
            and (self.classes is None or change.action_class in self.classes)
        )

    def holds(self, now: datetime) -> bool:
        """Whether `now` is inside."""
        return self.start <= now < self.end
