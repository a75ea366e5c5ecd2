"""A staging environment on the functions host: real PostgreSQL, AKS and Kubernetes, and people who log in."""

from collections.abc import Iterator

import pytest

from local.embedded_estate import EmbeddedEstate
from local.functions_host.config import HostConfig
from local.functions_host.easy_auth import EasyAuth
from local.functions_host.host import FunctionsHost
from tests.drills.running import PROJECT
from tests.shutdown_schedules.running import AUDIENCE, Declaration, Running, quiet

NEVER = "0 0 0 1 1 *"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("estate")
    declared = Declaration(folder / "estate.yaml")
    declared.hours(Declaration.night(0))
    with EmbeddedEstate(
        folder / "running", declared.file, environments=("staging",), progress=quiet, journal_items=200
    ) as estate:
        settings = estate.settings() | {
            "ESTATE_FILE": str(declared.file),
            "ESTATE_CHECK_SECONDS": "0.1",
            "AKS_SETTLE_SECONDS": "0",
            **dict.fromkeys(("ANCHORS_SCHEDULE", "BACKUP_INVENTORY_SCHEDULE", "BACKUP_VERIFICATION_SCHEDULE"), NEVER),
            "SHUTDOWN_SCHEDULES_SCHEDULE": NEVER,
            "REMEDIATION_POLL_SCHEDULE": NEVER,
        }
        config = HostConfig(PROJECT, folder / "host", settings=settings, easy_auth=EasyAuth(AUDIENCE))
        with FunctionsHost(config) as host:
            host.wait_ready()
            yield Running(host, estate, declared)
