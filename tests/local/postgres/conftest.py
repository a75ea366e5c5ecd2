"""Real servers for the tests, each on an address of its own."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from local.postgres import LoopbackAddresses, PostgresCluster

NEVER = 3600
"""An archive timeout in seconds that no test lives to see: what is archived is then the test's own decision."""

type CreateCluster = Callable[..., PostgresCluster]


@pytest.fixture(scope="session")
def addresses() -> LoopbackAddresses:
    return LoopbackAddresses()


def create_cluster(folder: Path, addresses: LoopbackAddresses, **options: Any) -> PostgresCluster:
    defaults: dict[str, Any] = {
        "address": addresses.allocate(),
        "port": addresses.port,
        "administrator": "clerk",
        "password": "correct horse",
        "certificate": None,
        "archive_timeout_seconds": NEVER,
    }
    return PostgresCluster.create(folder, **defaults | options)


@pytest.fixture
def create(tmp_path: Path, addresses: LoopbackAddresses) -> Iterator[CreateCluster]:
    """Create servers that end with the test."""
    with ExitStack() as stack:

        def create_one(name: str = "server", **options: Any) -> PostgresCluster:
            cluster = create_cluster(tmp_path / name, addresses, **options)
            stack.callback(cluster.destroy)
            return cluster

        yield create_one


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, addresses: LoopbackAddresses) -> Iterator[PostgresCluster]:
    """A running server with one base backup."""
    cluster = create_cluster(tmp_path_factory.mktemp("source") / "server", addresses)
    cluster.take_base_backup()
    yield cluster
    cluster.destroy()


@pytest.fixture
def reachable_folder() -> Iterator[Path]:
    """A folder that every user can use; pytest's own are closed to all others."""
    with tempfile.TemporaryDirectory(prefix="ck-", dir="/tmp") as folder:
        path = Path(folder).resolve()
        path.chmod(0o777)
        yield path
