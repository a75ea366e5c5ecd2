"""One blob service for each file, since its settings are those of the process."""

from collections.abc import Iterator

import pytest

from tests.tiering_apply.world import Documents, Service, service


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("blobs")) as started:
        yield started


@pytest.fixture
def documents(running: Service) -> Iterator[Documents]:
    """A new container behind a proxy that breaks nothing."""
    running.reset()
    yield running.container()
    running.reset()
