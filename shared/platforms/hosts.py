"""Names and certificates as a user's browser meets them: the system's resolver, a real TLS handshake."""

import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Handshake:
    """How a handshake ended: when the verified certificate ends (UTC), or why there was none."""

    certificate_ends: datetime | None = None
    error: str = ""


def resolve(name: str) -> list[str]:
    """The addresses of a name, empty when it has none."""
    try:
        return sorted({str(found[4][0]) for found in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)})
    except socket.gaierror:
        return []


def shake_hands(address: str, host: str, port: int, seconds: float = 10.0) -> Handshake:
    """Connect to the address and ask for the host (SNI). Its certificate must be valid, and by a trusted issuer."""
    try:
        with (
            socket.create_connection((address, port), timeout=seconds) as plain,
            ssl.create_default_context().wrap_socket(plain, server_hostname=host) as secured,
        ):
            certificate: dict[str, Any] = secured.getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        return Handshake(error=error.verify_message or str(error))
    except (OSError, ssl.SSLError) as error:
        return Handshake(error=str(error))
    ends = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
    return Handshake(datetime.fromtimestamp(ends, UTC))
