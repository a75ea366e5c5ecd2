"""What must be known of all blobs before one of them can be decided about: the series of backups, and the versions.

It is gathered in a first pass, and holds what is kept of each series and 16 bytes for each version, not the blobs.
"""

# polars names numpy in its annotations, which is not installed.
# pyright: reportUnknownMemberType=false
import polars as pl

from shared.storage_tiering.account import AccountRules
from shared.storage_tiering.ages import is_former
from shared.storage_tiering.classes import document_class
from shared.storage_tiering.frames import TIME, by_class, completed
from shared.storage_tiering.retention import Retention, series_of, unit_of

_EXACT = pl.Datetime("us", "UTC")
_VERSION = "%Y-%m-%dT%H:%M:%S%.fZ"


class History:
    """Gathers, and then adds what it knows to each batch: `replaced`, `kept`, `keeps_until`, `verified_from`."""

    def __init__(self, rules: AccountRules) -> None:
        self._rules = rules
        self._classes = list(rules.classes.values())
        self._backups = [index for index, each in enumerate(self._classes) if each.keep or each.backup]
        self._series = {
            index: Retention(each, rules.zone, rules.fiscal, rules.now)
            for index, each in enumerate(self._classes)
            if each.keep
        }
        self._versions: list[pl.DataFrame] = []
        former = [each.old_versions for each in self._classes]
        self._needs_versions = any(each.cool_after or each.delete_after for each in former)
        self._verified, self.verified_blobs = self._newest_verified()
        self._kept: pl.DataFrame | None = None
        self._replaced: pl.DataFrame | None = None

    @property
    def needs_first_pass(self) -> bool:
        """Whether any class depends on more than the single blob."""
        return bool(self._series) or self._needs_versions

    def gather(self, batch: pl.DataFrame) -> None:
        """Look at a batch for the first time."""
        columns = ["path", "created", "current", "snapshot", "deleted", "version", "tags"]
        frame = completed(batch).select(columns).filter(~pl.col("deleted").fill_null(value=False))
        if self._needs_versions and "version" in batch.columns:
            self._versions.append(_version_times(frame.filter(pl.col("version").is_not_null())))
        if self._series:
            current = frame.with_columns(document_class(self._rules).alias("class")).filter(
                pl.col("class").is_in(list(self._series)) & ~is_former()
            )
            for index, retention in self._series.items():
                mine = current.filter(pl.col("class") == index)
                if mine.height:
                    unit = unit_of(self._classes[index])
                    retention.add(mine.select(unit, series_of(unit).alias("series"), "created"))

    def close(self) -> None:
        """The first pass is over."""
        if self._series:
            self._kept = pl.concat([each.kept() for each in self._series.values()]).rename({"path": "unit"})
        if self._versions:
            # A version is replaced when the next one of its blob is written.
            self._replaced = (
                pl.concat(self._versions)
                .sort("blob", "written")
                .with_columns(replaced=pl.col("written").shift(-1).over("blob", mapping_strategy="group_to_rows"))
                .filter(pl.col("replaced").is_not_null())
            )
            self._versions.clear()

    def added_to(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The frame (with `class`) and what the first pass tells of its blobs."""
        return self._with_retention(self._with_replaced(frame))

    def _with_replaced(self, frame: pl.DataFrame) -> pl.DataFrame:
        taken = _time_of("snapshot").cast(TIME)
        if self._replaced is None:
            return frame.with_columns(replaced=taken)
        return (
            frame.with_columns(_blob(), _time_of("version").alias("written"))
            .join(self._replaced, on=["blob", "written"], how="left")
            .with_columns(replaced=pl.coalesce(taken, pl.col("replaced").cast(TIME)))
            .drop("blob", "written")
        )

    def _with_retention(self, frame: pl.DataFrame) -> pl.DataFrame:
        nothing = [
            pl.lit(None, pl.Boolean).alias("kept"),
            pl.lit(None, TIME).alias("keeps_until"),
            pl.lit(None, TIME).alias("verified_from"),
        ]
        if not self._backups:
            return frame.with_columns(nothing)
        is_backup = pl.col("class").is_in(self._backups).fill_null(value=False)
        backups, rest = frame.filter(is_backup), frame.filter(~is_backup)
        if backups.is_empty():
            return frame.with_columns(nothing)
        backups = self._with_series(backups).join(self._verified, on="series", how="left")
        if self._kept is not None:
            backups = backups.join(self._kept, on="unit", how="left")
        else:
            backups = backups.with_columns(keeps_until=pl.lit(None, TIME))
        backups = backups.with_columns(kept=pl.col("keeps_until").is_not_null()).drop("unit", "series")
        return pl.concat([rest.with_columns(nothing), backups], how="diagonal")

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


def _version_times(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(_blob(), _time_of("version").alias("written"))


def _blob() -> pl.Expr:
    return pl.col("path").hash(seed=0).alias("blob")


def _time_of(column: str) -> pl.Expr:
    """The instant that a version or a snapshot is named by; null when it is none."""
    return pl.col(column).str.to_datetime(_VERSION, time_unit="us", strict=False, time_zone="UTC")
