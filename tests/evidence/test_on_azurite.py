"""Evidence in a real blob service, by the app's own adapter and identity, and the timer function on the host."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from azure.core.credentials import AzureNamedKeyCredential
from azure.storage.blob import BlobServiceClient, ContainerClient

from functions.records import write_record
from local import azurite
from local.azure.certificates import CertificateAuthority
from local.azure.simulator import AzureSimulator
from local.functions_host.config import HostConfig
from local.functions_host.host import FunctionsHost
from shared.evidence.verify import Verification, read_published
from shared.platforms import blobs, credentials
from tests.evidence.logs import Files, record

PROJECT = Path(__file__).resolve().parents[2]
PROCESSES, WRITERS, EACH = 2, 100, 2
APP = f"""
import sys
sys.path.insert(0, {str(PROJECT)!r})
import azure.durable_functions as df
from functions import evidence_sealing
app = df.DFApp()
app.register_functions(evidence_sealing.blueprint)
"""


@dataclass
class Cloud:
    service: BlobServiceClient
    azure: AzureSimulator

    def container(self, name: str) -> ContainerClient:
        return self.service.create_container(name)

    def settings(self, container: ContainerClient) -> dict[str, str]:
        return {
            **self.azure.settings(),
            "EVIDENCE_URL": container.url,
            "EVIDENCE_SEALING_SCHEDULE": "0 0 0 1 1 *",
        }


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    folder = tmp_path_factory.mktemp("cloud")
    authority = CertificateAuthority(folder / "certificates")
    running = azurite.start(folder / "azurite", authority.issue("azurite", addresses=["127.0.0.1"]), in_memory=True)
    try:
        with AzureSimulator(folder / "azure", authority, event_time_scale=0.01) as azure:
            account, key = next(iter(running.keys.items()))
            service = BlobServiceClient(
                running.blob_url,
                credential=AzureNamedKeyCredential(account, key),
                connection_verify=str(authority.bundle),
            )
            yield Cloud(service, azure)
    finally:
        running.stop()


def exported(container: ContainerClient) -> dict[str, bytes]:
    return {name: container.download_blob(name).readall() for name in container.list_blob_names()}


def sealing_host(cloud: Cloud, container: ContainerClient, folder: Path) -> FunctionsHost:
    app = folder / "app"
    app.mkdir()
    (app / "function_app.py").write_text(APP)
    shutil.copy(PROJECT / "host.json", app)
    return FunctionsHost(HostConfig(app, folder / "host", settings=cloud.settings(container)))


def fire(host: FunctionsHost) -> None:
    """Fire the timer and wait until it has run."""
    log = host.config.data / "logs" / "host.jsonl"
    before = log.read_text().count("Executed 'Functions.evidence_sealing_tick'")
    answer = httpx.post(
        f"{host.url}/admin/functions/evidence_sealing_tick",
        headers={"x-functions-key": host.master_key},
        json={},
        timeout=60,
    )
    assert answer.status_code == 202, answer.text
    deadline = time.monotonic() + 120
    while log.read_text().count("Executed 'Functions.evidence_sealing_tick'") == before:
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        time.sleep(0.05)


def sealed(container: ContainerClient) -> int:
    seals = list(container.list_blob_names(name_starts_with="seals/"))
    return json.loads(container.download_blob(seals[-1]).readall())["tree_size"] if seals else 0


def test_a_step_that_comes_again_after_a_deployment_finds_its_record(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    container = cloud.container("redelivered")
    for name, value in cloud.settings(container).items():
        monkeypatch.setenv(name, value)
    for known in (credentials.credential, blobs.container):
        known.cache_clear()
    first = write_record(record(1))
    assert write_record(record(1)) == first
    assert write_record(record(1, app_version="0.2.0")) == first
    kept = {name: json.loads(data) for name, data in exported(container).items()}
    assert sorted(each["kind"] for each in kept.values()) == ["applied", "conflict"]
    assert kept[first.name]["app_version"] == "0.1.0"
    for known in (credentials.credential, blobs.container):
        known.cache_clear()


def test_two_hundred_writers_lose_nothing_while_the_timer_seals(cloud: Cloud, tmp_path: Path) -> None:
    container = cloud.container("writers")
    environment = os.environ | cloud.settings(container)
    now = datetime.now(UTC)
    with sealing_host(cloud, container, tmp_path) as host:
        host.wait_ready()
        writers = [
            subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "tests.evidence.writers",
                    container.url,
                    str(now),
                    *map(str, (first, WRITERS, EACH)),
                ],
                cwd=PROJECT,
                env=environment,
                stderr=subprocess.PIPE,
                text=True,
            )
            for first in range(0, PROCESSES * WRITERS, WRITERS)
        ]
        for writer in writers:
            while writer.poll() is None:
                fire(host)
        assert [writer.communicate()[1] for writer in writers if writer.returncode] == []
        written = [record(number, now) for number in (*range(PROCESSES * WRITERS * EACH), 9999)]
        expected = {each.name: each.data for each in written}
        fire(host)
        assert sealed(container) == len(expected)

        files = exported(container)
        assert {name: data for name, data in files.items() if name.startswith("records/")} == expected
        result = Verification(Files(files))
        assert result.problems == {}
        assert any(f"{len(expected)} records, each as it was sealed" in note for note in result.notes)

        seals = sorted(name for name in files if name.startswith("seals/"))
        told = cloud.azure.events.wait_for(len(seals), type="Closekeeper.Evidence.Sealed")
        bodies = "[" + ",".join(json.dumps(dict(event.body)) for event in told) + "]"
        witnessed = Verification(Files(files), read_published(bodies.encode()))
        assert witnessed.problems == {}
        assert sum("is the one here" in note for note in witnessed.notes) >= len(seals)


def test_a_log_that_contradicts_itself_is_told_and_left_alone(cloud: Cloud, tmp_path: Path) -> None:
    container = cloud.container("broken")
    with sealing_host(cloud, container, tmp_path) as host:
        host.wait_ready()
        first, second = record(1, datetime.now(UTC)), record(2, datetime.now(UTC))
        container.upload_blob(first.name, first.data)
        fire(host)
        assert sealed(container) == 1
        container.upload_blob("seals/00000003.json", b"{}")
        container.upload_blob(second.name, second.data)
        before = exported(container)
        fire(host)
        (event,) = cloud.azure.events.wait_for(1, type="Closekeeper.Evidence.LogBroken")
        assert "seals/00000003.json" in event.body["data"]["problem"]
        assert exported(container) == before
