"""Inventory reports: what is whole is read to the last odd name, what is not is refused with its reason."""

import json
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import md5
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from shared.platforms import inventory_files
from shared.storage_tiering.frames import batch_of
from shared.storage_tiering.inventory_columns import REQUIRED, batches, wanted
from shared.storage_tiering.inventory_manifest import InventoryError, Manifest, check_age, manifest_of
from shared.storage_tiering.plan import Plan
from tests.storage_tiering.world import NOW, blob, rules

ODD = [
    "ü/ß.pdf",
    "trailing.",
    "a b+c&d=e#f?.pdf",
    'quote"d, comma',
    "日本語/請求書",
    "new\nline",
    "x" * 1020 + ".pdf",
    "%2F",
]
FIELDS = [*REQUIRED, "Etag", "VersionId", "IsCurrentVersion", "Tags", "Content-Type"]


def document(files: list[tuple[str, int]], blobs: int, **more: Any) -> dict[str, Any]:
    """As in the documentation's example."""
    return {
        "destinationContainer": "inventory",
        "endpoint": "https://stnwdocuments.blob.core.windows.net",
        "files": [{"blob": name, "size": size} for name, size in files],
        "inventoryCompletionTime": "2026-11-22T01:35:56Z",
        "inventoryStartTime": "2026-11-22T01:25:36Z",
        "ruleDefinition": {
            "filters": {"blobTypes": ["blockBlob"], "includeBlobVersions": True, "includeSnapshots": False},
            "format": "parquet",
            "objectType": "blob",
            "schedule": "daily",
            "schemaFields": FIELDS,
        },
        "ruleName": "all",
        "status": "Succeeded",
        "summary": {"objectCount": blobs, "totalObjectSize": 1},
        "version": "1.0",
    } | more


def signed(found: dict[str, Any]) -> tuple[bytes, bytes]:
    data = json.dumps(found).encode()
    return data, md5(data, usedforsecurity=False).hexdigest().encode()


def manifest(blobs: int, **more: Any) -> Manifest:
    return manifest_of(*signed(document([("2026/11/22/01-25-36/all/all.parquet", 10)], blobs, **more)))


def report(names: list[str]) -> pl.DataFrame:
    at = NOW - timedelta(days=100)
    return pl.DataFrame(
        {
            "Name": [f"doc/{name}" for name in names],
            "Creation-Time": at,
            "Last-Modified": at,
            "Content-Length": 2**30,
            "BlobType": "BlockBlob",
            "AccessTier": "Hot",
            "AccessTierChangeTime": None,
            "LeaseStatus": "unlocked",
            "LegalHold": False,
            "ImmutabilityPolicyUntilDate": None,
            "ArchiveStatus": None,
            "Etag": "0x1",
            "VersionId": "2026-08-14T03:00:00.1234567Z",
            "IsCurrentVersion": True,
            "Tags": '{"case":"7"}',
            "Content-Type": "application/pdf",
        },
        schema_overrides={
            "Creation-Time": pl.Datetime("ms", "UTC"),
            "Last-Modified": pl.Datetime("ms", "UTC"),
            "AccessTierChangeTime": pl.Datetime("ms", "UTC"),
            "ImmutabilityPolicyUntilDate": pl.Datetime("ms", "UTC"),
            "ArchiveStatus": pl.String,
        },
    )


def as_csv(frame: pl.DataFrame, path: Path) -> None:
    times = pl.selectors.datetime().dt.strftime("%Y-%m-%dT%H:%M:%S.0000000Z")
    frame.with_columns(times, pl.selectors.boolean().cast(pl.String)).write_csv(path)


