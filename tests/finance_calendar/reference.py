"""The slow and obvious way, to compare with: day by day, minute by minute, nothing shared with the code under test."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import settings

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
# The first example of a year computes its holidays; on a busy machine that is no reason to fail.
unhurried = settings(deadline=None)


def days(first: date, last: date) -> Iterator[date]:
    day = first
    while day <= last:
        yield day
        day += DAY


def roll(day: date, convention: str, is_business_day: Callable[[date], bool]) -> date:
    if is_business_day(day):
        return day
    forward, back = day, day
    while not is_business_day(forward):
        forward += DAY
    while not is_business_day(back):
        back -= DAY
    if convention == "following":
        return forward
    if convention == "preceding":
        return back
    if convention == "modified following":
        return forward if forward.month == day.month else back
    if convention == "modified preceding":
        return back if back.month == day.month else forward
    return forward if day.strftime("%A") in ("Sunday", "Monday") else back


def moved(day: date, count: int, is_business_day: Callable[[date], bool]) -> date:
    left = abs(count)
    while left:
        day += DAY if count > 0 else -DAY
        left -= is_business_day(day)
    return day


def first_instant_showing(day: date, minutes: int, zone: ZoneInfo) -> datetime:
    """The first minute of UTC at which the zone's clock shows that local time, or a later one."""
    wanted = datetime.combine(day, time(0)) + minutes * MINUTE
    at = wanted.replace(tzinfo=UTC) - timedelta(hours=16)
    while at.astimezone(zone).replace(tzinfo=None) < wanted:
        at += MINUTE
    return at
