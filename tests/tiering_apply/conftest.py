"""One blob service for the whole area."""

from collections.abc import Iterator

import pytest

from tests.tiering_apply.world import Documents, Service, service


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("blobs")) as started:
        yield started


@pytest.fixture
def documents(running: Service) -> Iterator[Documents]:
    """A new container behind a proxy that breaks nothing."""
    running.proxy.forget()
    running.proxy.faults.clear()
    running.proxy.latency, running.proxy.shuffled = 0.0, False
    running.proxy.before_batch = lambda _number: None
    yield running.container()
    running.proxy.before_batch = lambda _number: None
