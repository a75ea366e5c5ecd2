import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from threading import Barrier

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.memory_blobs import MemoryBlobContainer
from shared.blob_container import BlobFacts
from shared.events import Event
from shared.evidence.canonical import canonical
from shared.evidence.log import BrokenLogError, Log, newest_seal, prove, read_leaves, read_seal
from shared.evidence.record import write
from shared.evidence.seal import publish_seals
from shared.evidence.verify import Verification, read_published
from tests.evidence.logs import MINUTE, NOON, Files, contents, record, seal, verification, write_records

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def sealed_names(container: MemoryBlobContainer) -> list[str]:
    return list(Log.read(container).names)


def record_names(container: MemoryBlobContainer) -> list[str]:
    return [blob.name for blob in container.list("records/")]


def assert_all_sealed_once(container: MemoryBlobContainer) -> None:
    assert sorted(sealed_names(container)) == record_names(container)
    assert verification(container).problems == {}


class TestSealing:
    def test_records_become_leaves_of_a_verifiable_log(self) -> None:
        container = MemoryBlobContainer()
        write_records(container, range(5))
        assert seal(container, NOON + MINUTE) == [1]
        first = read_seal(container, 1)
        assert (first.tree_size, first.previous, first.leaves.count) == (5, None, 5)
        assert first.data == container.read("seals/00000001.json").data
        assert_all_sealed_once(container)

    def test_twice_is_once(self) -> None:
        container = MemoryBlobContainer()
        write_records(container, range(5))
        assert seal(container, NOON + MINUTE) == [1]
        assert seal(container, NOON + MINUTE) == []
        assert seal(container, NOON + 2 * MINUTE) == []

    def test_later_seals_continue_the_log(self) -> None:
        container = MemoryBlobContainer()
        for step in range(4):
            write_records(container, range(step * 3, step * 3 + 3))
            assert seal(container, NOON + (step + 1) * MINUTE) == [step + 1]
        assert read_seal(container, 4).previous == read_seal(container, 3).sha256
        assert read_seal(container, 4).tree_size == 12
        assert_all_sealed_once(container)

    def test_many_records_become_several_seals(self) -> None:
        container = MemoryBlobContainer()
        write_records(container, range(10))
        assert seal(container, NOON + MINUTE, largest=4) == [1, 2, 3]
        assert [read_seal(container, number).tree_size for number in (1, 2, 3)] == [4, 8, 10]
        assert_all_sealed_once(container)

    @pytest.mark.parametrize("late", [MINUTE, 23 * HOUR, 3 * DAY, 400 * DAY])
    def test_a_record_that_comes_late_is_not_lost(self, late: timedelta) -> None:
        container = MemoryBlobContainer()
        write_records(container, range(3))
        seal(container, NOON + MINUTE)
        write(container, record(99, NOON + MINUTE - late))
        seal(container, NOON + 15 * MINUTE)
        seal(container, NOON + MINUTE + DAY)
        assert_all_sealed_once(container)

    def test_a_record_a_little_late_does_not_wait_for_the_sweep(self) -> None:
        container = MemoryBlobContainer()
        write_records(container, range(3))
        seal(container, NOON + MINUTE)
        write(container, record(99, NOON - 20 * HOUR))
        assert seal(container, NOON + 15 * MINUTE) == [2]
        assert_all_sealed_once(container)

    def test_a_record_from_the_future_waits_until_its_time(self) -> None:
        container = MemoryBlobContainer()
        write_records(container, range(3))
        write(container, record(99, NOON + 2 * HOUR))
        seal(container, NOON + MINUTE)
        assert read_seal(container, 1).tree_size == 3
        assert verification(container).problems == {}
        assert "1 records are newer" in " ".join(verification(container).notes)
        assert seal(container, NOON + HOUR) == []
        assert seal(container, NOON + 2 * HOUR) == [2]
        assert_all_sealed_once(container)

    def test_a_record_of_this_very_instant_is_sealed(self) -> None:
        container = MemoryBlobContainer()
        write(container, record(1, NOON))
        seal(container, NOON)
        assert_all_sealed_once(container)

    def test_a_clock_that_goes_back_does_not_turn_the_log_back(self) -> None:
        container = MemoryBlobContainer()
        write_records(container, range(3))
        seal(container, NOON + HOUR)
        write(container, record(99, NOON))
        seal(container, NOON)
        assert read_seal(container, 2).sealed_at == NOON + HOUR
        assert_all_sealed_once(container)

    def test_once_a_day_the_log_is_swept_and_lives_even_without_news(self) -> None:
        container = MemoryBlobContainer()
        assert seal(container, NOON) == [1]
        assert seal(container, NOON + 23 * HOUR) == []
        assert seal(container, NOON + DAY) == [2]
        assert seal(container, NOON + DAY + HOUR) == []
        assert read_seal(container, 2).tree_size == 0
        assert_all_sealed_once(container)

    def test_a_listing_that_ignores_where_to_start_seals_nothing_twice(self) -> None:
        class FullListing(MemoryBlobContainer):
            def list(self, prefix: str = "", start_from: str | None = None) -> Iterator[BlobFacts]:
                return super().list(prefix)

        container = FullListing()
        write_records(container, range(3), NOON - 2 * DAY)
        for step in range(0, 50, 5):
            seal(container, NOON + step * HOUR)
        write_records(container, range(3, 6))
        seal(container, NOON + 2 * DAY + 4 * HOUR)
        assert_all_sealed_once(container)

    def test_anything_among_the_records_is_sealed_and_the_verifier_judges_it(self) -> None:
        container = MemoryBlobContainer()
        write_records(container, range(3))
        container.create("records/2026/11/22/20261122T120000.000000Z-note.txt", b"not a record")
        seal(container, NOON + MINUTE)
        assert read_seal(container, 1).tree_size == 4
        assert {code for code, _, _ in verification(container).problems} == {"record-malformed"}

    def test_a_record_can_be_proved(self) -> None:
        container = MemoryBlobContainer()
        names = [reference.name for reference in write_records(container, range(5))]
        seal(container, NOON + MINUTE)
        proof = prove(container, names[3])
        assert (proof.index, proof.tree_size, proof.seal, len(proof.path)) == (3, 5, 1, 3)
        with pytest.raises(LookupError, match="not sealed"):
            prove(container, "records/none.json")


