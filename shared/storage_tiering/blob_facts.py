"""The facts under the name by which the planner knows them; `shared.platforms` may only import `shared.blob_facts`."""

from shared.blob_facts import MINIMUM_DAYS, BlobFacts, Tier

__all__ = ["MINIMUM_DAYS", "BlobFacts", "Tier"]
