"""One app for each file of tests: it takes seconds to bring up."""

from collections.abc import Iterator

import pytest

from local.embedded_estate import EmbeddedEstate
from tests.remediation.running import Team, remediating


@pytest.fixture(scope="module")
def team(estate: EmbeddedEstate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """The app that remediates the embedded estate."""
    with remediating(estate, tmp_path_factory.mktemp("remediation")) as running:
        yield running
