"""The registry at a glance: always as it is, and read only where it changed."""

from datetime import timedelta

from local.memory_blobs import MemoryBlobContainer
from shared.backup_verification import registry
from shared.backup_verification.drill import Held, NotDone
from shared.backup_verification.overview import Overview
from shared.backup_verification.registry import EntryState
from shared.blob_container import Blob
from tests.backup_verification.sample_report import PLAN, T


class Counting(MemoryBlobContainer):
    """Names what was read."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[str] = []

    def read(self, name: str) -> Blob:
        self.reads.append(name)
        return super().read(name)


def test_only_what_changed_is_read_again() -> None:
    container = Counting()
    overview = Overview(container)
    for day in range(3):
        registry.open_entry(container, PLAN.model_copy(update={"id": f"drill:production:erp:{day}"}))
    refused = PLAN.model_copy(update={"id": "drill:production:erp:refused"})
    registry.open_entry(container, refused, Held(outcome=NotDone.REFUSED, reason="a lock"))
    assert [one.state for one in overview.drills()] == [*[EntryState.OPEN] * 3, EntryState.CLOSED]
    registry.move_entry(container, "drill:production:erp:1", EntryState.CLOSED, T + timedelta(hours=1))
    container.delete("drills/drill:production:erp:2.json")
    container.reads.clear()
    seen = {one.id.rpartition(":")[2]: (one.state, one.closed_at, one.held) for one in overview.drills()}
    assert container.reads == ["drills/drill:production:erp:1.json"]
    assert seen == {
        "0": (EntryState.OPEN, None, None),
        "1": (EntryState.CLOSED, T + timedelta(hours=1), None),
        "refused": (EntryState.CLOSED, T, NotDone.REFUSED),
    }
    container.reads.clear()
    assert len(overview.drills()) == 3
    assert container.reads == []


def test_an_entry_that_cannot_be_read_hides_no_other() -> None:
    container = MemoryBlobContainer()
    container.create("drills/drill:production:erp:0.json", b'{"plan": "of another release"}')
    registry.open_entry(container, PLAN)
    assert [one.id for one in Overview(container).drills()] == [PLAN.id]
