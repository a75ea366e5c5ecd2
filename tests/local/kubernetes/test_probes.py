"""The behaviours of a real API server, probed through the official client by a program that knows nothing of us."""

import subprocess
import sys
from pathlib import Path

import pytest

from local.azure.certificates import CertificateAuthority
from local.azure.identity import ManagedIdentity, Tenant
from local.kubernetes.simulator import KubernetesSimulator

PROBES = Path(__file__).resolve().parents[4] / "shared" / "probes" / "kubernetes_probe.py"


@pytest.mark.skipif(not PROBES.exists(), reason="the folder shared/probes is not beside the checkout")
def test_all_probes_pass(authority: CertificateAuthority, tmp_path: Path) -> None:
    with KubernetesSimulator(authority, name="probed", tenant=Tenant([ManagedIdentity("closekeeper")])) as simulator:
        path = simulator.kubeconfig(tmp_path / "kubeconfig")
        run = subprocess.run(
            [sys.executable, str(PROBES), str(path)], capture_output=True, text=True, timeout=120, check=False
        )
    failed = [line for line in run.stdout.splitlines() if line.startswith("FAIL")]
    assert failed == []
    assert "44 passed, 0 failed of 44" in run.stdout, run.stdout + run.stderr
