"""State in blobs: nothing written by one is lost to another, in memory, in files and in a real blob service."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from azure.core.credentials import AzureNamedKeyCredential
from azure.storage.blob import BlobServiceClient

from local import azurite
from local.azure.certificates import CertificateAuthority
from local.azure.simulator import AzureSimulator
from local.file_blobs import FileBlobContainer
from local.memory_blobs import MemoryBlobContainer
from shared.blob_container import BlobAlreadyExistsError, BlobChangedError, BlobContainer, BlobNotFoundError
from shared.changes.errors import ConflictError, StateContentionError
from shared.changes.state import Store

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(params=["memory", "files"])
def container(request: pytest.FixtureRequest, tmp_path: Path) -> BlobContainer:
    return MemoryBlobContainer() if request.param == "memory" else FileBlobContainer(tmp_path / "blobs")


def test_a_container_keeps_what_the_port_promises(container: BlobContainer) -> None:
    first = container.create("a/1", b"one")
    with pytest.raises(BlobAlreadyExistsError):
        container.create("a/1", b"two")
    assert (container.read("a/1").data, container.read("a/1").etag) == (b"one", first)
    second = container.replace("a/1", b"one", first)
    assert second != first
    for etag in (first, '"nonsense"'):
        with pytest.raises(BlobChangedError):
            container.replace("a/1", b"lost", etag)
        with pytest.raises(BlobChangedError):
            container.delete("a/1", etag)
    with pytest.raises(BlobChangedError):
        container.replace("missing", b"", first)
    with pytest.raises(BlobNotFoundError):
        container.read("missing")
    container.delete("missing")
    container.create("a/3", b"")
    container.create("a/2", b"x\ny")
    container.create("b", b"")
    assert [(facts.name, facts.size) for facts in container.list("a/")] == [("a/1", 3), ("a/2", 3), ("a/3", 0)]
    assert [facts.name for facts in container.list(start_from="a/2")] == ["a/2", "a/3", "b"]
    assert container.read("a/2").data == b"x\ny"
    container.delete("a/1", second)
    assert [facts.name for facts in container.list("a/1")] == []


def test_the_first_of_two_stands_and_what_is_not_there_is_not_changed(container: BlobContainer) -> None:
    store = Store(container)
    assert [store.open("one", str, value) for value in ("first", "second")] == ["first", "first"]
    assert store.change("one", str, str.upper) == "FIRST"
    assert store.get("one", str) == "FIRST"
    with pytest.raises(BlobNotFoundError):
        store.change("other", str, str.upper)
    assert store.get("other", str) is None


def test_only_what_was_written_since_is_read(container: BlobContainer) -> None:
    store = Store(container)
    store.create("days/one", str, "one")
    store.create("days/two", str, "two")
    minute = timedelta(minutes=1)
    assert list(store.all("days/", str)) == ["one", "two"]
    assert list(store.all("days/", str, since=datetime.now(UTC) - minute)) == ["one", "two"]
    assert list(store.all("days/", str, since=datetime.now(UTC) + minute)) == []


def test_writers_in_threads_lose_nothing(container: BlobContainer) -> None:
    store = Store(container)

    def add(number: int) -> None:
        store.update("all", dict[str, int], lambda known: {**(known or {}), str(number): number})

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(add, range(200)))
    assert store.get("all", dict[str, int]) == {str(n): n for n in range(200)}


def test_writers_in_processes_on_a_blob_service_lose_nothing(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path / "certificates")
    running = azurite.start(tmp_path / "azurite", authority.issue("azurite", addresses=["127.0.0.1"]), in_memory=True)
    try:
        with AzureSimulator(tmp_path / "azure", authority) as azure:
            account, key = next(iter(running.keys.items()))
            credential = AzureNamedKeyCredential(account, key)
            bundle = str(authority.bundle)
            service = BlobServiceClient(running.blob_url, credential=credential, connection_verify=bundle)
            client = service.create_container("state")
            program = [sys.executable, "-m", "tests.changes.count_up", client.url, "4", "10"]
            environment = os.environ | azure.settings()
            writers = [subprocess.Popen(program, cwd=PROJECT, env=environment) for _ in range(2)]
            assert [writer.wait(120) for writer in writers] == [0, 0]
            assert client.download_blob("counter.json").readall() == b"80"
    finally:
        running.stop()


def test_a_change_that_refuses_leaves_the_value_and_one_that_changes_nothing_does_not_write(
    container: BlobContainer,
) -> None:
    store = Store(container)
    store.update("x", int, lambda _: 1)
    before = container.read("x.json").etag

    def refuse(_: int | None) -> int:
        raise ConflictError

    with pytest.raises(ConflictError):
        store.update("x", int, refuse)
    store.update("x", int, lambda known: known or 0)
    assert container.read("x.json").etag == before


def test_true_and_one_are_different_values() -> None:
    store = Store(MemoryBlobContainer())
    store.update("x", dict[str, bool | int], lambda _: {"on": 1})
    store.update("x", dict[str, bool | int], lambda _: {"on": True})
    assert store.get("x", dict[str, bool | int]) == {"on": True}
    assert type((store.get("x", dict[str, bool | int]) or {})["on"]) is bool


def test_endless_contention_is_an_error_after_bounded_growing_pauses() -> None:
    pauses: list[float] = []
    container = MemoryBlobContainer()
    store, rival = Store(container, pause=pauses.append), Store(container)

    def overtaken(known: int | None) -> int:
        rival.update("x", int, lambda mine: (mine or 0) + 1)
        return (known or 0) + 100

    with pytest.raises(StateContentionError, match="x was changed by others 40 times"):
        store.update("x", int, overtaken)
    assert len(pauses) == 40
    assert max(pauses) <= 0.5
    assert rival.get("x", int) == 40


def test_a_listing_leaves_out_what_vanishes_meanwhile(container: BlobContainer) -> None:
    store = Store(container)
    for number in range(3):
        store.create(f"n/{number}", int, number)
        store.create(f"n/{number}", int, 99)
    assert list(store.all("n/", int)) == [0, 1, 2]
    values = store.all("n/", int)
    assert next(values) == 0
    container.delete("n/1.json")
    assert list(values) == [2]