class CrashError(Exception):
    """The process ends here."""


class Crashing(MemoryBlobContainer):
    """Ends the process before or after the n-th creation."""

    def __init__(self) -> None:
        super().__init__()
        self.left: float = float("inf")
        self.after = False

    def create(self, name: str, data: bytes, content_type: str = "application/json") -> str:
        self.left -= 1
        if self.left < 0 and not self.after:
            raise CrashError
        etag = super().create(name, data, content_type)
        if self.left < 0:
            raise CrashError
        return etag


class TestInterruptions:
    @pytest.mark.parametrize("after", [False, True])
    @pytest.mark.parametrize("nth", range(6))
    def test_a_crash_anywhere_leaves_one_log(self, nth: int, after: bool) -> None:
        container = Crashing()
        write_records(container, range(7))
        container.left, container.after = nth, after
        with pytest.raises(CrashError):
            seal(container, NOON + MINUTE, largest=3)
        container.left = float("inf")
        write_records(container, range(7, 9))
        seal(container, NOON + 2 * MINUTE, largest=3)
        assert_all_sealed_once(container)

    def test_a_sweep_that_crashed_is_done_again_at_once(self) -> None:
        container = Crashing()
        write_records(container, range(10), NOON - 5 * DAY)
        container.left = 2
        with pytest.raises(CrashError):
            seal(container, NOON, largest=4)
        container.left = float("inf")
        seal(container, NOON + MINUTE, largest=4)
        assert_all_sealed_once(container)

    def test_a_sealer_overtaken_in_the_middle_stops(self) -> None:
        class Overtaken(MemoryBlobContainer):
            meanwhile: Callable[[], object] | None = None

            def create(self, name: str, data: bytes, content_type: str = "application/json") -> str:
                if name.startswith("seals/") and self.meanwhile:
                    act, self.meanwhile = self.meanwhile, None
                    act()
                return super().create(name, data, content_type)

        container = Overtaken()
        write_records(container, range(5))

        def other() -> None:
            write_records(container, range(5, 8))
            assert seal(container, NOON + 2 * MINUTE) == [1]

        container.meanwhile = other
        assert seal(container, NOON + MINUTE) == []
        assert len(list(container.list("leaves/"))) == 2
        assert_all_sealed_once(container)

    def test_many_sealers_at_once_make_one_log(self) -> None:
        container = MemoryBlobContainer()
        write_records(container, range(40))
        sealers = 8
        barrier = Barrier(sealers)

        def run(number: int) -> list[int]:
            barrier.wait()
            return seal(container, NOON + (1 + number) * MINUTE, largest=5)

        with ThreadPoolExecutor(sealers) as pool:
            made = [number for result in pool.map(run, range(sealers)) for number in result]
        assert sorted(made) == list(range(1, len(made) + 1))
        seal(container, NOON + HOUR)
        assert_all_sealed_once(container)


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(-72 * 60, 60)),  # a record of so many minutes ago, or ahead
        st.tuples(st.just("seal"), st.integers(0, 30 * 60)),  # so many minutes later
        st.tuples(st.just("crash"), st.integers(0, 3)),
    ),
    max_size=25,
)


@given(ACTIONS)
@settings(max_examples=150)
def test_whatever_comes_when_everything_is_sealed_exactly_once(actions: list[tuple[str, int]]) -> None:
    container = Crashing()
    write(container, record(1000))
    now = NOON
    for number, (action, amount) in enumerate(actions):
        if action == "write":
            write(container, record(number, now + amount * MINUTE))
        elif action == "seal":
            now += amount * MINUTE
            seal(container, now, largest=3)
        else:
            container.left = amount
            with suppress(CrashError):
                seal(container, now, largest=3)
            container.left = float("inf")
        result = verification(container)
        assert {code for code, _, _ in result.problems} <= {"record-unsealed"}
    seal(container, now + 2 * DAY)
    assert_all_sealed_once(container)


