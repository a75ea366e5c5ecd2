"""App Service authentication as the platform plays it in front of the host."""

import base64
import binascii
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

_SOAP = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
_MICROSOFT = "http://schemas.microsoft.com/identity/claims/"
_CLAIM_TYPES = {
    "sub": f"{_SOAP}nameidentifier",
    "email": f"{_SOAP}emailaddress",
    "oid": f"{_MICROSOFT}objectidentifier",
    "tid": f"{_MICROSOFT}tenantid",
    "scp": f"{_MICROSOFT}scope",
}
_NAME_TYPE = f"{_SOAP}name"
_ROLE_TYPE = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"


class TokenError(ValueError):
    """A bearer token that the platform refuses."""


@dataclass(frozen=True)
class EasyAuth:
    """App Service authentication with Microsoft Entra, switched on.

    - audience: what a token's `aud` must be. - issuer: what its `iss` must be, when given.
    - allow_anonymous: requests without a token pass, without the principal headers (function keys are checked by the
      host); otherwise they get 401.

    Tokens come from the local identity provider and bear no signature: whoever can reach this host can make one.
    """

    audience: str
    issuer: str | None = None
    allow_anonymous: bool = True

    def principal_headers(self, authorization: str, now: datetime) -> dict[str, str]:
        """The headers that App Service adds for the bearer of the token. Raises TokenError."""
        claims = self._claims(authorization, now)
        principal = {
            "auth_typ": "aad",
            "claims": list(_principal_claims(claims)),
            "name_typ": _NAME_TYPE,
            "role_typ": _ROLE_TYPE,
        }
        name = claims.get("preferred_username") or claims.get("upn") or claims.get("name") or claims.get("appid")
        return {
            "x-ms-client-principal": base64.b64encode(json.dumps(principal).encode()).decode(),
            "x-ms-client-principal-id": str(claims.get("oid") or claims.get("sub") or ""),
            "x-ms-client-principal-name": str(name or ""),
            "x-ms-client-principal-idp": "aad",
        }

    def _claims(self, authorization: str, now: datetime) -> dict[str, Any]:
        scheme, _, token = authorization.partition(" ")
        parts = token.strip().split(".")
        if scheme.lower() != "bearer" or len(parts) != 3:
            raise TokenError("not a bearer token")
        try:
            claims: Any = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        except (binascii.Error, ValueError):
            raise TokenError("the token cannot be read") from None
        if not isinstance(claims, dict):
            raise TokenError("the token cannot be read")
        audiences = claims.get("aud")
        if self.audience not in (audiences if isinstance(audiences, list) else [audiences]):
            raise TokenError("the token is for another audience")
        if self.issuer is not None and claims.get("iss") != self.issuer:
            raise TokenError("the token is from another issuer")
        if not float(claims.get("nbf", 0)) <= now.timestamp() < float(claims.get("exp", 0)):
            raise TokenError("the token is not valid now")
        return claims


def is_principal_header(name: str) -> bool:
    """Whether only the platform may set this header."""
    return name.startswith(("x-ms-client-principal", "x-ms-token-aad"))


def _principal_claims(claims: dict[str, Any]) -> Iterable[dict[str, str]]:
    for name, value in claims.items():
        for single in value if isinstance(value, list) else [value]:
            text = single if isinstance(single, str) else json.dumps(single)
            yield {"typ": _CLAIM_TYPES.get(name, name), "val": text}
