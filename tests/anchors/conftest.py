"""Generated databases, on one small server per test process."""

from tests.local.odoo.conftest import cluster, generated, new_database

__all__ = ["cluster", "generated", "new_database"]
