"""A simulated Azure without database servers: it is up at once."""

from collections.abc import Iterator

import pytest

from local.azure.certificates import CertificateAuthority
from local.azure.simulator import AzureSimulator
from shared.platforms import credentials, resource_manager


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureSimulator]:
    folder = tmp_path_factory.mktemp("azure")
    with AzureSimulator(folder, CertificateAuthority(folder / "certificates")) as running:
        yield running


@pytest.fixture
def azure(simulator: AzureSimulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[AzureSimulator]:
    """The simulator as the settings of the app point to it."""
    for name, value in simulator.settings().items():
        monkeypatch.setenv(name, value)
    caches = (credentials.credential, resource_manager._client)  # pyright: ignore[reportPrivateUsage]
    for cache in caches:
        cache.cache_clear()
    yield simulator
    simulator.faults.clear()
    simulator.arm.denied.clear()
    simulator.throttle.reset()
    for cache in caches:
        cache.cache_clear()
