"""Azure Resource Manager by its REST API, for the few calls that are not worth an SDK of their own.

azure-mgmt-storage, for one, is 3.5 MB of source and 58 ms of a cold start for three reads. The pipeline is that of
azure-core: the app's identity, retries with Retry-After, a request id.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from shared.platforms import settings
from shared.platforms.credentials import credential

if TYPE_CHECKING:
    from azure.core import PipelineClient

    from shared.platforms.arm_operations import Operation

_PUBLIC_CLOUD = "https://management.azure.com"
_SCOPE = "https://management.azure.com/.default"


def get(
    path: str, api_version: str, query: Mapping[str, str] | None = None, *, retries: int | None = None
) -> dict[str, Any] | None:
    """The resource at that path, None when there is none (404). Raises azure.core's HttpResponseError, AzureError.

    retries: how often it is asked again, where the usual ten times over minutes would hold up what matters more.
    """
    return _send("GET", _base() + path, {**(query or {}), "api-version": api_version}, retries=retries)


def pages(path: str, api_version: str, **query: str) -> Iterator[dict[str, Any]]:
    """Every item of a list, over all its pages. Raises as `get`; a list that is not there is empty."""
    answer = _send("GET", _base() + path, {**query, "api-version": api_version})
    while answer is not None:
        yield from cast("list[dict[str, Any]]", answer.get("value") or [])
        following = str(answer.get("nextLink") or "")
        if not following:
            return
        if not following.startswith(_base() + "/"):
            raise ValueError("the next page is not at the resource manager that this app speaks to")
        answer = _send("GET", following, {})


def put(path: str, api_version: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Create or replace what is at that path; returns what Azure made of it. Raises as `get`."""
    return _send("PUT", _base() + path, {"api-version": api_version}, body) or {}


def post(
    path: str, api_version: str, body: Mapping[str, Any], *, retries: int | None = None, **query: str
) -> dict[str, Any]:
    """Ask for an action; returns what Azure says of it. Raises as `get`, also for what is not there."""
    return _send("POST", _base() + path, {**query, "api-version": api_version}, body, retries=retries) or {}


def begin(method: str, path: str, api_version: str, body: Mapping[str, Any]) -> str:
    """Ask for a long operation, and wait for none of it. Returns its URL, empty when it is done.

    Raises `arm_operations.BusyError` and `RefusedError`; after any other error of azure.core the outcome is unknown.
    """
    from azure.core.rest import HttpRequest

    from shared.platforms import arm_operations

    request = HttpRequest(method, _base() + path, params={"api-version": api_version}, json=dict(body))
    return arm_operations.submit_request(_client(), request)


def look(url: str) -> "Operation":
    """How the long operation at that URL stands. Raises as `arm_operations.look`."""
    from shared.platforms import arm_operations

    return arm_operations.look(_client(), url)


def _send(
    method: str,
    url: str,
    query: Mapping[str, str],
    body: Mapping[str, Any] | None = None,
    retries: int | None = None,
) -> Any:
    from azure.core.rest import HttpRequest

    request = HttpRequest(method, url, params=dict(query) or None, json=body)
    options: dict[str, Any] = {} if retries is None else {"retry_total": retries}
    answer = _client().send_request(request, **options)
    if answer.status_code == 404 and method == "GET":
        return None
    answer.raise_for_status()
    return answer.json() if answer.content else None


def _base() -> str:
    return settings.optional("AZURE_RESOURCE_MANAGER_URL", _PUBLIC_CLOUD).rstrip("/")


@cache
def _client() -> "PipelineClient[Any, Any]":
    from azure.core import PipelineClient
    from azure.core.pipeline import policies

    return PipelineClient(
        base_url=_base(),
        policies=[
            policies.RequestIdPolicy(),
            policies.HeadersPolicy(),
            policies.UserAgentPolicy("closekeeper"),
            policies.RetryPolicy(),
            policies.BearerTokenCredentialPolicy(credential(), _SCOPE),
        ],
    )
