"""Clusters on a clock that stands still, so that a test says when time passes."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from local.azure.certificates import CertificateAuthority
from local.azure.identity import ManagedIdentity, Tenant
from local.kubernetes.clock import ClusterClock
from local.kubernetes.simulator import KubernetesSimulator

MORNING = datetime(2026, 11, 20, 6, 0, 30, tzinfo=UTC)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return CertificateAuthority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def simulator(authority: CertificateAuthority, tmp_path: Path) -> Iterator[KubernetesSimulator]:
    """A cluster with two nodes, whose API asks for tokens of its tenant."""
    tenant = Tenant([ManagedIdentity("closekeeper")])
    name = tmp_path.name.replace("_", "-")
    with KubernetesSimulator(authority, name=name, tenant=tenant, clock=ClusterClock(MORNING)) as cluster:
        cluster.add_node("node-1")
        cluster.add_node("node-2")
        yield cluster
