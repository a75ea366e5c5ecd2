"""Times of day and weekly windows of local time, as sentences of the finance calendar."""

from typing import Annotated

from shared.estate.declared import Written, fitting
from shared.finance_calendar.windows import WeeklyWindows as Windows
from shared.finance_calendar.windows import parse_weekly

TimeOfDay = Annotated[str, fitting(r"([01]\d|2[0-3]):[0-5]\d", "time of day", "02:30")]
"""A time of day as HH:MM."""

WeeklyWindows = Annotated[
    Windows,
    Written(
        Windows,
        parse_weekly,
        lambda windows: windows.text,
        r"\d\d?:\d\d|[A-Za-z]{3}",
        ("Mon-Fri 07:00-20:00, Sat 09:00-12:00", "20:00-08:00", "Fri 18:00-Mon 06:00"),
    ),
]
"""One or more windows of local time in each week; an end that is not after its start is on the next day."""
