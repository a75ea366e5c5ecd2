"""Service tiers: what is promised."""

from enum import StrEnum

from shared.estate.declared import Declared
from shared.estate.values import Duration


class DrillRhythm(StrEnum):
    """How often every server of a tier is restored and checked."""

    WEEKLY = "weekly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    YEARLY = "yearly"
    NEVER = "never"


class Tier(Declared):
    """A promise that environments, servers and tenants refer to by its name."""

    rpo: Duration
    """The most data that may be lost, as time before a disaster. Azure's continuous backup gives 5m at best; a copy in
    another region 1h."""

    rto: Duration
    """The longest time from the decision to restore until the books answer again."""

    drill: DrillRhythm = DrillRhythm.NEVER
    """How often every server of this tier is restored and checked. Each is proven once within this period."""
