"""Turns: a budget that holds whoever asks, in whatever order, and however often."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from local.memory_blobs import MemoryBlobContainer
from shared.backup_verification import turns
from shared.backup_verification.turns import Holder, Turns, held_since
from shared.changes.state import Store

T = datetime(2026, 11, 22, 2, tzinfo=UTC)
AT_ONCE = 3


def holder(server: int) -> Holder:
    return Holder(environment="production", server=f"s{server}", source_id=f"/servers/S{server}", since=T)


ACTS = st.lists(st.tuples(st.sampled_from(["ask", "give back"]), st.integers(0, 9), st.integers(0, 5)), max_size=60)


@given(ACTS)
def test_never_more_than_the_budget_and_never_two_of_one_server(acts: list[tuple[str, int, int]]) -> None:
    known = Turns()
    for act, drill, server in acts:
        name = f"drill:{drill}"
        before = known
        known = known.asked(name, holder(server), AT_ONCE) if act == "ask" else known.given_back(name)
        again = known.asked(name, holder(server), AT_ONCE) if act == "ask" else known.given_back(name)
        assert again == known, "twice is once"
        assert len(known.taken) <= AT_ONCE
        sources = [each.source_id for each in known.taken.values()]
        assert len(set(sources)) == len(sources)
        assert not set(known.taken) & set(known.waiting)
        if act == "ask" and name in before.taken:
            assert known == before


def test_whoever_waits_comes_when_a_turn_is_given_back() -> None:
    store = Store(MemoryBlobContainer())

    def ask(drill: str, server: int) -> Turns:
        return store.update(turns.NAME, Turns, lambda known: (known or Turns()).asked(drill, holder(server), 1))

    assert held_since(ask("a", 1), "a") == T
    assert held_since(ask("b", 2), "b") is None
    assert ask("b", 2).holds("production", "s2")
    store.update(turns.NAME, Turns, lambda known: (known or Turns()).given_back("a"))
    assert held_since(ask("b", 2), "b") == T
    assert ask("b", 2).waiting == {}


def test_another_drill_of_a_living_copy_is_named_whatever_the_case_of_its_id() -> None:
    known = Turns().asked("a", holder(1), AT_ONCE)
    assert known.rival("b", "/SERVERS/s1") == "a"
    assert known.rival("a", "/servers/S1") is None
    assert known.rival("b", "/servers/S2") is None
