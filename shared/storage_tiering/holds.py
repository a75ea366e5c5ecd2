"""What must not be touched, whatever it costs. The first reason that applies is the one that is told.

Columns that are read besides the blob's facts: `class`, `document_date`, `verified_from`.
"""

# polars names numpy in its annotations, which is not installed.
# pyright: reportUnknownMemberType=false
import polars as pl

from shared.storage_tiering.account import AccountRules
from shared.storage_tiering.ages import is_former
from shared.storage_tiering.classes import is_selected
from shared.storage_tiering.decisions import Reason
from shared.storage_tiering.frames import any_of, by_class, instant


class Holds:
    """The holds of an account's blobs, as expressions that give a reason or null."""

    def __init__(self, rules: AccountRules, verified_blobs: tuple[str, ...]) -> None:
        self._rules = rules
        self._classes = list(rules.classes.values())
        self._verified = verified_blobs

    def of_everything(self) -> pl.Expr:
        """What forbids moves and deletions alike."""
        return first_reason(
            [
                (Reason.LEGAL_HOLD, pl.col("legal_hold").fill_null(value=False) | self._held_with_container()),
                (Reason.IMMUTABLE, self._immutable() & self._immutable_stays()),
                (Reason.LEASED, pl.col("leased")),
                (Reason.AUDIT, self._audited()),
                (Reason.AT_HAND, any_of(is_selected(each) for each in self._rules.at_hand)),
                (Reason.REHYDRATING, pl.col("archive_status").is_not_null()),
            ]
        )

    def of_deletion(self) -> pl.Expr:
        """What forbids deletions besides."""
        return pl.coalesce(first_reason([(Reason.IMMUTABLE, self._immutable())]), self.of_archiving())

    def of_archiving(self) -> pl.Expr:
        """What forbids archiving and deletion: the newest verified backup, what restoring it needs in other
        containers, and what is newer than it."""
        backup = by_class(self._classes, lambda policy: pl.lit(policy.backup), pl.lit(value=False))
        newer = pl.col("verified_from").is_null() | (pl.col("created") >= pl.col("verified_from"))
        folders = [name for name in self._verified if name.endswith("/")]
        part = pl.col("path").is_in([name for name in self._verified if not name.endswith("/")]) | any_of(
            pl.col("path").str.starts_with(folder) for folder in folders
        )
        return first_reason(
            [
                (Reason.VERIFIED_BACKUP, part),
                (Reason.NOT_YET_VERIFIED, backup & newer),
                (Reason.DOCUMENT, self._is_document()),
            ]
        )

    def _is_document(self) -> pl.Expr:
        # Which files a database refers to only the database knows: Odoo deletes those that nothing refers to.
        other = [
            f"{name}/{folder}" for name in self._rules.documents for folder in self._rules.containers[name].folders
        ]
        return (
            ~is_former()
            & any_of(pl.col("path").str.starts_with(f"{name}/") for name in self._rules.documents)
            & ~any_of(pl.col("path").str.starts_with(folder) for folder in other)
        )

    def _immutable(self) -> pl.Expr:
        of_container = any_of(
            pl.col("path").str.starts_with(f"{container}/") & (pl.col("created") > instant(self._rules.now - period))
            for container, period in self._rules.immutable_for.items()
        )
        return (pl.col("immutable_until") > instant(self._rules.now)).fill_null(value=False) | of_container

    def _held_with_container(self) -> pl.Expr:
        return any_of(pl.col("path").str.starts_with(f"{name}/") for name in self._rules.held_containers)

    def _immutable_stays(self) -> pl.Expr:
        return by_class(self._classes, lambda policy: pl.lit(not policy.move_immutable), pl.lit(value=True))

    def _audited(self) -> pl.Expr:
        warm = by_class(self._classes, lambda policy: pl.lit(policy.warm_for_audit), pl.lit(value=True))
        times = [pl.col("created"), pl.col("modified")]
        return warm & any_of(
            (at >= instant(start)) & (at < instant(end)) for start, end in self._rules.audited for at in times
        )


def first_reason(reasons: list[tuple[Reason, pl.Expr]]) -> pl.Expr:
    """The first reason whose condition holds, or null; unknown counts as not."""
    return pl.coalesce(
        pl.when(condition.fill_null(value=False)).then(pl.lit(reason.value)) for reason, condition in reasons
    )
