"""A blob service with a proxy before it, work lists for it, and the engine that carries them out."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.rest import HttpRequest
from azure.storage.blob import BlobServiceClient, ContainerClient

from local import azurite
from local.azure.certificates import CertificateAuthority
from local.azure.simulator import AzureSimulator
from local.blob_proxy import BlobProxy
from local.memory_blobs import MemoryBlobContainer
from shared.blob_container import BlobContainer
from shared.platforms import blob_requests, blobs, credentials
from shared.platforms.blob_batches import AzureBlobBatches
from shared.platforms.blob_listing import AzureBlobListing
from shared.storage_tiering.applying import Slice, carry_on
from shared.storage_tiering.checkpoint import AccountClaim, Progress
from shared.storage_tiering.sending import Brake, Counted, Sender
from shared.storage_tiering.worklist import PART_STEPS, Step, WorkList, Writer

ACCOUNT = "docs"


@dataclass
class Service:
    """Azurite behind the proxy."""

    azurite: azurite.Azurite
    authority: CertificateAuthority
    azure: AzureSimulator
    proxy: BlobProxy
    _made: int = field(default=0)

    def reset(self) -> None:
        """A proxy that breaks nothing and has seen nothing."""
        self.proxy.forget()
        self.proxy.faults.clear()
        self.proxy.pending.clear()
        self.proxy.latency, self.proxy.shuffled = 0.0, False
        self.proxy.before_batch = lambda _number: None

    def container(self, name: str = "") -> "Documents":
        """A new container."""
        self._made += 1
        owner = BlobServiceClient(
            self.azurite.account_url(ACCOUNT),
            credential=AzureNamedKeyCredential(ACCOUNT, self.azurite.keys[ACCOUNT]),
            connection_verify=str(self.authority.bundle),
        )
        name = name or f"docs-{self._made}"
        return Documents(owner.create_container(name), f"{self.proxy.url}/{ACCOUNT}/{name}", self.proxy)


@dataclass
class Documents:
    """A container as its owner sees it, its address as the app knows it, and runs on it."""

    owner: ContainerClient
    url: str
    proxy: BlobProxy
    state: BlobContainer = field(default_factory=MemoryBlobContainer)
    slept: list[float] = field(default_factory=list[float])

    @property
    def batches(self) -> AzureBlobBatches:
        """The adapter, through the proxy."""
        return AzureBlobBatches(self.url)

    def fill(self, names: Iterable[str], tier: str = "", data: bytes = b"x") -> None:
        """Blobs of one tier, uploaded past the proxy."""
        client = blob_requests.pipeline(retries=True)
        headers = {"x-ms-version": blob_requests.API_VERSION, "x-ms-blob-type": "BlockBlob"}
        headers |= {"x-ms-access-tier": tier} if tier else {}

        def put(name: str) -> None:
            url = f"{self.owner.url}/{quote(name, safe='')}"
            client.send_request(HttpRequest("PUT", url, headers=headers, content=data)).raise_for_status()

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(put, names))

    def empty(self) -> None:
        """Delete everything, past the proxy."""
        names = [str(blob.name) for blob in self.owner.list_blobs()]
        for start in range(0, len(names), 256):
            self.owner.delete_blobs(*names[start : start + 256])

    def await_age(self, seconds: float) -> None:
        """Wait until every blob is older than that."""
        newest = max(blob.last_modified for blob in self.owner.list_blobs())
        while datetime.now(UTC) - newest <= timedelta(seconds=seconds):
            time.sleep(0.05)

    def tiers(self) -> dict[str, str]:
        """The tier of each blob, as the SDK lists it."""
        return {blob.name: str(blob.blob_tier) for blob in self.owner.list_blobs()}

    def steps(self, to: str, wanted: Callable[[str], bool] = lambda _name: True) -> list[Step]:
        """A step for each blob that is wanted, planned from a listing."""
        return [
            Step(blob.name, None, None, blob.etag, blob.last_modified, blob.size, str(blob.blob_tier), to)
            for blob in self.owner.list_blobs()
            if wanted(blob.name)
        ]

    def work(self, steps: Iterable[Step], folder: str = "run", part_steps: int = PART_STEPS) -> WorkList:
        """The written list."""
        writer = Writer(self.state, folder, part_steps)
        for step in steps:
            writer.add(step)
        return writer.close()

    def run(
        self,
        work: WorkList,
        *,
        at_once: int = 4,
        holder: str = "me",
        stopped: Callable[[], str] = lambda: "",
        seconds: float = 300,
    ) -> Progress:
        """A slice of a run, through the proxy."""
        claim = AccountClaim(self.state, ACCOUNT, holder, timedelta(seconds=30), lambda: datetime.now(UTC))
        busy_until = claim.take()
        assert busy_until is None, f"claimed until {busy_until}"
        sender = Sender(
            self.batches,
            AzureBlobListing(self.url),
            Brake(lambda: time.monotonic() + sum(self.slept), self._sleep),
            Counted(),
            claim.check,
        )
        until = datetime.now(UTC) + timedelta(seconds=seconds)
        now = Slice(requests_at_once=at_once, until=until, stopped=stopped, clock=lambda: datetime.now(UTC))
        try:
            return carry_on(self.state, work, sender, claim, now)
        finally:
            claim.release()

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@contextmanager
def service(folder: Path) -> Iterator[Service]:
    """A running service; the app's own identity is that of the simulator."""
    authority = CertificateAuthority(folder / "certificates")
    certificate = authority.issue("azurite", dns=["localhost"], addresses=["127.0.0.1"])
    running = azurite.start(folder / "azurite", certificate, accounts=[ACCOUNT, "app"], in_memory=True)
    try:
        with (
            AzureSimulator(folder / "control", authority) as azure,
            BlobProxy(f"https://127.0.0.1:{running.port}", certificate) as proxy,
            pytest.MonkeyPatch.context() as environment,
        ):
            for name, value in azure.settings().items():
                environment.setenv(name, value)
            forget_clients()
            yield Service(running, authority, azure, proxy)
    finally:
        running.stop()
        forget_clients()


def forget_clients() -> None:
    """So that the next use makes clients for the settings of then."""
    credentials.credential.cache_clear()
    blobs.container.cache_clear()
    blob_requests.forget()


def expected(before: Mapping[str, str], moved: Sequence[str], to: str) -> dict[str, str]:
    """The tiers after these and no others were moved."""
    return {name: to if name in set(moved) else tier for name, tier in before.items()}
