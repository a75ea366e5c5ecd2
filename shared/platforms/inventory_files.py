"""Files of blob inventory reports, Parquet or CSV, read in lots of rows, so that memory stays flat."""

# polars names numpy in its annotations, which is not installed.
# pyright: reportUnknownMemberType=false
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

ROWS = 200_000
"""Rows of a lot: enough to keep two processors busy, some 100 MB with the names."""


class InventoryFileError(Exception):
    """A file of a report is not what its manifest says, or cannot be read; the message says which and why."""


def read(
    path: Path, kind: str, wanted: "Callable[[Sequence[str]], list[str]]", rows: int = ROWS
) -> "Iterator[pl.DataFrame]":
    """The rows of a file ("parquet" or "csv") in lots, with the columns that `wanted` chooses of those it has.

    CSV has text only. Raises InventoryFileError, and what `wanted` raises.
    """
    import polars as pl

    try:
        yield from _ahead(_parquet(path, wanted, rows) if kind == "parquet" else _csv(path, wanted, rows))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InventoryFileError(f"{path.name} cannot be read: {error}; it is damaged or truncated") from error


def check_size(path: Path, size: int) -> None:
    """Raises InventoryFileError when the file has not the size that its manifest says."""
    found = path.stat().st_size
    if found != size:
        raise InventoryFileError(f"{path.name} has {found:,} bytes, its manifest says {size:,}; it is truncated")


def download(container_url: str, blob: str, path: Path) -> None:
    """Copy a file of a report from its container to disk, with the app's own identity.

    Raises InventoryFileError when it is not there, and azure.core's AzureError.
    """
    from azure.core.exceptions import ResourceNotFoundError
    from azure.storage.blob import ContainerClient

    from shared.platforms.credentials import credential

    client = ContainerClient.from_container_url(container_url, credential=credential())
    with path.open("wb") as file:
        try:
            client.download_blob(blob).readinto(file)
        except ResourceNotFoundError as error:
            raise InventoryFileError(f"{blob} is not there, though its manifest names it") from error


def _parquet(path: Path, wanted: "Callable[[Sequence[str]], list[str]]", rows: int) -> "Iterator[pl.DataFrame]":
    import polars as pl

    file = pl.scan_parquet(path, low_memory=True)
    columns = wanted(file.collect_schema().names())
    chosen = file.select(columns)
    total = file.select(pl.len()).collect().item()
    for start in range(0, total, rows):
        yield chosen.slice(start, rows).collect()


def _csv(path: Path, wanted: "Callable[[Sequence[str]], list[str]]", rows: int) -> "Iterator[pl.DataFrame]":
    import polars as pl

    file = pl.scan_csv(path, infer_schema=False)
    columns = wanted(file.collect_schema().names())
    yield from file.select(columns).collect_batches(chunk_size=rows, maintain_order=True)


def _ahead(lots: "Iterator[pl.DataFrame]") -> "Iterator[pl.DataFrame]":
    """The same, each being read while the one before it is worked on."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, lots, None)
        while (lot := coming.result()) is not None:
            coming = reader.submit(next, lots, None)
            yield lot
