"""Long operations of Azure Resource Manager: asked for and looked at, never waited for.

Whoever waits asks again, by the operation's URL, so that nothing is lost when the waiting process dies.
Sources: "Track asynchronous Azure operations", "Understand how Azure Resource Manager throttles requests".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from shared.platforms import settings

PUBLIC_CLOUD = "https://management.azure.com"

_PASSING = {409, 412, 429, 503}
_LASTING_CONFLICTS = {"ScopeLocked", "ReadOnlyDisabledSubscription", "PropertyChangeNotAllowed", "QuotaExceeded"}
_BEYOND_QUOTA = "exceeding approved"
"""What Azure says of compute quotas under codes that otherwise mean that it is busy."""


class BusyError(Exception):
    """Azure refused for now, and nothing happened: another operation runs, a newer version is there, or too many
    requests came. `again_after` is its Retry-After, if it gave one."""

    def __init__(self, status: int, code: str, message: str, again_after: timedelta | None) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.again_after = again_after


class RefusedError(Exception):
    """Azure refused in a way that asking again will not change. `code` is Azure's own."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code


class Standing(StrEnum):
    """How a long operation stands; `unknown` when Azure no longer knows it."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Operation:
    """A long operation, with Azure's code and words when it failed, and how long it asks to be left alone."""

    standing: Standing
    code: str = ""
    message: str = ""
    again_after: timedelta | None = None


def resource_manager() -> str:
    """Where Azure Resource Manager is."""
    return settings.optional("AZURE_RESOURCE_MANAGER_URL", PUBLIC_CLOUD)


def submit(begin: Callable[..., Any], *arguments: object, **options: object) -> str:
    """Send the first request of a long operation and return the URL where it can be asked for, empty when it is done.

    Raises BusyError and RefusedError, after which nothing happened. After any other error the outcome is unknown.
    The client's own repetition is off: it would wait in here, and repeat what may have been done.
    """
    from azure.core.exceptions import HttpResponseError

    urls: list[str] = []

    def remember(response: Any) -> None:
        headers = response.http_response.headers
        urls.append(headers.get("Azure-AsyncOperation") or headers.get("Location") or "")

    try:
        begin(*arguments, polling=False, raw_response_hook=remember, retry_total=0, **options)
    except HttpResponseError as error:
        raise _understood(error) from error
    return urls[0] if urls else ""


def submit_request(client: Any, request: Any) -> str:
    """The same for a request that no SDK writes. `client` is a pipeline client."""
    from azure.core.exceptions import HttpResponseError

    answer = client.send_request(request, retry_total=0)
    try:
        answer.raise_for_status()
    except HttpResponseError as error:
        raise _understood(error) from error
    return str(answer.headers.get("Azure-AsyncOperation") or answer.headers.get("Location") or "")


def look(client: Any, url: str) -> Operation:
    """How the operation at that URL stands. `client` is any management client; ValueError for a foreign host's URL."""
    from azure.core.rest import HttpRequest

    if not url.startswith(resource_manager().rstrip("/") + "/"):
        raise ValueError("the operation is not at the resource manager that this app speaks to")
    answer = client.send_request(HttpRequest("GET", url))
    wait = _seconds(answer.headers)
    match answer.status_code:
        case 202:
            return Operation(Standing.RUNNING, again_after=wait)
        case 204:
            return Operation(Standing.SUCCEEDED)
        case 404:
            return Operation(Standing.UNKNOWN)
        case 200:
            body: dict[str, Any] = answer.json() if answer.content else {}
            return _told(body, wait)
        case status if 400 <= status < 500 and status != 429:
            return _failed(answer.json() if answer.content else {})
        case _:
            answer.raise_for_status()
            return Operation(Standing.RUNNING, again_after=wait)


def text(value: object) -> str:
    """The SDK gives an enum member for a value that it knows, whose str() is not its value, and text for others."""
    return str(getattr(value, "value", value) or "")


def _told(body: Mapping[str, Any], wait: timedelta | None) -> Operation:
    match str(body.get("status", "succeeded")).lower():
        case "succeeded":
            return Operation(Standing.SUCCEEDED)
        case "failed" | "canceled":
            return _failed(body)
        case _:
            return Operation(Standing.RUNNING, again_after=wait)


def _failed(body: Mapping[str, Any]) -> Operation:
    error: Mapping[str, Any] = body.get("error") or {}
    return Operation(Standing.FAILED, str(error.get("code", "")), str(error.get("message", "")))


def _understood(error: Any) -> Exception:
    status = int(error.status_code or 0)
    code = str(error.error.code) if error.error else ""
    message = str(error.error.message) if error.error else str(error.message)
    if status in _PASSING and code not in _LASTING_CONFLICTS and _BEYOND_QUOTA not in message:
        return BusyError(status, code, message, _seconds(error.response.headers if error.response else {}))
    if 400 <= status < 500:
        return RefusedError(status, code, message)
    return error


def _seconds(headers: Mapping[str, str]) -> timedelta | None:
    try:
        return timedelta(seconds=max(0.0, float(headers.get("Retry-After", ""))))
    except ValueError:
        return None
