"""What is known of a blob, from a listing or from an inventory report. Plain data; times are aware UTC."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Tier(StrEnum):
    """The access tiers that blobs are moved between, spelled as the service spells them."""

    HOT = "Hot"
    COOL = "Cool"
    COLD = "Cold"
    ARCHIVE = "Archive"


MINIMUM_DAYS = {Tier.HOT: 0, Tier.COOL: 30, Tier.COLD: 90, Tier.ARCHIVE: 180}
"""Days that a blob is charged for in a tier at least (Azure documentation, access-tiers-overview)."""


@dataclass(frozen=True, slots=True)
class BlobFacts:
    """One blob, one former version of it, or one snapshot.

    `name` is without the container. What a source does not tell is None: it then counts as the case that forbids more.
    """

    container: str
    name: str
    size: int
    created: datetime
    modified: datetime
    etag: str = ""
    kind: str = "BlockBlob"
    tier: str | None = "Hot"
    """As the service says it, `Smart` and the tiers of page blobs included; None where there is none."""

    tier_inferred: bool = False
    """Whether the tier is the account's default and was never set: no early deletion is charged for it."""

    tier_changed: datetime | None = None
    accessed: datetime | None = None
    """The last access; None where the account does not track it."""

    version: str | None = None
    current: bool = True
    """Whether it is the current version. Without versioning every blob is."""

    snapshot: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    leased: bool = False
    legal_hold: bool = False
    immutable_until: datetime | None = None
    archive_status: str | None = None
    """`rehydrate-pending-to-...` while the blob comes back from archive."""

    deleted: bool = False
    """Whether it is soft-deleted: nothing more is done with it."""

    encryption_scope: str | None = None
