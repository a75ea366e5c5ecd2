"""The managed identity endpoint through the real credential, and its tokens as PostgreSQL passwords."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import psycopg
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ManagedIdentityCredential

from local.azure import tokens
from local.azure.certificates import CertificateAuthority
from local.azure.faults import Fault
from local.azure.identity import ManagedIdentity, Tenant
from local.azure.simulator import AzureSimulator
from tests.local.azure.clients import Clients, server_id, wait_until

SCOPE = "https://management.azure.com/.default"


def test_the_real_credential_gets_a_token_for_its_audience(azure: AzureSimulator, clients: Clients) -> None:
    answer = clients.credential.get_token(SCOPE)
    claims = azure.tenant.check(answer.token, [tokens.RESOURCE_MANAGER])
    assert claims["aud"] == "https://management.azure.com"
    assert claims["iss"] == f"https://sts.windows.net/{azure.tenant.id}/"
    assert claims["oid"] == azure.tenant.identities[0].object_id
    assert claims["exp"] == answer.expires_on


def ask(azure: AzureSimulator, header: str | None, **query: str) -> httpx.Response:
    query = {"api-version": "2019-08-01", "resource": "https://storage.azure.com", **query}
    headers = {"X-IDENTITY-HEADER": header} if header is not None else {}
    return httpx.get(azure.identity_endpoint, params=query, headers=headers)


def test_the_endpoint_hands_out_the_same_token_until_it_is_about_to_expire() -> None:
    now = [datetime(2026, 11, 22, 8, tzinfo=UTC)]
    tenant = Tenant([ManagedIdentity("app")], clock=lambda: now[0], lifetime=timedelta(hours=1))
    first = tenant.token(tenant.identities[0], tokens.STORAGE)
    now[0] += timedelta(minutes=54)
    assert tenant.token(tenant.identities[0], tokens.STORAGE) == first
    now[0] += timedelta(minutes=2)
    second = tenant.token(tenant.identities[0], tokens.STORAGE)
    assert second.expires == now[0] + timedelta(hours=1)
    assert second.value != first.value


def test_wrong_requests_are_refused(azure: AzureSimulator) -> None:
    secret = azure.settings()["IDENTITY_HEADER"]
    assert ask(azure, secret).status_code == 200
    assert ask(azure, None).status_code == 400
    assert ask(azure, "wrong").status_code == 401
    assert ask(azure, secret, resource="").status_code == 400
    assert ask(azure, secret, **{"api-version": "2017-09-01"}).status_code == 400
    unknown = ask(azure, secret, client_id="00000000-0000-0000-0000-00000000dead")
    assert unknown.status_code == 400
    assert "No User Assigned" in unknown.json()["message"]


def test_a_user_assigned_identity_is_chosen_by_its_client_id(
    tmp_path: Path, authority: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ManagedIdentity("other", client_id="22222222-0000-0000-0000-000000000002")
    with AzureSimulator(tmp_path, authority, identities=[ManagedIdentity("app"), other]) as simulator:
        for name, value in simulator.settings().items():
            monkeypatch.setenv(name, value)
        with ManagedIdentityCredential(client_id=other.client_id) as credential:
            claims = simulator.tenant.check(credential.get_token(SCOPE).token, [tokens.RESOURCE_MANAGER])
    assert claims["oid"] == other.object_id


def test_a_refusal_can_be_switched_on(azure: AzureSimulator, clients: Clients) -> None:
    azure.faults.add(Fault(service="identity", status=403, code="Forbidden", message="no identity", times=None))
    with pytest.raises(ClientAuthenticationError):
        clients.credential.get_token("https://vault.azure.net/.default")


def test_tokens_are_checked_for_audience_issuer_and_lifetime() -> None:
    now = [datetime(2026, 11, 22, 8, tzinfo=UTC)]
    tenant = Tenant([ManagedIdentity("app")], clock=lambda: now[0])
    token = tenant.user_token("controller@example.com", "api://drills", roles=["Approver"]).value

    assert tenant.check(token, ["api://drills/"])["roles"] == ["Approver"]
    stranger = Tenant([ManagedIdentity("app")], tenant_id="99999999-0000-0000-0000-000000000000", clock=lambda: now[0])
    for checker, audience, reason in ((tenant, "api://other", "audience"), (stranger, "api://drills", "issuer")):
        with pytest.raises(tokens.TokenRefusedError) as refused:
            checker.check(token, [audience])
        assert refused.value.reason == reason
    with pytest.raises(tokens.TokenRefusedError, match="invalid"):
        tenant.check("not.a-token", ["api://drills"])
    now[0] += timedelta(hours=1, seconds=1)
    with pytest.raises(tokens.TokenRefusedError) as refused:
        tenant.check(token, ["api://drills"])
    assert refused.value.reason == "expired"


def connect(address: str, password: str) -> "psycopg.Connection[tuple[object, ...]]":
    return psycopg.connect(host=address, dbname="postgres", password=password, connect_timeout=10)


def test_the_token_is_the_password_over_verified_tls(azure: AzureSimulator, clients: Clients) -> None:
    address = azure.flexible_server(server_id("source")).address
    token = clients.credential.get_token("https://ossrdbms-aad.database.windows.net/.default").token
    with connect(address, token) as connection:
        [(user,)] = connection.execute("SELECT current_user").fetchall()
        assert user == azure.tenant.identities[0].name
        assert connection.execute("SELECT count(*) FROM pg_stat_activity").rowcount == 1
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(address, token[:-1])
    storage = clients.credential.get_token("https://storage.azure.com/.default").token
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(address, storage)


def test_postgresql_refuses_an_expired_token_and_takes_the_next_one(
    azure: AzureSimulator, clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(azure.tenant, "lifetime", timedelta(seconds=2))
    monkeypatch.setattr(azure.tenant, "_kept", {})
    [identity] = azure.tenant.identities
    address = azure.flexible_server(server_id("source")).address
    first = azure.tenant.token(identity, tokens.POSTGRESQL)
    connect(address, first.value).close()
    wait_until(lambda: datetime.now(UTC) > first.expires)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(address, first.value)
    connect(address, azure.tenant.token(identity, tokens.POSTGRESQL).value).close()
