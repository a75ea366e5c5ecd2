"""The small real Odoo databases beside the checkout, where there are any."""

import subprocess
from pathlib import Path

import pytest
from psycopg import Connection

from local.postgres import binary

REAL_VERSIONS = (16, 17, 18)
_FOLDER = Path(__file__).resolve().parents[3] / ".." / "shared" / "odoo"


def restore(connection: Connection, version: int) -> None:
    """Fill an empty database with the real one's content; skips the test when there is none to be had."""
    dump = _FOLDER / f"odoo{version}_min.dump"
    if not dump.exists():
        pytest.skip("the real Odoo databases are not beside this checkout")
    subprocess.run(
        [binary("pg_restore"), "--no-owner", "--exit-on-error", f"--dbname={connection.info.dsn}", dump], check=True
    )
