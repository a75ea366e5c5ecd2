"""Where the estate's file is: the package (setting ESTATE_FILE) or a blob (setting ESTATE_URL)."""

from pathlib import Path

from shared.blob_container import BlobAlreadyExistsError, BlobChangedError, BlobNotFoundError
from shared.estate.source import EstateOrigin, EstateUnavailableError, Fetched
from shared.platforms import settings


class EstateFileOrigin:
    """A file of the package. Its ETag is its time of change and its size."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = str(path)

    def fetch(self, etag: str | None) -> Fetched | None:
        """See `EstateOrigin.fetch`."""
        try:
            facts = self._path.stat()
            now = f"{facts.st_mtime_ns}-{facts.st_size}"
            return None if now == etag else Fetched(self._path.read_bytes(), now)
        except OSError as error:
            raise EstateUnavailableError(f"{self.name}: {error.strerror}; check the setting ESTATE_FILE") from error


class EstateBlobOrigin:
    """A blob by its URL, read with the app's identity. An unchanged one costs a request and no transfer."""

    def __init__(self, url: str) -> None:
        # A shared access signature in the address would be a secret: it is neither needed nor ever shown.
        self.name = url.split("?")[0]
        self._container, _, self._blob = self.name.rpartition("/")

    def fetch(self, etag: str | None) -> Fetched | None:
        """See `EstateOrigin.fetch`."""
        from azure.core.exceptions import AzureError

        from shared.platforms.blobs import container

        try:
            blob = container(self._container).read_if_changed(self._blob, etag)
        except BlobNotFoundError as error:
            raise EstateUnavailableError(f"{self.name}: there is no such blob; check ESTATE_URL") from error
        except AzureError as error:
            kind = type(error).__name__
            raise EstateUnavailableError(f"{self.name}: {kind}; check the app's role on the container") from error
        return None if blob is None else Fetched(blob.data, blob.etag)


class EstateBlobKeeper:
    """The copy of the last good estate as a blob of the app's own state container."""

    def __init__(self, container_url: str, blob: str = "estate/last-good.yaml") -> None:
        self._url, self._blob = container_url, blob

    def load(self) -> bytes | None:
        """See `EstateKeeper.load`."""
        from azure.core.exceptions import AzureError

        from shared.platforms.blobs import container

        try:
            return container(self._url).read(self._blob).data
        except BlobNotFoundError:
            return None
        except AzureError as error:
            raise EstateUnavailableError(f"{self._url}/{self._blob}: {type(error).__name__}") from error

    def save(self, content: bytes) -> None:
        """See `EstateKeeper.save`. When instances save at once, one wins: they have read the same origin."""
        from azure.core.exceptions import AzureError

        from shared.platforms.blobs import container

        place = container(self._url)
        try:
            try:
                kept = place.read(self._blob)
            except BlobNotFoundError:
                place.create(self._blob, content, "application/yaml")
            else:
                if kept.data != content:
                    place.replace(self._blob, content, kept.etag, "application/yaml")
        except (BlobAlreadyExistsError, BlobChangedError):
            return
        except AzureError as error:
            raise EstateUnavailableError(f"{self._url}/{self._blob}: {type(error).__name__}") from error


def estate_origin() -> EstateOrigin:
    """The origin that the settings name, ESTATE_URL before ESTATE_FILE. Raises MissingSettingError."""
    if url := settings.optional("ESTATE_URL", ""):
        return EstateBlobOrigin(url)
    return EstateFileOrigin(Path(settings.required("ESTATE_FILE", "give the path of estate.yaml, or set ESTATE_URL")))
