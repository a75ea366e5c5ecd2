"""A certificate authority of our own, so that every client speaks real TLS to the estate and needs no special case."""

import datetime as dt
import ipaddress
import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_AUTHORITY_LIFETIME = dt.timedelta(days=3650)
_SERVER_LIFETIME = dt.timedelta(days=365)
_CLOCK_SKEW = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A server's certificate (PEM) and its private key (PEM, readable by the owner only)."""

    certificate: Path
    key: Path


class CertificateAuthority:
    """A local CA whose files live in `folder`; a second one on the same folder is the same authority.

    `root` holds our own certificate, `bundle` ours and the system's: one file for REQUESTS_CA_BUNDLE, SSL_CERT_FILE
    and PGSSLROOTCERT, so that the public internet stays reachable too. Certificates carry what Python 3.13's strict
    verification asks for (key usage, subject and authority key identifiers).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.root = folder / "authority.pem"
        self.bundle = folder / "bundle.pem"
        self._key_file = folder / "authority.key"
        folder.mkdir(parents=True, exist_ok=True)
        if self.root.exists() and self._key_file.exists():
            self._load()
        else:
            self._create()
        self.bundle.write_bytes(self.root.read_bytes() + _system_authorities())

    def issue(self, name: str, dns: Sequence[str] = (), addresses: Sequence[str] = ()) -> IssuedCertificate:
        """A server certificate for these DNS names and IP addresses, as `<name>.pem` and `<name>.key`.

        With neither, it is for localhost and 127.0.0.1. A former one of that name is replaced.
        """
        if not dns and not addresses:
            dns, addresses = ["localhost"], ["127.0.0.1"]
        names: list[x509.GeneralName] = [x509.DNSName(value) for value in dns]
        names += [x509.IPAddress(ipaddress.ip_address(value)) for value in addresses]
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _builder(_subject(name), self._certificate.subject, key.public_key(), _SERVER_LIFETIME)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        issued = IssuedCertificate(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        _write_key(issued.key, key)
        issued.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return issued

    def _load(self) -> None:
        key = serialization.load_pem_private_key(self._key_file.read_bytes(), password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self._key = key
        self._certificate = x509.load_pem_x509_certificate(self.root.read_bytes())

    def _create(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        subject = _subject("Local estate authority")
        self._certificate = (
            _builder(subject, subject, self._key.public_key(), _AUTHORITY_LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(authority=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        _write_key(self._key_file, self._key)
        self.root.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))


def _subject(name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Closekeeper local estate"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, lifetime: dt.timedelta
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    data = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)


def _system_authorities() -> bytes:
    """The system's CA certificates; where it has none (a slim container), those that `requests` brings."""
    system = ssl.get_default_verify_paths().cafile
    if not system:
        import certifi

        system = certifi.where()
    return Path(system).read_bytes()
