"""Odoo-shaped databases with a real ledger: generated, kept moving, and damaged on purpose."""

from local.odoo.generator import generate
from local.odoo.live import Written, write_business
from local.odoo.profile import Company, Gap, Profile, Summary

__all__ = ["Company", "Gap", "Profile", "Summary", "Written", "generate", "write_business"]
