"""A plan from a listing of Azurite, and the same plan by an obvious loop."""

from datetime import datetime, timedelta

from shared.estate.policies.rates import StorageRates
from shared.platforms.blob_listing import AzureBlobListing
from shared.storage_tiering.account import ContainerClasses
from shared.storage_tiering.frames import batch_of
from shared.storage_tiering.plan import Plan
from shared.storage_tiering.worklist import Step
from tests.storage_tiering.world import rules
from tests.tiering_apply.world import Documents

COOL_AFTER = timedelta(days=30)
SMALLEST = 1024
RATES = {
    "hot": {"gb_month": 20, "read_10k": 0.0047},
    "cool": {"gb_month": 10, "read_10k": 0.0118},
    "cold": {"gb_month": 4, "read_10k": 0.118},
    "archive": {"gb_month": 2, "read_10k": 50},
}
"""Changing the tier is free, so that whatever is due pays."""


def fill(documents: Documents, blobs: int) -> None:
    """Of each twenty blobs 17 that may be moved, and one each that is kept, too small, or cool already."""
    folders = ["2026"] * 17 + ["kept", "small", "cool"]
    names = [f"{folders[number % 20]}/{number:06}.pdf" for number in range(blobs)]
    for data, tier, chosen in (
        (b"x" * SMALLEST, "", ("2026/", "kept/")),
        (b"x", "", ("small/",)),
        (b"x" * SMALLEST, "Cool", ("cool/",)),
    ):
        documents.fill([name for name in names if name.startswith(chosen)], tier, data)


def planned_steps(documents: Documents, now: datetime) -> list[Step]:
    """The steps of the planner, for blobs listed through the proxy."""
    name = documents.owner.container_name
    account = rules(
        {"doc": {"cool_after": "30d", "smallest": "1KiB"}, "keep": {}},
        now,
        containers={name: ContainerClasses("doc", {"kept/": "keep"})},
        rates=StorageRates.model_validate(RATES),
    )
    plan = Plan(account, (batch_of(page) for page in AzureBlobListing(documents.url).pages() if page))
    return [
        Step(
            name=move.target.name,
            version=move.target.version,
            snapshot=move.target.snapshot,
            etag=move.target.etag,
            modified=move.target.modified,
            size=move.target.size,
            was=move.from_tier,
            to=move.to_tier,
        )
        for batch in plan
        for move in batch.moves()
    ]


def plain_loop(documents: Documents, now: datetime) -> dict[str, str]:
    """What the policy says of each blob, as the SDK lists it: whereto it moves."""
    moves: dict[str, str] = {}
    for blob in documents.owner.list_blobs():
        if blob.name.startswith("kept/") or blob.size < SMALLEST or blob.blob_tier != "Hot":
            continue
        if now - blob.last_modified >= COOL_AFTER:
            moves[blob.name] = "Cool"
    return moves
