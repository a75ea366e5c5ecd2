"""Who calls an HTTP function: App Service authentication for people and managed identities, a function key otherwise.

Source: "Work with user identities in Azure App Service authentication" (headers X-MS-CLIENT-PRINCIPAL*).
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from shared.identity import Caller, Machine, Person, Role
from shared.platforms import settings

_ROLE_CLAIM = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"
_NAME_HEADER = "x-ms-client-principal-name"
_KEY_HOLDER = Machine("function-key", frozenset({Role.READER, Role.OPERATOR}))


class InvalidPrincipalError(Exception):
    """The platform's principal header is there, and is not what the platform sends."""


class _Claim(BaseModel):
    typ: str
    val: str


class _ClientPrincipal(BaseModel):
    auth_typ: str
    name_typ: str | None = None
    role_typ: str | None = None
    claims: Annotated[list[_Claim], Field(max_length=500)]


def platform_authentication_is_on() -> bool:
    """Whether App Service authentication guards this app: the platform sets WEBSITE_AUTH_ENABLED when it does.

    Without it the platform passes X-MS-CLIENT-PRINCIPAL* through from whoever calls, so that they prove nothing.
    """
    return settings.switched_on("WEBSITE_AUTH_ENABLED")


def caller_of(headers: Mapping[str, str], *, platform_authentication: bool) -> Caller:
    """The caller of a request that has passed the host's key check; header names in lower case.

    Raises InvalidPrincipalError. A key proves which system calls, never which person: its holder cannot approve.
    """
    encoded = headers.get("x-ms-client-principal", "")
    if not platform_authentication or not encoded:
        return _KEY_HOLDER
    try:
        principal = _ClientPrincipal.model_validate_json(base64.b64decode(encoded, validate=True))
    except (binascii.Error, ValidationError) as error:
        raise InvalidPrincipalError("X-MS-CLIENT-PRINCIPAL is not a base64 JSON client principal") from error
    role_types = {principal.role_typ or "roles", "roles", _ROLE_CLAIM}
    granted = {claim.val for claim in principal.claims if claim.typ in role_types}
    roles = frozenset(role for role in Role if role in granted)
    if _claim(principal, "idtyp") == "app":
        return Machine(_claim(principal, "oid") or _claim(principal, "appid") or "unknown", roles - {Role.APPROVER})
    # Never the display name: two people may share one, and who asked must not approve.
    name = _claim(principal, "preferred_username") or _claim(principal, "upn") or headers.get(_NAME_HEADER, "")
    if not name:
        raise InvalidPrincipalError("X-MS-CLIENT-PRINCIPAL has no user name claim (preferred_username or upn)")
    return Person(name.lower(), roles)  # user names of Entra do not differ by case


def _claim(principal: _ClientPrincipal, typ: str) -> str:
    return next((claim.val for claim in principal.claims if claim.typ == typ), "")
