"""How evidence is kept and sealed."""

from datetime import timedelta
from typing import Literal

from shared.estate.declared import Declared
from shared.estate.values import Duration


class EvidencePolicy(Declared):
    """Records, seals and packs."""

    keep: Duration = timedelta(days=10 * 366)
    """How long evidence must be kept. The container's immutability policy must be at least as long."""

    seal_every: Duration = timedelta(minutes=15)
    """How often new records are sealed."""

    alarm_after: Duration = timedelta(hours=1)
    """How old an unsealed record may become until it is an alarm."""

    packs: Literal["none", "monthly", "quarterly"] = "none"
    """How often a pack of every environment is made by itself, for the fiscal period that ended."""
