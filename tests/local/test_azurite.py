"""Azurite under the real blob SDK."""

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, StandardBlobTier

from local import azurite
from local.azure.certificates import CertificateAuthority, IssuedCertificate

STORAGE = "https://storage.azure.com"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return CertificateAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def certificate(authority: CertificateAuthority) -> IssuedCertificate:
    return authority.issue("azurite")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, certificate: IssuedCertificate) -> Iterator[azurite.Azurite]:
    running = azurite.start(
        tmp_path_factory.mktemp("azurite"), certificate, accounts=("primary", "secondary"), in_memory=True
    )
    yield running
    running.stop()


class UnsignedToken:
    """A credential whose token nobody signed: what the managed-identity endpoint hands out locally."""

    def __init__(self, audience: str = STORAGE, seconds_left: int = 3600) -> None:
        now = int(time.time())
        issuer = "https://sts.windows.net/00000000-0000-0000-0000-000000000000/"
        claims = {"aud": audience, "iss": issuer, "iat": now - 60, "nbf": now - 60, "exp": now + seconds_left}
        parts = ({"alg": "none", "typ": "JWT"}, claims)
        encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
        self._token = AccessToken(f"{encoded[0]}.{encoded[1]}.", claims["exp"])

    def get_token(self, *_scopes: str, **_options: object) -> AccessToken:
        return self._token


def client(url: str, authority: CertificateAuthority, credential: object) -> BlobServiceClient:
    return BlobServiceClient(url, credential=credential, connection_verify=str(authority.root), retry_total=0)


def test_a_token_opens_every_account_and_they_are_apart(
    service: azurite.Azurite, authority: CertificateAuthority
) -> None:
    primary = client(service.account_url("primary"), authority, UnsignedToken())
    secondary = client(service.account_url("secondary"), authority, UnsignedToken())
    assert service.blob_url == primary.url.rstrip("/")

    container = primary.create_container("documents")
    container.upload_blob("ab/abcdef", b"invoice", standard_blob_tier=StandardBlobTier.COOL)

    assert container.download_blob("ab/abcdef").readall() == b"invoice"
    assert container.get_blob_client("ab/abcdef").get_blob_properties().blob_tier == "Cool"
    with pytest.raises(ResourceNotFoundError):
        secondary.get_blob_client("documents", "ab/abcdef").download_blob()


@pytest.mark.parametrize(
    ("credential", "reason"),
    [
        (UnsignedToken(audience="https://management.azure.com"), "Invalid token audience"),
        (UnsignedToken(seconds_left=-30), "expired"),
    ],
)
def test_a_foreign_or_expired_token_is_refused(
    service: azurite.Azurite, authority: CertificateAuthority, credential: UnsignedToken, reason: str
) -> None:
    with pytest.raises(ClientAuthenticationError, match=reason):
        list(client(service.blob_url, authority, credential).list_containers())


def test_the_shared_key_works_too(service: azurite.Azurite, authority: CertificateAuthority) -> None:
    key = {"account_name": "primary", "account_key": service.keys["primary"]}
    assert client(service.blob_url, authority, key).create_container("by-key").exists()


def test_blobs_on_disk_survive_a_restart_on_the_same_port(
    tmp_path: Path, authority: CertificateAuthority, certificate: IssuedCertificate
) -> None:
    first = azurite.start(tmp_path, certificate)
    try:
        container = client(first.blob_url, authority, UnsignedToken()).create_container("evidence")
        container.upload_blob("record.json", b"{}")
    finally:
        first.stop()
    assert not first.child.running

    second = azurite.start(tmp_path, certificate, port=first.port)
    try:
        again = client(second.blob_url, authority, UnsignedToken()).get_container_client("evidence")
        assert second.blob_url == first.blob_url
        assert again.download_blob("record.json").readall() == b"{}"
    finally:
        second.stop()


def test_a_taken_port_is_said_so(service: azurite.Azurite, tmp_path: Path, certificate: IssuedCertificate) -> None:
    with pytest.raises(azurite.AzuriteError, match="EADDRINUSE"):
        azurite.start(tmp_path, certificate, port=service.port)


def test_without_any_node_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(azurite.AzuriteError, match=r"Node.js 22.*npm ci --ignore-scripts"):
        azurite.node_path(tmp_path / "node_modules")


def test_an_old_node_on_the_path_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "node"
    old.write_text("#!/bin/sh\necho v20.20.2\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(azurite.AzuriteError):
        azurite.node_path(tmp_path / "none")
