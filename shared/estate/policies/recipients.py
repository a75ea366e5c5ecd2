"""Who is told what. The app publishes events; subscriptions on its topic turn them into mail, chat or pages."""

from enum import StrEnum

from shared.estate.declared import Declared
from shared.estate.values import Text
from shared.finance_calendar.declaration import Name


class Topic(StrEnum):
    """What an event is about."""

    ESTATE = "estate"
    CALENDAR = "calendar"
    CHANGES = "changes"
    APPROVALS = "approvals"
    EVIDENCE = "evidence"
    BACKUPS = "backups"
    DRILLS = "drills"
    TIERING = "tiering"
    SLEEP = "sleep"
    PEAKS = "peaks"
    REMEDIATION = "remediation"
    SERVICE_LEVELS = "service-levels"


class Severity(StrEnum):
    """How much an event matters."""

    INFORMATION = "information"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class Recipient(Declared):
    """A group of people by a name that subscriptions filter on. No addresses: these change without the estate."""

    who: Text
    """Who that is, in words."""

    topics: tuple[Topic, ...] = ()
    """What they are told about; empty is everything."""

    at_least: Severity = Severity.WARNING
    """The least severity that they are told of."""

    environments: tuple[Name, ...] = ()
    """Environments whose every event they are told of, besides those that name them."""
