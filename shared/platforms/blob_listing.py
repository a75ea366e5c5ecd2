"""Listing the blobs of a container with all that tiering asks about them (REST: List Blobs, flat).

Pages are read as XML straight into `BlobFacts`: many times faster than the SDK's objects, and the time of a large plan
is the time of its listing.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import unquote, urlencode, urlsplit
from xml.etree.ElementTree import Element, fromstring

from shared.blob_facts import BlobFacts
from shared.platforms import blob_requests

EVERYTHING = ("snapshots", "versions", "tags", "immutabilitypolicy", "legalhold")
"""What a plan asks for. With a hierarchical namespace the service offers less."""

_MOST_A_PAGE = 5000


class ContainerNotListedError(Exception):
    """The service refused to list a container; the message says why."""


class AzureBlobListing:
    """The listing of one container by its URL; see `shared.storage_tiering.applying`."""

    def __init__(self, container_url: str) -> None:
        self._url = container_url.rstrip("/")
        self._container = urlsplit(self._url).path.rpartition("/")[2]

    def pages(self, prefix: str = "", include: tuple[str, ...] = EVERYTHING) -> Iterator[list[BlobFacts]]:
        """All blobs, page by page, by name; versions and snapshots of a blob one after the other.

        Raises ContainerNotListedError.
        """
        marker: str | None = ""
        while marker is not None:
            facts, marker = self._page({"prefix": prefix, "include": ",".join(include), "marker": marker})
            yield facts

    def page_from(self, name: str, *, versions: bool = False) -> list[BlobFacts]:
        """The blobs from that name on (included) in one request; with `versions` former versions and snapshots, too.
        Empty only when there are none: a page may be empty although more follow, and then the next one is read.

        Raises ContainerNotListedError.
        """
        asked = {"maxresults": str(_MOST_A_PAGE), "include": "snapshots,versions" if versions else ""}
        facts, marker = self._page({**asked, "startFrom": name})
        while marker and not facts:
            facts, marker = self._page({**asked, "marker": marker})
        return facts

    def _page(self, parameters: dict[str, str]) -> tuple[list[BlobFacts], str | None]:
        from azure.core.exceptions import AzureError
        from azure.core.rest import HttpRequest

        query = urlencode({name: value for name, value in parameters.items() if value})
        request = HttpRequest(
            "GET",
            f"{self._url}?restype=container&comp=list&{query}",
            headers={"x-ms-version": blob_requests.API_VERSION, "Accept": "application/xml"},
        )
        try:
            response = blob_requests.pipeline(retries=True).send_request(request)
        except AzureError as error:
            raise ContainerNotListedError(f"{self._url} cannot be listed: {error}") from error
        if response.status_code != 200:
            code = response.headers.get("x-ms-error-code", "")
            raise ContainerNotListedError(f"{self._url} cannot be listed: {response.status_code} {code}")
        root = fromstring(response.content)  # noqa: S314 - Python's expat has limits against entity expansion
        marker = root.findtext("NextMarker") or None
        return [_facts(self._container, blob) for blob in root.iterfind("Blobs/Blob")], marker


def _facts(container: str, blob: Element) -> BlobFacts:
    name = blob.find("Name")
    properties = blob.find("Properties")
    if name is None or properties is None:
        raise ContainerNotListedError(f"{container} was listed in a form that is not known: a blob without a name")
    said = {field.tag: field.text or "" for field in properties}
    top = {field.tag: field.text or "" for field in blob}
    text = name.text or ""
    version = top.get("VersionId") or None
    return BlobFacts(
        container=container,
        name=unquote(text) if name.get("Encoded") == "true" else text,
        size=int(said.get("Content-Length") or 0),
        created=_time(said.get("Creation-Time")) or _EPOCH,
        modified=_time(said.get("Last-Modified")) or _EPOCH,
        etag=said.get("Etag", "").strip('"'),
        kind=said.get("BlobType", ""),
        tier=said.get("AccessTier") or None,
        tier_inferred=said.get("AccessTierInferred") == "true",
        tier_changed=_time(said.get("AccessTierChangeTime")),
        accessed=_time(said.get("LastAccessTime")),
        version=version,
        current=top.get("IsCurrentVersion") == "true" if version else not top.get("Snapshot"),
        snapshot=top.get("Snapshot") or None,
        tags={tag.findtext("Key") or "": tag.findtext("Value") or "" for tag in blob.iterfind("Tags/TagSet/Tag")},
        leased=said.get("LeaseState", "available") not in ("available", "expired", "broken"),
        legal_hold=said.get("LegalHold") == "true",
        immutable_until=_time(said.get("ImmutabilityPolicyUntilDate")),
        archive_status=said.get("ArchiveStatus") or None,
        deleted=top.get("Deleted") == "true",
        encryption_scope=said.get("EncryptionScope") or None,
    )


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _time(text: str | None) -> datetime | None:
    return parsedate_to_datetime(text) if text else None
