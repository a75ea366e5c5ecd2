"""How a drill compares with the earlier ones of the same server. Pure; times are aware UTC."""

import statistics
from collections.abc import Sequence

from pydantic import AwareDatetime, BaseModel, ConfigDict

_SHOWN = 12
_NEEDED = 3
"""Fewer earlier drills are no trend."""
_MUCH_SLOWER = 1.5
_NOTICEABLE_SECONDS = 60.0


class EarlierDrill(BaseModel):
    """One earlier drill, as the trend shows it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    at: AwareDatetime
    passed: bool
    rto_seconds: float | None
    rpo_seconds: float | None


class Trend(BaseModel):
    """How this drill compares with the earlier ones of its kind on the same server."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    earlier: tuple[EarlierDrill, ...]
    """The newest last, a dozen at most."""
    rto_median_seconds: float | None = None
    rto_factor: float | None = None
    """This drill's RTO over that median."""
    notice: str = ""
    """What people should know; empty when there is nothing. A slow drill within its objective is no failure."""


def compare(earlier: Sequence[EarlierDrill], rto_seconds: float | None) -> Trend:
    """This drill's time against the median of the earlier ones."""
    shown = tuple(sorted(earlier, key=lambda drill: drill.at)[-_SHOWN:])
    times = [drill.rto_seconds for drill in shown if drill.rto_seconds is not None]
    if rto_seconds is None or len(times) < _NEEDED:
        return Trend(earlier=shown)
    median = statistics.median(times)
    factor = round(rto_seconds / median, 2) if median > 0 else None
    notice = ""
    if factor is not None and factor >= _MUCH_SLOWER and rto_seconds - median >= _NOTICEABLE_SECONDS:
        notice = (
            f"{factor:.1f} times as slow as the median of {len(times)} earlier drills "
            f"({rto_seconds:.0f} s against {median:.0f} s)"
        )
    return Trend(earlier=shown, rto_median_seconds=median, rto_factor=factor, notice=notice)
