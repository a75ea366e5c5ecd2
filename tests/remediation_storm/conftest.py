"""One app for the area: it takes seconds to bring up."""

from collections.abc import Iterator

import pytest

from local.embedded_estate import EmbeddedEstate
from tests.remediation.running import Team
from tests.remediation_storm.running import stormy
from tests.remediation_storm.sizes import SIZE


@pytest.fixture(scope="module")
def team(estate: EmbeddedEstate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """The app that a storm is coming to."""
    with stormy(estate, tmp_path_factory.mktemp("storm"), SIZE.cool_down) as running:
        yield running
