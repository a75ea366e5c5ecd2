"""How the simulated service behaves where there is a choice."""

from dataclasses import dataclass, field


@dataclass
class Behaviour:
    """Where AKS is known to behave in more than one way, or slower than a laptop. May be changed at any time."""

    seconds: dict[str, float] = field(default_factory=dict[str, float])
    """Extra time by operation: start, stop, pool."""
    node_ready_seconds: float = 0.0
    """How long a new node takes to be Ready, after its machine is there; about a minute in Azure."""
    settle_seconds: float = 0.0
    """How long after a stop a start is refused. Azure's advice is to wait 15 to 30 minutes; what it answers to those
    who do not is not documented."""
    capacity: dict[str, int] = field(default_factory=dict[str, int])
    """The most machines that there are for a pool, by its name: it gets these, and its operation fails."""
    cores_quota: dict[str, int] = field(default_factory=dict[str, int])
    """The vCores that the subscription may have of a family of machines in a region, e.g. `standardDSv5Family`; as many
    as it likes of those that are not named. `cores` is what it may have of all together."""
    page_size: int = 100

    def reset(self) -> None:
        """Everything as it is by default."""
        vars(self).update(vars(Behaviour()))
