"""One small server for all generated databases of a test process."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Any

import psycopg
import pytest
from psycopg import Connection, sql

from local.odoo import Company, Profile, Summary, generate
from local.odoo.profile import Upload
from local.postgres import LoopbackAddresses, PostgresCluster
from tests.local.odoo.real_databases import restore

AS_OF = datetime(2026, 11, 21, 14, 30, 0, 125_000, tzinfo=UTC)
JOURNAL_ITEMS = 1_600
COMPANIES = (Company("Example Trading GmbH"), Company("Example Gulf W.L.L.", "KWD"), Company("Example KK", "JPY"))
VARIANTS: dict[str, dict[str, Any]] = {
    "version 16": {"version": 16, "unverifiable": 5},
    "version 17": {"version": 17},
    "version 18": {},
    "version 19": {"version": 19},
    "updated from 16": {"version": 18, "hash_versions": (1, 3, 4), "hashed_journals": ("INV", "MISC", "BNK1")},
    "three companies": {"companies": COMPANIES, "hashed_journals": ("INV", "BILL", "MISC"), "legal_gaps": 0},
    "tiny": {"journal_items": 150},
    "another seed": {"seed": 4711, "journal_items": 4_000, "days": 90},
}


type Generated = tuple[Connection, Summary]
type GenerateDatabase = Callable[..., Generated]
type RealDatabase = Callable[[int], Connection]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresCluster]:
    addresses = LoopbackAddresses()
    server = PostgresCluster.create(
        tmp_path_factory.mktemp("odoo") / "server",
        address=addresses.allocate(),
        port=addresses.port,
        administrator="clerk",
        password="correct horse",
        certificate=None,
        archive_timeout_seconds=3600,
    )
    yield server
    server.destroy()


def profile(name: str, **changes: Any) -> Profile:
    return Profile(**{"database": name, "as_of": AS_OF, "journal_items": JOURNAL_ITEMS} | changes)


@pytest.fixture(scope="session")
def new_database(cluster: PostgresCluster) -> Iterator[Callable[[], Connection]]:
    """Connections to empty databases."""
    numbers = count(1)
    opened: list[Connection] = []

    def create() -> Connection:
        name = f"odoo_{next(numbers)}"
        cluster.run_sql(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        connection = psycopg.connect(cluster.dsn(name), autocommit=True)
        opened.append(connection)
        return connection

    yield create
    for connection in opened:
        connection.close()


@pytest.fixture(scope="session")
def generated(new_database: Callable[[], Connection]) -> GenerateDatabase:
    """Generated databases, each profile once. Read them, or roll back what you write."""
    known: dict[Profile, Generated] = {}

    def get(upload: Upload | None = None, **changes: Any) -> Generated:
        wanted = profile("tenant", **changes)
        if wanted not in known:
            connection = new_database()
            known[wanted] = connection, generate(connection, wanted, upload)
        return known[wanted]

    return get


@pytest.fixture(scope="session")
def real(new_database: Callable[[], Connection]) -> RealDatabase:
    """The real databases, each restored once. Read them, or roll back what you write."""
    known: dict[int, Connection] = {}

    def get(version: int) -> Connection:
        if version not in known:
            connection = new_database()
            restore(connection, version)
            known[version] = connection
        return known[version]

    return get
