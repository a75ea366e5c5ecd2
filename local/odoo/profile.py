"""What a generated database is to be, and what it became."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

type Upload = Callable[[str, bytes], None]
"""Puts one document into the tenant's container: its path there, its content. Called once per distinct document."""

type Layout = Literal["file", "fs_attachment", "attachment_azure", "cloud_storage"]
"""Where an attachment's content lives: Odoo's own file store, OCA's or Camptocamp's addon, or Odoo's cloud storage."""

SUPPORTED_VERSIONS = (16, 17, 18, 19)
_HASH_VERSIONS = {16: (1, 3), 17: (3,), 18: (4,), 19: (4,)}


@dataclass(frozen=True, slots=True)
class Company:
    """One company of the database. Its currency is one of local.odoo.chart.CURRENCIES."""

    name: str
    currency: str = "EUR"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One database to be. The same profile yields the same rows, on any machine, on any day.

    `database` is its name and the first folder of its documents. `as_of` (aware) is the instant of the last write;
    business began `days` before. `hash_versions` follow each other in equal parts of the journal items, as updates
    of Odoo would have it; by default those that this version of Odoo writes. Version 1 hashed `unverifiable` entries
    from an inexact float, so that even Odoo cannot verify them. `legal_gaps` are numbers of deleted drafts.
    """

    database: str
    as_of: datetime
    version: int = 18
    journal_items: int = 10_000
    seed: int = 1
    days: int = 500
    companies: tuple[Company, ...] = (Company("Example Trading GmbH"),)
    hashed_journals: tuple[str, ...] = ("INV", "MISC")
    hash_versions: tuple[int, ...] = ()
    unverifiable: int = 0
    legal_gaps: int = 3
    attachments: int = 60
    attachment_layouts: tuple[Layout, ...] = ("file",)
    cloud_storage_url: str = "https://example.blob.core.windows.net/documents"
    base_url: str = "https://odoo.example.com"

    def __post_init__(self) -> None:
        if self.version not in SUPPORTED_VERSIONS:
            raise ValueError(f"version {self.version}: only {SUPPORTED_VERSIONS} can be generated")
        if self.as_of.tzinfo is None:
            raise ValueError("as_of has no time zone: give it in UTC")
        if self.journal_items < 100:
            raise ValueError(f"journal_items {self.journal_items}: at least 100 make a ledger")
        if self.hash_versions and self.version < 18 and max(self.hash_versions) > 3:
            raise ValueError(f"hash_versions {self.hash_versions}: version {self.version} of Odoo writes none above 3")

        if "cloud_storage" in self.attachment_layouts and self.version < 18:
            raise ValueError(f"attachment_layouts: version {self.version} of Odoo has no cloud storage")

    @property
    def begin(self) -> datetime:
        """The instant of the first business write."""
        return self.as_of - timedelta(days=self.days)

    @property
    def hash_history(self) -> tuple[int, ...]:
        """The hash versions in the order of their use."""
        return self.hash_versions or _HASH_VERSIONS[self.version]


@dataclass(frozen=True, slots=True)
class Gap:
    """A number that a deleted draft once had; `next_move_id` is the posted entry after it."""

    journal_id: int
    sequence_prefix: str
    number: int
    next_move_id: int


@dataclass(frozen=True, slots=True)
class Summary:
    """What was generated. `newest_write` is aware, in UTC; `unverifiable` are ids of entries (see Profile)."""

    database: str
    version: int
    database_uuid: str
    newest_write: datetime
    moves: int
    posted_moves: int
    hashed_moves: int
    journal_items: int
    partial_reconciles: int
    payments: int
    attachments: int
    documents: int
    document_bytes: int
    legal_gaps: tuple[Gap, ...]
    unverifiable: tuple[int, ...]
