"""Secrets are found by shape, by the name they stand under, and by their randomness; words and names are not."""

import base64
import random
import string
import uuid

import pytest

from shared.estate.literal_secrets import looks_like
from shared.estate.loading import load_estate
from shared.estate.problems import EstateInvalidError
from tests.estate.files import EXAMPLES, SMALL

SHAPES = [
    "DefaultEndpointsProtocol=https;AccountName=st;AccountKey=abcdefghij0123456789==;EndpointSuffix=core.windows.net",
    "Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=abc123def456=",
    "https://st.blob.core.windows.net/c/b?sv=2026-01-01&sig=Zm9vYmFyZm9vYmFy%3D&se=2027",
    "postgresql://odoo:secret@pg-erp.postgres.database.azure.com/contoso",
    "host=pg-erp user=odoo password=winter dbname=contoso",
    "https://app.azurewebsites.net/api/hook?code=c29tZWZ1bmN0aW9u",
    "-----BEGIN RSA PRIVATE KEY-----",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
    "Bearer abcdefghijklmnopqrstuvwxyz",
    "ghp_" + "a1B2" * 9,
    "xoxb-1234567890-abcdef",
    "AKIAABCDEFGHIJKLMNOP",
    "abc8Q~" + "Zk3" * 11,
]
HARMLESS = [
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/MC_rg-aks_aks-erp_westeurope/providers/X/y/z",
    "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    "account.payment.order.open2generated",
    "select account_id, sum(balance) from account_move_line where parent_state = 'posted' group by 1",
    "select id from res_users where password = %(job)s or login='admin'",
    "stclosekeeperq7xk2m9vp4wz",
    "aks-erp-dns-x7f3k2q9.hcp.westeurope.azmk8s.io",
    "StandardMemoryOptimizedExtraLargeServer",
    "Donaudampfschifffahrtsgesellschaftskapitaen2026",
    "last business day of month, modified following",
    "The password of the vault is kept by the treasurer",
    "https://erp.contoso.example:8443/web/login",
    "Standard_D16ds_v5",
    "pg-erp-20261122T081500Z-restore",
]


@pytest.mark.parametrize("text", SHAPES, ids=lambda text: text[:18])
def test_shapes_of_secrets_are_refused_without_being_repeated(text: str) -> None:
    assert looks_like(text)
    with pytest.raises(EstateInvalidError) as raised:
        load_estate(SMALL + f"recipients:\n  team:\n    who: {text!r}\n")
    assert [problem.path for problem in raised.value.problems] == ["recipients.team.who"]
    assert text[8:] not in str(raised.value)


@pytest.mark.parametrize("text", HARMLESS, ids=lambda text: text[:18])
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    assert looks_like(text) is None


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        ("base64 of 24 bytes", lambda dice: base64.b64encode(dice.randbytes(24)).decode()),
        ("base64 of 64 bytes", lambda dice: base64.b64encode(dice.randbytes(64)).decode()),
        ("url-safe token of 32 bytes", lambda dice: base64.urlsafe_b64encode(dice.randbytes(32)).decode().rstrip("=")),
        ("hex of 20 bytes", lambda dice: dice.randbytes(20).hex()),
        ("letters and digits", lambda dice: "".join(dice.choices(string.ascii_letters + string.digits, k=32))),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_random_keys_are_found(kind: str, make: object) -> None:
    dice = random.Random(kind)
    keys = [make(dice) for _ in range(1000)]  # type: ignore[operator]
    missed = [key for key in keys if looks_like(key) is None]
    assert len(missed) <= 10, f"{kind}: {len(missed)} of 1000 missed, such as {missed[:3]}"


def test_identifiers_are_not_taken_for_keys() -> None:
    dice = random.Random(1)
    guids = [str(uuid.UUID(bytes=dice.randbytes(16), version=4)) for _ in range(1000)]
    accounts = ["st" + "".join(dice.choices(string.ascii_lowercase + string.digits, k=22)) for _ in range(1000)]
    assert [text for text in [*guids, *accounts] if looks_like(text)] == []


@pytest.mark.parametrize(
    "name", ["password", "api_key", "client_secret", "connection-string", "access_token", "accountKey"]
)
def test_a_literal_under_a_name_of_secrets_is_refused(name: str) -> None:
    with pytest.raises(EstateInvalidError) as raised:
        load_estate(SMALL + f"recipients:\n  team: {{ who: us, {name}: tiger }}\n")
    assert any(problem.what == f"a literal in `{name}` must not be here" for problem in raised.value.problems)
    assert "tiger" not in str(raised.value)


def test_a_secret_that_stands_as_a_name_or_in_a_comment_is_refused() -> None:
    token = "ghp_" + "a1B2" * 9
    for text in (
        SMALL + f"{token}: 1\n",
        SMALL + f"# {token}\n",
        SMALL + f"recipients: {{ team: {{ who: x, {token}: y }} }}\n",
    ):
        with pytest.raises(EstateInvalidError) as raised:
            load_estate(text)
        assert token not in str(raised.value)
        assert "a token" in str(raised.value)


def test_the_examples_have_none() -> None:
    for file in EXAMPLES:
        load_estate(file.read_bytes())
