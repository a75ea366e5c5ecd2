"""What only the long run does: `CLOSEKEEPER_TEST_LONG=1`."""

import os
from collections.abc import Sequence

LONG = bool(os.environ.get("CLOSEKEEPER_TEST_LONG"))


def variants[T](usual: Sequence[T], more: Sequence[T]) -> list[T]:
    """The usual ones, and in the long run more of them."""
    return [*usual, *more] if LONG else [*usual]
