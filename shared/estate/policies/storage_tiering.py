"""Policy of storage tiering: how long documents are kept, where, and what it may cost to move them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from shared.estate.declared import Declared, Written
from shared.estate.policies.rates import Money
from shared.estate.values import ByteCount, Duration, Fraction, Percent, Size, parse_duration, show_duration
from shared.estate.windows import TimeOfDay
from shared.finance_calendar.declaration import Name

_AGE = re.compile(r"(\S+)(?: since (creation|modification|last access))?")
Count = Annotated[int, Field(ge=0, le=10_000)]


@dataclass(frozen=True, slots=True)
class BlobAge:
    """An age of a blob: how long ago, since what."""

    age: timedelta
    since: str

    def __str__(self) -> str:
        return f"{show_duration(self.age)} since {self.since}"


def parse_age(text: str) -> BlobAge:
    """The age written as `90d` (since modification) or `90d since last access`; raises ValueError."""
    match = _AGE.fullmatch(text)
    if not match:
        raise ValueError("is not an age; write 90d, 90d since creation, or 90d since last access")
    return BlobAge(parse_duration(match[1]), match[2] or "modification")


Age = Annotated[
    BlobAge,
    Written(
        BlobAge,
        parse_age,
        str,
        r"^(\d{1,9}[smhdwy])+( since (creation|modification|last access))?$",
        ("90d", "90d since last access", "1y since creation"),
    ),
]


class Keep(Declared):
    """Which of a series of backups are kept: of each span the newest. What none of these keeps is deleted.

    Only spans that have a backup count. Days, weeks and months are those of the environment's time zone; quarters and
    years are fiscal. A series is what has one name but for the dates and times in it.
    """

    each: Literal["blob", "folder"] = "blob"
    """What one backup is: a blob, or a folder with all that is in it, such as a dump in directory format."""

    last: Count = 0
    """The newest ones, however old."""

    daily: Count = 0
    """Days."""

    weekly: Count = 0
    """Weeks."""

    monthly: Count = 0
    """Months."""

    quarterly: Count = 0
    """Fiscal quarters."""

    yearly: Count = 0
    """Fiscal years."""

    @model_validator(mode="after")
    def _keeps_something(self) -> Self:
        if not any((self.last, self.daily, self.weekly, self.monthly, self.quarterly, self.yearly)):
            raise ValueError("keeps nothing; give at least one of last, daily, weekly, monthly, quarterly, yearly")
        return self


class OldVersions(Declared):
    """Former versions and snapshots of blobs."""

    cool_after: Duration | None = None
    """How long after they were replaced they become cool."""

    delete_after: Duration | None = None
    """How long after they were replaced they are deleted. Without it never."""


class DocumentClass(Declared):
    """What happens to documents of one class as they age. A step that is left out is never made."""

    backup: bool = False
    """Whether these are backups: the newest one that passed a drill, and all that is needed to restore it, is never
    archived or deleted, whatever its age."""

    keep: Keep | None = None
    """Which backups of a series are kept. Without it age alone decides."""

    cool_after: Age | None = None
    """When they become cool."""

    cold_after: Age | None = None
    """When they become cold."""

    archive_after: Age | None = None
    """When they are archived: hours away from being read."""

    delete_after: Age | None = None
    """When they are deleted; with `keep`, the least age of what it does not keep."""

    kept_by_law: Duration | None = None
    """How long nothing of the class may be deleted, counted from the end of the fiscal year that a document is of.
    With `keep` this concerns the last backup of each fiscal year."""

    warm_for_audit: bool = True
    """Whether documents of a fiscal year stay at hand while a calendar event keeps that year's documents."""

    move_immutable: bool = False
    """Whether blobs under time-based immutability may become cooler, which Azure allows. They are never deleted."""

    reads_a_year: Annotated[float, Field(ge=0, le=1000)] = 0
    """How often a year each of these documents is expected to be read. A move must pay back that, too."""

    smallest: Size = ByteCount(128 * 1024)
    """Smaller blobs are not moved: that costs more than it saves. They are deleted all the same."""

    index_tags: Mapping[
        Annotated[str, StringConstraints(min_length=1, max_length=128)],
        Annotated[str, StringConstraints(max_length=256)],
    ] = {}
    """Blobs that carry all these index tags are of this class, wherever they are."""

    old_versions: OldVersions = OldVersions()
    """Former versions and snapshots."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        steps = [(name, getattr(self, name)) for name in ("cool_after", "cold_after", "archive_after", "delete_after")]
        said = [(name, age) for name, age in steps if isinstance(age, BlobAge)]
        for (earlier, before), (later, after) in pairwise(said):
            if before.since == after.since and before.age >= after.age:
                raise ValueError(f"{later} is not after {earlier}; blobs go from cool to cold to archive to deletion")
        return self


class DeletionLimits(Declared):
    """What stops a mistaken rule."""

    count: Annotated[int, Field(ge=0, le=100_000_000)] = 10_000
    """The most blobs that one run deletes in one container."""

    share: Percent = Fraction(0.05)
    """The largest share of a container's blobs that one run deletes."""

    recoverable_only: bool = True
    """Whether deletions are made only where soft delete or versioning lets them be undone."""


class Rehydration(Declared):
    """Documents brought back from archive on request."""

    longest: Duration = timedelta(days=30)
    """How long they are kept at hand at most."""

    budget: Money | None = None
    """The most that one request may cost without an approval, in the currency of `rates`."""

    priority: Literal["standard", "high"] = "standard"
    """The priority when a request names none: up to 15 hours, or mostly under one."""


class StorageTiering(Declared):
    """Storage tiering."""

    classes: Mapping[Name, DocumentClass]
    """What happens to documents, by the class that containers, folders and index tags name."""

    at: TimeOfDay = "03:00"
    """When a run begins each day, in the environment's time zone."""

    payback: Duration = timedelta(days=183)
    """A move whose cost is not saved again within this time is not made."""

    deletions: DeletionLimits = DeletionLimits()
    """Limits of deletions."""

    requests_at_once: Annotated[int, Field(ge=1, le=64)] = 8
    """The most batch requests at a time on one account."""

    list_up_to: Annotated[int, Field(ge=0, le=1_000_000_000)] = 1_000_000
    """Containers with more blobs than this are planned only from the account's inventory reports."""

    native_rules: Literal["respect", "export"] = "respect"
    """Whether the account's own lifecycle rules are only taken into account, or ours are added to them where they can
    say the same. Rules of others are never changed."""

    rehydration: Rehydration = Rehydration()
    """Documents brought back from archive."""
