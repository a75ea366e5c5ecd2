"""Which documents are read: all of them, or a sample that can be drawn again."""

from collections.abc import Iterable
from random import Random
from typing import Protocol

from shared.backup_verification.documents.layouts import Reference


class Choice(Protocol):
    """Which documents are read."""

    def take(self, reference: Reference) -> Iterable[Reference]:
        """Offer one; what is to be read now."""
        ...

    def rest(self) -> Iterable[Reference]:
        """What is to be read when all were offered."""
        ...


class All:
    """Every document."""

    def take(self, reference: Reference) -> Iterable[Reference]:
        """At once."""
        return (reference,)

    def rest(self) -> Iterable[Reference]:
        """Nothing is left."""
        return ()


class Sample:
    """A sample of a fixed size, each document with the same chance; the same seed draws the same one."""

    def __init__(self, size: int, seed: str) -> None:
        self._size, self._random = size, Random(seed)  # noqa: S311 - a draw that can be repeated, no secret
        self._seen = 0
        self._chosen: list[Reference] = []

    def take(self, reference: Reference) -> Iterable[Reference]:
        """Keep it, or not."""
        self._seen += 1
        if len(self._chosen) < self._size:
            self._chosen.append(reference)
        elif (place := self._random.randrange(self._seen)) < self._size:
            self._chosen[place] = reference
        return ()

    def rest(self) -> Iterable[Reference]:
        """The sample."""
        return self._chosen
