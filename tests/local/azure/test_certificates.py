import socket
import ssl
import stat
import threading
from pathlib import Path

import pytest

from local.azure.certificates import CertificateAuthority, IssuedCertificate


def handshake(issued: IssuedCertificate, trusted: Path, name: str) -> str:
    """Speak TLS to a server with that certificate as a strict client would; returns the protocol's version."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(issued.certificate, issued.key)
    client = ssl.create_default_context(cafile=str(trusted))
    assert client.verify_flags & ssl.VERIFY_X509_STRICT
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            with server.wrap_socket(theirs, server_side=True) as wrapped:
                wrapped.recv(1)
        except OSError:
            pass

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(ours, server_hostname=name) as wrapped:
            return wrapped.version() or ""
    finally:
        ours.close()
        thread.join(5)
        theirs.close()


def test_strict_clients_accept_the_names_it_was_issued_for(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path)
    issued = authority.issue("server", dns=["localhost", "db.internal"], addresses=["127.0.0.7"])
    for trusted in (authority.root, authority.bundle):
        for name in ("localhost", "db.internal", "127.0.0.7"):
            assert handshake(issued, trusted, name) == "TLSv1.3"


def test_other_names_and_other_authorities_are_refused(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path / "ours")
    stranger = CertificateAuthority(tmp_path / "theirs")
    issued = authority.issue("server", addresses=["127.0.0.7"])
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        handshake(issued, authority.root, "127.0.0.8")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(issued, stranger.root, "127.0.0.7")


def test_the_same_folder_is_the_same_authority(tmp_path: Path) -> None:
    root = CertificateAuthority(tmp_path).root.read_bytes()
    again = CertificateAuthority(tmp_path)
    assert again.root.read_bytes() == root
    assert handshake(again.issue("server"), again.root, "localhost") == "TLSv1.3"


def test_the_bundle_keeps_the_public_authorities(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path)
    context = ssl.create_default_context(cafile=str(authority.bundle))
    assert context.cert_store_stats()["x509_ca"] > 50


def test_private_keys_are_readable_by_the_owner_only(tmp_path: Path) -> None:
    issued = CertificateAuthority(tmp_path).issue("server")
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("*.key")} == {0o600}
    assert stat.S_IMODE(issued.key.stat().st_mode) == 0o600
