"""Grandfather, father, son: which backups of a series are kept, and until when they probably will be.

Each rule of `Keep` is looked at for itself, and what any rule keeps is kept: `daily: 14` keeps the newest backup of
each of the 14 newest days that have a backup. Days without one do not count, so that a gap loses nothing. Days, weeks
(from Monday) and months are those of the environment's zone, quarters and years fiscal.

A series is what has one name but for the dates and times in it. What is kept of two lots together is kept of what is
kept of each: that is why a stream needs to remember no more than what is kept so far.
"""

# polars names numpy in its annotations, which is not installed.
# pyright: reportUnknownMemberType=false
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, cast
from zoneinfo import ZoneInfo

import polars as pl

from shared.finance_calendar.periods import FiscalCalendar
from shared.storage_tiering.frames import TIME

if TYPE_CHECKING:
    from shared.estate.policies.storage_tiering import DocumentClass

DAY = timedelta(days=1)
_STAMP = (
    r"(^|[^0-9])(?:19|20)\d\d[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:0[1-9]|[12]\d|3[01])"
    r"(?:[-_T ]?(?:[01]\d|2[0-3])[-_:.h]?[0-5]\d(?:[-_:.m]?[0-5]\d(?:[.,]\d{1,9})?)?)?Z?(?:[+-]\d\d:?\d\d)?([^0-9]|$)"
)
_LOT = 100_000
UNITS = ("unit", "series", "created")


def unit_of(policy: "DocumentClass") -> pl.Expr:
    """The path of the backup that a blob belongs to: its own, or its folder's."""
    path = pl.col("path")
    if policy.keep is not None and policy.keep.each == "folder":
        return path.str.replace(r"[^/]*$", "")
    return path


def series_of(unit: pl.Expr) -> pl.Expr:
    """The unit with every date and time in it masked. Twice, because neighbours share the character between them."""
    masked = unit
    for _ in range(2):
        masked = masked.str.replace_all(_STAMP, "${1}*${2}")
    return masked


class Retention:
    """Which backups of one class are kept; fed batch by batch.

    Where a backup is one blob, it holds no more rows than are kept, and one lot. A folder is known when all is read.
    """

    def __init__(self, policy: "DocumentClass", zone: ZoneInfo, fiscal: FiscalCalendar, now: datetime) -> None:
        if policy.keep is None:
            raise ValueError("the class keeps no series of backups; give it `keep`")
        self._keep = policy.keep
        self._law = policy.kept_by_law
        self._zone, self._fiscal, self._now = zone, fiscal, now
        self._held: list[pl.DataFrame] = []
        self._news = 0

    def add(self, rows: pl.DataFrame) -> pl.DataFrame | None:
        """More blobs, with any columns and `unit`, `series`, `created`. Returns the rows that are surely not kept."""
        self._held.append(rows)
        self._news += rows.height
        if self._news < _LOT or self._keep.each == "folder":
            return None
        judged = self._judged()
        self._held, self._news = [judged.filter(pl.col("keeps_until").is_not_null()).drop("keeps_until")], 0
        return judged.filter(pl.col("keeps_until").is_null())

    def close(self) -> pl.DataFrame | None:
        """All other rows, with `keeps_until`: probably, if backups go on to be made daily; null when not kept."""
        return self._judged() if self._held else None

    def _judged(self) -> pl.DataFrame:
        rows = pl.concat(self._held, how="diagonal")
        # A folder is as young as its youngest blob.
        units = rows.group_by("unit", "series").agg(pl.col("created").max())
        return rows.join(self.kept(units).select("unit", "keeps_until"), on="unit", how="left")

    def kept(self, units: pl.DataFrame) -> pl.DataFrame:
        """Of backups with `unit`, `series`, `created` those that are kept, with `keeps_until`."""
        newest_first = units.with_columns(day=pl.col("created").dt.convert_time_zone(self._zone.key).dt.date()).sort(
            "created", "unit", descending=True
        )
        chosen = [self._last(newest_first)]
        chosen += [self._newest_of(newest_first, spans, count) for spans, count in self._rules(newest_first)]
        return (
            pl.concat(chosen)
            .group_by(*UNITS)
            .agg(pl.col("until").max())
            .with_columns(keeps_until=pl.col("until").cast(pl.Datetime("us")).dt.replace_time_zone("UTC").cast(TIME))
        )

    def _last(self, newest_first: pl.DataFrame) -> pl.DataFrame:
        place = pl.int_range(pl.len()).over("series")
        today = pl.lit(self._today)
        return newest_first.filter(place < self._keep.last).select(
            *UNITS, until=today + pl.duration(days=self._keep.last - place)
        )

    def _newest_of(self, newest_first: pl.DataFrame, spans: list[date], count: int | list[date]) -> pl.DataFrame:
        """The newest of each of the `count` newest spans, or of each that is kept until the date in `count`.

        `spans` are first days, one more than needed.
        """
        starts = pl.Series("starts", spans, pl.Date)
        ordinals = starts.search_sorted(newest_first["day"], side="right").cast(pl.Int64) - 1
        newest = newest_first.with_columns(span=ordinals).unique(["series", "span"], keep="first", maintain_order=True)
        if isinstance(count, int):
            newest = newest.filter(pl.int_range(pl.len()).over("series") < count)
            ends = newest["span"] + count
        else:
            newest = newest.with_columns(law=pl.Series("law", count, pl.Date).gather(newest["span"]))
            newest = newest.filter(pl.col("law") > pl.lit(self._today))
            return newest.select(*UNITS, until=pl.col("law"))
        # A span that still runs will have a newer one: then only the other rules count.
        over = starts.gather(newest["span"] + 1) <= self._today + DAY
        until = pl.select(
            pl.when(over).then(starts.gather(ends)).otherwise(pl.lit(self._today + DAY)).alias("until")
        ).to_series()
        return newest.with_columns(until).select(*UNITS, "until")

    @property
    def _today(self) -> date:
        return self._now.astimezone(self._zone).date()

    def _rules(self, units: pl.DataFrame) -> Iterator[tuple[list[date], int | list[date]]]:
        if units.is_empty():
            return
        first, newest = cast("date", units["day"].min()), cast("date", units["day"].max())
        last = max(newest, self._today)
        keep = self._keep
        if keep.daily:
            yield [first + n * DAY for n in range((last - first).days + keep.daily + 2)], keep.daily
        if keep.weekly:
            monday = first - first.weekday() * DAY
            yield [monday + 7 * n * DAY for n in range((last - monday).days // 7 + keep.weekly + 2)], keep.weekly
        if keep.monthly:
            months = (last.year - first.year) * 12 + last.month - first.month + keep.monthly + 2
            index = first.year * 12 + first.month - 1
            yield [date(n // 12, n % 12 + 1, 1) for n in range(index, index + months)], keep.monthly
        if keep.quarterly or keep.yearly or self._law:
            name = self._fiscal.name_of(first)
            years = range(name, self._fiscal.name_of(last) + keep.yearly + keep.quarterly // 4 + 3)
            firsts = [self._fiscal.year(year).first for year in years]
            if keep.quarterly:
                yield [quarter.first for year in years for quarter in self._fiscal.quarters(year)], keep.quarterly
            if keep.yearly:
                yield firsts, keep.yearly
            if self._law:
                law = self._law
                yield firsts, [following + law for _, following in pairwise(firsts)]
