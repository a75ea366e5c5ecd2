"""How the simulated service behaves where there is a choice."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal


@dataclass
class Behaviour:
    """Where Azure is known to behave in more than one way, or slower than a laptop. May be changed at any time."""

    seconds: dict[str, float] = field(default_factory=dict[str, float])
    """Extra time by operation: create, restore, update, start, stop, restart, delete, backup, configure.
    A change of compute the slow way takes `scale slowly`, and the server does not answer in that time."""
    restore_applies_tags: bool = False
    """Tags in a restore's request are not reliably applied (terraform-provider-azurerm issue 18257)."""
    failed_restore_leaves: Literal["server", "nothing"] = "server"
    """Whether a server whose restore failed is there and must be deleted, or is gone. Both are seen."""
    delete_interrupts: bool = False
    """Whether a server can be deleted while it is being made or changed; else ServerIsBusy."""
    names_stay_taken_seconds: float = 0.0
    """How long a deleted server's name cannot be used again; minutes in Azure."""
    page_size: int = 100
    backup_interval: timedelta = timedelta(days=1)
    first_backup_after: timedelta = timedelta(minutes=10)
    """The age at which a server that was made by a request gets its first backup."""
    cores_quota: int = 100
    """The vCores that all servers of a region may have together."""
    spare_addresses: bool = True
    """Whether a delegated subnet has an address for another machine, as near-zero-downtime scaling needs one."""
    scaling_falls_back: bool = False
    """Whether a near-zero-downtime scaling is given up and done the slow way, for want of a machine, say."""
    unavailable_skus: set[str] = field(default_factory=set[str])
    """Sizes that the region has no machines for: not offered, and refused."""
    geo_backup_lag: timedelta = timedelta(0)
    """How far the paired region is behind; at most an hour in Azure."""

    def reset(self) -> None:
        """Everything as it is by default."""
        vars(self).update(vars(Behaviour()))
