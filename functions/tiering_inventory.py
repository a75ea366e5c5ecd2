"""An account's newest inventory report, read as the blobs of a plan."""

import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from functions import estate_in_force, tiering_scope
from shared.blob_container import BlobNotFoundError
from shared.changes.state import Store
from shared.platforms import blobs
from shared.storage_tiering.account_events import InventoryDone

if TYPE_CHECKING:
    import polars as pl

    from shared.estate.inventory.storage import StorageAccount
    from shared.storage_tiering.inventory_manifest import Manifest


def newest(account_id: str) -> InventoryDone | None:
    """The newest inventory report of an account that was told of as complete; None when none was."""
    return Store(tiering_scope.state()).get(_name(account_id), InventoryDone)


def keep(account_id: str, done: InventoryDone) -> None:
    """Keep the newest report that can be used; an older one that comes late changes nothing."""
    if done.status != "Succeeded" or not done.manifest:
        return

    def newer(known: InventoryDone | None) -> InventoryDone:
        return known if known is not None and known.scheduled_at >= done.scheduled_at else done

    Store(tiering_scope.state()).update(_name(account_id), InventoryDone, newer)


class Report:
    """One report. Raises InventoryError when it cannot be relied on, InventoryFileError when a file is damaged."""

    def __init__(self, environment: str, account: "StorageAccount", done: InventoryDone, now: datetime) -> None:
        from shared.storage_tiering.inventory_manifest import InventoryError, check_age, manifest_of

        place = account.inventory
        if place is None:
            raise LookupError(f"{account.id} declares no inventory")
        holder = estate_in_force.get().environments[environment].storage[place.account]
        self._url = f"{holder.blob_address}/{place.container}"
        path = unquote(urlsplit(done.manifest).path)
        blob = path.partition(f"/{place.container}/")[2]
        if not blob:
            raise LookupError(f"the report at {path} is not in {place.container}, which the estate declares")
        container = blobs.container(self._url)
        try:
            checksum = container.read(f"{blob.removesuffix('.json')}.checksum").data
            self.manifest: Manifest = manifest_of(container.read(blob).data, checksum)
        except BlobNotFoundError as error:
            raise InventoryError(
                f"there is no {blob} with its checksum in {place.container}; wait for the next run"
            ) from error
        check_age(self.manifest, now)

    def batches(self) -> "Iterator[pl.DataFrame]":
        """All its blobs. What was decided must not be applied when this raises, even at its end."""
        from shared.storage_tiering.inventory_columns import batches

        yield from batches(self._frames(), self.manifest)

    def _frames(self) -> "Iterator[pl.DataFrame]":
        from shared.platforms.inventory_files import check_size, download, read
        from shared.storage_tiering.inventory_columns import wanted

        with tempfile.TemporaryDirectory(prefix="closekeeper-inventory-") as folder:
            for number, file in enumerate(self.manifest.files):
                path = Path(folder, f"{number:05}.{self.manifest.format}")
                download(self._url, file.blob, path)
                check_size(path, file.size)
                yield from read(path, self.manifest.format, wanted)
                path.unlink()


def _name(account_id: str) -> str:
    return f"tiering/inventories/{account_id.rpartition('/')[2].lower()}"
