"""Everything that decides about the blobs of one storage account, as plain data. Times are aware UTC."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from shared.finance_calendar.periods import FiscalCalendar

if TYPE_CHECKING:  # the estate's models are many: whoever has an estate has loaded them
    from shared.estate.policies.rates import StorageRates
    from shared.estate.policies.storage_tiering import DocumentClass
    from shared.storage_tiering.native_rules import NativeRule


@dataclass(frozen=True, slots=True)
class ContainerClasses:
    """The document class of a container, and of parts of it by the beginning of the names; the longest one wins."""

    document_class: str
    folders: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class VerifiedBackup:
    """A backup that passed a drill: all blobs that restoring it needs, in one container.

    `blobs` are names, or folders ending in `/`. `created` is when the oldest of these blobs was made: younger ones
    of the same series are not yet proven better and are protected too. Where a series has several, only its newest
    counts. A backup series without any is wholly protected.
    """

    container: str
    blobs: tuple[str, ...]
    created: datetime


VerifiedBackups = tuple[VerifiedBackup, ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """Blobs of a container: by beginning of the name, by creation in [created_from, created_until), by index tags.

    All that is given must fit. Also what a request for rehydration selects.
    """

    container: str
    prefix: str = ""
    created_from: datetime | None = None
    created_until: datetime | None = None
    tags: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class AccountAbilities:
    """What the account offers. What is not known is as little as possible."""

    archive: bool = False
    """Whether it has the archive tier: not with ZRS, GZRS, RA-GZRS or premium."""

    soft_delete: bool = False
    """Whether deleted blobs, versions and snapshots can be brought back."""

    versioning: bool = False
    """Whether deleting a current blob leaves a version of it."""

    access_tracked_since: datetime | None = None
    """When tracking of last access was enabled; None while it is off."""


@dataclass(frozen=True, slots=True)
class AccountRules:
    """All that a plan for one account depends on, besides its blobs."""

    now: datetime
    zone: ZoneInfo
    """The environment's zone: days, weeks and months of `keep` are its."""

    fiscal: FiscalCalendar
    containers: Mapping[str, ContainerClasses]
    classes: "Mapping[str, DocumentClass]"
    rates: "StorageRates"
    payback: timedelta
    recoverable_only: bool = True
    abilities: AccountAbilities = AccountAbilities()
    audited: tuple[tuple[datetime, datetime], ...] = ()
    """Fiscal years whose documents must stay at hand now, as [start, end)."""

    held_containers: frozenset[str] = frozenset()
    """Containers that are under legal hold as a whole."""

    immutable_for: Mapping[str, timedelta] = MappingProxyType({})
    """Containers with an immutability policy of their own: how long after its creation a blob stays immutable."""

    verified: VerifiedBackups = ()
    documents: Set[str] = frozenset()
    """Containers with the attachments of databases, to which restored books refer whatever their age; their folders
    with a class of their own hold something else."""

    at_hand: tuple[Selection, ...] = ()
    """What was rehydrated on request and is still needed."""

    native: "tuple[NativeRule, ...]" = ()
    """The account's own enabled lifecycle rules, ours that were exported included."""
