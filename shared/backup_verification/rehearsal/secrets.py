"""Secrets by name: whether the paired region's vault has what the runbook needs. Values are never asked for."""

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol


class SecretFacts(Protocol):
    """A secret without its value."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def enabled(self) -> bool:
        """Whether it can be read at all."""
        ...

    @property
    def expires(self) -> datetime | None:
        """When it ends (UTC), None when it does not."""
        ...


def complaints(wanted: Iterable[str], found: Iterable[SecretFacts], now: datetime) -> list[str]:
    """What a recovery would miss, by name. Key Vault takes names without regard to case."""
    present = {facts.name.lower(): facts for facts in found}
    said: list[str] = []
    for name in wanted:
        facts = present.get(name.lower())
        if facts is None:
            said.append(f"{name} is not in the vault")
        elif not facts.enabled:
            said.append(f"{name} is disabled")
        elif facts.expires is not None and facts.expires <= now:
            said.append(f"{name} expired on {facts.expires.date().isoformat()}")
    return said
