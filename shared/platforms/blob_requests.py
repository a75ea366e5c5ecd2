"""Requests to the blob service that azure-storage-blob does not offer as needed, through azure-core's pipeline.

The SDK's batch gives answers without saying which blob each is about, and its listing turns every blob into an object
with dozens of fields; both are made here from the REST reference (Blob Batch, List Blobs; version 2026-02-06).
"""

from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import quote

from shared.platforms.credentials import credential

if TYPE_CHECKING:
    from azure.core import PipelineClient
    from azure.core.rest import HttpRequest, HttpResponse

API_VERSION = "2026-02-06"
"""The first that lists from a given name on (`startFrom`)."""

_SCOPE = "https://storage.azure.com/.default"
_CONNECT_SECONDS = 20
_READ_SECONDS = 60
_TRIES = 5
_MOST_CONNECTIONS = 64


def pipeline(*, retries: bool) -> "PipelineClient[HttpRequest, HttpResponse]":
    """The app's own way to any blob service: with its identity; with retries only for what may be repeated."""
    return _pipeline(_TRIES if retries else 0)


@cache
def _pipeline(tries: int) -> "PipelineClient[HttpRequest, HttpResponse]":
    from azure.core import PipelineClient
    from azure.core.pipeline.policies import BearerTokenCredentialPolicy, RequestIdPolicy, RetryPolicy, UserAgentPolicy
    from azure.core.pipeline.transport import RequestsTransport
    from requests import Session
    from requests.adapters import HTTPAdapter

    session = Session()
    session.mount("https://", HTTPAdapter(pool_maxsize=_MOST_CONNECTIONS))
    return PipelineClient(
        "",
        policies=[
            UserAgentPolicy("closekeeper"),
            RequestIdPolicy(),
            RetryPolicy(retry_total=tries, retry_backoff_factor=0.5),
            BearerTokenCredentialPolicy(credential(), _SCOPE),
        ],
        transport=RequestsTransport(
            session=session,
            session_owner=True,
            connection_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
        ),
    )


def forget() -> None:
    """Make the next request with a new client: after the app's identity changed."""
    _pipeline.cache_clear()


def authorization() -> str:
    """The value of an Authorization header; the credential keeps its token until it is about to end."""
    return f"Bearer {credential().get_token(_SCOPE).token}"


def blob_path(container_path: str, name: str) -> str:
    """The path of a blob, every character that could mean something else escaped."""
    return f"{container_path}/{quote(name, safe='/~')}"
