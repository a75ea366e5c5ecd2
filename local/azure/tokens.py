"""Entra's access tokens, as far as the estate's services look at them.

They are JSON Web Tokens without a signature, since Azurite reads but does not verify one: whoever reaches loopback can
write a token. What the services check is what goes wrong in practice: audience, issuer and lifetime.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

RESOURCE_MANAGER = "https://management.azure.com"
EVENT_GRID = "https://eventgrid.azure.net"
POSTGRESQL = "https://ossrdbms-aad.database.windows.net"
STORAGE = "https://storage.azure.com"

type Claims = Mapping[str, Any]

_CLOCK_SKEW = timedelta(minutes=5)


class TokenRefusedError(Exception):
    """The token is not accepted; `reason` is one of malformed, issuer, audience, expired, early."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token and the instant (UTC) from which it is worth nothing."""

    value: str
    audience: str
    expires: datetime


def issuer(tenant_id: str) -> str:
    """The tenant's issuer name in version 1 tokens, the version that managed identities get."""
    return f"https://sts.windows.net/{tenant_id}/"


def mint(
    tenant_id: str, audience: str, claims: Mapping[str, Any], *, now: datetime, lifetime: timedelta
) -> AccessToken:
    """A token of that tenant. `exp` counts whole seconds, so the lifetime is rounded down to them."""
    expires = (now + lifetime).replace(microsecond=0)
    issued = int(now.timestamp())
    payload = {
        "aud": audience,
        "iss": issuer(tenant_id),
        "iat": issued,
        "nbf": issued,
        "exp": int(expires.timestamp()),
        "tid": tenant_id,
        "ver": "1.0",
        **claims,
    }
    value = ".".join([_encode({"typ": "JWT", "alg": "none"}), _encode(payload), "c2ln"])
    return AccessToken(value, audience, expires)


def check(token: str, *, tenant_id: str, audiences: Sequence[str], now: datetime) -> Claims:
    """The token's claims; raises TokenRefusedError. Audiences are compared without a closing slash."""
    claims = _claims(token)
    if claims.get("iss") != issuer(tenant_id):
        raise TokenRefusedError("issuer", f"The access token is from the wrong issuer '{claims.get('iss')}'.")
    audience = str(claims.get("aud", "")).rstrip("/")
    if audience not in [value.rstrip("/") for value in audiences]:
        raise TokenRefusedError(
            "audience",
            f"The access token has been obtained for wrong audience or resource '{audience}'. "
            f"It should exactly match with one of the allowed audiences '{','.join(audiences)}'.",
        )
    expires = _instant(claims, "exp")
    if expires <= now:
        raise TokenRefusedError(
            "expired",
            f"The access token expiry UTC time '{expires:%m/%d/%Y %H:%M:%S}' is earlier than "
            f"current UTC time '{now:%m/%d/%Y %H:%M:%S}'.",
        )
    if _instant(claims, "nbf") > now + _CLOCK_SKEW:
        raise TokenRefusedError("early", "The access token is not yet valid.")
    return claims


def _claims(token: str) -> dict[str, Any]:
    try:
        part = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (IndexError, binascii.Error, ValueError) as error:
        raise TokenRefusedError("malformed", "The access token is invalid.") from error
    if not isinstance(claims, dict):
        raise TokenRefusedError("malformed", "The access token is invalid.")
    return cast("dict[str, Any]", claims)


def _instant(claims: Mapping[str, Any], name: str) -> datetime:
    value = claims.get(name)
    if not isinstance(value, int):
        raise TokenRefusedError("malformed", f"The access token has no '{name}' claim.")
    return datetime.fromtimestamp(value, UTC)


def _encode(value: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
