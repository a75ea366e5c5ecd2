"""Blob Storage containers through azure-storage-blob, as the `BlobContainer` port."""

from collections.abc import Iterator
from functools import cache

from shared.blob_container import Blob, BlobAlreadyExistsError, BlobChangedError, BlobFacts, BlobNotFoundError
from shared.platforms.credentials import credential


class AzureBlobContainer:
    """One container by its URL (https://ACCOUNT.blob.core.windows.net/CONTAINER), with the app's own identity."""

    def __init__(self, url: str) -> None:
        from azure.storage.blob import ContainerClient

        self.url = url.rstrip("/")
        self._client = ContainerClient.from_container_url(self.url, credential=credential())

    def create(self, name: str, data: bytes, content_type: str = "application/json") -> str:
        """See `BlobContainer.create`."""
        from azure.core.exceptions import ResourceExistsError
        from azure.storage.blob import ContentSettings

        try:
            answer = self._client.get_blob_client(name).upload_blob(
                data, overwrite=False, content_settings=ContentSettings(content_type=content_type)
            )
        except ResourceExistsError as error:
            raise BlobAlreadyExistsError(name) from error
        return str(answer["etag"])

    def read(self, name: str) -> Blob:
        """See `BlobContainer.read`."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            answer = self._client.get_blob_client(name).download_blob()
        except ResourceNotFoundError as error:
            raise BlobNotFoundError(name) from error
        return Blob(data=answer.readall(), etag=str(answer.properties.etag))

    def read_if_changed(self, name: str, etag: str | None) -> Blob | None:
        """The blob, or None when it still has that ETag (If-None-Match). Raises BlobNotFoundError."""
        if etag is None:
            return self.read(name)
        from azure.core import MatchConditions
        from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

        try:
            answer = self._client.get_blob_client(name).download_blob(
                etag=etag, match_condition=MatchConditions.IfModified
            )
        except ResourceNotFoundError as error:
            raise BlobNotFoundError(name) from error
        except HttpResponseError as error:
            # The SDK calls 304 "modified" or "not modified" by the service's error code; the status is plain.
            if error.status_code == 304:
                return None
            raise
        return Blob(data=answer.readall(), etag=str(answer.properties.etag))

    def replace(self, name: str, data: bytes, etag: str, content_type: str = "application/json") -> str:
        """See `BlobContainer.replace`."""
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError
        from azure.storage.blob import ContentSettings

        try:
            answer = self._client.get_blob_client(name).upload_blob(
                data,
                overwrite=True,
                etag=etag,
                match_condition=MatchConditions.IfNotModified,
                content_settings=ContentSettings(content_type=content_type),
            )
        except (ResourceModifiedError, ResourceNotFoundError) as error:
            raise BlobChangedError(name) from error
        return str(answer["etag"])

    def list(self, prefix: str = "", start_from: str | None = None) -> Iterator[BlobFacts]:
        """See `BlobContainer.list`."""
        pages = self._client.list_blobs(name_starts_with=prefix or None, start_from=start_from)
        for blob in pages:
            yield BlobFacts(blob.name, str(blob.etag), int(blob.size), blob.last_modified)

    def delete(self, name: str, etag: str | None = None) -> None:
        """See `BlobContainer.delete`."""
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError

        try:
            if etag is None:
                self._client.get_blob_client(name).delete_blob()
            else:
                self._client.get_blob_client(name).delete_blob(etag=etag, match_condition=MatchConditions.IfNotModified)
        except ResourceModifiedError as error:
            raise BlobChangedError(name) from error
        except ResourceNotFoundError:
            return


@cache
def container(url: str) -> AzureBlobContainer:
    """The container at that URL; one client each, since a client's first request costs a token and a handshake."""
    return AzureBlobContainer(url)
