"""Blobs that are too large to hold, through azure-storage-blob: streamed, by parts, with what is known of them."""

from collections.abc import Iterator
from datetime import datetime
from functools import cache
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from shared.blob_container import BlobChangedError, BlobFacts, BlobNotFoundError, BlobProperties
from shared.platforms.credentials import credential

_PIECE = 4 << 20


class ReadableContainer:
    """One container by its URL, for reading, with the app's own identity. At most 4 MiB of a blob are in memory."""

    def __init__(self, url: str) -> None:
        from azure.storage.blob import ContainerClient

        self.url = url.rstrip("/")
        self._client = ContainerClient.from_container_url(
            self.url, credential=credential(), max_single_get_size=_PIECE, max_chunk_get_size=_PIECE
        )

    def properties(self, name: str) -> BlobProperties | None:
        """None when there is no such blob."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            found = self._client.get_blob_client(name).get_blob_properties()
        except ResourceNotFoundError:
            return None
        md5 = found.content_settings.content_md5
        return BlobProperties(
            name,
            str(found.etag),
            int(found.size),
            found.last_modified,
            bytes(md5) if md5 else None,
            dict(found.metadata or {}),
        )

    def list(self, prefix: str = "") -> Iterator[BlobFacts]:
        """The blobs whose name begins with `prefix`, by name."""
        for blob in self._client.list_blobs(name_starts_with=prefix or None):
            yield BlobFacts(blob.name, str(blob.etag), int(blob.size), blob.last_modified)

    def former(self, name: str) -> Iterator[BlobFacts]:
        """What is kept of a blob that is gone: soft-deleted ones and former versions of that very name."""
        for blob in self._client.list_blobs(name_starts_with=name, include=["deleted", "versions"]):
            if blob.name == name:
                yield BlobFacts(blob.name, str(blob.etag), int(blob.size), blob.last_modified)

    def stream(self, name: str, etag: str = "", start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The content, or that part of it; with an `etag`, of that version only.

        Raises BlobNotFoundError, BlobChangedError.
        """
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError

        conditions: dict[str, Any] = {"etag": etag, "match_condition": MatchConditions.IfNotModified} if etag else {}
        try:
            blob: Any = self._client.get_blob_client(name)
            answer = blob.download_blob(offset=start if start or length else None, length=length, **conditions)
            yield from answer.chunks()
        except ResourceNotFoundError as error:
            raise BlobNotFoundError(name) from error
        except ResourceModifiedError as error:
            raise BlobChangedError(name) from error

    def last_sync(self) -> datetime | None:
        """Until when the secondary region holds every write (UTC), asked at the secondary's own endpoint; None when
        the service does not say."""
        from azure.core.exceptions import HttpResponseError
        from azure.storage.blob import BlobServiceClient

        parts = urlsplit(self.url)
        account = parts.path.rpartition("/")[0]
        service = BlobServiceClient(
            urlunsplit((parts.scheme, parts.netloc, account, "", "")),
            credential=credential(),
            secondary_hostname=f"{parts.netloc}{account}",
        )
        try:
            stats = service.get_service_stats()
        except HttpResponseError:
            return None
        synced: Any = stats["geo_replication"]["last_sync_time"]
        return synced if isinstance(synced, datetime) else None


def secondary_url(container_url: str) -> str:
    """The same container in the secondary region, where it can be read (RA-GRS): the account's name with `-secondary`.

    The account is the first part of the host, or of the path where the host is an address.
    """
    parts = urlsplit(container_url)
    account, dot, domain = parts.netloc.partition(".")
    if dot and not (parts.hostname or "").replace(".", "").isdigit():
        return urlunsplit(parts._replace(netloc=f"{account}-secondary{dot}{domain}"))
    first, slash, rest = parts.path.lstrip("/").partition("/")
    return urlunsplit(parts._replace(path=f"/{first}-secondary{slash}{rest}"))


@cache
def readable(url: str) -> ReadableContainer:
    """The container at that URL; one client each, since a client's first request costs a token and a handshake."""
    return ReadableContainer(url)
