"""What depends on other blobs than the one that is decided about: the series of backups, and the versions of a blob.

Rows that wait for the rest of the stream are set aside: of backups those that are kept so far, of former versions those
that are old enough for a step.
"""

# polars names numpy in its annotations, which is not installed.
# pyright: reportUnknownMemberType=false
from collections.abc import Iterator

import polars as pl

from shared.storage_tiering.account import AccountRules
from shared.storage_tiering.ages import is_former
from shared.storage_tiering.classes import document_class
from shared.storage_tiering.frames import TIME, by_class, compact, completed, time_named_by
from shared.storage_tiering.retention import Retention, series_of, unit_of


class History:
    """Adds to candidates what it knows: `replaced`, `kept`, `keeps_until`, `verified_from`."""

    def __init__(self, rules: AccountRules) -> None:
        self._rules = rules
        self._classes = list(rules.classes.values())
        self._backups = [index for index, each in enumerate(self._classes) if each.keep or each.backup]
        self._series = {
            index: Retention(each, rules.zone, rules.fiscal, rules.now)
            for index, each in enumerate(self._classes)
            if each.keep
        }
        former = [each.old_versions for each in self._classes]
        self._needs_versions = any(each.cool_after or each.delete_after for each in former)
        self._versions: list[pl.DataFrame] = []
        self._former: list[pl.DataFrame] = []
        self._verified, self.verified_blobs = self._newest_verified()

    def see(self, frame: pl.DataFrame) -> None:
        """Note the versions among all blobs of a batch."""
        if self._needs_versions:
            versioned = frame.filter(pl.col("version").is_not_null())
            self._versions.append(versioned.select(_blob(), _written()))

    def ready(self, candidates: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """The candidates that can be decided about now, and those set aside earlier that now can."""
        frame = candidates
        if self._needs_versions:
            waits = is_former() & pl.col("snapshot").is_null()
            self._former.append(compact(frame.filter(waits)))
            frame = frame.filter(~waits)
        frame = frame.with_columns(replaced=time_named_by("snapshot").cast(TIME))
        is_backup = pl.col("class").is_in(self._backups)
        yield _without_retention(frame.filter(~is_backup))
        backups = frame.filter(is_backup)
        if backups.height:
            yield from self._ready_backups(backups)

    def rest(self) -> Iterator[pl.DataFrame]:
        """The candidates that waited for the end."""
        for retention in self._series.values():
            rows = retention.close()
            if rows is not None:
                yield _judged(rows)
        former = pl.concat(self._former, how="diagonal") if self._former else pl.DataFrame()
        if former.height:
            yield _without_retention(self._with_replaced(former))

    def _ready_backups(self, backups: pl.DataFrame) -> Iterator[pl.DataFrame]:
        rows = self._with_series(backups).join(self._verified, on="series", how="left")
        rest = ~pl.col("class").is_in(list(self._series)) | is_former()
        yield _judged(rows.filter(rest).with_columns(keeps_until=pl.lit(None, TIME)))
        for index, retention in self._series.items():
            mine = rows.filter(~rest & (pl.col("class") == index))
            if mine.height:
                dropped = retention.add(compact(mine))
                if dropped is not None:
                    yield _judged(dropped)

    def _with_replaced(self, former: pl.DataFrame) -> pl.DataFrame:
        # A version is replaced when the next one of its blob is written.
        versions = (
            pl.concat(self._versions)
            .sort("blob", "written")
            .with_columns(replaced=pl.col("written").shift(-1), following=pl.col("blob").shift(-1))
            .filter(pl.col("blob") == pl.col("following"))
            .select("blob", "written", pl.col("replaced").cast(TIME))
        )
        return (
            former.with_columns(_blob(), _written())
            .join(versions, on=["blob", "written"], how="left")
            .drop("blob", "written")
        )

    def _with_series(self, frame: pl.DataFrame) -> pl.DataFrame:
        unit = by_class(self._classes, unit_of, pl.col("path"))
        return frame.with_columns(unit=unit).with_columns(series=series_of(pl.col("unit")))

    def _newest_verified(self) -> tuple[pl.DataFrame, tuple[str, ...]]:
        rows = [
            (index, f"{each.container}/{name}", each.created)
            for index, each in enumerate(self._rules.verified)
            for name in each.blobs
        ]
        frame = pl.DataFrame(rows, schema={"backup": pl.Int64, "path": pl.String, "created": TIME}, orient="row")
        classed = completed(frame).with_columns(document_class(self._rules).alias("class"))
        # Of a series' verified backups only the newest counts; it is the series of any of its blobs.
        newest = self._with_series(classed).sort("created", descending=True).unique("series", keep="first")
        of_newest = classed.filter(pl.col("backup").is_in(newest["backup"].implode()))
        verified = newest.select("series", verified_from=pl.col("created"))
        return verified, tuple(of_newest["path"].to_list())


def _without_retention(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(
        kept=pl.lit(None, pl.Boolean), keeps_until=pl.lit(None, TIME), verified_from=pl.lit(None, TIME)
    )


def _judged(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(kept=pl.col("keeps_until").is_not_null()).drop("unit", "series")


def _blob() -> pl.Expr:
    return pl.col("path").hash(seed=0).alias("blob")


def _written() -> pl.Expr:
    return time_named_by("version").alias("written")
