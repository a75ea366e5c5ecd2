"""The estate in force: the newest good one, asked for seldom, by any number of threads."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Event

import pytest

from shared.estate.loading import load_estate
from shared.estate.problems import EstateInvalidError
from shared.estate.source import EstateSource, EstateUnavailableError, Fetched
from tests.estate.files import NOW, SMALL

EVERY = timedelta(seconds=30)
OTHER = SMALL.replace("rto: 2h", "rto: 4h")
BROKEN = SMALL.replace("rto: 2h", "rto: soon")


@dataclass
class Origin:
    """A file somewhere, which can be changed, lost, and slow."""

    text: str | None = SMALL
    name: str = "blob"
    asked: list[str | None] = field(default_factory=list[str | None])
    read: int = 0
    go: Event = field(default_factory=Event)
    arrived: Event = field(default_factory=Event)

    def __post_init__(self) -> None:
        self.go.set()

    def fetch(self, etag: str | None) -> Fetched | None:
        self.asked.append(etag)
        self.arrived.set()
        assert self.go.wait(30)
        if self.text is None:
            raise EstateUnavailableError("blob: out of reach; check the role")
        now = str(hash(self.text))
        if etag == now:
            return None
        self.read += 1
        return Fetched(self.text.encode(), now)


@dataclass
class Keeper:
    content: bytes | None = None
    down: bool = False
    saved: int = 0

    def load(self) -> bytes | None:
        if self.down:
            raise EstateUnavailableError("down")
        return self.content

    def save(self, content: bytes) -> None:
        if self.down:
            raise EstateUnavailableError("down")
        self.content = content
        self.saved += 1


def test_an_unchanged_file_is_asked_for_by_its_etag_and_read_once() -> None:
    origin = Origin()
    source = EstateSource(origin, every=EVERY)
    first = source.current(NOW)
    again = source.current(NOW + 10 * EVERY)
    assert first.estate is again.estate
    assert first.since == again.since == NOW
    assert again.checked == NOW + 10 * EVERY
    assert origin.read == 1
    assert origin.asked == [None, str(hash(SMALL))]


def test_it_asks_at_most_once_in_the_given_time() -> None:
    origin = Origin()
    source = EstateSource(origin, every=EVERY)
    for second in range(60):
        source.current(NOW + timedelta(seconds=second))
    assert len(origin.asked) == 2


def test_a_newer_good_one_comes_into_force() -> None:
    origin = Origin()
    source = EstateSource(origin, every=EVERY)
    before = source.current(NOW)
    origin.text = OTHER
    assert source.current(NOW + EVERY / 2).estate.version == before.estate.version
    after = source.current(NOW + EVERY)
    assert after.estate.version == load_estate(OTHER).version != before.estate.version
    assert after.since == NOW + EVERY
    assert after.fault is None


def test_a_newer_invalid_one_is_told_and_changes_nothing() -> None:
    origin = Origin()
    source = EstateSource(origin, every=EVERY)
    good = source.current(NOW)
    origin.text = BROKEN
    told = source.current(NOW + EVERY)
    later = source.current(NOW + 5 * EVERY)
    assert told.estate is later.estate is good.estate
    assert told.since == later.since == NOW
    assert told.fault is not None
    assert [problem.path for problem in told.fault.problems] == ["tiers.critical.rto"]
    assert later.fault == told.fault
    assert later.fault.since == NOW + EVERY
    assert origin.read == 2, "an invalid file is not read again until it changes"
    origin.text = OTHER
    mended = source.current(NOW + 6 * EVERY)
    assert mended.fault is None
    assert mended.estate.version == load_estate(OTHER).version


def test_taking_a_bad_change_back_leaves_no_trace() -> None:
    origin = Origin()
    source = EstateSource(origin, every=EVERY)
    source.current(NOW)
    origin.text = BROKEN
    source.current(NOW + EVERY)
    origin.text = "# as before\n" + SMALL
    back = source.current(NOW + 2 * EVERY)
    assert (back.since, back.fault) == (NOW, None)


def test_an_origin_out_of_reach_is_told_and_changes_nothing() -> None:
    origin = Origin()
    source = EstateSource(origin, every=EVERY)
    good = source.current(NOW)
    origin.text = None
    told = source.current(NOW + EVERY)
    assert told.estate is good.estate
    assert told.fault is not None
    assert "out of reach" in told.fault.what
    assert source.current(NOW + 2 * EVERY).fault == told.fault
    origin.text = SMALL
    assert source.current(NOW + 3 * EVERY).fault is None


def test_losing_sight_of_an_invalid_file_does_not_hide_its_problems() -> None:
    origin = Origin()
    source = EstateSource(origin, every=EVERY)
    source.current(NOW)
    origin.text = BROKEN
    told = source.current(NOW + EVERY)
    origin.text = None
    assert source.current(NOW + 2 * EVERY).fault == told.fault


def test_without_a_good_one_it_says_why_and_asks_no_more_often() -> None:
    origin = Origin(BROKEN)
    source = EstateSource(origin, every=EVERY)
    for _ in range(3):
        with pytest.raises(EstateInvalidError):
            source.current(NOW)
    assert len(origin.asked) == 1
    origin.text = None
    with pytest.raises(EstateUnavailableError):
        source.current(NOW + EVERY)
    origin.text = SMALL
    assert source.current(NOW + 2 * EVERY).fault is None


@pytest.mark.parametrize("now_there", [BROKEN, None], ids=["invalid", "out of reach"])
def test_an_instance_that_starts_beside_a_bad_file_has_the_copy_that_was_kept(now_there: str | None) -> None:
    keeper = Keeper()
    EstateSource(Origin(), keeper, EVERY).current(NOW)
    origin = Origin(now_there)
    source = EstateSource(origin, keeper, EVERY)
    kept = source.current(NOW)
    assert kept.estate.version == load_estate(SMALL).version
    assert kept.kept
    assert kept.fault is not None
    origin.text = SMALL
    good = source.current(NOW + EVERY)
    assert (good.kept, good.fault) == (False, None)


def test_a_copy_that_could_not_be_kept_is_kept_the_next_time() -> None:
    keeper = Keeper(down=True)
    origin = Origin()
    source = EstateSource(origin, keeper, EVERY)
    source.current(NOW)
    assert keeper.content is None
    keeper.down = False
    source.current(NOW + EVERY)
    source.current(NOW + 2 * EVERY)
    assert keeper.content == SMALL.encode()
    assert keeper.saved == 1


def test_an_invalid_file_is_never_kept() -> None:
    keeper = Keeper()
    origin = Origin()
    source = EstateSource(origin, keeper, EVERY)
    source.current(NOW)
    origin.text = BROKEN
    source.current(NOW + EVERY)
    assert keeper.content == SMALL.encode()


def test_while_one_thread_asks_the_others_go_on_with_what_is_known() -> None:
    origin = Origin()
    source = EstateSource(origin, every=EVERY)
    good = source.current(NOW)
    origin.text = OTHER
    origin.go.clear()
    origin.arrived.clear()
    with ThreadPoolExecutor(2) as threads:
        slow = threads.submit(source.current, NOW + EVERY)
        assert origin.arrived.wait(30)
        assert threads.submit(source.current, NOW + EVERY).result(30).estate is good.estate
        origin.go.set()
        assert slow.result(30).estate.version == load_estate(OTHER).version


def test_the_first_threads_wait_for_one_request() -> None:
    origin = Origin()
    origin.go.clear()
    source = EstateSource(origin, every=EVERY)
    with ThreadPoolExecutor(8) as threads:
        waiting = [threads.submit(source.current, NOW) for _ in range(8)]
        assert origin.arrived.wait(30)
        origin.go.set()
        assert len({id(each.result(30).estate) for each in waiting}) == 1
    assert len(origin.asked) == 1
