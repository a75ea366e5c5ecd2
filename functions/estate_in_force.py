"""The declared estate that is in force."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from shared.platforms import settings

if TYPE_CHECKING:
    from shared.estate.estate import Estate


@cache
def get() -> "Estate":
    """The estate in force."""
    from shared.estate.loading import load_estate

    path = settings.required("ESTATE_FILE", "give the path of estate.yaml")
    return load_estate(Path(path).read_text(encoding="utf-8"), path)
