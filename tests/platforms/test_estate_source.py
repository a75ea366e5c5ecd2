"""The estate as a blob of a real blob service, and as a file."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from azure.core.credentials import AzureNamedKeyCredential
from azure.storage.blob import BlobServiceClient, ContainerClient

from local import azurite
from local.azure.certificates import CertificateAuthority
from local.azure.simulator import AzureSimulator
from shared.estate.source import EstateSource, EstateUnavailableError
from shared.platforms import blobs, credentials
from shared.platforms.estate_source import EstateBlobKeeper, EstateBlobOrigin, EstateFileOrigin, estate_origin
from shared.platforms.settings import MissingSettingError
from tests.estate.files import SMALL

NOW = datetime(2026, 11, 22, tzinfo=UTC)
LATER = timedelta(minutes=1)


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContainerClient]:
    """A container as its owner sees it; the app has its own identity."""
    folder = tmp_path_factory.mktemp("azure")
    authority = CertificateAuthority(folder / "certificates")
    certificate = authority.issue("azurite", dns=["localhost"], addresses=["127.0.0.1"])
    service = azurite.start(folder / "azurite", certificate, accounts=["app"], in_memory=True)
    try:
        with AzureSimulator(folder / "control", authority) as azure, pytest.MonkeyPatch.context() as environment:
            for name, value in azure.settings().items():
                environment.setenv(name, value)
            credentials.credential.cache_clear()
            blobs.container.cache_clear()
            owner = BlobServiceClient(
                service.account_url("app"),
                credential=AzureNamedKeyCredential("app", service.keys["app"]),
                connection_verify=str(authority.bundle),
            )
            yield owner.create_container("config")
    finally:
        service.stop()
        credentials.credential.cache_clear()
        blobs.container.cache_clear()


def test_an_unchanged_blob_is_not_transferred(container: ContainerClient) -> None:
    container.upload_blob("one.yaml", SMALL, overwrite=True)
    origin = EstateBlobOrigin(f"{container.url}/one.yaml")
    first = origin.fetch(None)
    assert first is not None
    assert first.content == SMALL.encode()
    assert origin.fetch(first.etag) is None
    container.upload_blob("one.yaml", SMALL + "# changed\n", overwrite=True)
    second = origin.fetch(first.etag)
    assert second is not None
    assert second.content.endswith(b"# changed\n")
    assert second.etag != first.etag


def test_a_missing_blob_is_said_without_what_follows_the_address(container: ContainerClient) -> None:
    origin = EstateBlobOrigin(f"{container.url}/folder/none.yaml?sv=1&sig=secret")
    with pytest.raises(EstateUnavailableError, match=r"config/folder/none\.yaml: there is no such blob") as raised:
        origin.fetch(None)
    assert "secret" not in str(raised.value)


def test_the_copy_of_the_last_good_one_outlives_the_process(container: ContainerClient) -> None:
    container.upload_blob("two.yaml", SMALL, overwrite=True)
    keeper = EstateBlobKeeper(container.url)
    assert keeper.load() is None
    good = EstateSource(EstateBlobOrigin(f"{container.url}/two.yaml"), keeper).current(NOW)
    keeper.save(SMALL.encode())
    container.upload_blob("two.yaml", "estate: [", overwrite=True)
    kept = EstateSource(EstateBlobOrigin(f"{container.url}/two.yaml"), keeper).current(NOW)
    assert kept.kept
    assert kept.estate.version == good.estate.version
    container.upload_blob("two.yaml", SMALL.replace("rto: 2h", "rto: 3h"), overwrite=True)
    EstateSource(EstateBlobOrigin(f"{container.url}/two.yaml"), keeper).current(NOW)
    assert b"rto: 3h" in (keeper.load() or b"")


def test_a_file_is_read_again_only_when_it_changed(tmp_path: Path) -> None:
    file = tmp_path / "estate.yaml"
    file.write_text(SMALL, encoding="utf-8")
    source = EstateSource(EstateFileOrigin(file))
    first = source.current(NOW)
    assert source.current(NOW + LATER).estate is first.estate
    file.write_text(SMALL.replace("rto: 2h", "rto: 10h"), encoding="utf-8")
    assert source.current(NOW + 2 * LATER).estate.version != first.estate.version
    file.unlink()
    fault = source.current(NOW + 3 * LATER).fault
    assert fault is not None
    assert "No such file" in fault.what


def test_the_settings_name_the_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ESTATE_URL", raising=False)
    monkeypatch.delenv("ESTATE_FILE", raising=False)
    with pytest.raises(MissingSettingError):
        estate_origin()
    monkeypatch.setenv("ESTATE_FILE", "estate.yaml")
    assert estate_origin().name == "estate.yaml"
    monkeypatch.setenv("ESTATE_URL", "https://app.blob.core.windows.net/config/estate.yaml")
    assert estate_origin().name == "https://app.blob.core.windows.net/config/estate.yaml"