class TestBrokenLog:
    """The sealer appends nothing to a log that contradicts itself."""

    @pytest.fixture
    def container(self) -> MemoryBlobContainer:
        container = MemoryBlobContainer()
        for step in range(3):
            write_records(container, range(step * 3, step * 3 + 3))
            seal(container, NOON + (step + 1) * MINUTE)
        write_records(container, range(9, 12))
        return container

    def change(self, container: MemoryBlobContainer, name: str, **members: object) -> None:
        blob = container.read(name)
        container.replace(name, canonical(json.loads(blob.data) | members), blob.etag)

    def refused(self, container: MemoryBlobContainer, why: str, now: datetime = NOON + HOUR) -> None:
        before = contents(container)
        with pytest.raises(BrokenLogError, match=why):
            seal(container, now)
        assert contents(container) == before

    def test_with_a_missing_seal(self, container: MemoryBlobContainer) -> None:
        container.delete("seals/00000002.json")
        self.refused(container, "00000003.json stands where seals/00000002.json should")

    def test_with_a_stray_seal(self, container: MemoryBlobContainer) -> None:
        container.create("seals/00000003-copy.json", b"{}")
        self.refused(container, "stands where")

    def test_with_a_changed_root(self, container: MemoryBlobContainer) -> None:
        self.change(container, "seals/00000003.json", root="0" * 64)
        self.refused(container, "peaks do not make its root")

    def test_with_a_changed_size(self, container: MemoryBlobContainer) -> None:
        self.change(container, "seals/00000003.json", tree_size=8)
        self.refused(container, "peaks")

    def test_with_a_changed_seal_before_the_last(self, container: MemoryBlobContainer) -> None:
        self.change(container, "seals/00000002.json", app_version="9")
        self.refused(container, "does not continue")

    def test_with_something_else_than_a_seal(self, container: MemoryBlobContainer) -> None:
        self.change(container, "seals/00000003.json", extra=1)
        self.refused(container, "is no seal")

    def test_with_a_seal_in_other_bytes(self, container: MemoryBlobContainer) -> None:
        blob = container.read("seals/00000003.json")
        container.replace("seals/00000003.json", json.dumps(json.loads(blob.data), indent=1).encode(), blob.etag)
        self.refused(container, "altered")

    def test_with_a_seal_under_another_number(self, container: MemoryBlobContainer) -> None:
        self.change(container, "seals/00000003.json", sequence=4)
        self.refused(container, "altered")

    def test_with_a_changed_leaf_list(self, container: MemoryBlobContainer) -> None:
        name = read_seal(container, 1).leaves.name
        self.change(container, name, leaves=[])
        self.refused(container, "altered")
        with pytest.raises(BrokenLogError, match="altered"):
            read_leaves(container, read_seal(container, 1))


class Topic:
    def __init__(self, fails_after: int = 10**9) -> None:
        self.events: list[Event] = []
        self.left = fails_after

    def publish(self, events: Sequence[Event]) -> None:
        self.left -= 1
        if self.left < 0:
            raise ConnectionError("the topic does not answer")
        self.events += events


class TestPublishing:
    def test_each_seal_is_told_once_and_a_witness_can_use_it(self) -> None:
        container, topic = MemoryBlobContainer(), Topic()
        for step in range(3):
            write_records(container, range(step * 3, step * 3 + 3))
            seal(container, NOON + (step + 1) * MINUTE)
        assert publish_seals(container, topic, NOON) == 3
        assert publish_seals(container, topic, NOON) == 0
        assert [event.subject for event in topic.events] == [f"evidence/seals/{number:08}" for number in (1, 2, 3)]
        newest = newest_seal(container)
        assert newest is not None
        assert topic.events[-1].data["sha256"] == newest.sha256

        kept = json.dumps([{"id": event.id, "data": event.data} for event in topic.events]).encode()
        result = Verification(Files(contents(container)), read_published(kept))
        assert result.problems == {}
        assert sum("is the one here" in note for note in result.notes) == 3

    def test_what_the_topic_did_not_accept_is_told_later_in_order(self) -> None:
        container = MemoryBlobContainer()
        write_records(container, range(3))
        seal(container, NOON + MINUTE)
        with pytest.raises(ConnectionError):
            publish_seals(container, Topic(fails_after=0), NOON)
        write_records(container, range(3, 6))
        seal(container, NOON + 2 * MINUTE)
        topic = Topic()
        assert publish_seals(container, topic, NOON) == 2
        assert [event.subject[-1] for event in topic.events] == ["1", "2"]

    def test_after_a_crash_before_the_mark_it_is_told_again_with_the_same_id(self) -> None:
        container, topic = Crashing(), Topic()
        write_records(container, range(3))
        seal(container, NOON + MINUTE)
        container.left = 0
        with pytest.raises(CrashError):
            publish_seals(container, topic, NOON)
        container.left = float("inf")
        publish_seals(container, topic, NOON)
        assert len(topic.events) == 2
        assert topic.events[0] == topic.events[1]

    def test_nothing_is_told_of_an_empty_container(self) -> None:
        assert publish_seals(MemoryBlobContainer(), Topic(fails_after=0), NOON) == 0
