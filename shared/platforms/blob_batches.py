"""Many changes of tier, or many deletions, in one request: Blob Batch, at most 256 and 4 MB.

A batch is no transaction: each of its requests has an answer of its own. The service may answer in another order than
it was asked, so answers are matched by Content-ID.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit
from uuid import uuid4

from shared.blob_batches import MOST_BYTES, MOST_REQUESTS, BatchRefusedError, Deed, Deletion, Said, SetTier
from shared.platforms import blob_requests

if TYPE_CHECKING:
    from azure.core.rest import HttpResponse

_LINE = b"\r\n"


class AzureBlobBatches:
    """Batches on one container by its URL, with the app's identity; see `shared.blob_batches`."""

    def __init__(self, container_url: str) -> None:
        self._url = container_url.rstrip("/")
        self._path = urlsplit(self._url).path

    def size_of(self, deed: Deed) -> int:
        """See `Batches.size_of`."""
        return len(self._part(deed, 0, blob_requests.authorization(), "")) + len(_LINE)

    def send(self, deeds: Sequence[Deed]) -> tuple[Said, ...]:
        """See `Batches.send`."""
        from azure.core.exceptions import AzureError
        from azure.core.rest import HttpRequest

        boundary = f"batch_{uuid4()}"
        token = blob_requests.authorization()
        parts = [self._part(deed, number, token, boundary) for number, deed in enumerate(deeds)]
        body = b"".join(parts) + f"--{boundary}--".encode() + _LINE
        if len(deeds) > MOST_REQUESTS or len(body) > MOST_BYTES:
            raise ValueError(f"{len(deeds)} requests of {len(body)} bytes do not fit into one batch: split them")
        request = HttpRequest(
            "POST",
            f"{self._url}?restype=container&comp=batch",
            headers={
                "x-ms-version": blob_requests.API_VERSION,
                "Content-Type": f"multipart/mixed; boundary={boundary}",
                "Content-Length": str(len(body)),
            },
            content=body,
        )
        try:
            response = blob_requests.pipeline(retries=False).send_request(request)
        except AzureError as error:
            raise BatchRefusedError(f"no answer to a batch: {error}") from error
        if response.status_code != 202:
            code = response.headers.get("x-ms-error-code", "")
            message = f"a batch was answered {response.status_code} {code}".rstrip()
            raise BatchRefusedError(message, response.status_code, _seconds(response.headers.get("Retry-After")))
        return _read(response, len(deeds))

    def _part(self, deed: Deed, number: int, token: str, boundary: str) -> bytes:
        method, query, headers = _request(deed)
        path = blob_requests.blob_path(self._path, deed.name)
        lines = [
            f"--{boundary}",
            "Content-Type: application/http",
            "Content-Transfer-Encoding: binary",
            f"Content-ID: {number}",
            "",
            f"{method} {path}{query} HTTP/1.1",
            f"Authorization: {token}",
            *(f"{name}: {value}" for name, value in headers.items()),
            "Content-Length: 0",
            "",
            "",
        ]
        return _LINE.join(line.encode() for line in lines)


def _request(deed: Deed) -> tuple[str, str, dict[str, str]]:
    which = {"versionid": deed.version, "snapshot": deed.snapshot}
    parameters = [f"{name}={quote(value, safe='')}" for name, value in which.items() if value]
    match deed:
        case SetTier():
            headers = {"x-ms-access-tier": deed.tier}
            if deed.priority:
                headers["x-ms-rehydrate-priority"] = deed.priority
            return "PUT", "?" + "&".join(["comp=tier", *parameters]), headers
        case Deletion():
            headers = {"If-Match": f'"{deed.etag}"'} if deed.etag else {}
            if deed.unmodified_since is not None:
                headers["If-Unmodified-Since"] = deed.unmodified_since.strftime("%a, %d %b %Y %H:%M:%S GMT")
            if deed.with_snapshots:
                headers["x-ms-delete-snapshots"] = "include"
            return "DELETE", f"?{'&'.join(parameters)}" if parameters else "", headers


def _read(response: "HttpResponse", asked: int) -> tuple[Said, ...]:
    """The answers by the number of their request. Raises BatchRefusedError when the whole was refused."""
    _, _, boundary = response.headers.get("Content-Type", "").partition("boundary=")
    answers: list[Said | None] = [None] * asked
    mark = b"--" + boundary.strip('" ').encode()
    for part in response.content.split(mark)[1:-1]:
        outer, _, inner = part.lstrip(_LINE).partition(_LINE * 2)
        number = _headers(outer).get("content-id", "")
        said = _said(inner)
        if not number.isdigit() or int(number) >= asked:
            # the one answer to a batch that was not understood as such carries no number
            raise BatchRefusedError(f"a batch was answered {said.status} {said.code}", said.status)
        answers[int(number)] = said
    if any(answer is None for answer in answers):
        raise BatchRefusedError(f"a batch of {asked} got {sum(a is not None for a in answers)} answers")
    return tuple(answer for answer in answers if answer is not None)


def _said(inner: bytes) -> Said:
    head, _, _ = inner.partition(_LINE * 2)
    status_line, _, fields = head.partition(_LINE)
    headers = _headers(fields)
    status = int(status_line.split(b" ", 2)[1])
    return Said(status, headers.get("x-ms-error-code", ""), _seconds(headers.get("retry-after")))


def _headers(lines: bytes) -> dict[str, str]:
    pairs = (line.partition(b":") for line in lines.split(_LINE))
    return {name.decode().strip().lower(): value.decode(errors="replace").strip() for name, _, value in pairs}


def _seconds(text: str | None) -> float | None:
    return float(text) if text and text.isdigit() else None
