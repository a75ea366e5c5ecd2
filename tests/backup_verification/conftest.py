"""Databases to check: generated ones and those of real Odoo servers, on one small server per test process."""

from tests.local.odoo.conftest import cluster, generated, new_database, real

__all__ = ["cluster", "generated", "new_database", "real"]
