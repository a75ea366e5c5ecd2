"""The content of calendar feeds: files beside the estate, or blobs of the app's own storage account."""

import logging
from collections.abc import Mapping
from pathlib import Path

from shared.blob_container import BlobNotFoundError
from shared.platforms import blobs, settings

_BLOB = "blob://"
_LOG = logging.getLogger("closekeeper.feeds")


def read_feeds(places: Mapping[str, str]) -> dict[str, bytes]:
    """The feeds that could be read, by name. `places` are paths from the estate's file, or blob://container/name.

    A feed that is not there is left out, and logged: the calendar names what it misses.
    """
    found: dict[str, bytes] = {}
    for name, place in places.items():
        try:
            found[name] = _read(place)
        except (OSError, BlobNotFoundError) as error:
            _LOG.warning("calendar feed %s (%s) cannot be read: %s", name, place, error)
    return found


def _read(place: str) -> bytes:
    if place.startswith(_BLOB):
        container, _, name = place.removeprefix(_BLOB).partition("/")
        account = settings.required("STATE_URL", "give the URL of the blob container for the app's state")
        return blobs.container(f"{account.rstrip('/').rpartition('/')[0]}/{container}").read(name).data
    return (Path(settings.optional("ESTATE_FILE", "estate.yaml")).parent / place).read_bytes()
