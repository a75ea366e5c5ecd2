"""The declared estate that is in force, and its finance calendar. Loading both costs time: only who asks pays."""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.estate.estate import Estate
    from shared.estate.source import EstateInForce, EstateSource
    from shared.finance_calendar.calendar import FinanceCalendar

_FEEDS_ARE_FRESH_FOR = timedelta(minutes=15)


def get() -> "Estate":
    """The estate in force. Raises EstateInvalidError, EstateUnavailableError while there has never been a good one."""
    return with_faults(datetime.now(UTC)).estate


def with_faults(now: datetime) -> "EstateInForce":
    """What is in force, since when, and why a newer one is not. Raises as `get`."""
    return _source().current(now)


def calendar(now: datetime) -> "FinanceCalendar":
    """The finance calendar of the estate in force, with its feeds of the last quarter of an hour. Raises as `get`."""
    age = int(now.timestamp() // _FEEDS_ARE_FRESH_FOR.total_seconds())
    return _compiled(with_faults(now).estate, age)


@cache
def _source() -> "EstateSource":
    from shared.estate.source import EstateSource
    from shared.platforms import settings
    from shared.platforms.estate_source import EstateBlobKeeper, estate_origin

    state = settings.required("STATE_URL", "give the URL of the blob container for the app's state")
    every = timedelta(seconds=float(settings.optional("ESTATE_CHECK_SECONDS", "30")))
    return EstateSource(estate_origin(), EstateBlobKeeper(state), every)


_last_compiled: "tuple[str, int, FinanceCalendar] | None" = None


def _compiled(estate: "Estate", age: int) -> "FinanceCalendar":
    from shared.finance_calendar.compilation import compile_calendar
    from shared.platforms.feeds import read_feeds

    global _last_compiled
    if _last_compiled is None or _last_compiled[:2] != (estate.version, age):
        feeds = read_feeds({name: feed.ics for name, feed in estate.calendar.subscriptions.items()})
        _last_compiled = (estate.version, age, compile_calendar(estate.calendar, feeds))
    return _last_compiled[2]
