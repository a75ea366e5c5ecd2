"""The checks on a restored database, as declared data: every one is a query for the rows that fail it."""

from shared.backup_verification.checks import ledger, numbering, reconciliation, structure, surroundings
from shared.backup_verification.checks.check import Check, Situation

ALL: tuple[Check, ...] = (
    *ledger.CHECKS,
    *reconciliation.CHECKS,
    *numbering.CHECKS,
    *surroundings.CHECKS,
    *structure.CHECKS,
)

__all__ = ["ALL", "Check", "Situation"]
