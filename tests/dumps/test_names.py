"""Which blobs are dumps, whose, and which of them are verified: from names and listings alone."""

from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from shared.backup_verification.dumps.levels import Level
from shared.backup_verification.dumps.names import dump_of_blob, dumps_in, owner_of
from shared.backup_verification.dumps.planning import level_for, make_plan, places, to_look_at
from shared.blob_container import BlobFacts
from shared.estate.loading import load_estate

NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "single-company" / "estate.yaml"
ESTATE = load_estate(EXAMPLE.read_text(), str(EXAMPLE))
TENANTS = {"contoso": "contoso", "contoso_uk": "uk", "fabrikam": "fabrikam"}


def listing(*names: str, age: timedelta = timedelta(hours=1)) -> list[BlobFacts]:
    numbers = count()
    return [BlobFacts(name, f"e{next(numbers)}", 10, NOW - age) for name in sorted(names)]


@pytest.mark.parametrize(
    ("name", "database"),
    [
        ("contoso/2026-11-22.dump", "contoso"),
        ("prod-contoso-2026.dump", "contoso"),
        ("nightly/CONTOSO.dump.age", "contoso"),
        ("contoso_uk/1.dump", "contoso_uk"),
        ("contoso_uk_2026.dump", "contoso_uk"),
        ("fabrikam.dump", "fabrikam"),
        ("contosofabrik.dump", ""),
        ("2026-11-22.dump", ""),
    ],
)
def test_a_dump_is_whose_name_it_carries(name: str, database: str) -> None:
    assert owner_of(name, TENANTS) == database
    assert owner_of(name, {"contoso": "contoso"}) == "contoso"  # nobody else's can be in there


def test_files_folders_and_what_lies_beside_them_are_told_apart() -> None:
    found = list(
        dumps_in(
            listing(
                "a.dump",
                "a.dump.sha256",
                "b.log",
                "contoso/folder/1.dat.gz",
                "contoso/folder/SHA256SUMS",
                "contoso/folder/toc.dat",
                "contoso/z.dump",
                "readme.txt",
            )
        )
    )
    assert [(dump.name, dump.manifest, dump.is_file, dump.size) for dump in found] == [
        ("a.dump", "a.dump.sha256", True, 10),
        ("contoso/folder/", "contoso/folder/SHA256SUMS", False, 30),
        ("contoso/z.dump", "", True, 10),
    ]
    assert dump_of_blob("x/a.dump.sha256") == "x/a.dump"
    assert dump_of_blob("x/toc.dat") == dump_of_blob("x/SHA256SUMS") == "x/"
    assert dump_of_blob("x/a.log") == ""


def test_a_folder_has_another_signature_when_any_file_of_it_is_another() -> None:
    one, other = (
        next(dumps_in([BlobFacts("f/1.dat", etag, 1, NOW), BlobFacts("f/toc.dat", "t", 1, NOW)])) for etag in "ab"
    )
    assert one.signature != other.signature


def test_new_dumps_and_the_newest_of_each_tenant_are_looked_at_and_folders_once_they_are_quiet() -> None:
    old = listing("contoso/1.dump", "fabrikam/1.dump", age=timedelta(days=10))
    old += listing("fabrikam/2.dump", age=timedelta(days=9))
    fresh = listing("contoso/2.dump", "contoso/3.dump", "whose.dump")
    arriving = listing("contoso/f/1.dat", "contoso/f/toc.dat", age=timedelta(minutes=2))
    everything = sorted([*old, *fresh, *arriving], key=lambda facts: facts.name)
    looked = {dump.name: database for database, dump in to_look_at(dumps_in(everything), TENANTS, NOW)}
    newest = {"contoso/2.dump", "contoso/3.dump", "fabrikam/2.dump", "whose.dump"}
    assert looked.keys() == newest
    assert looked["whose.dump"] == ""
    quiet = [BlobFacts(facts.name, facts.etag, facts.size, NOW - timedelta(hours=1)) for facts in arriving]
    assert [dump.name for _, dump in to_look_at(dumps_in(quiet), TENANTS, NOW)] == ["contoso/f/"]


def test_a_restore_is_due_when_the_last_one_is_too_old() -> None:
    policy = ESTATE.backup_verification.dumps  # type: ignore[union-attr]
    assert policy is not None
    assert policy.restore_every == timedelta(days=30)
    due = [level_for(policy, last, NOW) for last in (None, NOW - timedelta(days=30), NOW - timedelta(days=29))]
    assert due == [Level.RESTORED, Level.RESTORED, Level.DECODED]


def test_the_same_bytes_to_the_same_level_are_one_verification() -> None:
    (place,) = places(ESTATE, "production")
    assert place.tenants == {"contoso": "contoso", "fabrikam": "fabrikam"}
    (dump,) = dumps_in(listing("contoso/1.dump"))

    def verification(*, signature: str = "e0", level: Level = Level.DECODED, key: str = "", manifest: str = "") -> str:
        from dataclasses import replace

        given = replace(dump, signature=signature, manifest_etag=manifest)
        return make_plan(ESTATE, place, given, "contoso", level, key, NOW).id

    assert verification() == verification()
    others = [verification(signature="e1"), verification(level=Level.RESTORED), verification(key="k")]
    assert len({verification(), verification(manifest="m"), *others}) == 5
