from datetime import timedelta

import pytest

from local.memory_blobs import MemoryBlobContainer
from shared.evidence.record import Record, write
from shared.evidence.search import Query, find_records
from tests.evidence.logs import NOON, record, write_records

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def container() -> MemoryBlobContainer:
    container = MemoryBlobContainer()
    for step in range(5):
        write_records(container, range(step * 40, step * 40 + 40), NOON + step * HOUR)
    write(container, record(900, NOON + HOUR, environment="staging", kind="refused"))
    container.create("records/2026/11/22/20261122T123000.000000Z-note.txt", b"no record")
    return container


def all_pages(container: MemoryBlobContainer, query: Query, limit: int) -> list[Record]:
    found: list[Record] = []
    continuation: str | None = None
    while True:
        page = find_records(container, query, limit=limit, continuation=continuation)
        assert len(page.records) <= limit
        assert [name for name, _ in page.records] == [made.name for _, made in page.records]
        found += [made for _, made in page.records]
        continuation = page.continuation
        if continuation is None:
            return found


@pytest.mark.parametrize("limit", [1, 7, 64, 1000])
@pytest.mark.parametrize(
    ("query", "count"),
    [
        (Query(NOON, NOON + 6 * HOUR), 201),
        (Query(NOON + HOUR, NOON + 2 * HOUR), 41),
        (Query(NOON, NOON + 6 * HOUR, tenant="acme"), 100),
        (Query(NOON, NOON + 6 * HOUR, environment="staging"), 1),
        (Query(NOON, NOON + 6 * HOUR, kind="refused", automation="peak_scaling"), 1),
        (Query(NOON, NOON + 6 * HOUR, subject="change:0042"), 1),
        (Query(NOON, NOON + 6 * HOUR, automation="storage_tiering"), 0),
        (Query(NOON - HOUR, NOON), 0),
    ],
)
def test_pages_together_are_what_fits_in_time_order(
    container: MemoryBlobContainer, query: Query, count: int, limit: int
) -> None:
    found = all_pages(container, query, limit)
    assert len(found) == len({made.id for made in found}) == count
    assert [made.time for made in found] == sorted(made.time for made in found)
    assert all(query.takes(made) and query.start <= made.time < query.end for made in found)


def test_a_foreign_continuation_is_refused(container: MemoryBlobContainer) -> None:
    page = find_records(container, Query(NOON, NOON + HOUR), limit=1)
    with pytest.raises(ValueError, match="continuation"):
        find_records(container, Query(NOON + HOUR, NOON + 2 * HOUR), limit=1, continuation=page.continuation)
