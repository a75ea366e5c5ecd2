"""Whose turn it is: how many restored servers may be alive at once, whoever asks for them and however often.

One value in the state container, changed by compare-and-swap, holds for all instances of the app. A turn is given back
when the server's absence is proven, not when the drill ends. Pure; times are aware UTC.
"""

from collections.abc import Mapping
from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict

NAME = "drill-turns"
"""Where it is kept."""


class Holder(BaseModel):
    """A drill that has a turn, or waits for one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    environment: str
    server: str
    source_id: str
    since: AwareDatetime


class Turns(BaseModel):
    """All turns, by the drill's id."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    taken: Mapping[str, Holder] = {}
    waiting: Mapping[str, Holder] = {}

    def rival(self, drill: str, source_id: str) -> str | None:
        """Another drill whose restored copy of the same server may be alive; ids are equal whatever their case."""
        for other, holder in self.taken.items():
            if other != drill and holder.source_id.lower() == source_id.lower():
                return other
        return None

    def asked(self, drill: str, holder: Holder, at_once: int) -> "Turns":
        """Take a turn when one is free, else wait; asking twice is asking once."""
        if drill in self.taken:
            return self
        if len(self.taken) < at_once and self.rival(drill, holder.source_id) is None:
            return Turns(taken={**self.taken, drill: holder}, waiting=_without(self.waiting, drill))
        return Turns(taken=self.taken, waiting={drill: holder, **self.waiting})

    def given_back(self, drill: str) -> "Turns":
        """Without that drill; twice is once."""
        return Turns(taken=_without(self.taken, drill), waiting=_without(self.waiting, drill))

    def holds(self, environment: str, server: str) -> bool:
        """Whether a drill of that server has a turn or waits for one."""
        everybody = [*self.taken.values(), *self.waiting.values()]
        return any((holder.environment, holder.server) == (environment, server) for holder in everybody)

    def known(self) -> dict[str, Holder]:
        """Every drill in it."""
        return {**self.taken, **self.waiting}


def held_since(turns: Turns | None, drill: str) -> datetime | None:
    """Since when that drill has its turn, None when it has none."""
    holder = turns.taken.get(drill) if turns else None
    return holder.since if holder else None


def _without(holders: Mapping[str, Holder], drill: str) -> dict[str, Holder]:
    return {other: holder for other, holder in holders.items() if other != drill}
