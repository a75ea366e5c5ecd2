"""Documents: looking for every file of a database and hashing it, beside the machine's raw SHA-1 over the same bytes.

Baseline: one hashlib.sha1 over each document, in one thread, in the same run. The documents lie in memory, so that the
numbers are those of our code and PostgreSQL and not of a storage account; then some of them in Azurite, over TLS, whose
own processor time is in that number. Also the peak memory of a look at a hundred thousand references and at ten times
as many. Exits 1 when verifying falls below its share, or memory grows.

Run: python -m bench.documents [--smoke]
"""

import argparse
import hashlib
import os
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psycopg

from local import azurite
from local.azure.certificates import CertificateAuthority
from local.postgres import LoopbackAddresses, PostgresCluster
from shared.backup_verification.documents.layouts import Layout
from shared.backup_verification.documents.places import Place
from shared.backup_verification.documents.report import Documents
from shared.backup_verification.documents.verification import verify_documents
from shared.blob_container import BlobFacts, BlobProperties
from shared.platforms.sql import ReadOnlyDatabase

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SHARE = 0.3
GROWTH = 16 << 20
PLACE = Place(
    "bench", "attachments", "https://bench.blob.core.windows.net/attachments", Layout.FILESTORE, "", True, False
)


class InMemory:
    """Documents of one size, each made of its number; nothing is kept but the names."""

    def __init__(self, names: list[str], content: dict[str, bytes]) -> None:
        self.names, self.content = names, content

    def list(self, prefix: str = "") -> Iterator[BlobFacts]:
        for name in self.names:
            yield BlobFacts(name, "e", len(self.content.get(name, b"")), NOON)

    def properties(self, name: str) -> BlobProperties | None:
        return None

    def former(self, name: str) -> Iterator[BlobFacts]:
        return iter(())

    def stream(self, name: str) -> Iterator[bytes]:
        yield self.content[name]

    def last_sync(self) -> datetime | None:
        return None


def verify(dsn: str, container: Any, sample_size: int | None) -> tuple[Documents, float]:
    began = time.perf_counter()
    with psycopg.connect(dsn) as connection:
        found = verify_documents(
            ReadOnlyDatabase(connection),
            [PLACE],
            lambda place, secondary: container,
            sample_size=sample_size,
            seed="bench",
            secondary=False,
            seconds=3600,
        )
    return found, time.perf_counter() - began


def rows(dsn: str, names: list[str], size: int) -> None:
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute("drop table if exists ir_attachment")
        cursor.execute(
            "create table ir_attachment (id serial primary key, type text default 'binary', url text, "
            "store_fname text, checksum text, file_size integer)"
        )
        with cursor.copy("copy ir_attachment (store_fname, checksum, file_size) from stdin") as copy:
            for name in names:
                copy.write_row((name, name[3:], size))


def in_azurite(folder: Path, dsn: str, documents: dict[str, bytes]) -> float:
    """Seconds for reading all of them through the real SDK."""
    from azure.core.credentials import AzureNamedKeyCredential
    from azure.storage.blob import ContainerClient

    authority = CertificateAuthority(folder / "certificates")
    certificate = authority.issue("azurite")
    with_keys = azurite.start(folder / "azurite", certificate, accounts=("bench",), in_memory=True)
    try:
        os.environ["REQUESTS_CA_BUNDLE"] = str(authority.bundle)
        url = f"{with_keys.account_url('bench')}/attachments"
        from shared.platforms import blob_reading

        key = AzureNamedKeyCredential("bench", with_keys.keys["bench"])
        blob_reading.credential = lambda: key  # type: ignore[assignment,return-value]
        client = ContainerClient.from_container_url(url, credential=key)
        client.create_container()
        for name, data in documents.items():
            client.upload_blob(name, data)
        found, seconds = verify(dsn, blob_reading.ReadableContainer(url), None)
        assert (found.read, found.changed.count, found.missing.count) == (len(documents), 0, 0)
        return seconds
    finally:
        with_keys.stop()


def peak(dsn: str, names: list[str]) -> int:
    rows(dsn, names, 0)
    tracemalloc.start()
    verify(dsn, InMemory(names, {}), 0)
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return used


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--smoke", action="store_true", help="small, only to see that it runs")
    smoke = asked.parse_args().smoke
    count, size, uploaded, many = (200, 20_000, 50, 2_000) if smoke else (4_000, 100_000, 400, 100_000)
    with tempfile.TemporaryDirectory() as folder:
        addresses = LoopbackAddresses()
        cluster = PostgresCluster.create(
            Path(folder) / "server",
            address=addresses.allocate(),
            port=addresses.port,
            administrator="clerk",
            password="bench",
            certificate=None,
        )
        try:
            dsn = cluster.dsn()
            contents = [number.to_bytes(8, "big") * (size // 8) for number in range(count)]
            began = time.perf_counter()
            digests = [hashlib.sha1(content, usedforsecurity=False).hexdigest() for content in contents]
            raw = time.perf_counter() - began
            documents = dict(
                sorted((f"{digest[:2]}/{digest}", data) for digest, data in zip(digests, contents, strict=True))
            )
            rows(dsn, list(documents), size)
            found, seconds = verify(dsn, InMemory(list(documents), documents), None)
            assert (found.read, found.changed.count, found.missing.count) == (count, 0, 0)
            share = raw / seconds
            some = dict(list(documents.items())[:uploaded])
            rows(dsn, list(some), size)
            through = in_azurite(Path(folder), dsn, some)
            few = peak(dsn, [f"{number % 256:02x}/{number:040x}" for number in range(many)])
            growth = peak(dsn, [f"{number % 256:02x}/{number:040x}" for number in range(many * 10)]) - few
        finally:
            cluster.destroy()
    print(f"{count} documents of {size} bytes: raw SHA-1 {count * size / raw / 1e6:.0f} MB/s in one thread")
    print(
        f"verified {count / seconds:.0f} documents/s, {count * size / seconds / 1e6:.0f} MB/s: {share:.0%} of raw SHA-1"
    )
    print(f"through Azurite (its own time included): {uploaded / through:.0f} documents/s")
    print(f"memory: {few / 1e6:.1f} MB for {many} references, {growth / 1e6:+.1f} MB for ten times as many")
    return int(not smoke and (share < SHARE or growth > GROWTH))


if __name__ == "__main__":
    sys.exit(main())
