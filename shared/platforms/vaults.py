"""Key Vault's secrets through azure-core: one value where it is needed, or names without values.

Source: Key Vault REST API 7.4, "Get Secret" and "Get Secrets"; the latter never returns values.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from shared.platforms import settings
from shared.platforms.credentials import credential

if TYPE_CHECKING:
    from azure.core import PipelineClient

_API_VERSION = "7.4"
_SCOPE = "https://vault.azure.net/.default"


class VaultError(Exception):
    """The vault did not give what was asked for; the message has no value in it."""


@dataclass(frozen=True, slots=True)
class SecretFacts:
    """A secret without its value. `expires` (UTC) is None when it does not."""

    name: str
    enabled: bool
    expires: datetime | None


@cache
def _client(vault: str) -> "PipelineClient[Any, Any]":
    from azure.core import PipelineClient
    from azure.core.pipeline.policies import BearerTokenCredentialPolicy, RetryPolicy

    base = settings.optional("KEY_VAULT_URL", "https://{vault}.vault.azure.net").replace("{vault}", vault)
    return PipelineClient(
        base.rstrip("/"), policies=[RetryPolicy(retry_total=3), BearerTokenCredentialPolicy(credential(), _SCOPE)]
    )


def read_secret(vault: str, name: str) -> str:
    """The current value. Raises VaultError."""
    return str(_get(vault, f"/secrets/{name}")["value"])


def secret(vault: str, name: str) -> str:
    """The value of an application setting (no vault), or of a secret in a vault: what a reference of the estate says.

    Raises VaultError, MissingSettingError.
    """
    return read_secret(vault, name) if vault else settings.required(name, "the estate refers to it")


def list_secrets(vault: str) -> Iterator[SecretFacts]:
    """All secrets of the vault by name; their values are not asked for. Raises VaultError."""
    url = "/secrets"
    while url:
        page = _get(vault, url)
        items: list[dict[str, Any]] = page.get("value") or []
        for item in items:
            attributes: dict[str, Any] = item.get("attributes") or {}
            expires: float | None = attributes.get("exp")
            yield SecretFacts(
                str(item["id"]).rpartition("/")[2],
                bool(attributes.get("enabled", True)),
                datetime.fromtimestamp(expires, UTC) if expires else None,
            )
        url = str(page.get("nextLink") or "")


def _get(vault: str, url: str) -> dict[str, Any]:
    from azure.core.exceptions import HttpResponseError, ServiceRequestError
    from azure.core.rest import HttpRequest

    client = _client(vault)
    parameters = {} if "api-version=" in url else {"api-version": _API_VERSION}
    try:
        answer = client.send_request(HttpRequest("GET", client.format_url(url), params=parameters))
        answer.raise_for_status()
    except (HttpResponseError, ServiceRequestError) as error:
        status = getattr(error, "status_code", None)
        why = {401: "the vault refuses the app's identity", 403: "the app's identity may not read it", 404: "not there"}
        name = url.partition("?")[0].removeprefix("/")
        raise VaultError(
            f"{vault}: {name}: {why.get(status or 0, f'no answer ({status or type(error).__name__})')}"
        ) from error
    return answer.json()
