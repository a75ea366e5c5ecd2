"""Which instant a drill restores. Pure, and the same for the same drill; times are aware UTC."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.backup_verification.drill import DrillKind, DrillRequest, Target

if TYPE_CHECKING:
    from shared.finance_calendar.calendar import FinanceCalendar

_JUST_BEFORE = timedelta(seconds=1)


def choose(
    request: DrillRequest,
    drill: str,
    *,
    now: datetime,
    earliest: datetime,
    calendar: "FinanceCalendar",
    events: Sequence[str],
) -> tuple[datetime, str]:
    """The instant, and how it was chosen in words. `earliest` is the earliest that can be restored.

    A random instant is drawn with the drill's id, so that a repeated delivery draws the same.
    """
    if request.kind is DrillKind.GEO_RESTORE:
        return now, "the newest that the paired region has; a geo-restore takes no instant"
    if isinstance(request.target, datetime):
        return request.target, "as asked for"
    if request.target is Target.RANDOM:
        drawn = int.from_bytes(hashlib.sha256(drill.encode()).digest()[:8]) / 2**64
        instant = earliest + (now - earliest) * drawn
        return instant.replace(microsecond=0) if instant.replace(microsecond=0) >= earliest else instant, (
            f"a random instant since {earliest.isoformat(timespec='seconds')}"
        )
    if request.target is Target.BEFORE_EVENT:
        names = [request.event] if request.event else list(events)
        if before := last_start(calendar, names, earliest, now):
            instant, what = before
            return instant - _JUST_BEFORE, f"just before {what}"
        return now, f"the newest state, since no {' or '.join(names) or 'event'} began in the retention"
    return now, "the newest state"


def last_start(
    calendar: "FinanceCalendar", events: Sequence[str], earliest: datetime, now: datetime
) -> tuple[datetime, str] | None:
    """When the last of those events began that can be restored to, and its name and period."""
    begun = [
        (each.start, f"{each.event} {each.period}")
        for each in calendar.events_between(earliest, now)
        if each.event in events and each.start - _JUST_BEFORE >= earliest and each.start <= now
    ]
    return max(begun, default=None)
