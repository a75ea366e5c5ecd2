"""The pure parts of a rehearsal: objects in exports, secrets by name, hosts, and the verdict."""

import io
import tarfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from shared.backup_verification.rehearsal import hosts, manifests, secrets
from shared.backup_verification.rehearsal.plan import RehearsalPlan, StepName, StepReport, StepState, conclude

NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)

EXPORT = b"""
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: odoo }
---
apiVersion: v1
kind: List
items:
  - kind: CronJob
    metadata: { name: nightly-dump, namespace: odoo }
  - kind: ConfigMap
    metadata: { name: settings }
---
"""


def test_objects_are_found_in_documents_lists_and_archives() -> None:
    expected = {"deployment/odoo/web", "cronjob/odoo/nightly-dump", "configmap/default/settings"}
    assert set(manifests.objects_in("all.yaml", EXPORT)) == expected
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in ("repository/all.yml", "repository/README.md"):
            info = tarfile.TarInfo(name)
            info.size = len(EXPORT)
            archive.addfile(info, io.BytesIO(EXPORT))
    assert set(manifests.objects_in("export.tgz", packed.getvalue())) == expected
    json = b'{"kind": "Deployment", "metadata": {"name": "web", "namespace": "odoo"}}'
    assert set(manifests.objects_in("web.json", json)) == {"deployment/odoo/web"}
    assert set(manifests.objects_in("readme.txt", EXPORT)) == set()
    assert manifests.missing(["Deployment/odoo/web", "deployment/odoo/worker"], expected) == ["deployment/odoo/worker"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("broken.yaml", b"kind: {{ .Values.kind }}\n  - ["),
        ("cut.tgz", b"\x1f\x8b\x08"),
        ("bytes.yaml", b"\xff\xfe\xfa"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(name: str, content: bytes) -> None:
    with pytest.raises(manifests.UnreadableManifestError, match=name):
        list(manifests.objects_in(name, content))


@dataclass(frozen=True)
class Secret:
    name: str
    enabled: bool = True
    expires: datetime | None = None


def test_secrets_are_told_by_name() -> None:
    found = [
        Secret("Odoo-Admin"),
        Secret("disabled", enabled=False),
        Secret("expired", expires=NOW - timedelta(days=1)),
        Secret("lasting", expires=NOW + timedelta(days=1)),
    ]
    assert secrets.complaints(["odoo-admin", "disabled", "expired", "lasting", "absent"], found, NOW) == [
        "disabled is disabled",
        "expired expired on 2026-11-21",
        "absent is not in the vault",
    ]


def test_hosts_are_told_by_what_would_keep_users_out() -> None:
    fine = hosts.HostSeen("erp.example", "in.example", ["192.0.2.1"], ["192.0.2.2"], NOW + timedelta(days=30))
    left = timedelta(days=14)
    assert (hosts.complaints(fine, left, NOW), fine.switched) == ([], False)
    assert hosts.HostSeen("a", "b", ["192.0.2.2"], ["192.0.2.2"]).switched
    short = hosts.HostSeen("erp.example", "in.example", ["192.0.2.1"], ["192.0.2.2"], NOW + timedelta(days=3))
    assert hosts.complaints(short, left, NOW) == ["the certificate for erp.example at in.example ends in 3 days"]
    refused = hosts.HostSeen("erp.example", "in.example", [], ["192.0.2.2"], error="certificate has expired")
    assert hosts.complaints(refused, left, NOW) == [
        "erp.example does not resolve",
        "in.example does not answer for erp.example: certificate has expired",
    ]
    lost = hosts.HostSeen("erp.example", "in.example", ["192.0.2.1"], [])
    assert hosts.complaints(lost, left, NOW) == ["in.example, where erp.example must lead to, does not resolve"]


def test_a_rehearsal_fails_by_its_steps_and_by_those_that_were_not_walked() -> None:
    plan = RehearsalPlan(
        id="rehearsal:production:1",
        environment="production",
        location="northeurope",
        servers=("erp",),
        unprotected=(),
        rto_seconds=3600,
        requested_at=NOW,
        estate_version="1",
    )

    def step(name: StepName, *failures: str) -> StepReport:
        state = StepState.FAILED if failures else StepState.PASSED
        return StepReport(name=name, state=state, began_at=NOW, ended_at=NOW + timedelta(seconds=5), failures=failures)

    whole = [step(name) for name in StepName]
    end = NOW + timedelta(minutes=2)
    assert conclude(plan, whole, end).outcome is StepState.PASSED
    failed = conclude(plan, [*whole[:2], step(StepName.MANIFESTS, "web is not in the export"), whole[3]], end)
    assert (failed.outcome, failed.seconds) == (StepState.FAILED, 120)
    assert failed.failures == ("manifests: web is not in the export", "hosts: was not walked")