def planned_moves(path: Path, kind: str, of: Manifest, rows: int = 3) -> list[str]:
    plan = Plan(rules({"doc": {"cool_after": "30d"}}), batches(inventory_files.read(path, kind, wanted, rows), of))
    return [move.target.name for batch in plan for move in batch.moves()]


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_every_odd_name_comes_through(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"all.{kind}"
    if kind == "parquet":
        report(ODD).write_parquet(path, row_group_size=2)
    else:
        as_csv(report(ODD), path)
    assert planned_moves(path, kind, manifest(len(ODD))) == ODD


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_report_is_the_same_batch_as_a_listing(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"all.{kind}"
    if kind == "parquet":
        report(["a"]).write_parquet(path)
    else:
        as_csv(report(["a"]), path)
    (read,) = batches(inventory_files.read(path, kind, wanted), manifest(1))
    listed = batch_of(
        [blob("doc/a", 100, size=2**30, etag="0x1", version="2026-08-14T03:00:00.1234567Z", tags={"case": "7"})]
    )
    same = [name for name in read.columns if name != "tags"]
    assert read.select(same).to_dicts() == listed.select(same).to_dicts()
    assert json.loads(read["tags"][0]) == json.loads(listed["tags"][0])
    assert [listed.schema[name] for name in read.columns] == [read.schema[name] for name in read.columns]


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_truncated_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"all.{kind}"
    if kind == "parquet":
        report([f"{n}" for n in range(50)]).write_parquet(path)
    else:
        as_csv(report([f"{n}" for n in range(50)]), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(inventory_files.InventoryFileError, match=r"has [\d,]+ bytes, its manifest says"):
        inventory_files.check_size(path, len(whole))
    with pytest.raises((InventoryError, inventory_files.InventoryFileError), match=r"truncated|damaged"):
        planned_moves(path, kind, manifest(50))


@pytest.mark.parametrize("rows", [1, 3])
def test_rows_that_the_manifest_does_not_count_are_told(tmp_path: Path, rows: int) -> None:
    report(["a", "b"]).write_parquet(tmp_path / "all.parquet")
    with pytest.raises(InventoryError, match=rf"has 2 rows and its manifest says {rows}; it is truncated"):
        planned_moves(tmp_path / "all.parquet", "parquet", manifest(rows))


def test_missing_and_misspelt_columns_are_named(tmp_path: Path) -> None:
    path = tmp_path / "all.parquet"
    report(["a"]).drop("LegalHold").rename({"Content-Length": "Content_Length"}).write_parquet(path)
    with pytest.raises(InventoryError) as told:
        planned_moves(path, "parquet", manifest(1))
    assert str(told.value) == (
        "the report has no Content-Length, LegalHold; it has the unknown Content_Length;"
        " add them to the rule's schemaFields"
    )


def test_a_row_that_cannot_be_understood_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "all.csv"
    as_csv(report(["a", "b"]), path)
    path.write_text(path.read_text().replace("doc/b,2026-08-14T03", "doc/b,yesterday"))
    with pytest.raises(InventoryError, match=r"'Name': 'doc/b', 'Creation-Time': 'yesterday"):
        planned_moves(path, "csv", manifest(2))


def test_a_file_that_is_no_parquet_is_told(tmp_path: Path) -> None:
    path = tmp_path / "all.parquet"
    path.write_bytes(b"<Error>AuthorizationFailure</Error>")
    with pytest.raises(inventory_files.InventoryFileError, match=r"all.parquet cannot be read"):
        planned_moves(path, "parquet", manifest(1))


def test_the_manifest_is_read() -> None:
    found = manifest(110_000)
    assert (found.rule, found.container, found.format, found.blobs) == ("all", "inventory", "parquet", 110_000)
    assert found.started == datetime(2026, 11, 22, 1, 25, 36, tzinfo=UTC)
    assert found.files[0].blob == "2026/11/22/01-25-36/all/all.parquet"
    assert found.with_versions
    assert not found.with_snapshots
    assert found.covers("attachments")


def test_the_checksum_may_be_hexadecimal_or_base64_and_nothing_else() -> None:
    data, checksum = signed(document([], 0))
    assert manifest_of(data, checksum + b"\n") == manifest_of(data, b64encode(bytes.fromhex(checksum.decode())))
    with pytest.raises(InventoryError, match="does not have the MD5"):
        manifest_of(data.replace(b'"Succeeded"', b'"succeeded"'), checksum)


def changes() -> Iterator[tuple[dict[str, Any], str]]:
    definition = document([], 0)["ruleDefinition"]
    yield {"status": "Failed"}, "ended as Failed"
    yield {"summary": {}}, "has no objectCount"
    yield {"inventoryStartTime": "yesterday"}, "cannot be read"
    yield {"ruleDefinition": definition | {"objectType": "container"}}, "objectType blob"
    yield {"ruleDefinition": definition | {"format": "xml"}}, "set its format to Parquet or Csv"


@pytest.mark.parametrize(("change", "told"), list(changes()))
def test_what_is_wrong_with_a_manifest_is_told(change: dict[str, Any], told: str) -> None:
    with pytest.raises(InventoryError, match=told):
        manifest(1, **change)


def test_a_container_is_covered_when_all_of_it_is_in_the_report() -> None:
    definition = document([], 0)["ruleDefinition"]
    found = manifest(
        1, ruleDefinition=definition | {"filters": {"prefixMatch": ["a", "b/x"], "excludePrefix": ["ab/old", "ac"]}}
    )
    assert {name: found.covers(name) for name in ("a", "aa", "b", "ab", "ac", "c")} == {
        "a": True, "aa": True, "b": False, "ab": False, "ac": False, "c": False,
    }  # fmt: skip


def test_an_old_report_is_refused() -> None:
    check_age(manifest(1), NOW + timedelta(days=7))
    with pytest.raises(InventoryError, match="is of 2026-11-22"):
        check_age(manifest(1), NOW + timedelta(days=9))
