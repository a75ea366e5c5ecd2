"""The simulated Azure and the executor's own steps, as the tests of clusters have them."""

import sys
from collections.abc import Iterator

import pytest

from shared.platforms import managed_clusters
from tests.clusters.conftest import azure, driver, place, services, settle, shared_azure

__all__ = ["azure", "driver", "place", "services", "settle", "shared_azure"]


@pytest.fixture(autouse=True)
def fresh_clients() -> Iterator[None]:
    """No client outlives the Azure that it speaks to."""
    _forget()
    yield
    _forget()


def _forget() -> None:
    for name, module in list(sys.modules.items()):
        if name.startswith(("functions", "shared.platforms")):
            for each in list(vars(module).values()):
                if callable(clear := getattr(each, "cache_clear", None)):
                    clear()
    managed_clusters._endpoints.clear()  # pyright: ignore[reportPrivateUsage]
