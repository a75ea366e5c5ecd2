"""What is done with a copy after the verdict on its books: tested with faults, kept for people, or neither."""

from pydantic import AwareDatetime, BaseModel, ConfigDict


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class InjectedFault(_Model):
    """A fault that was put into the copy, the check that must find it, and whether it did."""

    name: str
    check: str
    found: bool


class SelfTested(_Model):
    """How well the checks found faults that were put into a disposable copy of one database."""

    database: str
    seed: int
    injected: tuple[InjectedFault, ...] = ()
    not_injected: tuple[tuple[str, str], ...] = ()
    """Faults that this database gave no opportunity for, and why."""
    score: float | None = None
    """The share of the injected faults that were found, 0 to 1; None when none could be injected."""
    problem: str = ""
    """Why it could not be done, empty when it was."""


class NeutralisedDatabase(_Model):
    """What was switched off in one database of a copy that is to be kept, and the proof that it is off."""

    database: str
    proven: bool
    done: tuple[str, ...] = ()
    remaining: tuple[str, ...] = ()
    """What could still act, or why nothing is proven."""


class Kept(_Model):
    """A copy for people to look at. It is kept only when every database is proven to be harmless."""

    until: AwareDatetime | None
    """When it is removed; None: it was not kept, because it was not proven to be harmless."""
    databases: tuple[NeutralisedDatabase, ...]
