"""Injuries for tests and for the curious: each does one bad thing and says what it did.

They need the rights of the tables' owner. Where a constraint would forbid an injury, the constraint is dropped first,
as a careless restore would have lost it. `INJURIES` holds those of a database by name.
"""

from local.odoo.damage import ledger, surroundings
from local.odoo.damage.files import corrupt_document, corrupt_page, delete_document, truncate_document
from local.odoo.damage.injury import INJURIES, Injury

__all__ = [
    "INJURIES",
    "Injury",
    "corrupt_document",
    "corrupt_page",
    "delete_document",
    "ledger",
    "surroundings",
    "truncate_document",
]
