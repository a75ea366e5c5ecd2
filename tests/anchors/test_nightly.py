"""When an anchor is due, where it is kept, and which one a copy is held against."""

from datetime import UTC, datetime, timedelta

import pytest
from psycopg import Connection

from local.memory_blobs import MemoryBlobContainer
from shared.backup_verification import nightly
from shared.backup_verification.anchors import Anchor, take_anchor
from shared.backup_verification.findings import Baseline
from shared.backup_verification.nightly import Nightly, night_of
from shared.platforms.sql import ReadOnlyDatabase
from tests.local.odoo.conftest import VARIANTS, GenerateDatabase

PLACE = ("production", "erp", "contoso")


@pytest.mark.parametrize(
    ("now", "night"),
    [
        ("2026-11-22T05:00Z", "2026-11-22T01:30Z"),
        ("2026-11-22T01:30Z", "2026-11-22T01:30Z"),
        ("2026-11-22T01:29Z", "2026-11-21T01:30Z"),
        ("2026-11-21T23:59Z", "2026-11-21T01:30Z"),  # local midnight has passed, half past two has not
        ("2026-03-29T12:00Z", "2026-03-29T01:30Z"),  # 02:30 does not exist: it is 03:30 summer time
        ("2026-03-29T01:00Z", "2026-03-28T01:30Z"),
        ("2026-10-25T12:00Z", "2026-10-25T00:30Z"),  # 02:30 comes twice: the first, and not again
        ("2026-10-25T01:30Z", "2026-10-25T00:30Z"),
    ],
)
def test_a_night_begins_once_for_each_local_date(now: str, night: str) -> None:
    assert night_of("02:30", "Europe/Berlin", datetime.fromisoformat(now)) == datetime.fromisoformat(night)


def test_every_night_of_a_year_comes_once_and_in_order() -> None:
    start = datetime(2026, 1, 1, 12, tzinfo=UTC)
    nights = {night_of("02:30", "Europe/Berlin", start + timedelta(hours=hours)) for hours in range(365 * 24)}
    assert len(nights) == 366
    assert {later - earlier for earlier, later in zip(sorted(nights), sorted(nights)[1:], strict=False)} == {
        timedelta(hours=hours) for hours in (23, 24, 25)
    }


@pytest.fixture(scope="module")
def anchor(generated: GenerateDatabase) -> Anchor:
    return take_anchor(ReadOnlyDatabase(generated(**VARIANTS["tiny"])[0]))


def looked(anchor: Anchor, night: datetime, taken_after: timedelta = timedelta(minutes=5)) -> Nightly:
    return Nightly(
        environment="production",
        server="erp",
        database="contoso",
        tenant="contoso",
        night=night,
        anchor=anchor.model_copy(update={"taken_at": night + taken_after}),
        known=Baseline(accepted={"hash chain": frozenset({"1", "2"})}),
        estate_version="sha256:0",
        app_version="0",
    )


NIGHT = datetime(2026, 11, 22, 1, 30, tzinfo=UTC)
DAY = timedelta(days=1)


def test_what_is_kept_is_found_again_and_the_first_of_a_night_stands(anchor: Anchor) -> None:
    container = MemoryBlobContainer()
    first = nightly.keep(container, looked(anchor, NIGHT))
    assert nightly.find(container, *PLACE, NIGHT) == first
    assert nightly.keep(container, looked(anchor, NIGHT, timedelta(hours=3))) == first
    assert nightly.find(container, *PLACE, NIGHT - DAY) is None
    assert first.nightly == looked(anchor, NIGHT)
    assert nightly.keep(MemoryBlobContainer(), looked(anchor, NIGHT)).sha256 == first.sha256


def test_the_newest_that_was_taken_before_the_target_is_the_reference(anchor: Anchor) -> None:
    container = MemoryBlobContainer()
    for days in range(4):
        nightly.keep(container, looked(anchor, NIGHT - days * DAY, timedelta(hours=9 if days == 1 else 1)))
    other = looked(anchor, NIGHT - DAY).model_copy(update={"database": "contoso_test"})
    nightly.keep(container, other)

    def newest(target: datetime) -> datetime:
        return next(nightly.before(container, *PLACE, target)).nightly.night

    assert newest(NIGHT + DAY) == NIGHT
    assert newest(NIGHT + timedelta(minutes=59)) == NIGHT - DAY
    assert newest(NIGHT - DAY + timedelta(hours=8)) == NIGHT - 2 * DAY  # that night's was made up for at nine
    assert newest(NIGHT - DAY + timedelta(hours=9)) == NIGHT - DAY
    assert list(nightly.before(container, *PLACE, NIGHT - 9 * DAY)) == []
    assert next(nightly.before(container, *PLACE, NIGHT)).nightly.night == NIGHT - DAY


def test_what_is_too_old_is_forgotten_and_nothing_else(anchor: Anchor) -> None:
    container = MemoryBlobContainer()
    for days in range(4):
        nightly.keep(container, looked(anchor, NIGHT - days * DAY))
    container.create("anchors/production/erp/contoso_test/20200101T000000Z.json.gz", b"")
    nightly.forget(container, *PLACE, NIGHT - 2 * DAY)
    left = [facts.name.rpartition("/")[2] for facts in container.list("anchors/production/erp/contoso/")]
    assert left == ["20261120T013000Z.json.gz", "20261121T013000Z.json.gz", "20261122T013000Z.json.gz"]
    assert len(list(container.list())) == 4


def test_whether_there_is_a_look_since(anchor: Anchor) -> None:
    container = MemoryBlobContainer()
    nightly.keep(container, looked(anchor, NIGHT))
    assert nightly.is_anchored_since(container, *PLACE, NIGHT)
    assert nightly.is_anchored_since(container, *PLACE, NIGHT - DAY)
    assert not nightly.is_anchored_since(container, *PLACE, NIGHT + timedelta(seconds=1))
    assert not nightly.is_anchored_since(container, "production", "erp", "other", NIGHT)


def test_a_kept_look_is_small(generated: GenerateDatabase) -> None:
    connection: Connection = generated(**VARIANTS["version 18"])[0]
    container = MemoryBlobContainer()
    name = nightly.keep(container, looked(take_anchor(ReadOnlyDatabase(connection)), NIGHT)).name
    assert len(container.read(name).data) < 30_000
