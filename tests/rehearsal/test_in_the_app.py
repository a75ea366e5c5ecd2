"""A rehearsal walked by the running app: a real restore into the paired region, real TLS, a vault that notes reads."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from local.azure.certificates import IssuedCertificate
from local.azure.key_vault import Secret
from local.embedded_estate import EmbeddedEstate
from tests.drills.running import App, app

MANIFESTS = b"""
kind: Deployment
metadata: { name: web, namespace: odoo }
---
kind: CronJob
metadata: { name: nightly-dump, namespace: odoo }
"""
RUNBOOK = """\
  recovery:
    production:
      every: 180d
      manifests: backups/manifests
      objects: [deployment/odoo/web, {object}]
      vault: kv-erp-neu
      secret_names: [odoo-admin, postgres-odoo]
      hosts: [{{ host: localhost, target: {target}, certificate_left: {left} }}]
"""


@contextmanager
def ingress(certificate: IssuedCertificate) -> Iterator[int]:
    """Something that shakes hands by TLS; yields its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(plain, server_side=True) as secured:
                    secured.recv(1)
            except OSError:
                continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(10)


def declare(estate: EmbeddedEstate, folder: Path, **runbook: str) -> str:
    """The estate with a runbook of this machine; returns the file."""
    values = {"object": "cronjob/odoo/nightly-dump", "target": "localhost", "left": "14d"} | runbook
    text = estate.local_estate_file.read_text()
    begin = text.index("  recovery:\n")
    end = text.index("\nstorage_tiering:", begin)
    file = folder / "estate.yaml"
    file.write_text(text[:begin] + RUNBOOK.format(**values) + text[end:])
    return str(file)


def rehearse(running: App, key: str) -> dict[str, Any]:
    answer = running.api.post("/api/rehearsals", json={"environment": "production"}, headers={"Idempotency-Key": key})
    assert answer.status_code == 202, answer.text
    return await_report(running, answer.json()["id"])


def await_report(running: App, rehearsal: str) -> dict[str, Any]:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        state = running.patiently(lambda: running.api.get(f"/api/rehearsals/{rehearsal}")).json()
        if state["status"] in {"completed", "failed", "terminated"}:
            assert state["status"] == "completed", (state, running.log())
            return state["report"]
        time.sleep(0.1)
    raise AssertionError(f"the rehearsal is not over: {state}\n{running.log()}")


def fill(estate: EmbeddedEstate) -> None:
    estate.azure.vaults.put("kv-erp-neu", {"odoo-admin": "not to be read", "postgres-odoo": "nor this"})
    container = estate.blobs("sterpbackup").get_container_client("manifests")
    container.upload_blob("cluster/all.yaml", MANIFESTS, overwrite=True)


def test_a_runbook_that_holds_is_walked_timed_and_told(estate: EmbeddedEstate, tmp_path: Path) -> None:
    fill(estate)
    certificate = estate.authority.issue("ingress", dns=["localhost"])
    with (
        ingress(certificate) as port,
        app(estate, tmp_path / "host", ESTATE_FILE=declare(estate, tmp_path), RECOVERY_TLS_PORT=str(port)) as running,
    ):
        estate.azure.vaults.reads.clear()
        running.fire("recovery_rehearsal_tick")
        deadline = time.monotonic() + 30
        while not (listed := running.api.get("/api/rehearsals").json()["value"]) and time.monotonic() < deadline:
            time.sleep(0.1)
        (one,) = listed
        report = await_report(running, one["id"])
        assert (report["outcome"], report["failures"]) == ("passed", [])
        steps = {step["name"]: step for step in report["steps"]}
        assert list(steps) == ["database", "documents", "manifests", "secrets", "hosts"]
        assert {step["state"] for step in steps.values()} == {"passed"}
        assert all(step["seconds"] >= 0 for step in steps.values())
        drill = steps["database"]["shown"]["erp"]
        assert (drill["outcome"], drill["rto_seconds"] > 0) == ("passed", True)
        assert {shown["files"] for shown in steps["documents"]["shown"].values()} != {0}
        assert steps["hosts"]["shown"]["localhost"]["switched"] is True
        assert estate.azure.vaults.reads == []  # names were listed, no value was read
        (record,) = running.records(report["id"])
        assert (record["kind"], record["body"]["outcome"]) == ("drill", "passed")
        (event,) = running.events(report["id"])
        assert event["type"] == "Closekeeper.BackupVerification.RehearsalPassed"
        assert running.temporary_servers() == []
        running.fire("recovery_rehearsal_tick")
        running.await_idle()
        assert len(running.api.get("/api/rehearsals").json()["value"]) == 1  # not due again


def test_everything_that_a_recovery_would_miss_is_named(estate: EmbeddedEstate, tmp_path: Path) -> None:
    fill(estate)
    gone = datetime.now(UTC) - timedelta(days=1)
    estate.azure.vaults.put(
        "kv-erp-neu", {"odoo-admin": Secret("x", expires=gone), "postgres-odoo": Secret("y", enabled=False)}
    )
    container = estate.blobs("sterpbackup").get_container_client("manifests")
    container.upload_blob("cluster/broken.yaml", b"kind: [", overwrite=True)
    file = declare(estate, tmp_path, object="deployment/odoo/worker", left="400d")
    for blob in estate.state.list_blob_names(name_starts_with="rehearsals/"):
        estate.state.delete_blob(blob)
    certificate = estate.authority.issue("ingress", dns=["localhost"])
    with (
        ingress(certificate) as port,
        app(estate, tmp_path / "host", ESTATE_FILE=file, RECOVERY_TLS_PORT=str(port)) as running,
    ):
        report = rehearse(running, "missing")
        failures = "\n".join(report["failures"])
        for expected in (
            "manifests: cluster/broken.yaml:",
            "manifests: deployment/odoo/worker is not in the export",
            "secrets: odoo-admin expired on",
            "secrets: postgres-odoo is disabled",
            "hosts: the certificate for localhost at localhost ends in",
        ):
            assert expected in failures
        assert report["outcome"] == "failed"
        states = {step["name"]: step["state"] for step in report["steps"]}
        assert (states["database"], states["documents"]) == ("passed", "passed")
        answer = running.api.post("/api/rehearsals", json={"environment": "staging"})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "/environment")
        assert rehearse(running, "missing") == report  # the same key is the same rehearsal
    container.delete_blob("cluster/broken.yaml")


def test_a_host_that_shows_anothers_certificate_or_is_nowhere_is_told(estate: EmbeddedEstate) -> None:
    import subprocess
    import sys

    program = (
        "import sys; from shared.platforms import hosts; "
        "print(hosts.shake_hands('127.0.0.1', 'localhost', int(sys.argv[1]), 5)); "
        "print(hosts.resolve('nowhere.invalid'))"
    )

    def seen(port: int) -> str:
        environment = {"SSL_CERT_FILE": str(estate.authority.bundle)}
        return subprocess.run(
            [sys.executable, "-c", program, str(port)], env=environment, capture_output=True, text=True, check=True
        ).stdout

    with ingress(estate.authority.issue("good", dns=["localhost"])) as port:
        assert "certificate_ends=datetime" in seen(port)
    with ingress(estate.authority.issue("other", dns=["other.example"])) as port:
        assert "Hostname mismatch" in seen(port)
        assert "[]" in seen(port)
    assert "refused" in seen(port)
