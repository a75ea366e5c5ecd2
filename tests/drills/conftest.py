"""The app for tests that need nothing declared of their own: a host takes seconds to start."""

from collections.abc import Iterator

import pytest

from local.embedded_estate import EmbeddedEstate
from local.functions_host.faults import Faults
from tests.drills.running import App, app


@pytest.fixture(scope="module")
def _of_module(estate: EmbeddedEstate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with app(estate, tmp_path_factory.mktemp("app")) as started:
        yield started


@pytest.fixture
def running(_of_module: App) -> Iterator[App]:
    yield _of_module
    _of_module.host.set_faults(Faults())
