"""One simulated Azure with one server for each worker process; tests that break it make their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.azure.certificates import CertificateAuthority
from local.azure.simulator import AzureSimulator
from tests.local.azure.clients import GROUP, SUBSCRIPTION, Clients, server_id


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return CertificateAuthority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def shared_azure(tmp_path_factory: pytest.TempPathFactory, authority: CertificateAuthority) -> Iterator[AzureSimulator]:
    with AzureSimulator(tmp_path_factory.mktemp("azure"), authority, event_time_scale=0.001) as simulator:
        simulator.add_resource_group(SUBSCRIPTION, GROUP)
        simulator.add_flexible_server(server_id("source"), tags={"environment": "production"})
        yield simulator


@pytest.fixture
def azure(shared_azure: AzureSimulator) -> Iterator[AzureSimulator]:
    """The shared simulator, without what a former test has set."""
    yield shared_azure
    shared_azure.faults.clear()
    shared_azure.arm.locks.clear()
    shared_azure.arm.denied.clear()
    shared_azure.throttle.reset()
    shared_azure.servers.behaviour.reset()


@pytest.fixture
def clients(azure: AzureSimulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clients]:
    """The real SDK clients, set up by the settings only."""
    for name, value in azure.settings().items():
        monkeypatch.setenv(name, value)
    with Clients(azure.settings()) as clients:
        yield clients


@pytest.fixture
def simulator(tmp_path: Path, authority: CertificateAuthority) -> Iterator[AzureSimulator]:
    """A simulator of the test's own, still without servers."""
    with AzureSimulator(tmp_path / "azure", authority, event_time_scale=0.001) as simulator:
        simulator.add_resource_group(SUBSCRIPTION, GROUP)
        yield simulator
