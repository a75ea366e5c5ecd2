"""Simulated Azure for the session, and a new cluster for each test."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from functions import adapters
from local.azure.certificates import CertificateAuthority
from local.azure.simulator import AzureSimulator
from local.kubernetes.simulator import KubernetesSimulator
from shared.changes.ports import Adapters, Services
from shared.platforms import credentials, kubernetes, managed_clusters, postgres_power
from tests.changes.world import World
from tests.clusters.driver import Driver
from tests.clusters.places import Place

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def shared_azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureSimulator]:
    authority = CertificateAuthority(tmp_path_factory.mktemp("certificates"))
    with AzureSimulator(tmp_path_factory.mktemp("azure"), authority, event_time_scale=0.001) as azure:
        yield azure


@pytest.fixture
def azure(shared_azure: AzureSimulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[AzureSimulator]:
    """The simulated Azure, which the app's own modules find by their settings."""
    for name, value in {**shared_azure.settings(), "AKS_SETTLE_SECONDS": "0"}.items():
        monkeypatch.setenv(name, value)
    _forget()
    yield shared_azure
    shared_azure.faults.clear()
    shared_azure.throttle.reset()
    shared_azure.clusters.behaviour.reset()
    shared_azure.clusters.rates.reset()
    shared_azure.servers.behaviour.reset()
    _forget()


@pytest.fixture
def settle(azure: AzureSimulator) -> Iterator[Callable[..., Place]]:
    """Make another cluster."""
    with ExitStack() as stack:

        def make(**more: Any) -> Place:
            name = f"aks-{next(_numbers)}"
            running = stack.enter_context(KubernetesSimulator(azure.authority, name=name, tenant=azure.tenant))
            return Place(azure, running, name, **more)

        yield make


@pytest.fixture
def place(settle: Callable[..., Place]) -> Place:
    return settle()


@pytest.fixture
def driver(tmp_path: Path) -> Driver:
    """Carries changes out with the app's own adapters."""
    known = Adapters()
    adapters.register(known)
    return Driver(World(tmp_path), known)


@pytest.fixture
def services(driver: Driver) -> Services:
    return driver.services


def _forget() -> None:
    for cached in (
        credentials.credential,
        kubernetes.cluster,
        managed_clusters._client,  # pyright: ignore[reportPrivateUsage]
        postgres_power._client,  # pyright: ignore[reportPrivateUsage]
    ):
        cached.cache_clear()
    managed_clusters._endpoints.clear()  # pyright: ignore[reportPrivateUsage]
