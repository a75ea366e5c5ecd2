"""Who calls, by the headers that App Service sends; and that nobody can send them himself."""

import base64
import json
from typing import Any

import pytest

from functions.authentication import InvalidPrincipalError, caller_of
from shared.identity import Machine, Person, Role, may

ROLE_CLAIM = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"


def headers(claims: dict[str, str] | list[tuple[str, str]], **changed: Any) -> dict[str, str]:
    pairs = claims.items() if isinstance(claims, dict) else claims
    content = {
        "auth_typ": "aad",
        "name_typ": "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
        "role_typ": ROLE_CLAIM,
        "claims": [{"typ": typ, "val": val} for typ, val in pairs],
        **changed,
    }
    return {"x-ms-client-principal": base64.b64encode(json.dumps(content).encode()).decode()}


def test_a_login_is_a_person_with_the_roles_of_the_app() -> None:
    sent = headers(
        [("preferred_username", "Anna@Example.org"), (ROLE_CLAIM, "approver"), ("roles", "reader"), ("roles", "x")]
    )
    assert caller_of(sent, platform_authentication=True) == Person(
        "anna@example.org", frozenset({Role.APPROVER, Role.READER})
    )


def test_the_same_headers_prove_nothing_when_the_platform_does_not_check_logins() -> None:
    sent = headers([("preferred_username", "mallory@example.org"), (ROLE_CLAIM, "approver")])
    caller = caller_of(sent, platform_authentication=False)
    assert caller == Machine("function-key", frozenset({Role.READER, Role.OPERATOR}))
    assert not may(caller, Role.APPROVER)


def test_a_managed_identity_is_a_machine_and_never_an_approver() -> None:
    sent = headers([("idtyp", "app"), ("oid", "7f3a"), (ROLE_CLAIM, "approver"), (ROLE_CLAIM, "operator")])
    caller = caller_of(sent, platform_authentication=True)
    assert caller == Machine("7f3a", frozenset({Role.OPERATOR}))
    assert not may(Machine("7f3a", frozenset(Role)), Role.APPROVER)


def test_a_display_name_is_no_identity() -> None:
    with pytest.raises(InvalidPrincipalError, match="no user name"):
        caller_of(headers({"name": "Anna Approver", ROLE_CLAIM: "approver"}), platform_authentication=True)


@pytest.mark.parametrize(
    "value",
    [
        "%%%",
        base64.b64encode(b"{").decode(),
        base64.b64encode(b"[]").decode(),
        base64.b64encode(b'{"claims": 1}').decode(),
    ],
)
def test_a_header_that_the_platform_never_sends_is_refused(value: str) -> None:
    with pytest.raises(InvalidPrincipalError):
        caller_of({"x-ms-client-principal": value}, platform_authentication=True)
